//! Many masters: the sources of one sync replicate to each other.
//!
//! ```text
//!           ┌ log ─▶ intake ─┐                              ┌─▶ applier ─▶ source A
//! source A ─┤                ├─▶ seat of judgement ─▶ store ┼─▶ applier ─▶ source B
//! source B ─┘ log ─▶ intake ─┘   (reconciler, rounds)       ├─▶ conflicts, history
//!                                    ▲ pause, kick          └─▶ sequences
//! ```
//!
//! The judging itself is pure and lives in [`reconcile`](crate::reconcile); here are its eyes, its
//! hands and its memory. One [`Circle`](circle::Circle) per sync of several sources, on a thread of its own:
//!
//! - [`tables`]: the tables as all sources have them; [`rows`]: rows and keys as bytes;
//!   [`preflight`]: whether the sources go together at all.
//! - [`intake`]: one thread per source reads its log from the cut, and packs what it finds into
//!   transactions. It is a lane of the log like any other, whose stored position is the cut.
//! - [`checkpoint`]: the row `tahr.checkpoint` on each source, by whose changes tahr's own
//!   transactions are recognized in the stream, and what is written beside it.
//! - [`apply`]: writes flights to a source. [`store`]: the state, durable before it is acted upon;
//!   [`chronicle`]: what was decided, for people.
//! - [`meeting`]: what the sources held before. [`custom`]: conflicts decided by Lua.
//! - [`Handle`]: what a person asks of a circle, and its [`Status`].
//!
//! The targets of such a sync follow one of its sources, through lanes like those of any other
//! sync: so they get whole transactions, and a checkpoint that they can prove.
//!
//! # Guarantees
//!
//! Those of [`reconcile`](crate::reconcile), over real servers: at rest all sources hold the same
//! rows; nothing that is acted upon is forgotten by a crash, a source that is away delays nobody
//! but itself, and what a person is to decide is shown and waits.

pub mod apply;
pub mod checkpoint;
pub mod chronicle;
pub mod circle;
pub mod custom;
mod handle;
pub mod intake;
pub mod meeting;
mod owner_only;
pub mod preflight;
pub mod rows;
pub mod sequences;
mod status;
pub mod store;
pub mod tables;

pub use handle::{Handle, Wishes};
pub use status::{BY_PERSON, Member, MemberState, Round, State, Status};
pub use tables::{MemberTable, SharedTable, Tables};
