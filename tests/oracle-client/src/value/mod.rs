//! Oracle's values: their types, their conversions, and the form in which SQLite keeps them.
//!
//! SQLite sees text for character types and blobs for all others, encoded so that blobs compare as
//! the values do. What a blob means is known from the type of its column or expression, never from
//! the blob. An empty string is NULL in Oracle, so [`Value::text`] and [`Value::raw`] make none.

mod convert;
mod datetime;
mod elements;
mod format;
mod number;
mod store;
mod types;

pub(crate) use convert::{TEXT_BYTES, bytes_of_hex, convert, hex, inconsistent};
pub(crate) use datetime::{DateTime, Interval};
pub(crate) use format::{Formats, write};
pub(crate) use number::Number;
pub(crate) use store::{ColumnName, store};
pub(crate) use types::{DataType, Kind};

use rusqlite::types::{Value as Cell, ValueRef};

use crate::error::{OraError, Result};

/// A value of SQL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Number(Number),
    Text(String),
    Clob(String),
    Raw(Vec<u8>),
    Blob(Vec<u8>),
    Date(DateTime),
    Timestamp(DateTime),
    TimestampTz(DateTime),
    Double(f64),
    Float(f32),
    Interval(Interval),
    RowId(i64),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() {
            Self::Null
        } else {
            Self::Text(text)
        }
    }

    pub(crate) fn raw(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() {
            Self::Null
        } else {
            Self::Raw(bytes)
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Number(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
            Self::Clob(_) => Kind::Clob,
            Self::Raw(_) => Kind::Raw,
            Self::Blob(_) => Kind::Blob,
            Self::Date(_) => Kind::Date,
            Self::Timestamp(_) => Kind::Timestamp,
            Self::TimestampTz(_) => Kind::TimestampTz,
            Self::Double(_) => Kind::Double,
            Self::Float(_) => Kind::Float,
            Self::Interval(Interval::DaySecond(_)) => Kind::IntervalDs,
            Self::Interval(Interval::YearMonth(_)) => Kind::IntervalYm,
            Self::RowId(_) => Kind::RowId,
        }
    }

    /// The form that SQLite keeps.
    pub(crate) fn to_cell(&self) -> Cell {
        match self {
            Self::Null => Cell::Null,
            Self::Text(text) | Self::Clob(text) => Cell::Text(text.clone()),
            Self::Raw(bytes) | Self::Blob(bytes) => Cell::Blob(bytes.clone()),
            Self::Number(number) => Cell::Blob(number.to_bytes()),
            Self::Date(time) | Self::Timestamp(time) => Cell::Blob(time.to_bytes()),
            Self::TimestampTz(time) => Cell::Blob(time.to_zoned_bytes()),
            Self::Double(value) => Cell::Blob(sortable(*value).to_vec()),
            Self::Float(value) => Cell::Blob(sortable(f64::from(*value)).to_vec()),
            Self::Interval(interval) => Cell::Blob(interval.to_bytes()),
            Self::RowId(row) => Cell::Integer(*row),
        }
    }

    /// From the form that SQLite keeps, for an expression of a known kind.
    pub(crate) fn from_cell(cell: ValueRef<'_>, kind: Kind) -> Result<Self> {
        let value = match (cell, kind) {
            (ValueRef::Null, _) => Some(Self::Null),
            (ValueRef::Integer(number), Kind::RowId) => Some(Self::RowId(number)),
            (ValueRef::Integer(number), _) => Some(Self::Number(Number::from(number))),
            (ValueRef::Text(text), Kind::Clob) => {
                String::from_utf8(text.to_vec()).ok().map(Self::Clob)
            }
            (ValueRef::Text(text), _) => String::from_utf8(text.to_vec()).ok().map(Self::text),
            (ValueRef::Blob(bytes), kind) => Self::from_bytes(bytes, kind),
            (ValueRef::Real(_), _) => None,
        };
        value.ok_or_else(|| {
            OraError::new(
                600,
                format!(
                    "internal error code, arguments: [{:?} as {kind:?}]",
                    cell.data_type()
                ),
            )
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float was widened to be kept"
    )]
    fn from_bytes(bytes: &[u8], kind: Kind) -> Option<Self> {
        match kind {
            Kind::Number => Number::from_bytes(bytes).map(Self::Number),
            Kind::Raw => Some(Self::Raw(bytes.to_vec())),
            Kind::Blob => Some(Self::Blob(bytes.to_vec())),
            Kind::Date => DateTime::from_bytes(bytes).map(Self::Date),
            Kind::Timestamp => DateTime::from_bytes(bytes).map(Self::Timestamp),
            Kind::TimestampTz => DateTime::from_bytes(bytes).map(Self::TimestampTz),
            Kind::Double => unsortable(bytes).map(Self::Double),
            Kind::Float => unsortable(bytes).map(|value| Self::Float(value as f32)),
            Kind::IntervalDs | Kind::IntervalYm => Interval::from_bytes(bytes).map(Self::Interval),
            Kind::Null | Kind::Text | Kind::Clob | Kind::RowId => None,
        }
    }
}

/// Bytes that sort as BINARY_DOUBLE does: NaN last, one zero.
fn sortable(value: f64) -> [u8; 8] {
    let value = if value.is_nan() {
        f64::NAN.abs()
    } else if value == 0.0 {
        0.0
    } else {
        value
    };
    let bits = value.to_bits();
    let turned = if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    };
    turned.to_be_bytes()
}

fn unsortable(bytes: &[u8]) -> Option<f64> {
    let bits = u64::from_be_bytes(bytes.try_into().ok()?);
    Some(f64::from_bits(if bits >> 63 == 1 {
        bits & !(1 << 63)
    } else {
        !bits
    }))
}
