//! A schema under test, looked into over a connection of its own.

#![allow(dead_code, reason = "each test binary uses its part")]

use oracle::{
    Connection, Row as OracleRow,
    sql_type::{OracleType, Timestamp},
};
use tahr_oracle::OracleWriter;
use tahr_plugin_api::{
    Column, Relation, Role, ValueKind,
    testing::{Row, Subject, open},
};

/// Where a schema is, and how it is emptied.
pub(crate) trait Place {
    /// Options of a writer to an empty schema.
    fn fresh(&mut self) -> serde_json::Value;
    /// Another connection to it.
    fn connect(&self) -> Connection;
}

/// A schema whose writer has the option `unfit`.
pub(crate) struct Schema<P> {
    pub(crate) place: P,
    pub(crate) unfit: &'static str,
    options: serde_json::Value,
}

impl<P: Place> Schema<P> {
    pub(crate) fn new(place: P, unfit: &'static str) -> Self {
        let options = serde_json::Value::Null;
        Self {
            place,
            unfit,
            options,
        }
    }

    /// The table of a relation, quoted.
    fn table(&self, relation: &Relation) -> String {
        let name = relation.target.flat();
        if !name.contains('"') && name.len() <= 128 {
            return format!("\"{name}\"");
        }
        let (mut checker, ..) = open::<OracleWriter>(&self.options, Role::Check).unwrap();
        let report = checker.check(std::slice::from_ref(relation)).unwrap();
        format!("\"{}\"", report.objects[0])
    }

    fn execute(&self, sql: &str) {
        let connection = self.place.connect();
        connection.execute(sql, &[]).unwrap();
        connection.commit().unwrap();
    }
}

impl<P: Place> Subject for Schema<P> {
    fn fresh(&mut self) -> serde_json::Value {
        self.options = self.place.fresh();
        self.options["unfit"] = self.unfit.into();
        self.options.clone()
    }

    fn rows(&mut self, relation: &Relation) -> Vec<Row> {
        let connection = self.place.connect();
        // By position: a column may have got another name.
        let sql = format!("SELECT * FROM {}", self.table(relation));
        let found = match connection.query(&sql, &[]) {
            Ok(found) => found,
            Err(error) if error.oci_code() == Some(942) => return Vec::new(),
            Err(error) => panic!("{error}"),
        };
        let columns = relation.columns.iter().enumerate();
        let row = |row: OracleRow| -> Row {
            let columns = columns.clone();
            columns
                .map(|(index, column)| printed(&row, index, column))
                .collect()
        };
        found.map(|found| row(found.unwrap())).collect()
    }

    /// The documented rules.
    fn reads_back(&self, column: &Column, value: &str) -> Option<String> {
        let is_text = self.unfit == "text";
        match (column.kind, value) {
            (_, "") | (ValueKind::Bytes, "\\x") => None,
            (ValueKind::Float, "-0") => Some("0".to_owned()),
            (ValueKind::Decimal, "NaN") if column.type_modifier >= 0 && !is_text => None,
            (ValueKind::Date | ValueKind::Timestamp | ValueKind::TimestampTz, _)
                if !is_text && !is_in_calendar(value) =>
            {
                None
            }
            _ => Some(value.to_owned()),
        }
    }

    fn poison(&mut self, relation: &Relation, id: &str) -> bool {
        let table = self.table(relation);
        self.execute(&format!(
            "ALTER TABLE {table} ADD CONSTRAINT \"poison\" CHECK (\"id\" <> {id})"
        ));
        true
    }

    fn cure(&mut self, relation: &Relation, _id: &str) {
        let table = self.table(relation);
        self.execute(&format!("ALTER TABLE {table} DROP CONSTRAINT \"poison\""));
    }

    fn add_foreign_row(&mut self, relation: &Relation, id: &str) -> bool {
        let table = self.table(relation);
        self.execute(&format!("INSERT INTO {table} (\"id\") VALUES ({id})"));
        true
    }

    fn has_bookkeeping(&mut self) -> bool {
        let sql = "SELECT COUNT(*) FROM user_tables WHERE SUBSTR(table_name, 1, 4) = 'tahr'";
        let connection = self.place.connect();
        connection.query_row_as::<u32>(sql, &[]).unwrap() != 0
    }
}

