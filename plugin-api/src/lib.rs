//! All that a tahr writer plugin needs.
//!
//! tahr copies a live PostgreSQL database into other databases and keeps them current. Its engine
//! reads the changes of a source once and gives them to *writers*, each of which knows one kind of
//! target. A writer lives in a plugin: a library `libtahr_NAME.so` that the engine loads while it
//! starts. This crate is what such a library is built from, and nothing else of tahr is needed.
//!
//! # What a writer is
//!
//! A type that implements [`Writer`] or [`SimpleWriter`], and one line that exports it, [`export_writer!`]. The engine
//! opens it once per *lane* (one sync into one target), on a thread of the lane's own, and calls it
//! there, one call after another; calls simply block. What crosses the border between two libraries
//! is this crate's business: a writer needs no `unsafe`, and a panic in it parks its lane and
//! nothing else.
//!
//! A writer is given a [`Batch`] of [`Change`]s: whole transactions in commit order, or marked
//! [`Part`]s of a large one. A change names its [`Relation`] (the table, under the name and with
//! the columns that the config gives it) and has an old [`Row`], a new one, or both. A [`Value`] is
//! PostgreSQL's own text, borrowed from the batch; [`Value::typed`] parses it where the target
//! wants more than text. [`Value::Unchanged`] is neither null nor absent: the source did not send a
//! long value that an update left alone, and the target has to keep its own.
//!
//! # What it promises
//!
//! - **Data and checkpoint change together**: in one transaction, one script, one rename. After a
//!   crash at any instant the checkpoint says exactly what the data holds.
//! - **Compare and set.** [`Writer::write`] and [`Writer::flush`] change something only where the
//!   target still holds the position that was expected; otherwise they return [`Written::Moved`]
//!   and change nothing. That is how a second engine or a restored target is noticed.
//! - **Order**: changes of a key are applied as they come.
//! - **No silence**: what can't be written exactly is a [`WriteError`], or follows a documented rule
//!   and is counted with [`Host::count`].
//!
//! In return the engine promises: after any error it calls [`Writer::reset`], asks for the
//! [`Writer::checkpoint`], and goes on from what that says. So a writer never repairs, retries or
//! remembers: it tells a [transient](WriteError::transient) error (try again) from a
//! [rejected](WriteError::rejected) one (a person has to act), says what to do in its
//! [hint](WriteError::hint), and that is all.
//!
//! # Two ways
//!
//! A target that can take changes, and commit them together with a line of text, needs only a
//! [`SimpleWriter`]: four calls, of which [`Simple`] makes a writer that keeps all of the above. One
//! that has more to offer, such as several sessions that load a table side by side, implements [`Writer`].
//!
//! # A complete plugin
//!
//! It adds every change to a file, as a line of JSON. A second, small file holds tahr's state and how
//! much of the lines counts; replacing it is the commit.
//!
#![doc = concat!("```ignore\n", include_str!("../doc/jsonl.rs"), "```")]
//!
//! Its `Cargo.toml` needs
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]     # rlib: for its tests
//!
//! [dependencies]
//! fs-err          = "3"
//! schemars        = { version = "1", default-features = false, features = ["derive", "std"] }
//! serde           = { version = "1", features = ["derive"] }
//! tahr-plugin-api = "0.1"
//!
//! [dev-dependencies]
//! tahr-plugin-api = { version = "0.1", features = ["testing"] }
//! ```
//!
//! and the profile it is built with must not say `panic = "abort"`. The library's file has to be
//! named `libtahr_….so` and lie in one of the config's `plugin_dirs`, writable by nobody else; then
//! `plugin = "jsonl"` uses it, and `tahr plugins describe jsonl` shows its options and what becomes of
//! every type.
//!
//! # Where to go on
//!
//! - [`SimpleWriter`]: what its four calls keep, and what they may rely on.
//! - [`Writer`]: each call, what it may do, and the order in which calls come.
//! - [`json`]: changes as JSON, and the rules for their values.
//! - [`Capabilities`]: what a target can do, as data; the engine plans by it.
//! - [`Position`], [`StreamId`], [`Checkpoint`]: what a target stores for tahr.
//! - `testing` (feature `testing`): batches made by hand, and the conformance suite, which drives a
//!   writer against its real target through every promise above. The writer here passes it.
//!
//! A plugin and an engine of different versions of this crate work together as long as
//! [`abi::ABI_VERSION`] is the same; otherwise the engine refuses the file with one line.

pub mod abi;
mod batch;
mod change;
pub mod compaction;
mod description;
mod error;
pub mod failpoint;
mod host;
pub mod json;
mod lsn;
mod options;
mod position;
pub mod read_back;
mod relation;
pub mod rules;
mod simple;
#[cfg(feature = "testing")]
pub mod testing;
mod value;
mod writer;

pub use batch::{Batch, Route, Segment};
pub use change::{Change, Op, Row};
pub use description::{Capabilities, Description};
pub use error::{ErrorKind, WriteError};
pub use host::Host;
pub use lsn::{Lsn, ParseLsnError};
pub use options::{did_you_mean, nearest};
pub use position::{Checkpoint, ParsePositionError, Position, StreamId};
pub use relation::{Column, Relation, ReplicaIdentity, TableName};
pub use rules::{Rule, RuleTable, Unfit};
pub use simple::{Simple, SimpleWriter};
pub use value::{
    Array, ArrayItem, CivilDate, Date, InUtc, Interval, Time, TimeTz, Timestamp, Typed, Value,
    ValueKind,
};
pub use writer::{Cancel, CheckReport, Finding, LoadMode, Part, Role, Writer, Written};
