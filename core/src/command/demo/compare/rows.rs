//! The source's rows, and the rows of a target held against them.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use tahr_postgres_connect::Session;

use super::{
    rules::{self, Found},
    table::{Table, quoted},
    verdict::Verdict,
};
use crate::{Error, command::demo::postgres::failed};

/// Between the values of a row: no PostgreSQL value has this byte.
const END: u8 = 0;

/// A row of a table in the form that is compared, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// The table's name and the primary key's values, with `:` between: what Redis calls it. The
    /// whole row where there is no primary key.
    pub(super) name: Vec<u8>,
    pub(super) values: Vec<u8>,
}

impl Row {
    /// The row of `table` with these values, in the order of its columns.
    pub(super) fn new<'a>(table: &Table, found: impl IntoIterator<Item = Found<'a>>) -> Self {
        let mut values = Vec::with_capacity(128);
        let mut ends = Vec::with_capacity(table.columns.len());
        for (column, found) in table.columns.iter().zip(found) {
            rules::push(column.kind, &found, &mut values);
            ends.push(values.len());
            values.push(END);
        }
        let mut name = Vec::with_capacity(32);
        push_escaped(table.name.as_bytes(), &mut name);
        if table.key.is_empty() {
            name.push(b':');
            name.extend_from_slice(&values);
        }
        for &column in &table.key {
            name.push(b':');
            let start = if column == 0 { 0 } else { ends[column - 1] + 1 };
            push_escaped(&values[start..ends[column]], &mut name);
        }
        Self { name, values }
    }
}

fn push_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if matches!(byte, b':' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// A row of the source.
#[derive(Debug)]
struct Entry {
    table: usize,
    number: usize,
    /// How often it is there: more than once only without a primary key.
    times: u32,
    values: Box<[u8]>,
}

/// All rows of the source.
#[derive(Debug, Default)]
pub(super) struct Rows(HashMap<Box<[u8]>, Entry>);

impl Rows {
    /// Reads `tables`.
    pub(super) async fn read(source: &Session, tables: &[Table]) -> Result<Self, Error> {
        let mut rows = Self::default();
        for (index, table) in tables.iter().enumerate() {
            for_each(source, table, |row| rows.add(index, row)).await?;
        }
        Ok(rows)
    }

    fn add(&mut self, table: usize, row: Row) {
        let number = self.0.len();
        let entry = self.0.entry(row.name.into()).or_insert_with(|| Entry {
            table,
            number,
            times: 0,
            values: row.values.into(),
        });
        entry.times += 1;
    }
}

/// Gives each row of `table` to `see`.
pub(super) async fn for_each(
    session: &Session,
    table: &Table,
    mut see: impl FnMut(Row),
) -> Result<(), Error> {
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| quoted(&column.name))
        .collect();
    let sql = format!(
        "COPY {} ({}) TO STDOUT",
        table.sql_name(),
        columns.join(", ")
    );
    let read_failed = |error| failed(&format!("read {}", table.sql_name()), &error);
    let stream = session.copy_out(&sql).await.map_err(read_failed)?;
    let mut stream = std::pin::pin!(stream);
    while let Some(line) = stream.next().await {
        let line = line.map_err(read_failed)?;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let fields: Vec<_> = line.split(|&byte| byte == b'\t').map(unescaped).collect();
        see(Row::new(
            table,
            fields
                .iter()
                .map(|field| field.as_deref().map_or(Found::Null, Found::Text)),
        ));
    }
    Ok(())
}

/// A field of COPY's text format; none for null.
fn unescaped(field: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    if field == b"\\N" {
        return None;
    }
    if !field.contains(&b'\\') {
        return Some(field.into());
    }
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'v') => 11,
                Some(&other) => other,
                None => b'\\',
            },
            byte => byte,
        });
    }
    Some(out.into())
}

/// A target's rows, as they come.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    rows: &'a Rows,
    seen: Vec<u32>,
    verdict: Verdict,
}

impl<'a> Tally<'a> {
    pub(super) fn new(target: &'static str, rows: &'a Rows) -> Self {
        Self {
            rows,
            seen: vec![0; rows.0.len()],
            verdict: Verdict::new(target),
        }
    }

    /// Compares a row of the target's.
    pub(super) fn see(&mut self, row: &Row) {
        self.verdict.compared += 1;
        match self.rows.0.get(row.name.as_slice()) {
            None => self.verdict.note(&row.name, "is not in the source"),
            Some(entry) => {
                self.seen[entry.number] += 1;
                if self.seen[entry.number] > entry.times {
                    self.verdict.note(&row.name, "is there too often");
                } else if *entry.values != *row.values {
                    self.verdict.note(&row.name, "has other values");
                }
            }
        }
    }

