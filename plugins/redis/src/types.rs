//! PostgreSQL's values as Redis is to hold them.
//!
//! Hash fields and strings hold PostgreSQL's text, but `true` and `false` for booleans and the
//! bytes themselves for `bytea`. Documents hold numbers where every reader gets the same number
//! back, and its text otherwise.

use tahr_plugin_api::{Value, ValueKind};

/// The bytes of a value in a hash field or string; none for null.
pub(crate) fn raw(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Null | Value::Unchanged => None,
        Value::Text(ValueKind::Bool, text) => Some(boolean(text).as_bytes()),
        Value::Text(_, text) => Some(text.as_bytes()),
        Value::Bytes(bytes) => Some(bytes),
    }
}

/// Appends a value as JSON.
pub(crate) fn json(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::Unchanged => out.extend_from_slice(b"null"),
        Value::Text(ValueKind::Bool, text) => out.extend_from_slice(boolean(text).as_bytes()),
        Value::Text(ValueKind::Json, text) => out.extend_from_slice(text.as_bytes()),
        Value::Text(kind, text) if is_exact_number(kind, text) => {
            out.extend_from_slice(text.as_bytes());
        }
        Value::Text(_, text) => json_text(text, out),
        Value::Bytes(bytes) => {
            out.push(b'"');
            base64(bytes, out);
            out.push(b'"');
        }
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn json_text(text: &str, out: &mut Vec<u8>) {
    // Writing to a vector can't fail, and text has no keys that are not strings.
    let _ = serde_json::to_writer(out, text);
}

fn boolean(text: &str) -> &'static str {
    if text.starts_with('t') {
        "true"
    } else {
        "false"
    }
}

/// Whether a reader that keeps JSON numbers as doubles, as most do, gets this very number.
fn is_exact_number(kind: ValueKind, text: &str) -> bool {
    const LIMIT: u64 = 1 << 53;
    match kind {
        ValueKind::Int => text
            .parse::<i64>()
            .is_ok_and(|number| number.unsigned_abs() <= LIMIT),
        // The shortest text that gives the same double again; NaN and infinities are words.
        ValueKind::Float => text.ends_with(|last: char| last.is_ascii_digit()),
        ValueKind::Decimal => {
            let digits = text.bytes().filter(u8::is_ascii_digit);
            let significant = digits.skip_while(|&digit| digit == b'0').count();
            significant <= 15
                && text.len() < 300
                && text.ends_with(|last: char| last.is_ascii_digit())
        }
        _ => false,
    }
}

/// Lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            out.push(if place <= chunk.len() {
                DIGITS[(word >> shift & 63) as usize]
            } else {
                b'='
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_of(value: Value<'_>) -> String {
        let mut out = Vec::new();
        json(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn booleans_are_words_and_bytes_stay_bytes() {
        assert_eq!(raw(Value::Text(ValueKind::Bool, "t")), Some(&b"true"[..]));
        assert_eq!(raw(Value::Text(ValueKind::Text, "t")), Some(&b"t"[..]));
        assert_eq!(raw(Value::Bytes(&[0, 255])), Some(&[0, 255][..]));
        assert_eq!(raw(Value::Null), None);
    }

    #[test]
    fn documents_hold_numbers_only_where_they_stay_exact() {
        for (kind, text, expected) in [
            (ValueKind::Int, "-42", "-42"),
            (ValueKind::Int, "9007199254740992", "9007199254740992"),
            (ValueKind::Int, "9007199254740993", "\"9007199254740993\""),
            (ValueKind::Float, "1e+20", "1e+20"),
            (ValueKind::Float, "-0", "-0"),
            (ValueKind::Float, "NaN", "\"NaN\""),
            (ValueKind::Float, "-Infinity", "\"-Infinity\""),
            (ValueKind::Decimal, "10.50", "10.50"),
            (
                ValueKind::Decimal,
                "0.1234567890123456",
                "\"0.1234567890123456\"",
            ),
            (ValueKind::Decimal, "NaN", "\"NaN\""),
            (ValueKind::Bool, "f", "false"),
            (ValueKind::Json, "{\"a\": [1]}", "{\"a\": [1]}"),
            (ValueKind::Text, "a\"\n\u{1F600}", "\"a\\\"\\n\u{1F600}\""),
            (ValueKind::Array, "{1,NULL}", "\"{1,NULL}\""),
        ] {
            assert_eq!(json_of(Value::Text(kind, text)), expected);
        }
        assert_eq!(json_of(Value::Null), "null");
    }

    #[test]
    fn bytes_in_documents_are_base64() {
        for (bytes, expected) in [
            (&b""[..], "\"\""),
            (b"f", "\"Zg==\""),
            (b"fo", "\"Zm8=\""),
            (b"foo", "\"Zm9v\""),
            (&[251, 255, 254, 0], "\"+//+AA==\""),
        ] {
            assert_eq!(json_of(Value::Bytes(bytes)), expected);
        }
    }
}
