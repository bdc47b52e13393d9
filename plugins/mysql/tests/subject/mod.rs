//! A database of the shared test server as a target, seen from outside.

#[allow(dead_code, reason = "each test file uses some")]
pub(crate) mod fixture;

use std::fmt::Write as _;

use serde_json::{Value, json};
use tahr_mysql::{column_name, table_name};
use tahr_plugin_api::{
    Column, Relation, ValueKind,
    testing::{Row, Subject},
};
use tahr_tests::{MariaDatabase, MariaDb};
use tokio::runtime::Runtime;

/// A database that is made anew for each case.
pub(crate) struct MysqlSubject {
    runtime: Runtime,
    database: Option<MariaDatabase>,
    unfit: &'static str,
}

#[allow(dead_code, reason = "each test file uses some")]
impl MysqlSubject {
    pub(crate) fn new(unfit: &'static str) -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            database: None,
            unfit,
        }
    }

    /// On a database of `server`.
    pub(crate) fn on(server: &MariaDb, unfit: &'static str) -> Self {
        let mut subject = Self::new(unfit);
        subject.database = Some(subject.runtime.block_on(server.database()));
        subject
    }

    pub(crate) fn database(&self) -> &MariaDatabase {
        self.database.as_ref().expect("fresh comes first")
    }

    pub(crate) fn execute(&self, statements: &str) {
        self.runtime.block_on(self.database().execute(statements));
    }

    pub(crate) fn query(&self, query: &str) -> Vec<Row> {
        self.runtime.block_on(self.database().query(query))
    }

    /// The only value of the only row.
    pub(crate) fn value(&self, query: &str) -> String {
        self.runtime.block_on(self.database().value(query))
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn options(&self) -> Value {
        json!({ "url": self.database().url(), "unfit": self.unfit })
    }
}

pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn table(relation: &Relation) -> String {
    quoted(&table_name(relation))
}

fn key(relation: &Relation) -> String {
    quoted(&column_name(&relation.columns[relation.key()[0]].name))
}

/// What MySQL holds, as PostgreSQL prints it.
fn printed(column: &Column, text: String) -> String {
    match column.kind {
        ValueKind::Bool if text == "1" => "t".to_owned(),
        ValueKind::Bool if text == "0" => "f".to_owned(),
        ValueKind::Float => float(&text),
        ValueKind::Time | ValueKind::Timestamp if text.contains('.') => without_zeros(&text),
        ValueKind::TimestampTz if text.contains('.') && !text.contains('+') => {
            without_zeros(&text) + "+00"
        }
        _ => text,
    }
}

fn without_zeros(text: &str) -> String {
    match text.strip_suffix(".000000") {
        Some(seconds) => seconds.to_owned(),
        None if text.ends_with(|c: char| c.is_ascii_digit()) => {
            text.trim_end_matches('0').to_owned()
        }
        None => text.to_owned(),
    }
}

/// PostgreSQL writes an exponent from 1e15 on and below 1e-4, always with a sign and two digits.
fn float(text: &str) -> String {
    let Ok(number) = text.parse::<f64>() else {
        return text.to_owned();
    };
    if text.contains("e+") || text == "-0" || !number.is_finite() {
        // Held as text.
        return text.to_owned();
    }
    if number == 0.0 || (1e-4..1e15).contains(&number.abs()) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    let sign = if exponent < 0 { '-' } else { '+' };
    let mut text = digits.to_owned();
    write!(text, "e{sign}{:02}", exponent.abs()).unwrap();
    text
}

impl Subject for MysqlSubject {
    fn fresh(&mut self) -> Value {
        let database = self.runtime.block_on(MariaDb::shared().database());
        self.database = Some(database);
        self.options()
    }

    fn rows(&mut self, relation: &Relation) -> Vec<Row> {
        let columns: Vec<_> = (relation.columns.iter())
            .map(|column| quoted(&column_name(&column.name)))
            .collect();
        let sql = format!("SELECT {} FROM {}", columns.join(", "), table(relation));
        let rows = self.runtime.block_on(self.database().try_query(&sql));
        let rows = match rows {
            Err(fault) if fault.contains("1146") => return Vec::new(),
            rows => rows.unwrap(),
        };
        let row = |row: Row| {
            let cells = row.into_iter().zip(&relation.columns);
            cells
                .map(|(text, column)| text.map(|text| printed(column, text)))
                .collect()
        };
        rows.into_iter().map(row).collect()
    }

    fn reads_back(&self, column: &Column, value: &str) -> Option<String> {
        // The documented rule.
        let is_negative_zero =
            self.unfit != "text" && column.kind == ValueKind::Float && value == "-0";
        Some(if is_negative_zero { "0" } else { value }.to_owned())
    }

    fn poison(&mut self, relation: &Relation, id: &str) -> bool {
        self.execute(&format!(
            "ALTER TABLE {} ADD CONSTRAINT poison_{id} CHECK ({} <> {id})",
            table(relation),
            key(relation)
        ));
        true
    }

    fn cure(&mut self, relation: &Relation, id: &str) {
        self.execute(&format!(
            "ALTER TABLE {} DROP CONSTRAINT poison_{id}",
            table(relation)
        ));
    }

    fn add_foreign_row(&mut self, relation: &Relation, id: &str) -> bool {
        self.execute(&format!(
            "INSERT INTO {} ({}) VALUES ({id})",
            table(relation),
            key(relation)
        ));
        true
    }

    fn has_bookkeeping(&mut self) -> bool {
        let count = "SELECT COUNT(*) FROM information_schema.TABLES \
                     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'tahr%'";
        self.value(count) != "0"
    }
}
