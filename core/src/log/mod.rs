//! The log of one source: its arenas in order, read by the cursors of its lanes.
//!
//! ```text
//! source ──append──▶ │ segment files │ newest arenas in memory │ ◀──next── lane cursors
//!                    ▲ unlinked behind the slowest lane         ▲ written when a lane lags
//! ```
//!
//! # Guarantees
//!
//! - Every lane sees every arena after its own stored position, in order, as often as it has to
//!   start again: an arena goes only when every lane has *stored* what is in it.
//! - Memory stays within the budget, or is one arena that is larger. What a lane lacks that lags, is
//!   paused or parked is written to segment files once, however many lag, and synced: in the background
//!   (`keep`), or at once where memory has no room. Where that would help nobody, since all lanes lag
//!   alike, the source waits instead: then the write-ahead log of the source is the log. The parts
//!   of an open transaction are always kept, so a target that loses it is given all of it again.
//! - While all lanes keep up nothing is written.
//! - The [`frontier`](Log::frontier) is the lowest position that every lane has stored, or that the
//!   synced disk covers for it; [`Frontier`] says how much of it the slot may be told.
//! - Segment files outlive the engine, with the relations that they refer to and the identity of the
//!   stream: the next run finds them again (`recover`), and the source is read from where they end.
//! - Where the disk has no room (`room`), memory lets go of what the lanes that lag lack: they are *cut
//!   off*, the slot is told no more than the disk has, and once such a lane has read that the log is
//!   rewound. Or it is given up, if the source's `on_log_limit` says so.
//! - Lanes that have the log rewound take turns (`turns`): each gets on before the next one's rewind.
//! - A segment that can't be read is set aside (`aside`), for a person to look at. The log is rewound to where it began; if the slot has let
//!   go of that, the lanes that need it have a gap. No lane ever passes over something.
//! - What lanes have stored stays on disk for the source's `redo`, as the slot keeps what it is not told
//!   so long: a target that loses its last moments finds them again.
//! - A target that went back further than the log reaches is served all the same while the slot still
//!   holds what it lost: the log is [rewound](Log::rewind), the source read again from the slot, and
//!   the other lanes skip what they have dealt with.
//!
//! # Lanes that join while the source is read
//!
//! A lane whose tables are all to be copied joins [at the tail](Log::join_at_tail) *before* its
//! snapshot is taken. From then on every entry is kept for it; the snapshot's `copied_to` lies at
//! or after the tail of that moment, so nothing falls between copy and stream. A lane that comes
//! back joins where its target stands, and the log is rewound where it has let go of that.
//!
//! The source's reader is the only one to [`append`](Log::append) and [`advance`](Log::advance);
//! lanes call the rest from their own threads. A lane that is slow never makes another wait for
//! longer than it takes to look something up: files are read and written outside of the lock.

mod aside;
mod cursor;
mod disk;
mod error;
mod frontier;
mod keep;
#[cfg(test)]
mod lagging;
mod lanes;
mod ledger;
mod open;
#[cfg(test)]
mod perils;
mod record;
mod recover;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod returns;
mod rewind;
mod room;
mod scribe;
mod segment;
#[cfg(test)]
mod soak;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod turns;
mod usage;
#[cfg(test)]
mod waiting;

pub use cursor::{Cursor, Next};
pub use error::LogError;
pub use frontier::Frontier;
pub use ledger::LogId;
pub use open::LogSetup;
pub use store::{LaneId, Log};
pub use usage::LogUsage;
