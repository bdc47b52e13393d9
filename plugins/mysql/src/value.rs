//! Values as MySQL is to hold them, written as literals.
//!
//! No value can end its literal, whatever the session's `sql_mode`: a quote is doubled, and a text with
//! a backslash, which may or may not mean something, is written in hexadecimal digits.

use memchr::{memchr, memchr_iter, memchr2};
use tahr_plugin_api::{Unfit, Value, ValueKind};

use crate::{table::TableColumn, types::Form};

/// A value in its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fitted<'a> {
    Null,
    /// A number's text.
    Number(&'a str),
    /// A float's text.
    Float(&'a str),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Bytes in a column for text: PostgreSQL's `\x…`.
    Hex(&'a [u8]),
}

/// What a column can't hold, in words.
pub(crate) type Misfit = &'static str;

/// What happened to values beyond their being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) negative_zeros: u64,
    pub(crate) set_null: u64,
    pub(crate) clamped: u64,
}

/// `value` as `column` is to hold it; an error where it can't, and the column's policy is not to alter
/// it.
pub(crate) fn fit<'a>(
    column: &TableColumn,
    value: Value<'a>,
    counts: &mut Counts,
) -> Result<Fitted<'a>, Misfit> {
    let text = match value {
        Value::Null | Value::Unchanged => return Ok(Fitted::Null),
        Value::Bytes(bytes) => {
            let is_text = column.form == Form::Text && column.kind == ValueKind::Bytes;
            if is_text {
                return Ok(Fitted::Hex(bytes));
            }
            return match column.limit {
                Some(limit) if bytes.len() as u64 > limit => Err(TOO_LONG),
                _ => Ok(Fitted::Bytes(bytes)),
            };
        }
        Value::Text(_, text) => text,
    };
    let fitted = match column.form {
        Form::Text => {
            return match column.limit {
                Some(limit) if is_longer(text, limit) => Err(TOO_LONG),
                _ => Ok(Fitted::Text(text)),
            };
        }
        Form::Bytes | Form::Time => return Ok(Fitted::Text(text)),
        Form::Bool => return Ok(Fitted::Number(if text == "t" { "1" } else { "0" })),
        Form::Int => return Ok(number(text)),
        Form::Float => float(text, counts),
        Form::Decimal if text == "NaN" => Err(("NaN", None)),
        Form::Decimal => return Ok(number(text)),
        Form::Date => date(text),
        Form::DateTime => date_time(text),
    };
    let (misfit, nearest) = match fitted {
        Ok(fitted) => return Ok(fitted),
        Err(misfit) => misfit,
    };
    match (column.unfit, nearest) {
        _ if column.is_key => Err(misfit),
        (Unfit::Clamp, Some(nearest)) => {
            counts.clamped += 1;
            Ok(nearest)
        }
        (Unfit::Clamp | Unfit::Null, _) => {
            counts.set_null += 1;
            Ok(Fitted::Null)
        }
        (Unfit::Error | Unfit::Text, _) => Err(misfit),
    }
}

pub(crate) const TOO_LONG: Misfit = "a value this long in a key";

/// What doesn't fit, and the nearest value that does.
type Unfitting<'a> = (Misfit, Option<Fitted<'a>>);

fn is_longer(text: &str, limit: u64) -> bool {
    // Mostly the bytes tell.
    text.len() as u64 > limit && text.chars().count() as u64 > limit
}

/// A number stands for itself; whatever else may come is text.
fn number(text: &str) -> Fitted<'_> {
    let is_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    if !text.is_empty() && text.bytes().all(is_number) {
        Fitted::Number(text)
    } else {
        Fitted::Text(text)
    }
}

fn float<'a>(text: &'a str, counts: &mut Counts) -> Result<Fitted<'a>, Unfitting<'a>> {
    const LARGEST: &str = "1.7976931348623157e308";
    const LOWEST: &str = "-1.7976931348623157e308";
    match text {
        "NaN" => Err(("NaN", None)),
        "Infinity" => Err(("Infinity", Some(Fitted::Float(LARGEST)))),
        "-Infinity" => Err(("-Infinity", Some(Fitted::Float(LOWEST)))),
        "-0" => {
            counts.negative_zeros += 1;
            Ok(Fitted::Float("0"))
        }
        _ if text.bytes().all(is_of_float) => Ok(Fitted::Float(text)),
        _ => Ok(Fitted::Text(text)),
    }
}

fn is_of_float(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e')
}

