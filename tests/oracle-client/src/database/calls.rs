//! Oracle's functions: what kinds they take and give, and what they do.

use crate::error::{OraError, Result};
use crate::session::Settings;
use crate::value::{DateTime, Kind, Number, Value, bytes_of_hex, hex, inconsistent, write};

/// The kinds of a function's arguments and of its result.
pub(crate) struct Signature {
    /// As many as were given.
    pub(crate) args: Vec<Kind>,
    pub(crate) result: Kind,
}

/// How a function takes arguments of some kinds.
pub(crate) fn signature(name: &str, given: &[Kind]) -> Result<Signature> {
    use Kind::{Blob, Clob, Date, Null, Number, Raw, Text, Timestamp, TimestampTz};
    let first = given.first().copied().unwrap_or(Null);
    let text = if first == Clob { Clob } else { Text };
    // Kinds of all possible arguments, how many are needed, and the result's.
    let (all, needed, result): (&[Kind], usize, Kind) = match name {
        "USER" => (&[], 0, Text),
        "SYSDATE" => (&[], 0, Date),
        "SYSTIMESTAMP" | "CURRENT_TIMESTAMP" => (&[], 0, TimestampTz),
        "LOCALTIMESTAMP" => (&[], 0, Timestamp),
        "SYS_CONTEXT" => (&[Text, Text], 2, Text),
        "UPPER" | "LOWER" | "TRIM" | "LTRIM" | "RTRIM" => (&[text], 1, text),
        "LENGTH" => (&[text], 1, Number),
        "LENGTHB" => (&[Text], 1, Number),
        "SUBSTR" => (&[text, Number, Number], 2, text),
        "INSTR" => (&[text, Text], 2, Number),
        "REPLACE" => (&[text, Text, Text], 2, text),
        "LPAD" | "RPAD" => (&[Text, Number, Text], 2, Text),
        "CHR" => (&[Number], 1, Text),
        "ASCII" => (&[Text], 1, Number),
        "CONCAT" => (&[text, text], 2, text),
        "ABS" | "SIGN" => (&[Number], 1, Number),
        "ROUND" | "TRUNC" if !first.is_time() => (&[Number, Number], 1, Number),
        "+" | "-" | "*" => (&[Number, Number], 2, Number),
        "TO_NUMBER" => (&[Text], 1, Number),
        "TO_BINARY_DOUBLE" => (&[Kind::Double], 1, Kind::Double),
        "TO_BINARY_FLOAT" => (&[Kind::Float], 1, Kind::Float),
        "TO_CHAR" if first.is_time() && given.len() > 1 => (&[first, Text], 2, Text),
        "TO_CHAR" => (&[Text], 1, Text),
        "TO_DATE" => (&[Text, Text], 1, Date),
        "TO_TIMESTAMP" => (&[Text, Text], 1, Timestamp),
        "TO_TIMESTAMP_TZ" => (&[Text, Text], 1, TimestampTz),
        "FROM_TZ" => (&[Timestamp, Text], 2, TimestampTz),
        "SYS_EXTRACT_UTC" => (&[TimestampTz], 1, Timestamp),
        "TO_CLOB" => (&[Clob], 1, Clob),
        "TO_BLOB" => (&[Blob], 1, Blob),
        "EMPTY_CLOB" => (&[], 0, Clob),
        "EMPTY_BLOB" => (&[], 0, Blob),
        "HEXTORAW" => (&[Text], 1, Raw),
        "RAWTOHEX" => (&[Raw], 1, Text),
        "DBMS_LOB.GETLENGTH" if first == Blob => (&[Blob], 1, Number),
        "DBMS_LOB.GETLENGTH" => (&[Clob], 1, Number),
        "DBMS_LOB.COMPARE" if given.contains(&Blob) => (&[Blob, Blob], 2, Number),
        "DBMS_LOB.COMPARE" => (&[Clob, Clob], 2, Number),
        "DBMS_LOB.SUBSTR" if first == Blob => (&[Blob, Number, Number], 1, Raw),
        "DBMS_LOB.SUBSTR" => (&[Clob, Number, Number], 1, Text),
        "UTL_RAW.CAST_TO_RAW" => (&[Text], 1, Raw),
        _ => {
            return Err(OraError::new(
                904,
                format!("\"{name}\": invalid identifier"),
            ));
        }
    };
    if given.len() < needed {
        return Err(OraError::new(938, "not enough arguments for function"));
    }
    if given.len() > all.len() {
        return Err(OraError::new(939, "too many arguments for function"));
    }
    Ok(Signature {
        args: all[..given.len()].to_vec(),
        result,
    })
}

