//! What the engine tells about itself while it runs.
//!
//! Logs go to stderr and never hold a row value or a password; data goes to stdout, so the two
//! can be told apart in a pipe. Called once, by `main`, before anything else.

mod logging;

pub use logging::{LogFormat, start, start_on};
