//! The conformance suite on the stand-in for Oracle's client library.

mod schema;
mod stand_in;

use schema::Schema;
use stand_in::Files;
use tahr_oracle::OracleWriter;
use tahr_plugin_api::testing::conformance;

/// With text columns for all that Oracle's own types don't hold, every value arrives.
#[test]
fn oracle_keeps_every_promise_of_a_writer() {
    let mut schema = Schema::new(Files::new(), "text");
    let report = conformance::run::<OracleWriter>(&mut schema);
    let skipped: Vec<&str> = report.skipped.iter().map(|(name, _)| &**name).collect();
    assert_eq!(skipped, ["a table can be prepared between parts"]);
}

/// With Oracle's own types, those that they hold.
#[test]
fn oracles_own_types_keep_what_they_hold() {
    let mut schema = Schema::new(Files::new(), "null");
    let report = conformance::run_only::<OracleWriter>(&mut schema, "arrive");
    assert_eq!(report.skipped, []);
    assert!(report.passed.len() > 10);
}
