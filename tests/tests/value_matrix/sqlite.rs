//! SQLite, by the storage class of each value.

use std::fmt::Write as _;
use std::path::PathBuf;

use futures_util::future::{BoxFuture, ready};
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use tahr_tests::Run;

use super::{
    judge::{Cells, Judge, Table},
    postgres::select,
};

pub(crate) struct Sqlite(PathBuf);

impl Sqlite {
    pub(crate) fn new() -> Self {
        Self(Run::current().make_folder("sqlite").join("target.db"))
    }

    fn rows(&self, table: &Table) -> rusqlite::Result<Vec<Cells>> {
        let file = Connection::open_with_flags(&self.0, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        file.busy_timeout(std::time::Duration::from_secs(5))?;
        let mut statement = file.prepare(&select(table))?;
        let width = table.columns.len();
        let rows = statement.query_map([], |row| {
            (0..width).map(|i| row.get_ref(i).map(spell)).collect()
        })?;
        rows.collect()
    }
}

impl Judge for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn config(&self) -> String {
        format!(
            "plugin = 'sqlite'\noptions = {{ path = '{}', synchronous = 'off' }}",
            self.0.display()
        )
    }

    fn read<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, Result<Vec<Cells>, String>> {
        Box::pin(ready(self.rows(table).map_err(|error| error.to_string())))
    }

    fn expected(&self, base: &str, text: Option<&str>) -> Option<String> {
        let text = text?;
        Some(match base {
            "boolean" => format!("integer {}", if text == "t" { 1 } else { 0 }),
            "smallint" | "integer" | "bigint" | "oid" => format!("integer {text}"),
            "real" | "double precision" => match text.parse::<f64>() {
                Ok(0.0) => real(0.0),
                Ok(number) if !number.is_nan() => real(number),
                _ => format!("text {text}"),
            },
            "bytea" => format!("blob {text}"),
            _ => format!("text {text}"),
        })
    }
}

fn spell(value: ValueRef<'_>) -> Option<String> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(number) => format!("integer {number}"),
        ValueRef::Real(number) => real(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => format!("text {text}"),
            Err(_) => format!("text that is not UTF-8 {text:?}"),
        },
        ValueRef::Blob(bytes) => bytes.iter().fold("blob \\x".to_owned(), |mut hex, byte| {
            let _infallible = write!(hex, "{byte:02x}");
            hex
        }),
    })
}

fn real(number: f64) -> String {
    format!("real {:016x} {number:?}", number.to_bits())
}
