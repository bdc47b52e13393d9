//! Changes as lines of JSON.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;
use tahr_plugin_api::{Batch, Change, Op, Part, Row, Value, WriteError};

#[derive(Serialize)]
struct Line<'a> {
    table: String,
    op: &'static str,
    xid: u32,
    ordinal: u64,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<BTreeMap<&'a str, Cell<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<BTreeMap<&'a str, Cell<'a>>>,
}

/// A value: text, null, or `{"unchanged": true}`.
#[derive(Serialize)]
#[serde(untagged)]
enum Cell<'a> {
    Null,
    Text(&'a str),
    Hex(String),
    Unchanged { unchanged: bool },
}

/// The lines that store `batch`: one for itself, one per change.
pub(crate) fn lines(batch: &Batch) -> Result<Vec<u8>, WriteError> {
    let mut lines = Vec::new();
    let head = serde_json::json!({ "batch": {
        "part": part_name(batch.part()),
        "previous": batch.previous(),
        "position": batch.position(),
    }});
    push(&mut lines, &head)?;
    for change in batch.changes() {
        push(&mut lines, &line(&change))?;
    }
    Ok(lines)
}

/// As tests spell it.
pub(crate) fn part_name(part: Part) -> &'static str {
    match part {
        Part::Whole => "whole",
        Part::First => "first",
        Part::Middle => "middle",
        Part::Last => "last",
    }
}

pub(crate) fn push(lines: &mut Vec<u8>, line: &impl Serialize) -> Result<(), WriteError> {
    serde_json::to_writer(&mut *lines, line)
        .map_err(|error| WriteError::fatal(format!("write a line: {error}")))?;
    lines.push(b'\n');
    Ok(())
}

fn line<'a>(change: &Change<'a>) -> Line<'a> {
    let relation = change.relation();
    Line {
        table: relation.source.to_string(),
        op: match change.op() {
            Op::Insert => "insert",
            Op::Update => "update",
            Op::Delete => "delete",
            Op::Truncate => "truncate",
        },
        xid: change.xid(),
        ordinal: change.ordinal(),
        version: relation.version,
        new: change.new_row().map(|row| cells(change, row)),
        old: change.old_row().map(|row| cells(change, row)),
    }
}

fn cells<'a>(change: &Change<'a>, row: Row<'a>) -> BTreeMap<&'a str, Cell<'a>> {
    let columns = &change.relation().columns;
    let named = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !row.is_key_only() || column.in_identity);
    named
        .map(|(index, column)| (column.name.as_str(), cell(row.value(index))))
        .collect()
}

fn cell(value: Value<'_>) -> Cell<'_> {
    match value {
        Value::Null => Cell::Null,
        Value::Unchanged => Cell::Unchanged { unchanged: true },
        Value::Text(_, text) => Cell::Text(text),
        Value::Bytes(bytes) => Cell::Hex(bytes.iter().fold("\\x".to_owned(), |mut hex, byte| {
            let _infallible = write!(hex, "{byte:02x}");
            hex
        })),
    }
}
