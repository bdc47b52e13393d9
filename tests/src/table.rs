//! Tables as text, to be compared row by row.

use std::fmt::Write as _;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::database::{Database, Row};
use crate::mongodb::MongoDatabase;
use crate::oracle::OracleStandIn;
use crate::redis::RedisDatabase;

/// How many differences a report shows.
const SHOWN: usize = 10;

/// The rows of a table or a query as text, sorted; a missing value is `None`.
///
/// Every database spells values in its own way; a test casts in its query where they differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows(Vec<Row>);

impl Rows {
    /// Rows from anywhere.
    pub fn new(mut rows: Vec<Row>) -> Self {
        rows.sort_unstable();
        Self(rows)
    }

    /// What a query on PostgreSQL answers, or the server's error.
    pub async fn postgres(database: &Database, query: &str) -> Result<Self, String> {
        database.try_query(query).await.map(Self::new)
    }

    /// What a query on an SQLite file answers, or SQLite's error. Bytes are written as PostgreSQL
    /// writes them, in hex.
    pub fn sqlite(file: &Path, query: &str) -> Result<Self, String> {
        let read = || -> rusqlite::Result<Vec<Row>> {
            let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            let mut statement = connection.prepare(query)?;
            let width = statement.column_count();
            let row =
                |row: &rusqlite::Row<'_>| (0..width).map(|i| row.get_ref(i).map(text)).collect();
            statement.query_map([], row)?.collect()
        };
        read()
            .map(Self::new)
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    /// What a query on MySQL or MariaDB answers, or the server's error. Bytes are written as PostgreSQL
    /// writes them, in hex.
    pub async fn mysql(url: &str, query: &str) -> Result<Self, String> {
        crate::maria_database::query(url, query)
            .await
            .map(Self::new)
    }

    /// The hashes whose keys start with `prefix`, with the named fields in this order; an absent
    /// field is a missing value.
    pub fn redis(database: &RedisDatabase, prefix: &str, fields: &[&str]) -> Result<Self, String> {
        database.hashes(prefix, fields).map(Self::new)
    }

    /// The documents of a collection, with the named fields in this order; null and absent are missing
    /// values. Arrays and documents are written as PostgreSQL writes `jsonb`.
    pub fn mongodb(
        database: &MongoDatabase,
        collection: &str,
        fields: &[&str],
    ) -> Result<Self, String> {
        database.rows(collection, fields).map(Self::new)
    }

    /// What a query on an Oracle database answers, or the server's error, as the `oracle` crate writes
    /// it.
    pub fn oracle(database: &OracleStandIn, query: &str) -> Result<Self, String> {
        database.try_query(query).map(Self::new)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Ok` if `actual` holds the same rows, each as often; else the first differences, readably.
    /// Made for [`eventually`](crate::eventually).
    pub fn same_as(&self, actual: &Self) -> Result<(), String> {
        let (mut expected, mut found) = (self.0.iter().peekable(), actual.0.iter().peekable());
        let (mut missing, mut surplus) = (Vec::new(), Vec::new());
        loop {
            match (expected.peek(), found.peek()) {
                (None, None) => break,
                (Some(left), Some(right)) if left == right => {
                    expected.next();
                    found.next();
                }
                (Some(left), right) if right.is_none_or(|right| left < right) => {
                    missing.extend(expected.next());
                }
                _ => surplus.extend(found.next()),
            }
        }
        if missing.is_empty() && surplus.is_empty() {
            return Ok(());
        }
        let mut report = format!(
            "{} rows expected, {} found; {} missing, {} surplus",
            self.len(),
            actual.len(),
            missing.len(),
            surplus.len()
        );
        for (sign, rows) in [('-', missing), ('+', surplus)] {
            for row in rows.iter().take(SHOWN) {
                let _infallible = write!(report, "\n{sign} {}", line(row));
            }
        }
        Err(report)
    }

    /// Panics with the differences unless `actual` holds the same rows.
    #[track_caller]
    pub fn assert_same(&self, actual: &Self) {
        if let Err(report) = self.same_as(actual) {
            panic!("{report}");
        }
    }
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Some(bytes.iter().fold("\\x".to_owned(), |mut hex, byte| {
            let _infallible = write!(hex, "{byte:02x}");
            hex
        })),
    }
}

/// One row on a line, each value cut where it gets too long to read.
fn line(row: &Row) -> String {
    let cell = |cell: &Option<String>| match cell {
        None => "NULL".to_owned(),
        Some(text) if text.chars().count() > 60 => {
            format!(
                "{:?}…({} bytes)",
                text.chars().take(60).collect::<String>(),
                text.len()
            )
        }
        Some(text) => format!("{text:?}"),
    };
    row.iter().map(cell).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::Rows;

    fn rows(rows: &[&[Option<&str>]]) -> Rows {
        let own = |row: &&[Option<&str>]| row.iter().map(|cell| cell.map(str::to_owned)).collect();
        Rows::new(rows.iter().map(own).collect())
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let left = rows(&[&[Some("1"), None], &[Some("2"), Some("x")]]);
        let right = rows(&[&[Some("2"), Some("x")], &[Some("1"), None]]);
        assert_eq!(left.same_as(&right), Ok(()));
    }

    #[test]
    fn differences_are_named_on_both_sides() {
        let left = rows(&[&[Some("1")], &[Some("2")], &[Some("4")]]);
        let right = rows(&[&[Some("1")], &[Some("3")], &[Some("4")], &[None]]);
        assert_eq!(
            left.same_as(&right).unwrap_err(),
            "3 rows expected, 4 found; 1 missing, 2 surplus\n- \"2\"\n+ NULL\n+ \"3\""
        );
    }

    #[test]
    fn a_row_that_comes_twice_differs_from_one_that_comes_once() {
        let left = rows(&[&[Some("1")]]);
        let right = rows(&[&[Some("1")], &[Some("1")]]);
        assert!(left.same_as(&right).is_err());
    }
}
