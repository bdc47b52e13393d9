//! The conformance suite against a real server.

mod subject;

use std::panic::{AssertUnwindSafe, catch_unwind};

use subject::MysqlSubject;
use tahr_mysql::MysqlWriter;
use tahr_plugin_api::testing::conformance;

#[test]
fn with_unfit_values_as_text_every_promise_is_kept() {
    let report = conformance::run::<MysqlWriter>(&mut MysqlSubject::new("text"));
    let skipped: Vec<&str> = report.skipped.iter().map(|(case, _)| &**case).collect();
    // DDL commits.
    assert_eq!(skipped, ["a table can be prepared between parts"]);
}

#[test]
fn under_the_default_options_only_values_that_no_column_holds_are_refused() {
    let mut subject = MysqlSubject::new("error");
    let run = || conformance::run::<MysqlWriter>(&mut subject);
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("values that don't fit");
    let report = panic.downcast_ref::<String>().expect("the suite's report");
    let failures: Vec<&str> = report.lines().skip(1).collect();
    let refused = [
        "- floats arrive: Rejected",
        "- numerics arrive: Rejected",
        "- dates arrive: Rejected",
        "- timestamps arrive: Rejected",
        "- keys of other kinds work: Rejected",
    ];
    assert_eq!(failures.len(), refused.len(), "{report}");
    for (failure, refused) in failures.iter().zip(refused) {
        let is_unfit = failure.starts_with(refused) && failure.contains("can't hold");
        assert!(is_unfit, "{report}");
    }
}
