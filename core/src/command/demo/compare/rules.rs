//! How each target shows a value: the one place that knows.
//!
//! | PostgreSQL | its text | redis | sqlite |
//! |---|---|---|---|
//! | `boolean` | `t`, `f` | `true`, `false` | integer 1, 0 |
//! | `bytea` | `\x…` | the bytes | blob |
//! | `real`, `double precision` | shortest digits | the same | real of the same bits; `NaN` as text |
//! | integers | digits | the same | integer |
//! | all else | | the same | text |
//! | NULL | `\N` | no such field | NULL |

use super::table::Kind;

/// A value as a target gave it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found<'a> {
    Null,
    /// PostgreSQL's text.
    Text(&'a [u8]),
    /// A field in Redis.
    Field(&'a [u8]),
    /// A value in SQLite, by its storage class.
    Integer(&'a [u8]),
    Real(f64),
    SqliteText(&'a [u8]),
    Blob(&'a [u8]),
}

/// What stands for null: no text begins with this byte.
const NULL: u8 = 0xFF;
/// What stands for a value that breaks the target's rule, and so equals nothing.
const WRONG: u8 = 0xFE;

/// Appends the form in which values of all databases are compared: PostgreSQL's text, but a
/// floating-point number by its bits.
pub(super) fn push(kind: Kind, found: &Found<'_>, out: &mut Vec<u8>) {
    let wrong = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.push(WRONG);
        out.extend_from_slice(bytes);
    };
    match (kind, found) {
        (_, Found::Null) => out.push(NULL),
        (Kind::Bool, Found::Field(b"true") | Found::Integer(b"1")) => out.push(b't'),
        (Kind::Bool, Found::Field(b"false") | Found::Integer(b"0")) => out.push(b'f'),
        (Kind::Bool, Found::Text(text)) => out.extend_from_slice(text),
        (Kind::Bytes, Found::Field(bytes) | Found::Blob(bytes)) => {
            out.extend_from_slice(b"\\x");
            out.extend(
                bytes
                    .iter()
                    .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]),
            );
        }
        (Kind::Bytes, Found::Text(text)) => out.extend_from_slice(text),
        (Kind::Float, Found::Real(number)) => push_float(*number, out),
        (Kind::Float, Found::SqliteText(b"NaN")) => push_float(f64::NAN, out),
        (Kind::Float, Found::Text(text) | Found::Field(text)) => {
            match std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok())
            {
                Some(number) => push_float(number, out),
                None => wrong(out, text),
            }
        }
        (Kind::Other, Found::Text(text) | Found::Field(text))
        | (Kind::Other, Found::SqliteText(text) | Found::Integer(text)) => {
            out.extend_from_slice(text);
        }
        (_, Found::Field(bytes) | Found::Integer(bytes)) => wrong(out, bytes),
        (_, Found::SqliteText(bytes) | Found::Blob(bytes)) => wrong(out, bytes),
        (_, Found::Real(number)) => wrong(out, number.to_string().as_bytes()),
    }
}

fn push_float(number: f64, out: &mut Vec<u8>) {
    // There are many NaNs, PostgreSQL has one.
    let number = if number.is_nan() { f64::NAN } else { number };
    out.extend_from_slice(format!("{:016x}", number.to_bits()).as_bytes());
}

fn digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(kind: Kind, found: &Found<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        push(kind, found, &mut out);
        out
    }

    #[test]
    fn one_value_has_one_form_in_all_databases() {
        use Found::{Blob, Field, Integer, Null, Real, SqliteText, Text};
        for (kind, text, redis, sqlite) in [
            (Kind::Bool, &b"t"[..], &b"true"[..], Integer(b"1")),
            (Kind::Bool, b"f", b"false", Integer(b"0")),
            (Kind::Bytes, b"\\x00ff", &[0, 255], Blob(&[0, 255])),
            (Kind::Float, b"1e+20", b"1e+20", Real(1e20)),
            (Kind::Float, b"NaN", b"NaN", SqliteText(b"NaN")),
            (
                Kind::Float,
                b"-Infinity",
                b"-Infinity",
                Real(f64::NEG_INFINITY),
            ),
            (Kind::Other, b"42", b"42", Integer(b"42")),
            (Kind::Other, b"", b"", SqliteText(b"")),
        ] {
            let expected = form(kind, &Text(text));
            assert_eq!(form(kind, &Field(redis)), expected, "{kind:?} in redis");
            assert_eq!(form(kind, &sqlite), expected, "{kind:?} in sqlite");
            assert_ne!(form(kind, &Null), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_value_in_another_form_than_its_rule_says_equals_nothing() {
        for (kind, text, wrong) in [
            (Kind::Bool, &b"t"[..], Found::Field(b"t")),
            (Kind::Bool, b"t", Found::SqliteText(b"t")),
            (Kind::Bytes, b"\\x41", Found::SqliteText(b"\\x41")),
            (Kind::Other, b"1", Found::Real(1.0)),
            (Kind::Other, b"a", Found::Blob(b"a")),
            (Kind::Float, b"0.1", Found::Field(b"0.10000001")),
            (Kind::Float, b"0", Found::Real(-0.0)),
        ] {
            assert_ne!(
                form(kind, &wrong),
                form(kind, &Found::Text(text)),
                "{wrong:?}"
            );
        }
    }
}
