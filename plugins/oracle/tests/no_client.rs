//! What a user is told who has no Oracle client library.

use serde_json::json;
use tahr_oracle::OracleWriter;
use tahr_plugin_api::{ErrorKind, Role, testing::open};

#[test]
fn a_missing_client_library_is_explained() {
    let empty = tempfile::tempdir().unwrap();
    let options = json!({
        "connect": "//localhost/shop", "user": "tahr", "password": "secret",
        "client_dir": empty.path(),
    });
    let Err(error) = open::<OracleWriter>(&options, Role::Stream) else {
        panic!("there is no client library");
    };
    assert_eq!(error.kind, ErrorKind::Rejected);
    assert_eq!(error.code, "DPI-1047");
    assert!(error.message.contains("client library"), "{error}");
    assert!(error.hint.contains("Instant Client"), "{}", error.hint);
    assert!(error.hint.contains("client_dir") && error.hint.contains("LD_LIBRARY_PATH"));
    assert!(!error.message.contains("secret"));
    // A folder that is none is told apart.
    let options = json!({ "connect": "//localhost/shop", "client_dir": empty.path().join("no") });
    let error = open::<OracleWriter>(&options, Role::Stream).err().unwrap();
    assert!(error.message.contains("is no folder"), "{error}");
}
