//! A folder of lines, as its readers see it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use tahr_plugin_api::{Relation, ValueKind, testing::Row};
use tempfile::TempDir;

/// Columns by name, each value with the very characters that it has in the line.
type Columns = BTreeMap<String, Box<RawValue>>;

/// What a reader needs of a line.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    op: String,
    schema: String,
    table: String,
    key: Option<Columns>,
    old: Option<Columns>,
    new: Option<Columns>,
}

/// Folders of which the newest is the target.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    made: u32,
}

impl Folder {
    pub(crate) fn new() -> Self {
        // A commit syncs three times, and the suite has thousands: in memory that costs nothing.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let mut made = Self {
            folder: folder.unwrap(),
            made: 0,
        };
        made.next();
        made
    }

    /// Goes on to an empty one.
    pub(crate) fn next(&mut self) {
        self.made += 1;
        fs::create_dir(self.path()).unwrap();
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(self.made.to_string())
    }

    /// The file of the stream that the suite calls `shop` of `main`.
    pub(crate) fn file(&self, ending: &str) -> PathBuf {
        self.path().join(format!("shop.main.{ending}"))
    }

    /// The lines that count.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let Ok(mut lines) = fs::read(self.file("jsonl")) else {
            return Vec::new();
        };
        if let Ok(state) = fs::read_to_string(self.file("state")) {
            let bytes = state.lines().next().unwrap();
            lines.truncate(bytes.parse().unwrap());
        }
        let text = String::from_utf8(lines).unwrap();
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "half a line counts"
        );
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What the lines of `relation` come to.
    pub(crate) fn rows(&self, relation: &Relation) -> Vec<Row> {
        let mut rows: Vec<(String, Columns)> = Vec::new();
        let name = |key: &Columns| format!("{key:?}");
        for line in self.lines() {
            if (&line.schema, &line.table) != (&relation.target.schema, &relation.target.table) {
                continue;
            }
            // A table without a key has whole old rows instead, and its rows are their own names.
            let is_keyless = relation.key().is_empty();
            let named_by = if is_keyless { &line.old } else { &line.key };
            // Under a deferred constraint two rows may have one key for a while: the one that was
            // there first is the one that leaves.
            let mut before = None;
            if let ("update" | "delete", Some(key)) = (line.op.as_str(), named_by) {
                let place = rows.iter().position(|(known, _)| *known == name(key));
                before = place.map(|place| rows.remove(place).1);
            }
            match line.new {
                Some(new) => {
                    let mut row = before.unwrap_or_default();
                    row.extend(new);
                    let key = row.iter().filter(|(column, _)| {
                        let index = relation.position_of(column);
                        is_keyless || index.is_some_and(|index| relation.is_in_key(index))
                    });
                    let key = key.map(|(column, value)| (column.clone(), value.clone()));
                    rows.push((name(&key.collect()), row));
                }
                None if line.op == "truncate" => rows.clear(),
                None => assert_eq!(line.op, "delete"),
            }
        }
        let cells = |(_, row): &(String, Columns)| {
            let columns = relation.columns.iter();
            columns
                .map(|column| printed(column.kind, row.get(&column.name)?))
                .collect()
        };
        rows.iter().map(cells).collect()
    }
}

/// The value as PostgreSQL prints it; none for NULL.
fn printed(kind: ValueKind, value: &RawValue) -> Option<String> {
    let json = value.get();
    match (kind, json) {
        (_, "null") => None,
        (ValueKind::Bool, "true") => Some("t".to_owned()),
        (ValueKind::Bool, "false") => Some("f".to_owned()),
        (_, json) if json.starts_with('"') => Some(serde_json::from_str(json).unwrap()),
        (ValueKind::Int | ValueKind::Float | ValueKind::Decimal | ValueKind::Json, json) => {
            Some(json.to_owned())
        }
        (kind, json) => panic!("{kind:?} is written as {json}"),
    }
}
