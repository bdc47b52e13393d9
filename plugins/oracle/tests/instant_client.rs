//! Oracle's own client library, where `LD_LIBRARY_PATH` has one: it is loaded, and every way in which a
//! server can be out of reach is told apart. No server is needed.

use std::{net::TcpListener, path::PathBuf, thread};

use serde_json::json;
use tahr_oracle::OracleWriter;
use tahr_plugin_api::{ErrorKind, Role, WriteError, testing::open};

/// The folder of Instant Client. The stand-in of other tests may be on the path, too, but has no
/// other libraries beside it.
fn instant_client() -> Option<PathBuf> {
    let path = std::env::var_os("LD_LIBRARY_PATH")?;
    std::env::split_paths(&path).find(|folder| {
        let has = |prefix: &str| {
            let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
            files
                .into_iter()
                .any(|file| file.file_name().to_string_lossy().starts_with(prefix))
        };
        has("libclntsh.so") && has("libnnz")
    })
}

fn refused(folder: &PathBuf, connect: &str) -> WriteError {
    let options = json!({
        "connect": connect, "user": "tahr", "password": "secret", "client_dir": folder,
    });
    let error = open::<OracleWriter>(&options, Role::Stream).err();
    let error = error.expect("there is no server");
    assert!(!error.message.contains("secret") && !error.hint.contains("secret"));
    error
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn a_server_out_of_reach_is_told_apart() {
    let Some(folder) = instant_client() else {
        eprintln!("skipped: no Oracle Instant Client on LD_LIBRARY_PATH");
        return;
    };
    // A port that was just given back.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let error = refused(&folder, &format!("//{}/shop", free.unwrap()));
    assert_eq!(
        (error.kind, &*error.code),
        (ErrorKind::Transient, "ORA-12541"),
        "{error}"
    );
    let error = refused(&folder, "no_such_name");
    assert_eq!(
        (error.kind, &*error.code),
        (ErrorKind::Rejected, "ORA-12154"),
        "{error}"
    );
    // Somebody listens who is no listener of Oracle's and hangs up.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let hung_up = thread::spawn(move || drop(listener.accept()));
    let error = refused(&folder, &format!("//127.0.0.1:{port}/shop"));
    assert_eq!(
        (error.kind, &*error.code),
        (ErrorKind::Transient, "ORA-12537"),
        "{error}"
    );
    hung_up.join().unwrap();
}
