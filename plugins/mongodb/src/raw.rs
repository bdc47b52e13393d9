//! BSON, written straight into bytes: no document is built in memory but the one that is sent.
//!
//! An element is its type, its name and its value. [`element`] writes the first two and leaves the
//! type open; what writes the value says which it was. Names hold no NUL: PostgreSQL's can't, and
//! [`json`](crate::json) looks.

use std::io::Write as _;

/// Types of elements, as the BSON specification numbers them.
pub(crate) mod kind {
    pub(crate) const DOUBLE: u8 = 0x01;
    pub(crate) const STRING: u8 = 0x02;
    pub(crate) const DOCUMENT: u8 = 0x03;
    pub(crate) const ARRAY: u8 = 0x04;
    pub(crate) const BINARY: u8 = 0x05;
    pub(crate) const OBJECT_ID: u8 = 0x07;
    pub(crate) const BOOL: u8 = 0x08;
    pub(crate) const DATE: u8 = 0x09;
    pub(crate) const NULL: u8 = 0x0A;
    pub(crate) const INT32: u8 = 0x10;
    pub(crate) const INT64: u8 = 0x12;
    pub(crate) const DECIMAL: u8 = 0x13;
}

/// Subtype of plain bytes.
pub(crate) const GENERIC: u8 = 0;
/// Subtype of a UUID.
pub(crate) const UUID: u8 = 4;

/// Begins a document or an array; [`close`] ends it.
pub(crate) fn open(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len() - 4
}

/// Ends what [`open`] began at `start`, whose length it notes.
pub(crate) fn close(out: &mut Vec<u8>, start: usize) {
    out.push(0);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Begins an element whose type is not known yet; returns the place of the type.
pub(crate) fn element(out: &mut Vec<u8>, name: &str) -> usize {
    let place = out.len();
    out.push(0);
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    place
}

/// As [`element`], in an array.
pub(crate) fn item(out: &mut Vec<u8>, index: usize) -> usize {
    let place = out.len();
    out.push(0);
    // A vector takes all.
    let _ = write!(out, "{index}");
    out.push(0);
    place
}

/// Begins a document named `name` inside another.
pub(crate) fn document(out: &mut Vec<u8>, name: &str) -> usize {
    let place = element(out, name);
    out[place] = kind::DOCUMENT;
    open(out)
}

/// Begins an array named `name`.
pub(crate) fn array(out: &mut Vec<u8>, name: &str) -> usize {
    let place = element(out, name);
    out[place] = kind::ARRAY;
    open(out)
}

/// Begins a document in an array.
pub(crate) fn item_document(out: &mut Vec<u8>, index: usize) -> usize {
    let place = item(out, index);
    out[place] = kind::DOCUMENT;
    open(out)
}

/// Writes a string's value.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) -> u8 {
    let length = u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    kind::STRING
}

/// Writes the value of bytes.
pub(crate) fn binary(out: &mut Vec<u8>, subtype: u8, bytes: &[u8]) -> u8 {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(subtype);
    out.extend_from_slice(bytes);
    kind::BINARY
}

/// Adds an element that is a string.
pub(crate) fn add_string(out: &mut Vec<u8>, name: &str, text: &str) {
    let place = element(out, name);
    out[place] = string(out, text);
}

/// Adds an element that is a boolean.
pub(crate) fn add_bool(out: &mut Vec<u8>, name: &str, value: bool) {
    let place = element(out, name);
    out[place] = kind::BOOL;
    out.push(u8::from(value));
}

/// Adds an element that is a small number.
pub(crate) fn add_int(out: &mut Vec<u8>, name: &str, value: i32) {
    let place = element(out, name);
    out[place] = kind::INT32;
    out.extend_from_slice(&value.to_le_bytes());
}

/// Adds an element whose value (its type and its bytes) was written before.
pub(crate) fn add_value(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    let place = element(out, name);
    let (kind, bytes) = value.split_first().unwrap_or((&kind::NULL, &[]));
    out[place] = *kind;
    out.extend_from_slice(bytes);
}

/// The elements of a document, each with its name and its value as [`add_value`] takes it; ends at
/// the first that makes no sense.
pub(crate) fn elements(document: &[u8]) -> impl Iterator<Item = (&str, &[u8], u8)> {
    let mut rest = document
        .get(4..document.len().saturating_sub(1))
        .unwrap_or_default();
    std::iter::from_fn(move || {
        let (&kind, tail) = rest.split_first()?;
        let end = tail.iter().position(|&byte| byte == 0)?;
        let name = std::str::from_utf8(&tail[..end]).ok()?;
        let value = &tail[end + 1..];
        let length = length_of(kind, value)?;
        let bytes = value.get(..length)?;
        rest = &value[length..];
        Some((name, bytes, kind))
    })
}

/// How many bytes a value takes; none for the types that are out of use.
fn length_of(kind: u8, value: &[u8]) -> Option<usize> {
    let counted = || {
        let bytes = value.get(..4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    Some(match kind {
        kind::DOUBLE | kind::DATE | kind::INT64 | 0x11 => 8,
        kind::STRING | 0x0D | 0x0E => counted()? + 4,
        kind::DOCUMENT | kind::ARRAY | 0x0F => counted()?,
        kind::BINARY => counted()? + 5,
        kind::OBJECT_ID => 12,
        kind::BOOL => 1,
        kind::INT32 => 4,
        kind::DECIMAL => 16,
        kind::NULL | 0x06 | 0x7F | 0xFF => 0,
        // Two texts, each to its NUL.
        0x0B => {
            let first = value.iter().position(|&byte| byte == 0)? + 1;
            first + value[first..].iter().position(|&byte| byte == 0)? + 1
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, Document, doc};

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Vec::new();
        let start = open(&mut out);
        add_string(&mut out, "name", "größe");
        add_bool(&mut out, "flag", true);
        add_int(&mut out, "n", -7);
        let list = array(&mut out, "list");
        for index in 0..12 {
            let place = item(&mut out, index);
            out[place] = kind::NULL;
        }
        close(&mut out, list);
        let inner = document(&mut out, "inner");
        let place = element(&mut out, "bytes");
        out[place] = binary(&mut out, GENERIC, &[0, 1]);
        close(&mut out, inner);
        close(&mut out, start);
        let found = Document::from_reader(&out[..]).unwrap();
        assert_eq!(found.get_str("name").unwrap(), "größe");
        assert_eq!(found.get_array("list").unwrap().len(), 12);
        let again = elements(&out).map(|(name, _, kind)| (name.to_owned(), kind));
        let kinds: Vec<_> = again.map(|(_, kind)| kind).collect();
        assert_eq!(kinds, [0x02, 0x08, 0x10, 0x04, 0x03]);
    }

    #[test]
    fn elements_of_every_type_are_found() {
        let document = doc! {
            "a": 1.5, "b": "x", "c": { "d": 1 }, "e": [1, 2], "f": Bson::Null, "g": 5_i64,
            "h": mongodb::bson::DateTime::from_millis(5), "i": mongodb::bson::oid::ObjectId::new(),
            "j": Bson::RegularExpression(mongodb::bson::Regex {
                pattern: mongodb::bson::raw::cstr!("x").into(),
                options: mongodb::bson::raw::cstr!("i").into(),
            }),
            "k": true,
        };
        let bytes = document.to_vec().unwrap();
        let names: String = elements(&bytes).map(|(name, ..)| name).collect();
        assert_eq!(names, "abcefghijk");
    }
}
