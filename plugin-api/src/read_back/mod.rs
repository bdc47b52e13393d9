//! Reading a target back, so that the engine can compare it with the source.
//!
//! The engine never sees a target's own values. It asks the writer for *digests*: of what the writer
//! would store of the source's rows ([`Writer::digests`](crate::Writer::digests)), and of what the
//! target holds ([`Writer::read_back`](crate::Writer::read_back)). Equal rows have equal digests,
//! whatever the order in which they are read; so no two databases have to agree on an order, and a
//! value that a documented rule rounds is equal to its rounded self.
//!
//! A writer that can do this says so with [`Capabilities::read_back`](crate::Capabilities::read_back).
//! It puts the values of a row into a [`Digester`], column after column and in the same form on both
//! sides, and gives what it reads to a [`ReadBack`], which sends it to the engine while the reading
//! goes on. Both calls come on a writer of role [`Role::Check`](crate::Role::Check), beside the
//! stream writer: nothing is locked and nothing is written.

mod digest;
mod filter;
mod rows;
mod wire;

pub use digest::{Digest, Digester};
pub use filter::Filter;
pub use rows::{KeyName, ReadBack};
pub(crate) use wire::{
    DIGESTS, HOLDS_ROWS, Question, READ_BACK, ROWS, pack_digests, unpack_digests,
};
pub use wire::{Found, read_found};
