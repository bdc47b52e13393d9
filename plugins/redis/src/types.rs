//! PostgreSQL's values as Redis is to hold them, and what the documentation says of it:
//! [`Form::of`] decides both.
//!
//! Hash fields and strings hold PostgreSQL's text, but `true` and `false` for booleans and the
//! bytes themselves for `bytea`. Documents hold numbers where every reader gets the same number
//! back, and its text otherwise.

use tahr_plugin_api::{Rule, RuleTable, Value, ValueKind};

use crate::options::Format;

/// What values of a kind become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `true`, `false`.
    Bool,
    Bytes,
    /// In documents numbers, where those are exact.
    Integer,
    Float,
    Decimal,
    /// In documents the value itself.
    Json,
    /// PostgreSQL's text.
    Text,
}

impl Form {
    fn of(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Bool => Self::Bool,
            ValueKind::Bytes => Self::Bytes,
            ValueKind::Int => Self::Integer,
            ValueKind::Float => Self::Float,
            ValueKind::Decimal => Self::Decimal,
            ValueKind::Json => Self::Json,
            _ => Self::Text,
        }
    }

    /// What the documentation says of it.
    fn rule(self, format: Format) -> Rule {
        if format != Format::Json {
            return match self {
                Self::Bool => Rule::exact("text").form("`true`, `false`"),
                Self::Bytes => Rule::exact("bytes").form("the bytes"),
                _ => Rule::exact("text").form("PostgreSQL's text"),
            };
        }
        match self {
            Self::Bool => Rule::exact("`true`, `false`"),
            Self::Bytes => Rule::exact("string").form("base64"),
            Self::Integer => Rule::exact("number").form("string beyond ±2⁵³"),
            Self::Float => {
                Rule::exact("number").form("`NaN`, `Infinity` and `-Infinity` as strings")
            }
            Self::Decimal => Rule::exact("number").form(format!(
                "string where there are more than {EXACT_DIGITS} digits behind leading zeros, \
                 {NUMBER_LENGTH} characters or more, or none: `NaN`, `Infinity`, `-Infinity`"
            )),
            Self::Json => Rule::exact("the value itself")
                .form("spelled as PostgreSQL prints it")
                .except("JSON `null` can't be told from NULL"),
            Self::Text => Rule::exact("string").form("PostgreSQL's text"),
        }
    }
}

/// The rules of each format.
pub(crate) fn rules() -> Vec<RuleTable> {
    let table =
        |setting: &str, format| RuleTable::of(setting, |column| Form::of(column.kind).rule(format));
    vec![
        table(r#"format = "hash" or "string""#, Format::Hash),
        table(r#"format = "json""#, Format::Json),
    ]
}

/// The bytes of a value in a hash field or string; none for null.
pub(crate) fn raw(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Null | Value::Unchanged => None,
        Value::Text(kind, text) => Some(match Form::of(kind) {
            Form::Bool => boolean(text).as_bytes(),
            _ => text.as_bytes(),
        }),
        Value::Bytes(bytes) => Some(bytes),
    }
}

/// Appends a value as JSON.
pub(crate) fn json(value: Value<'_>, out: &mut Vec<u8>) {
    let (kind, text) = match value {
        Value::Null | Value::Unchanged => return out.extend_from_slice(b"null"),
        Value::Text(kind, text) => (kind, text),
        Value::Bytes(bytes) => {
            out.push(b'"');
            base64(bytes, out);
            return out.push(b'"');
        }
    };
    let is_plain = match Form::of(kind) {
        Form::Bool => return out.extend_from_slice(boolean(text).as_bytes()),
        Form::Json => true,
        Form::Integer => is_exact_integer(text),
        // The shortest text that gives the same double again; NaN and infinities are words.
        Form::Float => ends_in_a_digit(text),
        Form::Decimal => is_exact_decimal(text),
        Form::Bytes | Form::Text => false,
    };
    if is_plain {
        out.extend_from_slice(text.as_bytes());
    } else {
        json_text(text, out);
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

/// Readers that keep JSON numbers as doubles, as most do, get this very integer up to here.
const EXACT_INTEGER: u64 = 1 << 53;

/// Decimal digits that a double keeps.
const EXACT_DIGITS: usize = 15;

/// A number this long may lie beyond a double's exponents.
const NUMBER_LENGTH: usize = 300;

fn is_exact_integer(text: &str) -> bool {
    let number = text.parse::<i64>();
    number.is_ok_and(|number| number.unsigned_abs() <= EXACT_INTEGER)
}

fn is_exact_decimal(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit);
    let behind_zeros = digits.skip_while(|&digit| digit == b'0').count();
    behind_zeros <= EXACT_DIGITS && text.len() < NUMBER_LENGTH && ends_in_a_digit(text)
}

fn ends_in_a_digit(text: &str) -> bool {
    text.ends_with(|last: char| last.is_ascii_digit())
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
