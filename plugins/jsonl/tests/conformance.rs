//! The conformance suite on real files.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{json, value::RawValue};
use tahr_jsonl::JsonLines;
use tahr_plugin_api::{
    Column, Relation, Simple, ValueKind,
    testing::{Row, Subject, conformance},
};
use tempfile::TempDir;

/// Columns by name, each value in the very characters that it has in the line.
type Columns = BTreeMap<String, Box<RawValue>>;

/// What a reader needs of a line.
#[derive(serde::Deserialize)]
struct Line {
    op: String,
    schema: String,
    table: String,
    key: Option<Columns>,
    old: Option<Columns>,
    new: Option<Columns>,
}

/// Folders, of which the last is the target.
struct Folders {
    all: TempDir,
    made: u32,
}

impl Folders {
    /// A file of the stream that the suite sends: sync `shop` from source `main`.
    fn file(&self, ending: &str) -> PathBuf {
        let name = format!("{}/shop.main.{ending}", self.made);
        self.all.path().join(name)
    }

    /// The lines that count.
    fn lines(&self) -> Vec<Line> {
        let mut lines = fs::read(self.file("jsonl")).unwrap_or_default();
        if let Ok(state) = fs::read_to_string(self.file("state")) {
            lines.truncate(state.lines().next().unwrap().parse().unwrap());
        }
        let lines = String::from_utf8(lines).unwrap();
        let parse = |line: &str| serde_json::from_str(line).unwrap();
        lines.lines().map(parse).collect()
    }
}

impl Subject for Folders {
    fn fresh(&mut self) -> serde_json::Value {
        self.made += 1;
        let folder = self.all.path().join(self.made.to_string());
        fs::create_dir(&folder).unwrap();
        json!({ "folder": folder })
    }

    /// What the lines of a table come to.
    fn rows(&mut self, relation: &Relation) -> Vec<Row> {
        let mut rows: Vec<(String, Columns)> = Vec::new();
        // The rows of a table without a key are named by all that they hold.
        let is_keyless = relation.key().is_empty();
        let is_name =
            |column: &str| is_keyless || relation.is_in_key(relation.position_of(column).unwrap());
        let name = |row: &Columns| {
            let named_by = row.iter().filter(|(column, _)| is_name(column));
            format!("{:?}", named_by.collect::<Vec<_>>())
        };
        let table = &relation.target;
        for line in self.lines() {
            if (&line.schema, &line.table) != (&table.schema, &table.table) {
                continue;
            }
            let mut row = Columns::new();
            if line.op == "truncate" {
                rows.clear();
            } else if line.op != "insert" {
                let before = name(&line.old.or(line.key).unwrap());
                let known = rows.iter().position(|(name, _)| *name == before);
                row = known.map(|place| rows.remove(place).1).unwrap_or_default();
            }
            if let Some(new) = line.new {
                row.extend(new);
                rows.push((name(&row), row));
            }
        }
        let row = |(_, row): &(String, Columns)| {
            let columns = relation.columns.iter();
            let cell = |column: &Column| printed(column.kind, row.get(&column.name)?.get());
            columns.map(cell).collect()
        };
        rows.iter().map(row).collect()
    }

    fn reads_back(&self, column: &Column, value: &str) -> Option<String> {
        // The documented rule.
        Some(match column.type_name.as_str() {
            "json" => value.replace('\n', " "),
            _ => value.to_owned(),
        })
    }

    fn has_bookkeeping(&mut self) -> bool {
        self.file("state").exists() || self.file("new").exists()
    }
}

/// The value as PostgreSQL prints it; none for NULL.
fn printed(kind: ValueKind, json: &str) -> Option<String> {
    match (kind, json) {
        (_, "null") => None,
        (ValueKind::Bool, "true") => Some("t".to_owned()),
        (ValueKind::Bool, "false") => Some("f".to_owned()),
        (_, json) if json.starts_with('"') => Some(serde_json::from_str(json).unwrap()),
        (_, json) => Some(json.to_owned()),
    }
}

#[test]
fn a_folder_of_lines_keeps_every_promise_of_a_writer() {
    // A commit syncs three times, and the suite has thousands: in memory that costs nothing.
    let all = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let mut folders = Folders {
        all: all.unwrap(),
        made: 0,
    };
    let report = conformance::run::<Simple<JsonLines>>(&mut folders);
    let skipped = report.skipped.iter().map(|(case, _)| case.as_str());
    assert_eq!(
        skipped.collect::<Vec<_>>(),
        [
            // Nothing in a file could refuse a line.
            "an error in the middle stores nothing",
            "the lane goes on after an error",
            "an error in a part stores nothing of it",
            // Nor are there rows of others, or loaders.
            "a fresh copy refuses rows of others",
            "a copy runs beside the stream",
        ]
    );
}