/// Calls a function with arguments of the kinds that its signature has.
pub(crate) fn call(name: &str, args: Vec<Value>, settings: &Settings) -> Result<Value> {
    let formats = &settings.formats;
    match name {
        "USER" => return Ok(Value::text(&settings.user)),
        "SYSDATE" => return Ok(Value::Date(DateTime::now().date())),
        "SYSTIMESTAMP" => return Ok(Value::TimestampTz(DateTime::now())),
        "CURRENT_TIMESTAMP" => {
            return Ok(Value::TimestampTz(
                DateTime::now().at_offset(formats.offset),
            ));
        }
        "LOCALTIMESTAMP" => {
            let now = DateTime::now().at_offset(formats.offset);
            return Ok(Value::Timestamp(DateTime { offset: 0, ..now }));
        }
        "EMPTY_CLOB" => return Ok(Value::Clob(String::new())),
        "EMPTY_BLOB" => return Ok(Value::Blob(Vec::new())),
        "CONCAT" => return Ok(concat(args)),
        _ => {}
    }
    // All others are NULL when an argument is; REPLACE by nothing removes.
    let needed = if name == "REPLACE" { 2 } else { args.len() };
    if args.iter().take(needed).any(|arg| *arg == Value::Null) {
        return Ok(Value::Null);
    }
    match args.as_slice() {
        [Value::Text(name_space), Value::Text(key)] if name == "SYS_CONTEXT" => {
            context(name_space, key, settings)
        }
        [
            value @ (Value::Date(_) | Value::Timestamp(_) | Value::TimestampTz(_)),
            Value::Text(format),
        ] if name == "TO_CHAR" => Ok(Value::text(write(value, format)?)),
        [Value::Text(text), rest @ ..]
            if matches!(name, "TO_DATE" | "TO_TIMESTAMP" | "TO_TIMESTAMP_TZ") =>
        {
            let kind = match name {
                "TO_DATE" => Kind::Date,
                "TO_TIMESTAMP" => Kind::Timestamp,
                _ => Kind::TimestampTz,
            };
            match rest {
                [Value::Text(format)] => formats.parse(text, format, kind),
                _ => formats.parse_implicitly(text, kind),
            }
        }
        [Value::Timestamp(time), Value::Text(zone)] if name == "FROM_TZ" => {
            let Value::TimestampTz(zone) = formats.parse(zone, "TZR", Kind::TimestampTz)? else {
                return Err(inconsistent(Kind::TimestampTz, Kind::Text));
            };
            Ok(Value::TimestampTz(DateTime {
                offset: zone.offset,
                ..*time
            }))
        }
        [Value::TimestampTz(time)] if name == "SYS_EXTRACT_UTC" => {
            Ok(Value::Timestamp(time.at_offset(0)))
        }
        // Converted already, which is all that they do.
        [value]
            if matches!(
                name,
                "TO_NUMBER"
                    | "TO_CHAR"
                    | "TO_BINARY_DOUBLE"
                    | "TO_BINARY_FLOAT"
                    | "TO_CLOB"
                    | "TO_BLOB"
            ) =>
        {
            Ok(value.clone())
        }
        [Value::Clob(text) | Value::Text(text), rest @ ..] => {
            let is_clob = matches!(args[0], Value::Clob(_));
            match text_call(name, text, rest)? {
                Value::Text(text) if is_clob && name != "DBMS_LOB.SUBSTR" => Ok(Value::Clob(text)),
                value => Ok(value),
            }
        }
        [Value::Raw(bytes) | Value::Blob(bytes), rest @ ..] => bytes_call(name, bytes, rest),
        [Value::Number(number), rest @ ..] => number_call(name, number, rest),
        _ => Err(OraError::unknown(name)),
    }
}

fn concat(args: Vec<Value>) -> Value {
    let is_clob = args.iter().any(|arg| matches!(arg, Value::Clob(_)));
    let text: String = args
        .into_iter()
        .filter_map(|arg| match arg {
            Value::Text(text) | Value::Clob(text) => Some(text),
            _ => None,
        })
        .collect();
    if is_clob {
        Value::Clob(text)
    } else {
        Value::text(text)
    }
}

fn context(name_space: &str, key: &str, settings: &Settings) -> Result<Value> {
    if !name_space.eq_ignore_ascii_case("USERENV") {
        return Ok(Value::Null);
    }
    Ok(match key.to_ascii_uppercase().as_str() {
        "CURRENT_SCHEMA" | "SESSION_USER" | "CURRENT_USER" => Value::text(&settings.user),
        "DB_NAME" | "SERVICE_NAME" | "INSTANCE_NAME" => Value::text(&settings.service),
        "SID" | "SESSIONID" => Value::text(std::process::id().to_string()),
        "MODULE" => Value::text(&settings.module),
        _ => return Err(OraError::new(2003, "invalid USERENV parameter")),
    })
}

fn count(number: usize) -> Value {
    Value::Number(Number::from(number as u64))
}

fn integer(value: Option<&Value>, absent: i128) -> i128 {
    match value {
        Some(Value::Number(number)) => number.to_i128().unwrap_or(absent),
        _ => absent,
    }
}

