//! The internal record: what the source sent, normalized once for all lanes.
//!
//! [`Assembler`] turns the messages of the stream into arenas, [`CopyDecoder`] the rows of a copy;
//! both give every value the same form, so that a row is the same whichever way it came.
//! [`Relations`] numbers the versions of tables' schemas. The source's reader and the copies call
//! them; lanes look relations up.

mod assemble;
mod copy;
mod keys;
mod relations;
mod value;

pub use assemble::{Assembler, AssemblyError, Limits};
pub use copy::{CopyDecoder, CopyError};
pub use keys::arena_of;
pub use relations::{Relations, reconcile};
