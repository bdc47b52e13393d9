//! Values of a merged row, spelled as PostgreSQL spells them.
//!
//! A row that PostgreSQL prints otherwise than it was written looks like the work of a trigger. So
//! what tahr can't be sure of is an error, and the function takes such values from a candidate.

use mlua::Value;
use tahr_plugin_api::{Column, Date, Time, Timestamp, ValueKind};

/// OIDs of types whose values have bounds.
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const FLOAT4: u32 = 700;
/// `character(n)`, which is filled with blanks, and `character varying(n)`.
const BPCHAR: u32 = 1042;
const VARCHAR: u32 = 1043;

/// PostgreSQL's text of `value` in `column`.
///
/// # Errors
///
/// What the column takes instead, to follow `column "c" of table t …`.
pub(super) fn spell(value: &Value, column: &Column) -> Result<String, String> {
    let type_name = &column.type_name;
    let wants = |what: &str| {
        Err(format!(
            "is of type {type_name} and takes {what}, not a {}",
            value.type_name()
        ))
    };
    match column.kind {
        ValueKind::Bool => match value {
            Value::Boolean(true) => Ok("t".into()),
            Value::Boolean(false) => Ok("f".into()),
            _ => wants("true or false"),
        },
        ValueKind::Int => match whole(value) {
            Some(number) if in_range(number, column.type_oid) => Ok(number.to_string()),
            Some(_) => Err(format!(
                "is of type {type_name}, which the number doesn't fit into"
            )),
            None if matches!(value, Value::Number(_)) => {
                Err(format!("is of type {type_name} and takes a whole number"))
            }
            None => wants("a number"),
        },
        ValueKind::Float => match *value {
            Value::Integer(number) => float(number as f64, column),
            Value::Number(number) => float(number, column),
            _ => wants("a number"),
        },
        ValueKind::Decimal => match value {
            Value::Integer(number) => decimal(&number.to_string(), column),
            Value::Number(number) => match scale(column) {
                Some(scale) if number.is_finite() => {
                    decimal(&format!("{number:.0$}", usize::from(scale)), column)
                }
                _ => decimal(&number.to_string(), column),
            },
            Value::String(text) => decimal(&text.to_str().map_err(|_| no_text())?, column),
            _ => wants("a number, or one as text"),
        },
        _ => match value {
            Value::String(text) => spelled(&text.to_str().map_err(|_| no_text())?, column),
            _ => wants("text"),
        },
    }
}

fn no_text() -> String {
    "takes text in UTF-8".into()
}

fn whole(value: &Value) -> Option<i64> {
    match *value {
        Value::Integer(number) => Some(number),
        // From 2^63 on, floats are no i64 any more.
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 9.2e18 => {
            Some(number as i64)
        }
        _ => None,
    }
}

fn in_range(number: i64, type_oid: u32) -> bool {
    match type_oid {
        INT2 => i16::try_from(number).is_ok(),
        INT4 => i32::try_from(number).is_ok(),
        OID => u32::try_from(number).is_ok(),
        _ => true,
    }
}

/// The shortest digits that are read back as the same number, as PostgreSQL prints them.
fn float(number: f64, column: &Column) -> Result<String, String> {
    let is_single = column.type_oid == FLOAT4;
    if is_single && number.is_finite() && !(number as f32).is_finite() {
        let type_name = &column.type_name;
        return Err(format!(
            "is of type {type_name}, which the number doesn't fit into"
        ));
    }
    if !number.is_finite() {
        return Ok(match number {
            f64::INFINITY => "Infinity".into(),
            f64::NEG_INFINITY => "-Infinity".into(),
            _ => "NaN".into(),
        });
    }
    let printed = match is_single {
        true => format!("{:e}", number as f32),
        false => format!("{number:e}"),
    };
    let (digits, exponent) = printed.split_once('e').unwrap_or((&printed, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let longest = if is_single { 6 } else { 15 };
    if (-4..longest).contains(&exponent) {
        return Ok(match is_single {
            true => (number as f32).to_string(),
            false => number.to_string(),
        });
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    Ok(format!("{digits}e{sign}{:02}", exponent.abs()))
}

/// Digits after the point that the column's type keeps, where it says so.
fn scale(column: &Column) -> Option<u8> {
    if column.type_modifier < 4 {
        return None;
    }
    let scale = (column.type_modifier - 4) & 0x7ff;
    // Above lie the negative ones: nothing after the point, and zeros before it.
    Some(u8::try_from(scale).unwrap_or(0))
}

fn decimal(text: &str, column: &Column) -> Result<String, String> {
    let type_name = &column.type_name;
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return Ok(text.to_owned());
    }
    let wrong = || format!("is of type {type_name} and takes digits, as in \"12.50\"");
    let (sign, plain) = text
        .strip_prefix('-')
        .map_or(("", text), |plain| ("-", plain));
    let (before, after) = plain.split_once('.').unwrap_or((plain, ""));
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = are_digits(before) && are_digits(after) && before.len() + after.len() > 0;
    if !is_number || before.is_empty() || (plain.contains('.') && after.is_empty()) {
        return Err(wrong());
    }
    let before = before.trim_start_matches('0');
    let before = if before.is_empty() { "0" } else { before };
    let mut spelled = match scale(column) {
        None if after.is_empty() => before.to_owned(),
        None => format!("{before}.{after}"),
        Some(scale) => {
            let scale = usize::from(scale);
            let (kept, rest) = after.split_at(after.len().min(scale));
            if rest.bytes().any(|byte| byte != b'0') {
                return Err(format!(
                    "is of type {type_name} and takes {scale} digits after the point: \
                     string.format(\"%.{scale}f\", …)"
                ));
            }
            match scale {
                0 => before.to_owned(),
                _ => format!("{before}.{kept:0<scale$}"),
            }
        }
    };
    // There is no negative zero.
    if spelled.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        spelled.insert_str(0, sign);
    }
    Ok(spelled)
}

fn spelled(text: &str, column: &Column) -> Result<String, String> {
    let type_name = &column.type_name;
    let canonical = match column.kind {
        ValueKind::Text => return plain_text(text, column),
        ValueKind::Json if column.type_name == "json" => Some(text.to_owned()),
        ValueKind::Uuid => is_uuid(text).then(|| text.to_owned()),
        ValueKind::Bytes => is_bytes(text).then(|| text.to_owned()),
        ValueKind::Date => Date::parse(text).map(|date| date.to_string()),
        ValueKind::Time if column.type_modifier < 0 => {
            Time::parse(text).map(|time| time.to_string())
        }
        ValueKind::Timestamp if column.type_modifier < 0 => {
            Timestamp::parse(text).map(|time| time.to_string())
        }
        ValueKind::TimestampTz if column.type_modifier < 0 => {
            Timestamp::parse_tz(text).map(|time| time.in_utc().to_string())
        }
        _ => None,
    };
    if canonical.as_deref() == Some(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "is of type {type_name} and takes a value that a candidate has there: PostgreSQL might \
         spell another one differently"
    ))
}

