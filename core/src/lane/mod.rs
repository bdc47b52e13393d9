//! A lane: the way of one sync's changes into one target.
//!
//! ```text
//!            ┌────────── error ──────────┐
//! starting ─▶ copying ─▶ streaming ⇄ retrying       any ─▶ parked (rejected, fatal, gap)
//!     ▲ parked while its plugin is missing          any ─▶ paused (by a person) ─▶ starting
//! ```
//!
//! A lane that is paused has ended after the batch it was in; the log and the slot keep what it
//! needs, as for one that is slow.
//!
//! Each lane has a thread of its own, which calls its writer, and a cursor in its source's log.
//! What happens to one lane reaches no other: a slow or failing target only makes its own cursor
//! fall behind.
//!
//! # Guarantees
//!
//! - The writer gets whole transactions in commit order, or marked parts of a large one, each
//!   leading exactly from the position before it.
//! - After any error: `reset`, `checkpoint`, and on from what the target says it holds.
//! - A rejected batch of several transactions is given again one by one, so that the good ones
//!   are stored and the lane parks exactly at the bad one.
//! - Nothing is skipped: a lane stores a change, or parks with its error shown, or sets the change aside
//!   where the sync says so, see [`rejected`].
//!
//! # Joining a source that is being read
//!
//! A new lane's place in the log is taken *before* its snapshot: at the [tail](crate::log), from
//! where everything is kept for it. What commits before the snapshot's `copied_to` is in the copy
//! and is dropped from the stream; `copied_to` lies behind the tail of that moment, so the rest is
//! in the log. A lane that comes back (its options or tables were changed, it was parked, its plugin
//! came late) goes on from its checkpoint; where the log has let go of that, the source is read
//! again from the slot, which holds what any lane still needs.
//!
//! The engine makes lanes with [`Lane::spawn`] and watches their [`Status`]. What lanes would do is
//! asked without any by [`views`], [`probe()`] and [`Claims`]: by the engine before it starts them,
//! and by `tahr check`.

mod apply;
mod attend;
mod begin;
mod claims;
mod complete;
mod copy;
mod feed;
mod mend;
mod probe;
mod reach;
mod ready;
pub mod rejected;
mod resync;
mod retry;
mod route;
mod setup;
mod shape;
mod state;
mod stream;
mod view;
mod worker;

pub use attend::{Attendant, Mended, Order, key_number};
pub use claims::Claims;
pub(crate) use feed::first_behind;
use feed::routed_changes;
pub use probe::{Probed, open_writer, probe, probe_views};
pub use resync::{Resyncs, resyncs_path};
pub(crate) use retry::Backoff;
pub use route::Routes;
pub use setup::Setup;
pub(crate) use shape::Shapes;
pub use shape::shapes_path;
pub use state::{CopyProgress, Fault, State, Status, StatusCell};
pub use stream::stream_id;
pub use view::{View, views};
pub use worker::Lane;