/// Whether a text begins with a year from 1000 to 9999, and its month.
fn has_year(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10 && (b'1'..=b'9').contains(&bytes[0]) && bytes[4] == b'-'
}

/// What is wrong with a date outside of the calendar, and whether it lies before it.
fn outside(text: &str) -> (Misfit, bool) {
    match text {
        "infinity" => ("infinity", false),
        "-infinity" => ("-infinity", true),
        _ if text.ends_with(" BC") || text.starts_with('0') => ("a year before 1000", true),
        _ => ("a year after 9999", false),
    }
}

fn date(text: &str) -> Result<Fitted<'_>, Unfitting<'_>> {
    if text.len() == 10 && has_year(text) {
        return Ok(Fitted::Text(text));
    }
    let (misfit, is_before) = outside(text);
    let nearest = if is_before {
        "1000-01-01"
    } else {
        "9999-12-31"
    };
    Err((misfit, Some(Fitted::Text(nearest))))
}

fn date_time(text: &str) -> Result<Fitted<'_>, Unfitting<'_>> {
    // The engine's sessions print instants in UTC.
    let plain = text.strip_suffix("+00").unwrap_or(text);
    let is_plain = match plain.as_bytes().get(19..) {
        Some([]) => true,
        // `.567 BC` is as long as a fraction, too.
        Some([b'.', fraction @ ..]) => {
            fraction.len() <= 6 && fraction.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    if is_plain && has_year(plain) {
        return Ok(Fitted::Text(plain));
    }
    let (misfit, is_before) = outside(&text.replace("+00 BC", " BC"));
    let nearest = if is_before {
        "1000-01-01 00:00:00"
    } else {
        "9999-12-31 23:59:59.999999"
    };
    Err((misfit, Some(Fitted::Text(nearest))))
}

/// Appends a value as a literal.
pub(crate) fn put(out: &mut Vec<u8>, value: Fitted<'_>) {
    match value {
        Fitted::Null => out.extend_from_slice(b"NULL"),
        Fitted::Number(text) => out.extend_from_slice(text.as_bytes()),
        Fitted::Float(text) => {
            out.extend_from_slice(text.as_bytes());
            // Without an exponent it would be a decimal, which is converted by other rules.
            if memchr(b'e', text.as_bytes()).is_none() {
                out.extend_from_slice(b"e0");
            }
        }
        Fitted::Text(text) => put_text(out, text),
        Fitted::Bytes(bytes) => put_hex_literal(out, bytes),
        Fitted::Hex(bytes) => {
            out.extend_from_slice(b"_utf8mb4 x'5c78");
            for byte in bytes {
                for digit in digits(*byte) {
                    out.extend_from_slice(&digits(digit));
                }
            }
            out.push(b'\'');
        }
    }
}

/// Appends a text as a literal.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if memchr2(b'\'', b'\\', bytes).is_none() {
        out.reserve(bytes.len() + 2);
        out.push(b'\'');
        out.extend_from_slice(bytes);
        out.push(b'\'');
    } else if memchr(b'\\', bytes).is_some() {
        out.extend_from_slice(b"_utf8mb4 ");
        put_hex_literal(out, bytes);
    } else {
        out.push(b'\'');
        let mut start = 0;
        for quote in memchr_iter(b'\'', bytes) {
            out.extend_from_slice(&bytes[start..=quote]);
            start = quote;
        }
        out.extend_from_slice(&bytes[start..]);
        out.push(b'\'');
    }
}

fn put_hex_literal(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(b"x'");
    put_hex(out, bytes);
    out.push(b'\'');
}

/// Appends bytes as hexadecimal digits.
pub(crate) fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() * 2);
    out.extend(bytes.iter().flat_map(|&byte| digits(byte)));
}

