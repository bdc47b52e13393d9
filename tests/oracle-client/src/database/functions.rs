//! What SQLite's SQL calls for Oracle's meaning: conversions and functions, on encoded values.
//!
//! | function | gives |
//! |---|---|
//! | `ora_num(n)` | SQLite's integer as a NUMBER |
//! | `ora_int(x)` | a NUMBER as SQLite's integer |
//! | `ora_as(from, to, x)` | the value, of a kind, as another kind |
//! | `ora(name, kinds, …)` | a function of Oracle's on values of those kinds |
//! | `ora_type(type, part)` | a part of a declared type, for the dictionary |
//! | `ora_sum(x)` | the sum of NUMBERs |

use std::sync::{Arc, Mutex};

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, Error};

use super::calls::call;
use crate::error::{OraError, Result};
use crate::session::Settings;
use crate::sql::parse_type;
use crate::value::{DataType, Kind, Number, Value, convert};

/// Makes them known to a connection.
pub(crate) fn register(connection: &Connection, settings: &Arc<Mutex<Settings>>) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("ora_num", 1, flags, |context| {
        let number: Option<i64> = context.get(0)?;
        Ok(number.map(|number| Number::from(number).to_bytes()))
    })?;
    connection.create_scalar_function("ora_int", 1, flags, |context| {
        let value = decode(context, 0, Kind::Number)?;
        Ok(match value {
            Value::Number(number) => Some(
                number
                    .to_i128()
                    .and_then(|number| i64::try_from(number).ok())
                    .unwrap_or(i64::MAX),
            ),
            _ => None,
        })
    })?;
    connection.create_scalar_function("ora_type", 2, flags, |context| {
        let (declared, part): (String, String) = (context.get(0)?, context.get(1)?);
        Ok(type_part(parse_type(&declared).map_err(carried)?, &part))
    })?;
    let session = Arc::clone(settings);
    connection.create_scalar_function("ora_as", 3, flags, move |context| {
        let value = decode(context, 2, kind(context, 0)?)?;
        let settings = session
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let value = convert(value, kind(context, 1)?, &settings.formats).map_err(carried)?;
        Ok(value.to_cell())
    })?;
    let session = Arc::clone(settings);
    // Not deterministic: the time and the session are among its answers.
    connection.create_scalar_function("ora", -1, FunctionFlags::SQLITE_UTF8, move |context| {
        let (name, kinds): (String, String) = (context.get(0)?, context.get(1)?);
        let mut args = Vec::with_capacity(kinds.len());
        for (at, letter) in kinds.chars().enumerate() {
            args.push(decode(context, at + 2, of_letter(letter)?)?);
        }
        let settings = session
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let value = call(&name, args, &settings).map_err(carried)?;
        Ok(value.to_cell())
    })?;
    connection.create_aggregate_function("ora_sum", 1, flags, Sum)?;
    Ok(())
}

/// An error that SQLite carries to whoever asked.
fn carried(error: OraError) -> Error {
    Error::UserFunctionError(Box::new(error))
}

fn of_letter(letter: char) -> rusqlite::Result<Kind> {
    Kind::of_letter(letter).ok_or_else(|| carried(OraError::new(600, "kind")))
}

fn kind(context: &Context<'_>, at: usize) -> rusqlite::Result<Kind> {
    let letter: String = context.get(at)?;
    of_letter(letter.chars().next().unwrap_or(' '))
}

fn decode(context: &Context<'_>, at: usize, kind: Kind) -> rusqlite::Result<Value> {
    Value::from_cell(context.get_raw(at), kind).map_err(carried)
}

/// What the dictionary says of a type; SQLite's integers are made NUMBERs there.
fn type_part(data_type: DataType, part: &str) -> Cell {
    let number = |number: Option<i64>| number.map_or(Cell::Null, Cell::Integer);
    match part {
        "type" => Cell::Text(data_type.to_string()),
        "bytes" => Cell::Integer(i64::from(data_type.bytes())),
        "chars" => Cell::Integer(match data_type {
            DataType::Varchar { length, .. } | DataType::Char { length, .. } => i64::from(length),
            _ => 0,
        }),
        "used" => match data_type {
            DataType::Varchar { in_chars, .. } | DataType::Char { in_chars, .. } => {
                Cell::Text(if in_chars { "C" } else { "B" }.to_owned())
            }
            _ => Cell::Null,
        },
        "precision" => number(match data_type {
            DataType::Number { precision, .. } => precision.map(i64::from),
            DataType::FloatNumber { precision } => Some(i64::from(precision)),
            _ => None,
        }),
        _ => number(match data_type {
            DataType::Number { scale, .. } => scale.map(i64::from),
            DataType::Timestamp { digits } | DataType::TimestampTz { digits } => {
                Some(i64::from(digits))
            }
            _ => None,
        }),
    }
}

struct Sum;

impl Aggregate<Option<Number>, Cell> for Sum {
    fn init(&self, _context: &mut Context<'_>) -> rusqlite::Result<Option<Number>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Option<Number>) -> rusqlite::Result<()> {
        if let Value::Number(number) = decode(context, 0, Kind::Number)? {
            *sum = Some(
                sum.as_ref()
                    .map_or_else(|| number.clone(), |sum| sum.add(&number)),
            );
        }
        Ok(())
    }

    fn finalize(
        &self,
        _context: &mut Context<'_>,
        sum: Option<Option<Number>>,
    ) -> rusqlite::Result<Cell> {
        Ok(sum
            .flatten()
            .map_or(Cell::Null, |sum| Value::Number(sum).to_cell()))
    }
}
