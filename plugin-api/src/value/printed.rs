//! A value as the engine carries it.

use super::{Typed, ValueKind};

/// One column's value in one row, as PostgreSQL printed it.
///
/// ```
/// use tahr_plugin_api::{Typed, Value, ValueKind};
/// let price = Value::Text(ValueKind::Decimal, "12.50");
/// assert_eq!(price.text(), Some("12.50"));
/// assert_eq!(price.typed(), Typed::Decimal("12.50"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// The column has a value that the source didn't send.
    ///
    /// PostgreSQL keeps long values apart (TOAST), and an update that doesn't touch one doesn't
    /// log it again. The target's own value is still right and must stay as it is: this is
    /// neither null, nor an empty value, nor a missing column. It only appears in the new row of
    /// an update. Where the target has no such row, the value can't be known.
    Unchanged,
    /// PostgreSQL's text, and what kind of value it is.
    Text(ValueKind, &'a str),
    /// The bytes of a `bytea`, decoded. Text that isn't UTF-8 comes so too (a database with
    /// encoding `SQL_ASCII` may hold such).
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Whether it is SQL's NULL; [`Unchanged`](Self::Unchanged) is not.
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether the source didn't send it; see [`Unchanged`](Self::Unchanged).
    #[must_use]
    pub fn is_unchanged(self) -> bool {
        matches!(self, Self::Unchanged)
    }

    /// PostgreSQL's text of it; none for null, unchanged and bytes. Costs nothing.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(_, text) => Some(text),
            Self::Null | Self::Unchanged | Self::Bytes(_) => None,
        }
    }

    /// What kind of value it is; none for null and unchanged, whose column knows.
    #[must_use]
    pub fn kind(self) -> Option<ValueKind> {
        match self {
            Self::Null | Self::Unchanged => None,
            Self::Text(kind, _) => Some(kind),
            Self::Bytes(_) => Some(ValueKind::Bytes),
        }
    }

    /// Its typed form, parsed now. What can't be parsed is [`Typed::Other`] with its text.
    #[must_use]
    pub fn typed(self) -> Typed<'a> {
        match self {
            Self::Null => Typed::Null,
            Self::Unchanged => Typed::Unchanged,
            Self::Text(kind, text) => Typed::parse(kind, text),
            Self::Bytes(bytes) => Typed::Bytes(bytes),
        }
    }
}
