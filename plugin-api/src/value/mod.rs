//! One column's value in one row.
//!
//! The engine carries every value as PostgreSQL printed it, under pinned session settings, with
//! its [`ValueKind`] beside it; `bytea` alone is decoded, since its text form is twice as long.
//! A writer takes what its target wants: the text as it is ([`Value::text`] costs nothing), or
//! the typed form, parsed when it is asked for ([`Value::typed`]). So a value that a target stores
//! as text is never parsed and printed again, and one that is parsed loses nothing: what can't be
//! parsed stays [`Typed::Other`] with its text.

mod kind;

pub use kind::ValueKind;

/// Temporary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// n
    Null,
    /// u
    Unchanged,
    /// t
    Text(ValueKind, &'a str),
    /// b
    Bytes(&'a [u8]),
}
impl Value<'_> {
    /// u
    pub fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged)
    }
}
/// t
#[derive(Clone, Copy, Debug)]
pub struct Timestamp(pub i64);
