//! Conversions that Oracle makes by itself, and refuses.

use super::{DateTime, Formats, Kind, Number, Value};
use crate::error::{OraError, Result};

/// Bytes of a VARCHAR2 at most, where they are not extended.
pub(crate) const TEXT_BYTES: usize = 4000;

/// Bytes of a RAW at most, where they are not extended.
pub(crate) const RAW_BYTES: usize = 2000;

/// A value as another kind.
pub(crate) fn convert(value: Value, to: Kind, formats: &Formats) -> Result<Value> {
    let from = value.kind();
    if from == to || from == Kind::Null {
        return Ok(value);
    }
    match (value, to) {
        (Value::Text(text), to) => from_text(text, to, formats),
        (value, Kind::Text) => to_text(value, formats),
        (Value::Number(number), Kind::Double) => Ok(Value::Double(number.to_f64())),
        (Value::Number(number), Kind::Float) => Ok(Value::Float(narrow(number.to_f64()))),
        (Value::Double(value), Kind::Float) => Ok(Value::Float(narrow(value))),
        (Value::Float(value), Kind::Double) => Ok(Value::Double(f64::from(value))),
        (Value::Double(value), Kind::Number) => float_number(Number::from_f64(value)),
        (Value::Float(value), Kind::Number) => float_number(Number::parse(&format!("{value:e}"))),
        (Value::Date(time) | Value::Timestamp(time), Kind::TimestampTz) => {
            Ok(Value::TimestampTz(DateTime {
                offset: formats.offset,
                ..time
            }))
        }
        (Value::Timestamp(time) | Value::TimestampTz(time), Kind::Date) => {
            Ok(Value::Date(time.date()))
        }
        (Value::Date(time), Kind::Timestamp) => Ok(Value::Timestamp(time)),
        (Value::TimestampTz(time), Kind::Timestamp) => {
            Ok(Value::Timestamp(DateTime { offset: 0, ..time }))
        }
        (Value::Raw(bytes), Kind::Blob) => Ok(Value::Blob(bytes)),
        (Value::Blob(bytes), Kind::Raw) => {
            if bytes.len() > RAW_BYTES {
                return Err(too_large("BLOB to RAW", bytes.len(), RAW_BYTES));
            }
            Ok(Value::raw(bytes))
        }
        (_, to) => Err(inconsistent(to, from)),
    }
}

/// ORA-00932.
pub(crate) fn inconsistent(expected: Kind, got: Kind) -> OraError {
    OraError::new(
        932,
        format!(
            "inconsistent datatypes: expected {} got {}",
            expected.name(),
            got.name()
        ),
    )
}

fn too_large(what: &str, actual: usize, maximum: usize) -> OraError {
    OraError::new(
        22835,
        format!("Buffer too small for {what} conversion (actual: {actual}, maximum: {maximum})"),
    )
}

fn float_number(number: Option<Number>) -> Result<Value> {
    number
        .map(Value::Number)
        .ok_or_else(|| OraError::new(1426, "numeric overflow"))
}

#[expect(clippy::cast_possible_truncation, reason = "what BINARY_FLOAT is")]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn from_text(text: String, to: Kind, formats: &Formats) -> Result<Value> {
    let invalid_number = || OraError::new(1722, "invalid number");
    match to {
        Kind::Clob => Ok(Value::Clob(text)),
        Kind::Number => Number::parse(&text)
            .map(Value::Number)
            .ok_or_else(invalid_number),
        Kind::Double => float(&text).map(Value::Double).ok_or_else(invalid_number),
        Kind::Float => float(&text)
            .map(|value| Value::Float(narrow(value)))
            .ok_or_else(invalid_number),
        Kind::Raw => Ok(Value::raw(bytes_of_hex(&text)?)),
        Kind::Blob => Ok(Value::Blob(bytes_of_hex(&text)?)),
        Kind::Date | Kind::Timestamp | Kind::TimestampTz => formats.parse_implicitly(&text, to),
        Kind::RowId => row_of_text(&text).map(Value::RowId),
        _ => Err(inconsistent(to, Kind::Text)),
    }
}

fn float(text: &str) -> Option<f64> {
    let lower = text.trim().to_ascii_lowercase();
    match lower.trim_start_matches(['+', '-']) {
        "nan" => Some(f64::NAN),
        "inf" | "infinity" if lower.starts_with('-') => Some(f64::NEG_INFINITY),
        "inf" | "infinity" => Some(f64::INFINITY),
        _ => lower
            .bytes()
            .all(|byte| b"0123456789+-.e".contains(&byte))
            .then(|| lower.parse().ok())?,
    }
}

fn to_text(value: Value, formats: &Formats) -> Result<Value> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::Double(value) => float_text(value, format!("{value:e}")),
        Value::Float(value) => float_text(f64::from(value), format!("{value:e}")),
        Value::Clob(text) if text.len() > TEXT_BYTES => {
            return Err(too_large("CLOB to CHAR", text.len(), TEXT_BYTES));
        }
        Value::Clob(text) => text,
        Value::Raw(bytes) => hex(&bytes),
        Value::Interval(interval) => interval.to_string(),
        Value::RowId(row) => text_of_row(row),
        Value::Date(_) | Value::Timestamp(_) | Value::TimestampTz(_) => {
            formats.write_implicitly(&value)?
        }
        value => return Err(inconsistent(Kind::Text, value.kind())),
    };
    Ok(Value::text(text))
}

/// `1.5E+000`, from Rust's `1.5e0`.
fn float_text(value: f64, scientific: String) -> String {
    if value.is_nan() {
        return "Nan".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-Inf" } else { "Inf" }.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, exponent) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |rest| ('-', rest));
    format!("{mantissa}E{sign}{exponent:0>3}")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

pub(crate) fn bytes_of_hex(text: &str) -> Result<Vec<u8>> {
    let invalid = || OraError::new(1465, "invalid hex number");
    let padded = if text.len() % 2 == 1 {
        format!("0{text}")
    } else {
        text.to_owned()
    };
    if !padded.is_ascii() {
        return Err(invalid());
    }
    (0..padded.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&padded[at..at + 2], 16).map_err(|_| invalid()))
        .collect()
}

/// A ROWID's 18 characters: the first ten are those of a table's first block.
fn text_of_row(row: i64) -> String {
    format!("AAASRaAAEA{:08X}", row & 0xffff_ffff)
}

fn row_of_text(text: &str) -> Result<i64> {
    text.strip_prefix("AAASRaAAEA")
        .and_then(|row| i64::from_str_radix(row, 16).ok())
        .ok_or_else(|| OraError::new(1410, "invalid ROWID"))
}
