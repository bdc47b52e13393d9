//! MongoDB, by the BSON type of each value: with dates as text, and with dates as dates.
//!
//! What PostgreSQL prints is made into the BSON that the documentation promises; both that and what
//! a document holds are then spelled alike.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures_util::future::{BoxFuture, ready};
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, spec::BinarySubtype};
use serde_json::value::RawValue;
use tahr_tests::MongoDatabase;

use super::judge::{Cells, Column, Judge, Table};

pub(crate) struct Mongodb {
    database: MongoDatabase,
    has_dates: bool,
}

/// What a type can't hold.
struct Unfit;

impl Mongodb {
    /// Dates, and values that don't fit, are text.
    pub(crate) fn text(database: MongoDatabase) -> Self {
        let has_dates = false;
        Self {
            database,
            has_dates,
        }
    }

    /// Dates are dates; values that don't fit are null.
    pub(crate) fn dates(database: MongoDatabase) -> Self {
        let has_dates = true;
        Self {
            database,
            has_dates,
        }
    }

    fn value(&self, base: &str, text: &str) -> Result<Bson, Unfit> {
        if let Some(element) = base.strip_suffix("[]") {
            // Bounds that don't start at 1 are written before the items.
            return match text.starts_with('[') {
                true => Ok(Bson::from(text)),
                false => self.array(element, &mut &*text),
            };
        }
        Ok(match base {
            "boolean" => Bson::Boolean(text == "t"),
            "smallint" | "integer" => Bson::Int32(text.parse().expect("an integer")),
            "bigint" | "oid" => Bson::Int64(text.parse().expect("an integer")),
            "real" | "double precision" => Bson::Double(text.parse().expect("a float")),
            "bytea" => binary(BinarySubtype::Generic, &text[2..]),
            "uuid" => binary(BinarySubtype::Uuid, &text.replace('-', "")),
            "jsonb" => json(serde_json::from_str(text).expect("JSON"))?,
            "date" if self.has_dates => date(text)?,
            _ if base.starts_with("timestamp") && self.has_dates => date(text)?,
            _ if precision(base).is_some_and(|digits| digits <= 34) => decimal(text)?,
            _ => Bson::from(text),
        })
    }

    /// The array that `rest` begins with, of which it then holds what is behind.
    fn array(&self, element: &str, rest: &mut &str) -> Result<Bson, Unfit> {
        // Boxes have commas of their own.
        let delimiter = if element == "box" { ';' } else { ',' };
        let mut items = Vec::new();
        *rest = &rest[1..];
        while !rest.starts_with('}') {
            items.push(if rest.starts_with('{') {
                self.array(element, rest)?
            } else {
                match item(rest, delimiter) {
                    Some(text) => self.value(element, &text)?,
                    None => Bson::Null,
                }
            });
            *rest = rest.strip_prefix(delimiter).unwrap_or(rest);
        }
        *rest = &rest[1..];
        Ok(Bson::Array(items))
    }
}

impl Judge for Mongodb {
    fn name(&self) -> &'static str {
        match self.has_dates {
            true => "mongodb_dates",
            false => "mongodb",
        }
    }

    fn config(&self) -> String {
        let options = match self.has_dates {
            true => "dates = 'date', unfit = 'null'",
            false => "unfit = 'text'",
        };
        // A busy machine's disk may hold up the server for longer than the driver waits by itself.
        format!(
            "plugin = 'mongodb'\noptions = {{ url = '{}', connect_timeout = '60s', {options} }}",
            self.database.url()
        )
    }

    fn read<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, Result<Vec<Cells>, String>> {
        let cells = |document: Document| {
            let is_column = |name: &str| table.columns.iter().any(|column| column.name == name);
            let surplus = document
                .keys()
                .find(|name| *name != "_id" && !is_column(name));
            if let Some(name) = surplus {
                return Err(format!("{}: a field {name:?}", table.name));
            }
            let cell = |column: &Column| match document.get(&column.name) {
                Some(value) => Ok(spell(value)),
                None => Err(format!("{}: no field {:?}", table.name, column.name)),
            };
            table.columns.iter().map(cell).collect()
        };
        let rows = self.database.try_documents(&table.name);
        let rows = rows.and_then(|rows| rows.into_iter().map(cells).collect());
        Box::pin(ready(rows))
    }

    fn expected(&self, base: &str, text: Option<&str>) -> Option<String> {
        let text = text?;
        match self.value(base, text) {
            Ok(value) => spell(&value),
            Err(Unfit) if self.has_dates => None,
            Err(Unfit) => spell(&Bson::from(text)),
        }
    }

    /// Only the family of the type under it is known.
    fn expected_of_domain(&self, base: &str, text: Option<&str>) -> Option<String> {
        let base = match base {
            "smallint" | "integer" => "bigint",
            "jsonb" => "text",
            _ if base.ends_with("[]") => "text[]",
            _ => base,
        };
        self.expected(base, text)
    }
}

