//! The conformance suite: what every writer has to do, tried on a real target.
//!
//! Each case gets an empty target and drives writers through the ABI, as the engine does. A case
//! that the target can't take part in (see [`Capabilities`](crate::Capabilities) and
//! [`Subject`]) is skipped and said to be. [`run`] tries them all and fails at the end, with
//! every failure by name.
//!
//! What the suite expects of the order of calls, beyond [`Writer`]: a loader gets no call but
//! `load` and `flush`; after [`Written::Moved`](crate::Written::Moved), as after an error, come
//! `reset` and `checkpoint`; the stream that `checkpoint` was last asked for is the one that
//! later positions are stored under.

mod changes;
mod checkpoint;
mod errors;
mod fixture;
mod keyless;
mod keys;
mod load;
mod names;
mod parts;
mod random;
mod read_back;
mod routes;
mod schema;
mod truncate;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fixture::{Case, Fixture};

use super::{Subject, module};
use crate::Writer;

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The cases that passed.
    pub passed: Vec<String>,
    /// The cases that this target takes no part in, and why.
    pub skipped: Vec<(String, String)>,
}

/// Runs every case on `subject`.
///
/// # Panics
///
/// Where cases failed; the message names them all.
pub fn run<W: Writer>(subject: &mut dyn Subject) -> Report {
    run_only::<W>(subject, "")
}

/// As [`run`], but only the cases whose names contain `part`.
///
/// # Panics
///
/// As [`run`].
pub fn run_only<W: Writer>(subject: &mut dyn Subject, part: &str) -> Report {
    let module = module::<W>();
    let mut report = Report::default();
    let mut failures = Vec::new();
    for Case { name, act } in cases() {
        let name = name.replace('_', " ");
        if !name.contains(part) {
            continue;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut fixture = Fixture::new(&mut *subject, module, W::capabilities());
            act(&mut fixture);
            fixture.skipped()
        }));
        match outcome {
            Ok(None) => report.passed.push(name),
            Ok(Some(reason)) => report.skipped.push((name, reason)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                failures.push(format!("- {name}: {}", text.unwrap_or("panicked")));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} conformance cases failed:\n{}",
        failures.len(),
        failures.len() + report.passed.len(),
        failures.join("\n")
    );
    report
}

fn cases() -> impl Iterator<Item = &'static Case> {
    [
        checkpoint::CASES,
        changes::CASES,
        keys::CASES,
        routes::CASES,
        truncate::CASES,
        parts::CASES,
        errors::CASES,
        load::CASES,
        names::CASES,
        keyless::CASES,
        values::CASES,
        read_back::CASES,
        schema::CASES,
        random::CASES,
    ]
    .into_iter()
    .flatten()
}
