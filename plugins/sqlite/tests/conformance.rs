//! The conformance suite on real files.

use std::path::PathBuf;

use rusqlite::{Connection, types::ValueRef};
use tahr_plugin_api::{
    Column, Relation, ValueKind,
    testing::{Row, Subject, conformance},
};
use tahr_sqlite::SqliteWriter;
use tempfile::TempDir;

struct File {
    folder: TempDir,
    made: u32,
}

impl File {
    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.made))
    }

    fn connect(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What SQLite holds, as PostgreSQL prints it.
fn printed(column: &Column, value: ValueRef<'_>) -> Option<String> {
    Some(match (column.kind, value) {
        (_, ValueRef::Null) => return None,
        (ValueKind::Bool, ValueRef::Integer(0)) => "f".to_owned(),
        (ValueKind::Bool, ValueRef::Integer(1)) => "t".to_owned(),
        (ValueKind::Int, ValueRef::Integer(number)) => number.to_string(),
        (ValueKind::Float, ValueRef::Real(number)) => float(number),
        (ValueKind::Float, ValueRef::Text(b"NaN")) => "NaN".to_owned(),
        (ValueKind::Bytes, ValueRef::Blob(bytes)) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{digits}")
        }
        (ValueKind::Bool | ValueKind::Int | ValueKind::Float | ValueKind::Bytes, other) => {
            panic!("{:?} stored as {}", column.kind, other.data_type())
        }
        (_, ValueRef::Text(text)) => String::from_utf8(text.to_vec()).unwrap(),
        (kind, other) => panic!("{kind:?} stored as {}", other.data_type()),
    })
}

/// PostgreSQL writes an exponent from 1e15 on and below 1e-4, always with a sign and two digits.
fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    if number == 0.0 || (1e-4..1e15).contains(&number.abs()) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

impl Subject for File {
    fn fresh(&mut self) -> serde_json::Value {
        self.made += 1;
        serde_json::json!({ "path": self.path(), "synchronous": "off", "busy_timeout": "2s" })
    }

    fn rows(&mut self, relation: &Relation) -> Vec<Row> {
        let connection = self.connect();
        let columns: Vec<String> = relation.columns.iter().map(|c| quote(&c.name)).collect();
        let table = quote(&relation.target.flat());
        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
        let mut statement = match connection.prepare(&sql) {
            Ok(statement) => statement,
            Err(error) if error.to_string().contains("no such table") => return Vec::new(),
            Err(error) => panic!("{error}"),
        };
        let rows = statement.query_map([], |row| {
            let cells = relation.columns.iter().enumerate();
            Ok(cells
                .map(|(index, column)| printed(column, row.get_ref(index).unwrap()))
                .collect())
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn reads_back(&self, column: &Column, value: &str) -> Option<String> {
        // The documented rule.
        let is_negative_zero = column.kind == ValueKind::Float && value == "-0";
        Some(if is_negative_zero { "0" } else { value }.to_owned())
    }

    fn poison(&mut self, relation: &Relation, id: &str) -> bool {
        let table = quote(&relation.target.flat());
        let sql = format!(
            "CREATE TRIGGER poison BEFORE INSERT ON {table} WHEN NEW.id = {id}
             BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
        );
        self.connect().execute_batch(&sql).unwrap();
        true
    }

    fn cure(&mut self, _relation: &Relation, _id: &str) {
        self.connect().execute_batch("DROP TRIGGER poison").unwrap();
    }

    fn add_foreign_row(&mut self, relation: &Relation, id: &str) -> bool {
        let table = quote(&relation.target.flat());
        let sql = format!("INSERT INTO {table} (id) VALUES ({id})");
        self.connect().execute_batch(&sql).unwrap();
        true
    }

    fn has_bookkeeping(&mut self) -> bool {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tahr%'";
        let count: i64 = self.connect().query_row(sql, [], |row| row.get(0)).unwrap();
        count != 0
    }
}

#[test]
fn a_sqlite_file_keeps_every_promise_of_a_writer() {
    let mut file = File {
        folder: tempfile::tempdir().unwrap(),
        made: 0,
    };
    let report = conformance::run::<SqliteWriter>(&mut file);
    assert_eq!(report.skipped, [], "SQLite takes part in every case");
}
