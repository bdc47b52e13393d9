//! A lane: the way of one sync's changes into one target.
//!
//! ```text
//!            ┌────────── error ──────────┐
//! starting ─▶ copying ─▶ streaming ⇄ retrying       any ─▶ parked (rejected, fatal, gap)
//! ```
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
//! - Nothing is skipped: a lane either stores a change or parks with its error shown.
//!
//! The engine makes lanes with [`Lane::spawn`] and watches their [`Status`]. What lanes would do is
//! asked without any by [`views`], [`probe()`] and [`Claims`]: by the engine before it starts them,
//! and by `tahr check`.

mod apply;
mod begin;
mod claims;
mod copy;
mod feed;
mod probe;
mod retry;
mod route;
mod setup;
mod shape;
mod state;
mod stream;
mod view;
mod worker;

pub use claims::Claims;
pub use probe::{open_writer, probe};
pub use route::Routes;
pub use setup::Setup;
pub use shape::shapes_path;
pub use state::{CopyProgress, Fault, State, Status, StatusCell};
pub use stream::stream_id;
pub use view::{View, views};
pub use worker::Lane;
