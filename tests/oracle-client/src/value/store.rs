//! What a column makes of a value: conversion, rounding, lengths, and refusals.

use super::convert::{TEXT_BYTES, convert};
use super::{DataType, Formats, Value};
use crate::error::{OraError, Result};

/// A column's full name, quoted, as errors have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnName<'a> {
    pub(crate) schema: &'a str,
    pub(crate) table: &'a str,
    pub(crate) column: &'a str,
}

impl std::fmt::Display for ColumnName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "\"{}\".\"{}\".\"{}\"",
            self.schema, self.table, self.column
        )
    }
}

/// The value as a column of a type keeps it.
pub(crate) fn store(
    value: Value,
    to: DataType,
    name: ColumnName<'_>,
    formats: &Formats,
) -> Result<Value> {
    if let Value::Text(text) = &value
        && text.len() > TEXT_BYTES
        && matches!(to, DataType::Varchar { .. } | DataType::Char { .. })
    {
        return Err(OraError::new(
            1461,
            "can bind a LONG value only for insert into a LONG column",
        ));
    }
    let value = convert(value, to.kind(), formats)?;
    match (value, to) {
        (Value::Number(number), DataType::Number { precision, scale }) => {
            let Some((precision, scale)) = limits(precision, scale) else {
                return Ok(Value::Number(number));
            };
            let number = number.round(scale);
            if number.fits(precision - scale) {
                return Ok(Value::Number(number));
            }
            Err(OraError::new(
                1438,
                "value larger than specified precision allowed for this column",
            ))
        }
        (Value::Text(text), DataType::Varchar { length, in_chars }) => {
            check_length(&text, length, in_chars, name)?;
            Ok(Value::Text(text))
        }
        (Value::Text(mut text), DataType::Char { length, in_chars }) => {
            check_length(&text, length, in_chars, name)?;
            let has = if in_chars {
                text.chars().count()
            } else {
                text.len()
            };
            text.extend(std::iter::repeat_n(
                ' ',
                (length as usize).saturating_sub(has),
            ));
            Ok(Value::Text(text))
        }
        (Value::Raw(bytes), DataType::Raw { length }) => {
            if bytes.len() > length as usize {
                return Err(too_long(name, bytes.len(), length));
            }
            Ok(Value::Raw(bytes))
        }
        (Value::Timestamp(time), DataType::Timestamp { digits }) => {
            Ok(Value::Timestamp(time.round(digits).check()?))
        }
        (Value::TimestampTz(time), DataType::TimestampTz { digits }) => {
            Ok(Value::TimestampTz(time.round(digits).check()?))
        }
        (value, _) => Ok(value),
    }
}

/// Digits in all, and after the point; none for a plain NUMBER.
fn limits(precision: Option<u8>, scale: Option<i8>) -> Option<(i32, i32)> {
    if precision.is_none() && scale.is_none() {
        return None;
    }
    Some((precision.map_or(38, i32::from), scale.map_or(0, i32::from)))
}

fn check_length(text: &str, length: u32, in_chars: bool, name: ColumnName<'_>) -> Result<()> {
    let actual = if in_chars {
        text.chars().count()
    } else {
        text.len()
    };
    if actual > length as usize {
        return Err(too_long(name, actual, length));
    }
    Ok(())
}

fn too_long(name: ColumnName<'_>, actual: usize, maximum: u32) -> OraError {
    OraError::new(
        12899,
        format!("value too large for column {name} (actual: {actual}, maximum: {maximum})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Number;

    const NAME: ColumnName<'static> = ColumnName {
        schema: "S",
        table: "T",
        column: "C",
    };

    fn stored(value: Value, to: DataType) -> Result<Value> {
        store(value, to, NAME, &Formats::default())
    }

    #[test]
    fn a_number_is_rounded_to_the_scale_and_held_to_the_precision() {
        let number = |text| Value::Number(Number::parse(text).unwrap());
        let to = DataType::Number {
            precision: Some(4),
            scale: Some(2),
        };
        assert_eq!(stored(number("12.345"), to), Ok(number("12.35")));
        assert_eq!(stored(number("99.995"), to).unwrap_err().code, 1438);
        let thousands = DataType::Number {
            precision: Some(2),
            scale: Some(-3),
        };
        assert_eq!(stored(number("12499"), thousands), Ok(number("12000")));
        assert_eq!(stored(number("100000"), thousands).unwrap_err().code, 1438);
        let small = DataType::Number {
            precision: Some(2),
            scale: Some(4),
        };
        assert_eq!(stored(number("0.0099"), small), Ok(number("0.0099")));
        assert_eq!(stored(number("0.01"), small).unwrap_err().code, 1438);
    }

    #[test]
    fn lengths_are_counted_as_declared() {
        let text = Value::text("äöü");
        assert!(
            stored(
                text.clone(),
                DataType::Varchar {
                    length: 3,
                    in_chars: true
                }
            )
            .is_ok()
        );
        let error = stored(
            text,
            DataType::Varchar {
                length: 3,
                in_chars: false,
            },
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "ORA-12899: value too large for column \"S\".\"T\".\"C\" (actual: 6, maximum: 3)"
        );
    }
}
