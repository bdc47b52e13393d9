//! The exit codes of the `tahr` program: a promise to scripts, listed in `tahr --help`.
//!
//! Every command ends with one of these; [`ErrorKind`](crate::error::ErrorKind) maps to them one
//! to one.

/// Done: all that was asked for happened.
pub const DONE: u8 = 0;
/// Failed in a way that no other code names.
pub const FAILED: u8 = 1;
/// Bad usage: wrong arguments, or a config with faults: a plugin that is missing, two tables that
/// map to one object.
pub const USAGE: u8 = 2;
/// A source is not usable: unreachable, or not set up for replication.
pub const SOURCE: u8 = 3;
/// A target is not usable: unreachable, or its tables don't fit.
pub const TARGET: u8 = 4;
/// The command needs a running engine, and none runs.
pub const NO_ENGINE: u8 = 5;