    /// Notes something that is wrong with what the target calls `name`.
    pub(super) fn note(&mut self, name: &[u8], what: &str) {
        self.verdict.compared += 1;
        self.verdict.note(name, what);
    }

    /// What came of it: rows of the tables that `is_copied` says the target was to have, and that
    /// did not come, are missing.
    pub(super) fn finish(mut self, is_copied: impl Fn(usize) -> bool) -> Verdict {
        for (name, entry) in &self.rows.0 {
            if is_copied(entry.table) && self.seen[entry.number] < entry.times {
                self.verdict.note(name, "is missing");
            }
        }
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::demo::compare::table::{Column, Kind};

    fn table(name: &str, key: &[usize]) -> Table {
        let column = |name: &str| Column {
            name: name.into(),
            kind: Kind::Other,
        };
        Table {
            name: name.into(),
            columns: vec![column("a"), column("b")],
            key: key.to_vec(),
        }
    }

    fn row(table: &Table, a: &str, b: Option<&str>) -> Row {
        let found = |text: Option<&'static str>| {
            text.map_or(Found::Null, |text| Found::Text(text.as_bytes()))
        };
        let leak = |text: &str| -> &'static str { text.to_owned().leak() };
        Row::new(table, [found(Some(leak(a))), found(b.map(leak))])
    }

    fn rows(all: &[(usize, Row)]) -> Rows {
        let mut rows = Rows::default();
        for (table, row) in all {
            rows.add(*table, row.clone());
        }
        rows
    }

    #[test]
    fn different_keys_have_different_names() {
        let table = table("t", &[1, 0]);
        let name = |a, b| row(&table, a, Some(b)).name;
        assert_eq!(name("b:c", "a"), b"t:a:b\\:c");
        assert_ne!(name("b:c", "a"), name("c", "a:b"));
        assert_ne!(name("\\", ":"), name(":", "\\"));
    }

    #[test]
    fn copy_lines_are_read_as_postgresql_writes_them() {
        assert_eq!(unescaped(b"\\N"), None);
        assert_eq!(unescaped(b"").as_deref(), Some(&b""[..]));
        assert_eq!(unescaped(b"\\\\N").as_deref(), Some(&b"\\N"[..]));
        assert_eq!(
            unescaped(b"a\\tb\\nc\\\\").as_deref(),
            Some(&b"a\tb\nc\\"[..])
        );
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let t = table("t", &[0]);
        let source = rows(&[(0, row(&t, "1", Some("x"))), (0, row(&t, "2", None))]);
        let verdict = |target: &[Row]| {
            let mut tally = Tally::new("x", &source);
            target.iter().for_each(|row| tally.see(row));
            tally.finish(|_| true)
        };
        let (one, two) = (row(&t, "1", Some("x")), row(&t, "2", None));
        assert!(verdict(&[two.clone(), one.clone()]).is_equal());
        for (target, expected) in [
            (vec![one.clone()], "t:2 is missing"),
            (
                vec![one.clone(), row(&t, "2", Some(""))],
                "t:2 has other values",
            ),
            (
                vec![one.clone(), two.clone(), row(&t, "3", None)],
                "t:3 is not in the source",
            ),
            (vec![one.clone(), one, two], "t:1 is there too often"),
        ] {
            let verdict = verdict(&target);
            let lines = verdict.lines().join("\n");
            assert!(!verdict.is_equal() && lines.contains(expected), "{lines}");
        }
    }

    #[test]
    fn rows_without_a_key_are_counted() {
        let t = table("t", &[]);
        let twin = row(&t, "1", None);
        let source = rows(&[(0, twin.clone()), (0, twin.clone())]);
        let times = |times: usize| {
            let mut tally = Tally::new("x", &source);
            (0..times).for_each(|_| tally.see(&twin));
            tally.finish(|_| true).is_equal()
        };
        assert_eq!([times(1), times(2), times(3)], [false, true, false]);
    }

    #[test]
    fn tables_that_a_target_does_not_get_are_not_missed() {
        let source = rows(&[(3, row(&table("t", &[0]), "1", None))]);
        assert!(
            Tally::new("x", &source)
                .finish(|table| table != 3)
                .is_equal()
        );
    }
}