/// A value with its type; none for null.
fn spell(value: &Bson) -> Option<String> {
    let inner = |value: &Bson| spell(value).unwrap_or_else(|| "null".to_owned());
    Some(match value {
        Bson::Null => return None,
        Bson::Boolean(value) => format!("bool {value}"),
        Bson::Int32(number) => format!("int {number}"),
        Bson::Int64(number) => format!("long {number}"),
        Bson::Double(number) => format!("double {number:?}"),
        Bson::Decimal128(number) => format!("decimal {number}"),
        Bson::String(text) => format!("string {text}"),
        Bson::DateTime(date) => format!("date {}", date.timestamp_millis()),
        Bson::Binary(Binary { subtype, bytes }) => {
            let mut spelled = format!("binary {subtype:?} \\x");
            for byte in bytes {
                let _infallible = write!(spelled, "{byte:02x}");
            }
            spelled
        }
        Bson::Array(items) => {
            let items: Vec<String> = items.iter().map(inner).collect();
            format!("array [{}]", items.join(", "))
        }
        Bson::Document(fields) => {
            let field = |(name, value)| format!("{name:?}: {}", inner(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("document {{{}}}", fields.join(", "))
        }
        other => format!("{other:?}"),
    })
}

/// The item of an array's literal that `rest` begins with; none for null.
fn item(rest: &mut &str, delimiter: char) -> Option<String> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([delimiter, '}']).expect("an end");
        let (text, behind) = rest.split_at(end);
        *rest = behind;
        return (text != "NULL").then(|| text.to_owned());
    };
    let mut text = String::new();
    let mut letters = quoted.chars();
    loop {
        match letters.next().expect("a closing quote") {
            '"' => break,
            '\\' => text.extend(letters.next()),
            letter => text.push(letter),
        }
    }
    *rest = letters.as_str();
    Some(text)
}

/// What a `jsonb` stands for.
fn json(value: &RawValue) -> Result<Bson, Unfit> {
    let text = value.get();
    Ok(match text.as_bytes()[0] {
        b'{' => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).expect("JSON");
            let mut fields: Vec<(String, &RawValue)> = fields.into_iter().collect();
            // In PostgreSQL's order.
            fields.sort_by_key(|(name, _)| name.len());
            let field = |(name, value)| Ok((name, json(value)?));
            let fields: Result<Document, Unfit> = fields.into_iter().map(field).collect();
            Bson::Document(fields?)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).expect("JSON");
            let items: Result<_, Unfit> = items.into_iter().map(json).collect();
            Bson::Array(items?)
        }
        b'"' => Bson::String(serde_json::from_str(text).expect("JSON")),
        b't' | b'f' => Bson::Boolean(text == "true"),
        b'n' => Bson::Null,
        _ => number(text)?,
    })
}

/// A number of a `jsonb`.
fn number(text: &str) -> Result<Bson, Unfit> {
    let double: f64 = text.parse().expect("a number");
    Ok(if let Ok(number) = text.parse() {
        Bson::Int32(number)
    } else if let Ok(number) = text.parse() {
        Bson::Int64(number)
    } else if double.to_string() == text {
        Bson::Double(double)
    } else {
        decimal(text)?
    })
}

/// How many digits a `numeric` is declared to have.
fn precision(base: &str) -> Option<u32> {
    let (digits, _) = base.strip_prefix("numeric(")?.split_once(',')?;
    digits.parse().ok()
}

fn decimal(text: &str) -> Result<Bson, Unfit> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    // Behind a point zeros count, as they are its scale.
    let digits = match text.contains('.') {
        true => digits,
        false => digits.trim_end_matches('0'),
    };
    if digits.len() > 34 {
        return Err(Unfit);
    }
    let decimal: Decimal128 = text.parse().expect("a decimal");
    Ok(Bson::Decimal128(decimal))
}

/// A `date`, or a timestamp without what is less than a millisecond.
fn date(text: &str) -> Result<Bson, Unfit> {
    if text.ends_with("infinity") {
        return Err(Unfit);
    }
    let (text, is_before_christ) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (day, time) = text.split_once(' ').unwrap_or((text, "00:00:00"));
    let (time, part) = time
        .trim_end_matches("+00")
        .split_once('.')
        .unwrap_or((time.trim_end_matches("+00"), ""));
    let numbers = |text: &str, between: char| -> Vec<i64> {
        let number = |part: &str| part.parse().expect("a number");
        text.split(between).map(number).collect()
    };
    let (day, time) = (numbers(day, '-'), numbers(time, ':'));
    // There is no year 0.
    let year = if is_before_christ { 1 - day[0] } else { day[0] };
    let seconds = (time[0] * 60 + time[1]) * 60 + time[2];
    let part: i64 = format!("{part:0<3}")[..3].parse().expect("digits");
    let millis = (days(year, day[1], day[2]) * 86_400 + seconds) * 1000 + part;
    Ok(Bson::DateTime(DateTime::from_millis(millis)))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, also of the years before it.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins with March has its leap day at the end.
    let year = if month > 2 { year } else { year - 1 };
    let months = (month + 9) % 12;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let since_march = (months * 153 + 2) / 5 + day - 1;
    year * 365 + leaps + since_march - 719_468
}

fn binary(subtype: BinarySubtype, digits: &str) -> Bson {
    let byte = |index| u8::from_str_radix(&digits[index..index + 2], 16).expect("a byte");
    let bytes = (0..digits.len()).step_by(2).map(byte).collect();
    Bson::Binary(Binary { subtype, bytes })
}
