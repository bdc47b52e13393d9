//! The key of a row, by its name.

use tahr_plugin_api::{Row, Value};

/// The values of a key's columns, in key order, as PostgreSQL prints them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<[Box<str>]>);

impl Key {
    /// The key of a row of the source, whose columns are at these positions; none where a value is
    /// null or no text, which no key of the source has.
    #[must_use]
    pub fn of(row: Row<'_>, columns: &[usize]) -> Option<Self> {
        let texts = row.select(columns).map(|value| match value {
            Value::Text(_, text) => Some(Box::from(text)),
            Value::Bytes(bytes) => Some(hex(bytes)),
            Value::Null | Value::Unchanged => None,
        });
        texts.collect::<Option<_>>().map(Self)
    }

    /// The key that a target's row was read back under.
    pub(super) fn read_back(name: &[Option<&[u8]>]) -> Option<Self> {
        let texts = name.iter().map(|text| {
            let text = std::str::from_utf8((*text)?).ok()?;
            // PostgreSQL has no such texts.
            (!text.contains('\0')).then(|| Box::from(text))
        });
        texts.collect::<Option<_>>().map(Self)
    }

    /// A key of these texts.
    pub(super) fn from_texts(texts: impl IntoIterator<Item = Box<str>>) -> Self {
        Self(texts.into_iter().collect())
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        let texts = self.0.iter().map(|text| text.len() + size_of::<Box<str>>());
        texts.sum::<usize>() + size_of::<Self>()
    }

    /// Its values.
    #[must_use]
    pub fn texts(&self) -> &[Box<str>] {
        &self.0
    }
}

fn hex(bytes: &[u8]) -> Box<str> {
    use std::fmt::Write as _;
    let mut text = "\\x".to_owned();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}
