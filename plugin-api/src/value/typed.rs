//! A value in a form to compute with.

use super::{Date, Interval, Time, TimeTz, Timestamp, ValueKind};

/// A value in its typed form. It never loses anything: text that isn't of the expected form is
/// [`Other`](Self::Other).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Typed<'a> {
    /// SQL's NULL.
    Null,
    /// Not sent; see [`Value::Unchanged`](super::Value::Unchanged).
    Unchanged,
    /// `boolean`.
    Bool(bool),
    /// `smallint`, `integer`, `bigint`, `oid`.
    Int(i64),
    /// `real`, `double precision`; NaN and infinities included. A `real` is the number that
    /// PostgreSQL prints for it: `0.1`, not the `0.10000000149…` of widening its bits.
    Float(f64),
    /// `numeric`, as text because it may have more digits than any number type; may be `NaN`,
    /// `Infinity` or `-Infinity`.
    Decimal(&'a str),
    /// Plain text.
    Text(&'a str),
    /// `bytea`, or text that isn't UTF-8.
    Bytes(&'a [u8]),
    /// `date`.
    Date(Date),
    /// `time without time zone`.
    Time(Time),
    /// `time with time zone`.
    TimeTz(TimeTz),
    /// `timestamp without time zone`: a reading of a calendar and a clock, nowhere in particular.
    Timestamp(Timestamp),
    /// `timestamp with time zone`: an instant, in UTC.
    TimestampTz(Timestamp),
    /// `interval`.
    Interval(Interval),
    /// `uuid`.
    Uuid([u8; 16]),
    /// `json`, `jsonb`, as text.
    Json(&'a str),
    /// An array's literal; [`Array::parse`](super::Array::parse) takes it apart.
    Array(&'a str),
    /// Anything else, as PostgreSQL prints it.
    Other(&'a str),
}

impl<'a> Typed<'a> {
    /// The typed form of PostgreSQL's text for a value of this kind.
    #[must_use]
    pub fn parse(kind: ValueKind, text: &'a str) -> Self {
        let typed = match kind {
            ValueKind::Bool => boolean(text).map(Self::Bool),
            ValueKind::Int => text.parse().ok().map(Self::Int),
            ValueKind::Float => float(text).map(Self::Float),
            ValueKind::Decimal => is_decimal(text).then_some(Self::Decimal(text)),
            ValueKind::Text => Some(Self::Text(text)),
            ValueKind::Date => Date::parse(text).map(Self::Date),
            ValueKind::Time => Time::parse(text).map(Self::Time),
            ValueKind::TimeTz => TimeTz::parse(text).map(Self::TimeTz),
            ValueKind::Timestamp => Timestamp::parse(text).map(Self::Timestamp),
            ValueKind::TimestampTz => Timestamp::parse_tz(text).map(Self::TimestampTz),
            ValueKind::Interval => Interval::parse(text).map(Self::Interval),
            ValueKind::Uuid => uuid(text).map(Self::Uuid),
            ValueKind::Json => Some(Self::Json(text)),
            ValueKind::Array => Some(Self::Array(text)),
            ValueKind::Bytes | ValueKind::Other => None,
        };
        typed.unwrap_or(Self::Other(text))
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "t" => Some(true),
        "f" => Some(false),
        _ => None,
    }
}

fn float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        // Anything else that comes out infinite was a number too large: its text says more.
        _ => text.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

fn is_decimal(text: &str) -> bool {
    if let "NaN" | "Infinity" | "-Infinity" = text {
        return true;
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.strip_prefix('-').unwrap_or(text);
    match number.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(number),
    }
}

/// `a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11`.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut uuid = [0; 16];
    let mut nibbles = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if let 8 | 13 | 18 | 23 = index {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let nibble = char::from(byte).to_digit(16)? as u8;
        uuid[nibbles / 2] = uuid[nibbles / 2] << 4 | nibble;
        nibbles += 1;
    }
    Some(uuid)
}

#[cfg(test)]
mod tests;
