//! The conformance suite against a real server.

mod subject;

use subject::PostgresSubject;
use tahr_plugin_api::testing::conformance;
use tahr_postgres::PostgresWriter;

#[test]
fn the_writer_keeps_every_promise_of_the_conformance_suite() {
    let report = conformance::run::<PostgresWriter>(&mut PostgresSubject::new());
    assert!(report.skipped.is_empty(), "skipped: {:?}", report.skipped);
}
