//! Values: PostgreSQL's text as BSON, in the [form](crate::types) of its column.

use tahr_plugin_api::{Array, ArrayItem, Date, Timestamp, Typed, Value, ValueKind};

use crate::{
    decimal,
    json::{self, TOO_MANY_DIGITS},
    raw::{self, kind},
    types::Form,
};

/// What a value is that its form can't hold.
pub(crate) type Unfit = &'static str;

/// What happened to values beyond their being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) microseconds_cut: u64,
    pub(crate) json_nulls: u64,
    pub(crate) clamped: u64,
    pub(crate) set_null: u64,
}

/// Midnight of 1970-01-01 is so many milliseconds before PostgreSQL's last day and its first.
const MILLIS_PER_DAY: i64 = 86_400_000;
const LAST_DAY: &str = "5874897-12-31";
const FIRST_DAY: &str = "4714-11-24 BC";

/// Writes `value` in `form`; returns its type. With `clamp`, what doesn't fit is brought to the
/// nearest that does, where there is one.
pub(crate) fn value(
    value: Value<'_>,
    form: &Form,
    clamp: bool,
    out: &mut Vec<u8>,
    notes: &mut Notes,
) -> Result<u8, Unfit> {
    match value {
        Value::Null | Value::Unchanged => Ok(kind::NULL),
        // Text that is not UTF-8 comes so, too.
        Value::Bytes(bytes) => Ok(raw::binary(out, raw::GENERIC, bytes)),
        Value::Text(_, text) => self::text(text, form, clamp, out, notes),
    }
}

fn text(
    text: &str,
    form: &Form,
    clamp: bool,
    out: &mut Vec<u8>,
    notes: &mut Notes,
) -> Result<u8, Unfit> {
    const STRANGE: Unfit = "text of another type";
    Ok(match form {
        Form::Text => raw::string(out, text),
        Form::Bool => {
            out.push(u8::from(text == "t"));
            kind::BOOL
        }
        Form::Int32 => {
            let number: i32 = text.parse().map_err(|_| STRANGE)?;
            out.extend_from_slice(&number.to_le_bytes());
            kind::INT32
        }
        Form::Int64 => {
            let number: i64 = text.parse().map_err(|_| STRANGE)?;
            out.extend_from_slice(&number.to_le_bytes());
            kind::INT64
        }
        Form::Double => {
            let number: f64 = text.parse().map_err(|_| STRANGE)?;
            out.extend_from_slice(&number.to_le_bytes());
            kind::DOUBLE
        }
        Form::Decimal => {
            let bytes = match decimal::exact(text) {
                Some(bytes) => bytes,
                None if clamp => {
                    notes.clamped += 1;
                    decimal::nearest(text).ok_or(STRANGE)?
                }
                None => return Err(TOO_MANY_DIGITS),
            };
            out.extend_from_slice(&bytes);
            kind::DECIMAL
        }
        Form::Uuid => match Typed::parse(ValueKind::Uuid, text) {
            Typed::Uuid(bytes) => raw::binary(out, raw::UUID, &bytes),
            _ => return Err(STRANGE),
        },
        Form::Bytes => raw::binary(out, raw::GENERIC, &hex(text).ok_or(STRANGE)?),
        Form::Day => {
            let day = Date::parse(text).ok_or(STRANGE)?;
            let day = match day.unix_days() {
                Some(days) => Some(days),
                None if clamp => {
                    notes.clamped += 1;
                    nearest_day(day == Date::INFINITY)
                }
                None => None,
            };
            let millis = day.ok_or("infinity")?.checked_mul(MILLIS_PER_DAY);
            out.extend_from_slice(&millis.ok_or(STRANGE)?.to_le_bytes());
            kind::DATE
        }
        Form::Instant => {
            let millis = millis(text, clamp, notes)?;
            out.extend_from_slice(&millis.to_le_bytes());
            kind::DATE
        }
        Form::Document => {
            let kind = json::value(text, clamp, out, notes)?;
            notes.json_nulls += u64::from(kind == kind::NULL);
            kind
        }
        Form::Array { items, delimiter } => match Array::parse_delimited(text, *delimiter) {
            Some(array) if array.starts_at_one() => {
                self::items(&array.items, items, clamp, out, notes)?;
                kind::ARRAY
            }
            _ => raw::string(out, text),
        },
    })
}

