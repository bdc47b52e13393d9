//! What has happened in a sync of several sources, for people: its conflicts and its rounds.
//!
//! Both are lines of JSON beside the sync's state, in `conflicts.jsonl` and `rounds.jsonl`, each with
//! one older file (`….older.jsonl`) that goes when the newer one is full. So they are bounded,
//! whatever happens.
//!
//! # Guarantees
//!
//! - They are for their owner only. The conflicts are the one place where tahr writes rows into a
//!   file: a row that lost a conflict is nowhere else.
//! - A line is there for every reader once [`ConflictLog::append`] or [`History::append`] has
//!   returned, and after a crash of tahr. A crash of the machine may take the last lines: nothing is
//!   decided by them, so no round waits for the disk.
//! - A line that a crash left incomplete is removed, and no reader stumbles over it. A round that
//!   happened again after a crash may be there twice.
//!
//! # Who calls it
//!
//! The sync's circle writes, and counts by [`ConflictLog::total`]. The socket's server reads, by
//! [`Question`]s from `tahr conflicts` and `tahr history`; it needs nothing of the circle for that.

mod columns;
mod conflicts;
mod entry;
mod lines;
mod moment;
mod question;
mod rounds;
#[cfg(test)]
mod tests;

pub use columns::Columns;
pub use conflicts::{ConflictLog, Filter};
pub use entry::{Candidate, Entry, Scene};
pub use moment::Moment;
pub use question::Question;
pub use rounds::{History, RoundEntry};