/// From a position, 1 being the first and -1 the last, so many.
fn part<T: Copy>(all: &[T], start: i128, length: i128) -> Vec<T> {
    let from = match start {
        0 => 0,
        1.. => usize::try_from(start - 1).unwrap_or(usize::MAX),
        _ => match usize::try_from(-start) {
            Ok(back) if back <= all.len() => all.len() - back,
            _ => return Vec::new(),
        },
    };
    let length = usize::try_from(length.max(0)).unwrap_or(usize::MAX);
    all.iter().skip(from).take(length).copied().collect()
}

fn text_call(name: &str, text: &str, rest: &[Value]) -> Result<Value> {
    let chars = || text.chars().collect::<Vec<char>>();
    let other = |at: usize| match rest.get(at) {
        Some(Value::Text(other) | Value::Clob(other)) => other.as_str(),
        _ => "",
    };
    Ok(match name {
        "UPPER" => Value::text(text.to_uppercase()),
        "LOWER" => Value::text(text.to_lowercase()),
        "TRIM" => Value::text(text.trim_matches(' ')),
        "LTRIM" => Value::text(text.trim_start_matches(' ')),
        "RTRIM" => Value::text(text.trim_end_matches(' ')),
        "LENGTH" | "DBMS_LOB.GETLENGTH" => count(text.chars().count()),
        "LENGTHB" => count(text.len()),
        "SUBSTR" => {
            let part = part(
                &chars(),
                integer(rest.first(), 1),
                integer(rest.get(1), i128::MAX),
            );
            Value::text(part.into_iter().collect::<String>())
        }
        "DBMS_LOB.SUBSTR" => {
            let part = part(
                &chars(),
                integer(rest.get(1), 1),
                integer(rest.first(), 32767),
            );
            Value::text(part.into_iter().collect::<String>())
        }
        "INSTR" => count(
            text.find(other(0))
                .map_or(0, |at| text[..at].chars().count() + 1),
        ),
        "REPLACE" => Value::text(text.replace(other(0), other(1))),
        "LPAD" | "RPAD" => {
            let (fill, has) = (
                if rest.len() > 1 { other(1) } else { " " },
                text.chars().count(),
            );
            let wanted = usize::try_from(integer(rest.first(), 0)).unwrap_or(0);
            let padding: String = fill
                .chars()
                .cycle()
                .take(wanted.saturating_sub(has))
                .collect();
            let kept: String = text.chars().take(wanted).collect();
            Value::text(if name == "LPAD" {
                padding + &kept
            } else {
                kept + &padding
            })
        }
        "ASCII" => count(text.chars().next().map_or(0, |first| first as usize)),
        "HEXTORAW" => Value::raw(bytes_of_hex(text)?),
        "UTL_RAW.CAST_TO_RAW" => Value::raw(text.as_bytes().to_vec()),
        "DBMS_LOB.COMPARE" => Value::Number(Number::from(text.cmp(other(0)) as i64)),
        _ => return Err(OraError::unknown(name)),
    })
}

fn bytes_call(name: &str, bytes: &[u8], rest: &[Value]) -> Result<Value> {
    Ok(match (name, rest) {
        ("RAWTOHEX", _) => Value::text(hex(bytes)),
        ("DBMS_LOB.GETLENGTH", _) => count(bytes.len()),
        ("DBMS_LOB.COMPARE", [Value::Blob(other)]) => {
            Value::Number(Number::from(bytes.cmp(other) as i64))
        }
        ("DBMS_LOB.SUBSTR", _) => Value::raw(part(
            bytes,
            integer(rest.get(1), 1),
            integer(rest.first(), 32767),
        )),
        _ => return Err(OraError::unknown(name)),
    })
}

fn number_call(name: &str, number: &Number, rest: &[Value]) -> Result<Value> {
    let places = i32::try_from(integer(rest.first(), 0)).unwrap_or(0);
    let is_negative = *number < Number::zero();
    Ok(Value::Number(match (name, rest) {
        ("+", [Value::Number(other)]) => number.add(other),
        ("-", [Value::Number(other)]) => number.add(&other.clone().negate()),
        ("*", [Value::Number(other)]) => number.multiply(other),
        ("ABS", _) if is_negative => number.clone().negate(),
        ("ABS", _) => number.clone(),
        ("SIGN", _) => Number::from(number.cmp(&Number::zero()) as i64),
        ("ROUND", _) => number.clone().round(places),
        ("TRUNC", []) => {
            let whole = number
                .to_i128()
                .ok_or_else(|| OraError::new(1426, "numeric overflow"))?;
            Number::parse(&whole.to_string()).unwrap_or_else(Number::zero)
        }
        ("CHR", _) => {
            let code = number.to_i128().and_then(|code| u32::try_from(code).ok());
            let text = code
                .and_then(char::from_u32)
                .map(String::from)
                .unwrap_or_default();
            return Ok(Value::text(text));
        }
        _ => return Err(OraError::unknown(name)),
    }))
}