fn items(
    list: &[ArrayItem<'_>],
    form: &Form,
    clamp: bool,
    out: &mut Vec<u8>,
    notes: &mut Notes,
) -> Result<(), Unfit> {
    let start = raw::open(out);
    for (index, item) in list.iter().enumerate() {
        let place = raw::item(out, index);
        out[place] = match item {
            ArrayItem::Null => kind::NULL,
            ArrayItem::Text(text) => self::text(text, form, clamp, out, notes)?,
            ArrayItem::Array(list) => {
                items(list, form, clamp, out, notes)?;
                kind::ARRAY
            }
        };
    }
    raw::close(out, start);
    Ok(())
}

/// Milliseconds since 1970 of a timestamp, with or without time zone.
fn millis(text: &str, clamp: bool, notes: &mut Notes) -> Result<i64, Unfit> {
    let parsed = Timestamp::parse(text).or_else(|| Timestamp::parse_tz(text));
    let parsed = parsed.ok_or("text of another type")?;
    // Counted from 2000, as PostgreSQL counts: the last weeks of its range don't fit otherwise.
    const MILLIS_TO_2000: i64 = 946_684_800_000;
    let micros = match parsed {
        Timestamp::INFINITY | Timestamp::NEG_INFINITY if !clamp => return Err("infinity"),
        Timestamp::INFINITY => {
            notes.clamped += 1;
            Timestamp::parse("294276-12-31 23:59:59.999").map_or(0, |last| last.0)
        }
        Timestamp::NEG_INFINITY => {
            notes.clamped += 1;
            Timestamp::parse("4714-11-24 00:00:00 BC").map_or(0, |first| first.0)
        }
        Timestamp(micros) => micros,
    };
    notes.microseconds_cut += u64::from(micros.rem_euclid(1000) != 0);
    Ok(micros.div_euclid(1000) + MILLIS_TO_2000)
}

fn nearest_day(is_last: bool) -> Option<i64> {
    Date::parse(if is_last { LAST_DAY } else { FIRST_DAY })?.unix_days()
}

/// The bytes that `\x` and hexadecimal digits stand for.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let nibble = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(nibble(*high)? << 4 | nibble(*low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, Document};

    use super::*;

    fn read(text: &str, form: &Form, clamp: bool) -> Result<(Bson, Notes), Unfit> {
        let mut out = Vec::new();
        let mut notes = Notes::default();
        let start = raw::open(&mut out);
        let place = raw::element(&mut out, "v");
        let value = Value::Text(ValueKind::Other, text);
        out[place] = super::value(value, form, clamp, &mut out, &mut notes)?;
        raw::close(&mut out, start);
        let mut document = Document::from_reader(&out[..]).unwrap();
        Ok((document.remove("v").unwrap(), notes))
    }

    fn date(text: &str, form: &Form, clamp: bool) -> Result<(i64, Notes), Unfit> {
        let (value, notes) = read(text, form, clamp)?;
        Ok((value.as_datetime().unwrap().timestamp_millis(), notes))
    }

    #[test]
    fn microseconds_are_cut_and_counted() {
        let form = Form::Instant;
        let (millis, notes) = date("1970-01-01 00:00:00.5", &form, false).unwrap();
        assert_eq!((millis, notes.microseconds_cut), (500, 0));
        let (millis, notes) = date("1969-12-31 23:59:59.999999+00", &form, false).unwrap();
        assert_eq!((millis, notes.microseconds_cut), (-1, 1));
        let (millis, _) = date("294276-12-31 23:59:59.999999", &form, false).unwrap();
        assert_eq!(millis, 9_224_318_015_999_999);
    }

    #[test]
    fn infinity_is_unfit_or_the_nearest_date() {
        assert_eq!(date("infinity", &Form::Instant, false), Err("infinity"));
        assert_eq!(date("-infinity", &Form::Day, false), Err("infinity"));
        let (millis, notes) = date("infinity", &Form::Instant, true).unwrap();
        assert_eq!((millis, notes.clamped), (9_224_318_015_999_999, 1));
        assert_eq!(
            date("0001-01-01", &Form::Day, false).unwrap().0,
            -62_135_596_800_000
        );
        let (first, _) = date("-infinity", &Form::Day, true).unwrap();
        assert_eq!(first, date("4714-11-24 BC", &Form::Day, false).unwrap().0);
    }

    #[test]
    fn arrays_nest_and_odd_bounds_stay_text() {
        let form = Form::Array {
            items: Box::new(Form::Int32),
            delimiter: b',',
        };
        let value = |text| read(text, &form, false).unwrap().0;
        let numbers = |numbers: &[i32]| Bson::Array(numbers.iter().map(|&n| n.into()).collect());
        assert_eq!(value("{}"), numbers(&[]));
        assert_eq!(
            value("{{1,2},{3,4}}"),
            Bson::Array(vec![numbers(&[1, 2]), numbers(&[3, 4])])
        );
        assert_eq!(value("{1,NULL}"), Bson::Array(vec![1.into(), Bson::Null]));
        assert_eq!(value("[0:1]={5,6}"), Bson::String("[0:1]={5,6}".to_owned()));
    }
}
