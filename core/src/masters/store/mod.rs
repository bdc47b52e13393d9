//! The store: what a sync of several sources must not forget, on disk.
//!
//! `<state_dir>/masters/<sync>/state` holds one whole state and, behind it, one
//! [`Record`](crate::reconcile::Record) for each step since: the journal. Both are one file, so that
//! a new state and its empty journal take the place of the old ones by one rename.
//!
//! # Form
//!
//! ```text
//! file   = magic "tahrsync", version u32, frame (Kept), frame (Record Record*)*
//! frame  = length u64, crc32c u32 of the payload, crc32c u32 of these twelve bytes, payload
//! ```
//!
//! Little-endian; payloads are postcard. A length has a checksum of its own, so that a damaged one
//! is not taken for a frame that was cut short.
//!
//! # Guarantees
//!
//! - What [`Store::append`] or [`Store::begin`] returned from is there after a crash, of the machine
//!   too; a step, with those noted before it, is one write and one `fdatasync`.
//! - A step that failed, or was cut short by a crash, never happened. Nothing was done by it, so it
//!   is cut off without a word, and the next one takes its place.
//! - Damage anywhere else is an error. A sync never goes on from an older state than it had told
//!   others of, since it would forget what they are owed.
//!
//! # The last frame
//!
//! Only the frame that was being written can be incomplete. It is when the file ends inside it, or
//! when a sector of it was never written: the file system gives zeros for that. A last frame that is
//! all there and doesn't match its checksum is damage.
//!
//! # Who calls it
//!
//! The sync's circle, on its own thread; one engine per state folder sees to it that no other does.

mod folder;
mod frame;
mod journal;
mod kept;
mod reader;
#[cfg(test)]
mod tests;

pub use folder::Store;
pub use kept::{Kept, Known, Membership};
