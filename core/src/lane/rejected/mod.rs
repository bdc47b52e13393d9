//! Rows that a target rejects, under `on_rejected = "set_aside"`.
//!
//! A change that is rejected leaves its transaction and becomes an [`Entry`] of the lane's [`Book`],
//! a file for its owner only; the rest goes on. What comes later for the same row joins it: the row's
//! changes are merged, and the target is given all of them in one. If it takes that, the entry is
//! over; if it doesn't, the entry holds the merged change. So:
//!
//! - An entry is *all that the target has still to do to one row*, and a row has one entry at most.
//! - The target never gets half of a row, such as an update of a row that was never inserted.
//! - To retry an entry overwrites nothing newer, since what is newer is in it.
//! - A new row under a key that the target still has another row under waits, as an entry of its own.
//!
//! A key is compared by its text. So a delete, or a key that moves, is not set aside where one value
//! has several texts: the row could come back under another one, and a retry would end it. While a row
//! is set aside, no repair of a [verification](crate::verify) touches it: the entry counts on the
//! target having done nothing of it.
//!
//! What is on disk is what the target's checkpoint says, whenever the engine ends: see
//! `book.rs`. Nothing is set aside but changes of single rows in the stream: a truncate that is rejected,
//! a table that can't be prepared and a row that can't be copied park the lane.
//!
//! The lane's thread calls `Aside` around each batch; persons reach it through [`Place`].

mod aside;
mod book;
mod cell;
mod deed;
mod entry;
mod place;
mod retry;
mod sift;
#[cfg(test)]
mod tests;

pub(super) use aside::Aside;
pub use book::{Book, rejected_path};
pub use cell::Cell;
pub use deed::{Deed, Verb};
pub use entry::{Choice, ColumnName, Entry, Reason, Settled};
pub use place::{Answer, Place, Wish, discard_in};
