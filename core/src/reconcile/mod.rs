//! Reconciling: several sources of one sync replicate to each other, and one judge decides
//! between their changes.
//!
//! ```text
//! source A ── transactions ──▶ window ─┐                     ┌─▶ record: stored first
//! source B ── transactions ──▶ window ─┼─▶ round ── verdicts ┼─▶ applies to A, B, C
//! source C ── transactions ──▶ window ─┘     ▲               │
//!                                            └── state ◀─────┴─▶ conflicts to the log
//! ```
//!
//! Nothing here does I/O, looks at a clock or draws a number: transactions go in, a plan comes
//! out, and the same input gives the same plan. That is why its simulation can run a
//! million histories, and why a crash is harmless at every step.
//!
//! # Words
//!
//! - **Window**: what a source's stream has shown since its cut, folded to one change per key.
//! - **Cut**: up to where a source's stream has been judged. Streams are read again from there.
//! - **Round**: everything taken in is judged, the cuts move, and new applies begin: one step.
//! - **Version**: a row or its absence (a *tombstone*), as one change left it.
//! - **Origin**: where and when a version was made, before any sync carried it, and the *path* of
//!   sources that it came by. `latest` judges by the origin's time.
//! - **Case**: one key that a round is about, and all that is known of it.
//! - **Candidate**: a source's last change of a key in the round. Several that differ are a
//!   **conflict**, which the [`Strategy`] decides. Deletes are candidates like any other.
//! - **Standing winner**: the last winner of a key, as long as somebody is owed it. It is a
//!   candidate too when a source changed the key unseen, that is while it was still owed the
//!   winner, unless another change was made by somebody who had it.
//! - **Owed**: what a source doesn't hold yet. A source that is away is owed; one whose rows are
//!   locked is owed those.
//! - **Apply**: one transaction on a source, which writes what it is owed. Its first statement
//!   updates that source's checkpoint row. **In flight** from when it is decided until its
//!   **marker** is seen: that row's change, in the source's own stream.
//!
//! # Guarantees
//!
//! At rest, that is once nobody writes and every source could be reached, all sources hold the
//! same rows, except for keys that were reported as diverged or altered by triggers.
//!
//! - *Only what the stream shows happened.* A planned change without a trace in the marked
//!   transaction did nothing: a delete that found no row, before a local insert was committed.
//! - *Order is the source's own.* The marker's place in the stream says which local changes came
//!   before an apply and which after. A source with an apply in flight is judged only when its
//!   marker is in the window; the others don't wait for it.
//! - *No change loses to one that it had seen*, directly or through others.
//! - *No loop.* Applies of this sync are no changes, those of other syncs are not sent to sources
//!   on their path, and triggers that alter what they altered get their source parked.
//! - *Whole transactions.* A round takes whole transactions and an apply writes all that a source
//!   is owed, so changes of one transaction arrive together, unless some of its rows are locked,
//!   lost a conflict, or exceed [`Limits::rows`].
//!
//! # What needs more than a winner
//!
//! - *Moved keys* (an update of the key) are a delete and a row, tied: when the delete loses, the
//!   row at the new key is taken back everywhere, unless somebody changed it since. When the row
//!   loses at its new key, the delete stays.
//! - *Truncates* are a change of the table as a whole, and a candidate for each of its rows that
//!   the round is about. A source that is owed one is given the surviving rows again after it.
//!   It is applied as `TRUNCATE`, so that the stream shows it.
//! - *Other unique keys*: an apply leaves out a row that a constraint refuses and names the row in
//!   its way. The strategy decides; the loser is deleted everywhere, both rows are in the log.
//! - *Triggers and cascades*: see [`TriggerEffects`].
//! - *Several syncs* over the same sources: an apply writes each key's [origin](Rules::outgoing)
//!   beside it, and the other syncs take it for a change with that origin. Syncs may form a tree.
//!   A circle comes to rest, but not always with equal rows: `check` should refuse it. A delete
//!   doesn't travel through a source that never had the row.
//!
//! # Meetings
//!
//! Members that may hold different rows are compared when they meet for the first time, and so is
//! one that comes back after it was parked for a resync, with one of the others. Nobody stops
//! writing for that: see [`Precedence`] and [`Reconciler::begin_meeting`].
//!
//! # Memory
//!
//! Settled keys cost nothing. Kept are: for each source the keys of its window; for each key that
//! some source doesn't hold yet one version and a bit per source; and for each source the versions
//! of the apply in flight, which share their bytes with those. A source that is owed more than
//! [`Limits::owed`] keys, or whose marker is awaited for so many, is parked for a resync and what
//! it is owed is forgotten. A truncate is one key however large its table is.
//!
//! # Who calls it
//!
//! The engine's part for syncs of several sources, on one thread, holds a [`Reconciler`] and
//!
//! 1. makes it of the stored [`State`], reads every source's stream from its cut, and hands each
//!    committed transaction to [`observe`](Reconciler::observe), rows complete: a value that the
//!    stream left out (TOAST) is fetched first, from the source that [`Version::from`] names at the
//!    latest when it is applied;
//! 2. calls [`round`](Reconciler::round) when something came in, stores the round's [`Record`]
//!    durably in one step (now and then the whole state, and an empty journal), and only then
//! 3. sends each [`flight`](Reconciler::flight) to its source, if the source's checkpoint row has
//! 3. sends each [`flight`](Reconciler::flight) to its source, if the source's checkpoint row has
//!    a lower number: marker first, rows in order, deletes before rows where a table has further
//!    unique keys, and with the marker's row the keys left out (locked, or refused with the row in
//!    the way) and each key's origin; and hands conflicts to the log;
//! 4. after a crash, or when a stream breaks, begins again at the cut
//!    ([`rewind`](Reconciler::rewind)). An apply that may have been committed or not is found out
//!    by the checkpoint row, after the old session has ended;
//! 5. lets people [`resume`](Reconciler::resume) a paused sync, [`unpark`](Reconciler::unpark) a
//!    source, or let one that was parked for a resync [`rejoin`](Reconciler::rejoin), and stores the
//!    records;
//! 6. as long as there are [`strangers`](Reconciler::strangers) and no
//!    [meeting](Reconciler::is_meeting): [begins](Reconciler::begin_meeting) one, then takes
//!    snapshots, tells their [cuts](Reconciler::snapshots_at) and how far each stream has been
//!    [read](Reconciler::read_to), feeds [differences](Reconciler::meet) while rounds go on, and
//!    [ends](Reconciler::end_meeting) it.

mod blob;
mod case;
mod difference;
mod flight;
mod judge;
mod key;
mod meeting;
mod mutation;
mod pairs;
mod reconciler;
mod record;
mod resolver;
mod round;
mod rules;
mod settle;
mod sight;
#[cfg(test)]
mod simulation;
mod state;
#[cfg(test)]
mod tests;
mod transaction;
mod verdicts;
mod version;
mod window;

pub use blob::Blob;
pub use difference::{Difference, Held, Precedence};
pub use flight::Flight;
pub use key::{Key, KeyMap, KeySet, TableId};
pub(crate) use mutation::Mutation;
pub use reconciler::{NotMet, Reconciler};
pub use record::Record;
pub use resolver::{Answer, Candidate, Quarrel, Resolver};
pub use round::{Conflict, Effect, EffectKind, Round, Winner};
pub use rules::{Limits, Rules, Strategy, TriggerEffects};
pub use state::{Entry, Parked, Pause, State};
pub use transaction::{Change, Holder, Left, Marker, Op, Transaction};
pub use version::{Origin, Row, SourceId, Version};
pub use window::UnknownMarker;
