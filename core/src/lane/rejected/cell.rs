//! One value of a row that was set aside.

use serde::{Deserialize, Serialize};
use tahr_plugin_api::{Value, abi::ArenaBuilder};

/// A value as the source sent it, which owns its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// SQL NULL.
    Null,
    /// Text as PostgreSQL prints it.
    Text(String),
    /// Bytes.
    Bytes {
        /// As hexadecimal digits.
        bytes: String,
    },
    /// Not sent by the source, since an update left it unchanged.
    Unchanged {
        /// Always true; it names the object in JSON.
        unchanged: bool,
    },
}

impl Cell {
    /// The value that an update left as it was.
    pub const UNCHANGED: Self = Self::Unchanged { unchanged: true };

    /// Whether the source did not send it.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged { .. })
    }

    /// As PostgreSQL prints it; none where that isn't known, or it is null.
    pub(super) fn printed(&self) -> Option<Box<str>> {
        match self {
            Self::Text(text) => Some(text.as_str().into()),
            Self::Bytes { bytes } => Some(format!("\\x{bytes}").into()),
            Self::Null | Self::Unchanged { .. } => None,
        }
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        let text = match self {
            Self::Text(text) | Self::Bytes { bytes: text } => text.len(),
            Self::Null | Self::Unchanged { .. } => 0,
        };
        size_of::<Self>() + text
    }

    /// Adds it to a row of an arena.
    pub(super) fn push_to(&self, arena: &mut ArenaBuilder) {
        match self {
            Self::Null => arena.push_null(),
            Self::Text(text) => arena.push_text(text),
            Self::Unchanged { .. } => arena.push_unchanged(),
            Self::Bytes { bytes } => {
                // What isn't digits was not written by us, and a checksum has been passed.
                if !arena.push_hex(bytes.as_bytes()) {
                    arena.push_null();
                }
            }
        }
    }
}

impl From<Value<'_>> for Cell {
    fn from(value: Value<'_>) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        match value {
            Value::Null => Self::Null,
            Value::Unchanged => Self::UNCHANGED,
            Value::Text(_, text) => Self::Text(text.to_owned()),
            Value::Bytes(bytes) => {
                let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                let digits = halves.map(|half| char::from(DIGITS[usize::from(half)]));
                Self::Bytes {
                    bytes: digits.collect(),
                }
            }
        }
    }
}
