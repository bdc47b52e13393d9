//! The writer of the documentation keeps every promise.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use tahr_plugin_api::{
    Column, Relation,
    testing::{Row, Subject, conformance},
};
use tempfile::TempDir;

#[path = "../examples/json_lines.rs"]
#[allow(
    unreachable_pub,
    reason = "it is the root of a library where it belongs"
)]
mod json_lines;

struct Folder {
    folder: TempDir,
    made: u32,
}

impl Folder {
    fn path(&self) -> PathBuf {
        self.folder.path().join(self.made.to_string())
    }

    /// The lines that are committed.
    fn lines(&self) -> Vec<Value> {
        let Ok(mut lines) = fs::read(self.path().join("shop.main.jsonl")) else {
            return Vec::new();
        };
        if let Ok(text) = fs::read(self.path().join("shop.main.checkpoint")) {
            let stored: Value = serde_json::from_slice(&text).unwrap();
            lines.truncate(usize::try_from(stored["bytes"].as_u64().unwrap()).unwrap());
        }
        let text = String::from_utf8(lines).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// What the lines of `relation` come to: the columns of each row.
fn replay(relation: &Relation, lines: &[Value]) -> Vec<Value> {
    let key = relation.key();
    let columns = |indexes: Vec<usize>| -> Vec<&str> {
        indexes
            .into_iter()
            .map(|index| &*relation.columns[index].name)
            .collect()
    };
    let named_by = match key.is_empty() {
        true => columns((0..relation.columns.len()).collect()),
        false => columns(key),
    };
    let name = |row: &Value| -> String {
        named_by
            .iter()
            .map(|&column| row[column].to_string() + " ")
            .collect()
    };
    let mut rows: Vec<(String, Value)> = Vec::new();
    // Under a deferred constraint two rows may have one key for a while: the one that was there
    // first is the one that leaves.
    let take = |rows: &mut Vec<(String, Value)>, row: &Value| {
        let name = name(row);
        let place = rows.iter().position(|(known, _)| *known == name)?;
        Some(rows.remove(place).1)
    };
    let table = json!(relation.target);
    for line in lines.iter().filter(|line| line["table"] == table) {
        let (old, new) = (&line["old"], &line["new"]);
        match line["op"].as_str().unwrap() {
            "insert" => rows.push((name(new), new.clone())),
            "update" => {
                let old = if old.is_null() { new } else { old };
                let mut row = take(&mut rows, old).unwrap_or_else(|| json!({}));
                for (column, value) in new.as_object().unwrap() {
                    row[column] = value.clone();
                }
                rows.push((name(&row), row));
            }
            "delete" => drop(take(&mut rows, old)),
            "truncate" => rows.clear(),
            op => panic!("{op}"),
        }
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

fn printed(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(bytes) => {
            let digits = bytes
                .iter()
                .map(|byte| format!("{:02x}", byte.as_u64().unwrap()));
            Some(format!("\\x{}", digits.collect::<String>()))
        }
        value => Some(value.as_str().unwrap().to_owned()),
    }
}

impl Subject for Folder {
    fn fresh(&mut self) -> Value {
        self.made += 1;
        fs::create_dir(self.path()).unwrap();
        json!({ "folder": self.path() })
    }

    fn rows(&mut self, relation: &Relation) -> Vec<Row> {
        let rows = replay(relation, &self.lines());
        let cells = |row: &Value| {
            let cell = |column: &Column| printed(&row[&*column.name]);
            relation.columns.iter().map(cell).collect()
        };
        rows.iter().map(cells).collect()
    }

    fn has_bookkeeping(&mut self) -> bool {
        fs::read_dir(self.path()).unwrap().any(|entry| {
            let name = entry.unwrap().file_name();
            let name = name.to_string_lossy();
            name.ends_with(".checkpoint") || name.ends_with(".load")
        })
    }
}

#[test]
fn the_writer_of_the_documentation_keeps_every_promise() {
    // It syncs each commit, and the suite has thousands: in memory that costs nothing.
    let folder = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let report = conformance::run::<json_lines::JsonLines>(&mut Folder { folder, made: 0 });
    let skipped: Vec<_> = report
        .skipped
        .iter()
        .map(|(case, _)| case.as_str())
        .collect();
    // There is nothing in a file that could refuse a line, and no rows but its own.
    let errors = [
        "an error in the middle stores nothing",
        "the lane goes on after an error",
        "an error in a part stores nothing of it",
        "a fresh copy refuses rows of others",
    ];
    assert_eq!(skipped, errors);
}

#[test]
fn the_guide_shows_the_same_writer() {
    let guide = include_str!("../../docs/writing-a-plugin.md");
    assert!(guide.contains(include_str!("../examples/json_lines.rs")));
}