pub(crate) fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Fitted<'_>) -> String {
        let mut out = Vec::new();
        put(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    fn column(form: Form, unfit: Unfit) -> TableColumn {
        TableColumn {
            form,
            unfit,
            ..TableColumn::default()
        }
    }

    fn text(text: &str) -> Value<'_> {
        Value::Text(ValueKind::Text, text)
    }

    #[test]
    fn no_text_ends_its_literal() {
        for (value, expected) in [
            ("plain", "'plain'"),
            ("", "''"),
            ("it's", "'it''s'"),
            ("''", "''''''"),
            ("\\", "_utf8mb4 x'5c'"),
            ("\\'", "_utf8mb4 x'5c27'"),
            ("größe", "'größe'"),
        ] {
            assert_eq!(written(Fitted::Text(value)), expected);
        }
        assert_eq!(written(Fitted::Bytes(&[0, 255])), "x'00ff'");
        assert_eq!(written(Fitted::Hex(&[0xab])), "_utf8mb4 x'5c786162'");
        assert_eq!(written(Fitted::Float("0.1")), "0.1e0");
        assert_eq!(written(Fitted::Float("1e+100")), "1e+100");
    }

    #[test]
    fn dates_outside_the_calendar_follow_the_policy() {
        let mut counts = Counts::default();
        for (form, value, misfit, nearest) in [
            (Form::Date, "infinity", "infinity", "9999-12-31"),
            (Form::Date, "0999-12-31", "a year before 1000", "1000-01-01"),
            (
                Form::Date,
                "2024-02-29 BC",
                "a year before 1000",
                "1000-01-01",
            ),
            (Form::Date, "10000-01-01", "a year after 9999", "9999-12-31"),
            (
                Form::DateTime,
                "294276-12-31 23:59:59.999999+00",
                "a year after 9999",
                "9999-12-31 23:59:59.999999",
            ),
            (
                Form::DateTime,
                "2000-03-15 12:00:00+00 BC",
                "a year before 1000",
                "1000-01-01 00:00:00",
            ),
            (
                Form::DateTime,
                "1798-03-22 16:56:47.567 BC",
                "a year before 1000",
                "1000-01-01 00:00:00",
            ),
            (
                Form::DateTime,
                "-infinity",
                "-infinity",
                "1000-01-01 00:00:00",
            ),
        ] {
            let mut fit = |unfit| super::fit(&column(form, unfit), text(value), &mut counts);
            assert_eq!(fit(Unfit::Error), Err(misfit), "{value}");
            assert_eq!(fit(Unfit::Text), Err(misfit), "{value}");
            assert_eq!(fit(Unfit::Null), Ok(Fitted::Null), "{value}");
            assert_eq!(fit(Unfit::Clamp), Ok(Fitted::Text(nearest)), "{value}");
        }
        assert_eq!((counts.set_null, counts.clamped), (8, 8));
        for (form, value, expected) in [
            (Form::Date, "1000-01-01", "1000-01-01"),
            (
                Form::DateTime,
                "2024-02-29 23:59:59.5+00",
                "2024-02-29 23:59:59.5",
            ),
            (
                Form::DateTime,
                "9999-12-31 23:59:59.999999",
                "9999-12-31 23:59:59.999999",
            ),
        ] {
            let fitted = fit(&column(form, Unfit::Error), text(value), &mut counts);
            assert_eq!(fitted, Ok(Fitted::Text(expected)));
        }
    }

    #[test]
    fn numbers_are_numbers_only_where_they_look_like_it() {
        let mut counts = Counts::default();
        let mut fit = |form, unfit, value| {
            let fitted = super::fit(&column(form, unfit), text(value), &mut counts);
            fitted.map(written)
        };
        assert_eq!(fit(Form::Int, Unfit::Error, "-42").unwrap(), "-42");
        assert_eq!(fit(Form::Int, Unfit::Error, "1);--").unwrap(), "'1);--'");
        assert_eq!(fit(Form::Float, Unfit::Error, "1;").unwrap(), "'1;'");
        assert_eq!(fit(Form::Bool, Unfit::Error, "t").unwrap(), "1");
        assert_eq!(fit(Form::Float, Unfit::Error, "-0").unwrap(), "0e0");
        assert_eq!(fit(Form::Float, Unfit::Clamp, "NaN").unwrap(), "NULL");
        assert_eq!(fit(Form::Decimal, Unfit::Error, "NaN"), Err("NaN"));
        assert_eq!(
            fit(Form::Float, Unfit::Clamp, "-Infinity").unwrap(),
            "-1.7976931348623157e308"
        );
        assert_eq!(counts.negative_zeros, 1);
    }

    #[test]
    fn a_key_is_never_altered() {
        let mut counts = Counts::default();
        let mut key = column(Form::Date, Unfit::Clamp);
        key.is_key = true;
        assert!(fit(&key, text("infinity"), &mut counts).is_err());
        let mut key = column(Form::Text, Unfit::Clamp);
        key.limit = Some(3);
        assert_eq!(fit(&key, text("äöü"), &mut counts), Ok(Fitted::Text("äöü")));
        assert_eq!(fit(&key, text("äöüß"), &mut counts), Err(TOO_LONG));
    }
}
