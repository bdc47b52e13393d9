//! Rows and keys as bytes: how reconciling, the journal and the applies carry them.
//!
//! A row is its values in the order of [`SharedTable::columns`](super::SharedTable::columns), a key
//! those of its key columns; each is a length (four bytes, little endian) and PostgreSQL's text
//! form, `bytea` in its `\x…` form. Two more lengths stand for null and for a value that the stream
//! left out. Equal rows have equal bytes, which is what the fingerprint is made of.

use tahr_plugin_api::Value;

use crate::reconcile::{Blob, Row};

const NULL: u32 = u32::MAX;
const UNCHANGED: u32 = u32::MAX - 1;

/// One value of a packed row or key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// SQL null.
    Null,
    /// Left out by the stream, since the update did not change it.
    Unchanged,
    /// PostgreSQL's text form.
    Text(&'a str),
}

/// Packs values into bytes; one is used for many rows.
#[derive(Debug, Default)]
pub struct Packer {
    bytes: Vec<u8>,
    has_unchanged: bool,
}

impl Packer {
    /// Adds a value of the stream.
    pub fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Null => self.field(Field::Null),
            Value::Unchanged => self.field(Field::Unchanged),
            Value::Bytes(bytes) => {
                self.length(2 + 2 * bytes.len());
                self.bytes.extend_from_slice(b"\\x");
                let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
                for byte in bytes {
                    self.bytes.extend([digit(byte >> 4), digit(byte & 15)]);
                }
            }
            Value::Text(_, text) => self.field(Field::Text(text)),
        }
    }

    /// Adds a value.
    pub fn field(&mut self, field: Field<'_>) {
        match field {
            Field::Null => self.bytes.extend(NULL.to_le_bytes()),
            Field::Unchanged => {
                self.has_unchanged = true;
                self.bytes.extend(UNCHANGED.to_le_bytes());
            }
            Field::Text(text) => {
                self.length(text.len());
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
    }

    fn length(&mut self, length: usize) {
        // The stream refuses rows that come near to it.
        let length = u32::try_from(length).unwrap_or(UNCHANGED - 1);
        self.bytes.extend(length.to_le_bytes());
    }

    /// Whether a value was left out by the stream.
    #[must_use]
    pub const fn has_unchanged(&self) -> bool {
        self.has_unchanged
    }

    /// What was packed; begins anew.
    pub fn take(&mut self) -> Blob {
        self.has_unchanged = false;
        let packed = Blob::from(&self.bytes);
        self.bytes.clear();
        packed
    }

    /// What was packed, as a row; begins anew.
    pub fn take_row(&mut self) -> Row {
        row(self.take())
    }
}

/// A packed row with its fingerprint.
#[must_use]
pub fn row(payload: Blob) -> Row {
    let fingerprint = xxhash_rust::xxh3::xxh3_64(payload.as_ref());
    Row {
        payload,
        fingerprint,
    }
}

/// The values of a packed row or key; ends early where the bytes are none.
pub fn fields(packed: &Blob) -> impl Iterator<Item = Field<'_>> {
    let mut rest = packed.as_ref();
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        rest = tail;
        match u32::from_le_bytes(*length) {
            NULL => Some(Field::Null),
            UNCHANGED => Some(Field::Unchanged),
            length => {
                let (text, tail) = rest.split_at_checked(length as usize)?;
                rest = tail;
                std::str::from_utf8(text).ok().map(Field::Text)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out_again() {
        let mut packer = Packer::default();
        packer.value(Value::Bytes(&[0, 255]));
        packer.field(Field::Null);
        packer.field(Field::Text(""));
        packer.field(Field::Unchanged);
        assert!(packer.has_unchanged());
        let row = packer.take_row();
        let expected = [
            Field::Text("\\x00ff"),
            Field::Null,
            Field::Text(""),
            Field::Unchanged,
        ];
        assert_eq!(fields(&row.payload).collect::<Vec<_>>(), expected);
        assert!(!packer.has_unchanged());
        packer.field(Field::Null);
        assert_ne!(packer.take_row(), row);
    }
}
