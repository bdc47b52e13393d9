//! A person in control of a running engine: pausing, resuming, kicking, asking how it is.

mod kick;
mod pause;
mod ping;
mod watch;

use tahr_tests::{Engine, Finished};

/// Runs a command that has to end with this code.
#[track_caller]
fn tahr(engine: &Engine, arguments: &[&str], code: i32) -> Finished {
    let finished = engine.tahr(arguments);
    finished.assert_code(code);
    finished
}