/// Text as `character(n)` and `character varying(n)` keep it.
fn plain_text(text: &str, column: &Column) -> Result<String, String> {
    if text.contains('\0') {
        return Err("takes text without zero bytes".into());
    }
    let most = match column.type_oid {
        BPCHAR | VARCHAR => usize::try_from(column.type_modifier - 4).ok(),
        _ => None,
    };
    let Some(most) = most else {
        return Ok(text.to_owned());
    };
    if text.chars().count() > most {
        return Err(format!(
            "is of type {}, which the text doesn't fit into",
            column.type_name
        ));
    }
    Ok(match column.type_oid {
        BPCHAR => format!("{text:<most$}"),
        _ => text.to_owned(),
    })
}

fn is_uuid(text: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_hex(byte),
        })
}

fn is_bytes(text: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix("\\x")
        .is_some_and(|hex| hex.len() % 2 == 0 && hex.bytes().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: ValueKind, type_oid: u32, type_modifier: i32) -> Column {
        Column {
            name: "c".into(),
            kind,
            type_name: "its type".into(),
            type_oid,
            type_modifier,
            ..Column::default()
        }
    }

    #[test]
    fn floats_are_printed_as_postgresql_prints_them() {
        let double = column(ValueKind::Float, 701, -1);
        for (number, text) in [
            (0.1 + 0.2, "0.30000000000000004"),
            (1e20, "1e+20"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (-1.5e-300, "-1.5e-300"),
            (-0.0, "-0"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(spell(&Value::Number(number), &double).as_deref(), Ok(text));
        }
        let single = column(ValueKind::Float, 700, -1);
        for (number, text) in [(0.1, "0.1"), (1e6, "1e+06"), (123_456.0, "123456")] {
            assert_eq!(spell(&Value::Number(number), &single).as_deref(), Ok(text));
        }
        assert!(spell(&Value::Number(1e300), &single).is_err());
    }

    #[test]
    fn decimals_have_the_digits_of_their_type() {
        let money = column(ValueKind::Decimal, 1700, ((10 << 16) | 2) + 4);
        let any = column(ValueKind::Decimal, 1700, -1);
        assert_eq!(
            spell(&Value::Number(0.1 + 0.2), &money).as_deref(),
            Ok("0.30")
        );
        assert_eq!(spell(&Value::Integer(-7), &money).as_deref(), Ok("-7.00"));
        assert_eq!(spell(&Value::Number(-0.001), &money).as_deref(), Ok("0.00"));
        assert_eq!(spell(&Value::Number(2.5), &any).as_deref(), Ok("2.5"));
        for (text, expected) in [
            ("007.5", Some("7.50")),
            ("1.250", Some("1.25")),
            ("1.255", None),
            ("1e5", None),
            (".5", None),
            ("1.", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(decimal(text, &money).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn text_that_postgresql_might_spell_otherwise_is_refused() {
        for (kind, oid, modifier, text, expected) in [
            (ValueKind::Date, 1082, -1, "2026-01-31", Some("2026-01-31")),
            (ValueKind::Date, 1082, -1, "31.1.2026", None),
            (
                ValueKind::TimestampTz,
                1184,
                -1,
                "2026-01-31 10:00:00+00",
                Some("2026-01-31 10:00:00+00"),
            ),
            (
                ValueKind::TimestampTz,
                1184,
                -1,
                "2026-01-31 10:00:00+02",
                None,
            ),
            (ValueKind::Json, 3802, -1, "{}", None),
            (ValueKind::Text, 1042, 8, "ab", Some("ab  ")),
            (ValueKind::Text, 1043, 8, "abcde", None),
            (ValueKind::Text, 25, -1, "a\0", None),
            (ValueKind::Bytes, 17, -1, "\\x0aff", Some("\\x0aff")),
            (ValueKind::Bytes, 17, -1, "abc", None),
            (
                ValueKind::Uuid,
                2950,
                -1,
                "00000000-0000-0000-0000-00000000000A",
                None,
            ),
            (ValueKind::Array, 1007, -1, "{1, 2}", None),
        ] {
            let found = spelled(text, &column(kind, oid, modifier)).ok();
            assert_eq!(found.as_deref(), expected, "{kind:?} {text}");
        }
    }
}