/// Whether Oracle has the day that PostgreSQL prints so.
fn is_in_calendar(text: &str) -> bool {
    let Some(year) = text
        .split('-')
        .next()
        .and_then(|year| year.parse::<i32>().ok())
    else {
        return false;
    };
    if text.ends_with("BC") {
        year <= 4712
    } else {
        year <= 9999
    }
}

/// A value as PostgreSQL prints it.
fn printed(row: &OracleRow, index: usize, column: &Column) -> Option<String> {
    let value = &row.sql_values()[index];
    if value.is_null().unwrap() {
        return None;
    }
    let text = || value.get::<String>().unwrap();
    Some(match (column.kind, value.oracle_type().unwrap()) {
        (ValueKind::Bool, _) => match &*text() {
            "1" => "t".to_owned(),
            "0" => "f".to_owned(),
            other => panic!("boolean {other}"),
        },
        (ValueKind::Decimal, OracleType::Number(..) | OracleType::Int64) => {
            scaled(&text(), column.type_modifier)
        }
        (ValueKind::Float, OracleType::BinaryFloat) => {
            float(&value.get::<f32>().unwrap().to_string())
        }
        (ValueKind::Float, OracleType::BinaryDouble) => {
            float(&value.get::<f64>().unwrap().to_string())
        }
        (ValueKind::Bytes, _) => {
            let bytes: Vec<u8> = value.get().unwrap();
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{digits}")
        }
        (_, OracleType::Date | OracleType::Timestamp(_) | OracleType::TimestampTZ(_)) => {
            moment(value.get().unwrap(), column.kind)
        }
        (ValueKind::Float, other) => panic!("{:?} stored as {other}", column.kind),
        _ => text(),
    })
}

/// A number with the zeros that its column's scale asks for.
fn scaled(text: &str, modifier: i32) -> String {
    let scale = ((modifier - 4) & 0x7ff) as usize;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = if whole.is_empty() { "0" } else { whole };
    match scale {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction:0<scale$}"),
    }
}

/// PostgreSQL writes an exponent from 1e15 on and below 1e-4, always with a sign
/// and two digits. Rust's shortest digits are the same.
fn float(text: &str) -> String {
    match text {
        "inf" => return "Infinity".to_owned(),
        "-inf" => return "-Infinity".to_owned(),
        _ => {}
    }
    let number: f64 = text.parse().unwrap();
    if number.is_nan() || number == 0.0 || (1e-4..1e15).contains(&number.abs()) {
        return text.to_owned();
    }
    // The digits are those of the shortest text, whatever the width of the number.
    let digits = text.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = format!("{whole}{fraction}")
        .trim_start_matches('0')
        .trim_end_matches('0')
        .to_owned();
    let exponent = match whole {
        "0" => -((fraction.len() - fraction.trim_start_matches('0').len()) as i32) - 1,
        whole => whole.len() as i32 - 1,
    };
    let sign = if number < 0.0 { "-" } else { "" };
    let rest = &all[1..];
    let point = if rest.is_empty() { "" } else { "." };
    let direction = if exponent < 0 { '-' } else { '+' };
    format!(
        "{sign}{}{point}{rest}e{direction}{:02}",
        &all[..1],
        exponent.abs()
    )
}

fn moment(at: Timestamp, kind: ValueKind) -> String {
    let mut text = format!("{:04}-{:02}-{:02}", at.year().abs(), at.month(), at.day());
    if kind != ValueKind::Date {
        text += &format!(" {:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
        assert_eq!(at.nanosecond() % 1000, 0);
        let micros = format!("{:06}", at.nanosecond() / 1000);
        let micros = micros.trim_end_matches('0');
        if !micros.is_empty() {
            text += &format!(".{micros}");
        }
    }
    if kind == ValueKind::TimestampTz {
        assert_eq!(at.tz_offset(), 0, "a time zone other than UTC");
        text += "+00";
    }
    if at.year() < 0 {
        text += " BC";
    }
    text
}
