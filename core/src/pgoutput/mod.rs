//! Decoding of pgoutput, PostgreSQL's own logical replication format, protocol version 1.
//!
//! [`decode()`] turns the bytes of one message into a [`Message`] that borrows from them. It is pure
//! (no I/O, no state between messages), allocates nothing for a row, and never panics: bytes that
//! are not a message give a [`DecodeError`] that says what was read and where, never what was in
//! it. The source's stream calls it once for each message; what the rows mean (relation
//! versions, value kinds, transactions) is the record module's part.
//!
//! A [`Tuple`]'s bytes are checked while decoding, so that reading its values can't fail
//! afterwards. Values stay as PostgreSQL printed them.

mod cursor;
mod decode;
mod message;

pub use cursor::{Problem, ReadError};
pub use decode::{DecodeError, decode};
pub use message::{
    LogicalMessage, Message, OldTuple, OldTupleKind, RelationColumn, RelationMessage, Tuple,
    TupleValue, TupleValues,
};
