//! Verification: whether targets hold what the source holds, while changes flow.
//!
//! ```text
//!            1. digests in buckets        2. rows of buckets that differ     3. keys, again and again
//! source ── COPY ─▶ writer.digests ─┐    ── COPY ─▶ writer.digests ─┐       ── by key ─▶ digests ─┐
//!                                   ├─▶ sums ─▶ …                   ├─▶ keys ─▶ …                 ├─▶ differ
//! target ── writer.read_back ───────┘    ── writer.read_back ───────┘       ── by key ────────────┘
//! ```
//!
//! 1. Both sides of a table are read once, whole, in whatever order they come. The writer says what
//!    it would store of each row of the source, and what it finds, as digests
//!    ([`read_back`](tahr_plugin_api::read_back)); they are added up in buckets by their keys. So no
//!    two databases have to agree on an order, values are compared in the target's own form, and a
//!    table of any size takes some megabytes.
//! 2. Of the buckets that differ the rows are looked at one by one, on both sides. What differs
//!    here are *candidates*: real differences, and rows that changed while they were read.
//! 3. Candidates are looked at by their keys, until each is settled: read in the source; then, when
//!    the lane has stored all that was committed before that, in the target. A row that no change
//!    has reached meanwhile, as the lane knows ([`Attendant`](crate::lane::Attendant)), is then the
//!    same or differs for good. A difference has to be seen twice.
//!
//! A repair reads the rows by key once more, and gives them to the lane, which writes them as one
//! batch at its own place in the stream: behind everything that they can have seen, and only if no
//! later change has reached them. The checkpoint moves with it, as with every batch.
//!
//! # Guarantees
//!
//! - A row is told to differ only if it does with no change under way: there are no false reports,
//!   however busy the source is. A row that never comes to rest is counted as *moving*.
//! - A repair never overwrites anything newer, and never parks a lane.
//! - Nothing is locked: the source is read by plain statements, the target by a writer of role
//!   `check`, beside the lane's.
//! - Memory is bounded, whatever the tables' sizes; two reading statements per table and target,
//!   and two more where something differs.
//!
//! # What it does not see
//!
//! Tables without a key are not compared: their rows have no name. A row that somebody put under a
//! key in a form that PostgreSQL can't read is told and not repaired.
//!
//! The engine runs it on a thread of its own, one at a time ([`Verification::run`]); the control
//! socket asks for it.

mod buckets;
mod inbox;
mod job;
mod key;
mod look;
mod origin;
mod repair;
mod report;
mod second;
mod settle;
mod subject;
mod table;

pub use job::Verification;
pub use key::Key;
pub use report::{Differing, Kind, LaneReport, Progress, TableReport, Verified};
pub use subject::Subject;

use serde::{Deserialize, Serialize};

use crate::engine::Part;

/// What is to be verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// These lanes; none: all.
    pub part: Option<Part>,
    /// Only these tables of the source, as names or patterns, and as `schema.table` for whoever does
    /// it; none: all.
    pub tables: Vec<String>,
    /// Whether what differs is repaired.
    pub repairs: bool,
}
