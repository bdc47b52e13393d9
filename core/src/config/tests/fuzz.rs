//! Whatever is in a config file, its reader answers, and shows no password.

use tahr_plugin_api::testing::fuzz;

use super::{SMALLEST, parse};

const LARGER: &str = r#"
[engine]
name = "tahr"
state_dir = "state"
memory = "64MiB"
plugin_dirs = ["plugins", "${PW}"]

[sources.a]
url = "postgres://tahr:secret-pw@db1:5432/shop?sslmode=require"
redo = "10s"
slot_timeout = "1m30s"
max_row_bytes = "1GiB"

[sources.b]
url = "postgres://db2/shop"

[targets.copy]
plugin = "sqlite"
options = { path = "a.db", synchronous = "off" }
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

[syncs.s]
sources = ["a", "b"]
targets = ["copy"]
tables = ["public.*", "!public.audit_*", 'x."Y Z"']
max_batch_rows = 10_000
max_delay_ms = 5
existing = "replace"
on_gap = "resync"
on_rejected = "set_aside"
rejected_limit = 7
conflict = ["a", "b"]
initial = "merge"
sequences = "max"

[syncs.s.table."public.customers"]
rename = "clients"
exclude = ["secret"]
conflict = "earliest"
"#;

#[test]
fn no_config_makes_its_reader_panic() {
    let samples = [SMALLEST, LARGER].map(|text| text.as_bytes().to_vec());
    assert!(
        parse(LARGER).is_ok(),
        "{}",
        parse(LARGER).unwrap_err().render()
    );
    fuzz("config", &samples, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        match parse(&text) {
            Ok(config) => {
                drop(format!("{config:?}"));
                true
            }
            Err(faults) => {
                assert!(!faults.render().is_empty());
                false
            }
        }
    });
}
