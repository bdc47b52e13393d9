//! What must be known of the target before a batch can be planned: little, and seldom.
//!
//! A row that moves may leave values behind that the source did not send, and may take a key that
//! another row has not left yet; a document can only be changed whole. All of it is read ahead of
//! the script, whose check of the checkpoint then proves that no other engine wrote in between.

use std::collections::HashMap;

use redis::Value as Reply;
use serde_json::value::RawValue;
use tahr_plugin_api::{Op, Row, Value, WriteError};

use crate::{
    connection::Connection,
    error,
    options::Format,
    table::{Step, Steps, Table, value},
};

/// A row as the target holds it: per column its bytes in a hash, its JSON in a document.
pub(crate) type Held = Vec<Option<Vec<u8>>>;

/// What was read, by key.
#[derive(Default)]
pub(crate) struct Reads {
    is_document: bool,
    exist: HashMap<Vec<u8>, bool>,
    held: HashMap<Vec<u8>, Option<Held>>,
}

impl Reads {
    /// Whether the target holds a row under `key`, which an update moves a row to.
    pub(crate) fn exists(&self, key: &[u8]) -> bool {
        self.exist.get(key).copied().unwrap_or(false)
    }

    /// The row that the target holds under `key`.
    pub(crate) fn held(&self, key: &[u8]) -> Option<&Held> {
        self.held.get(key)?.as_ref()
    }

    /// Whether a row is one document, which can't be changed in part.
    pub(crate) fn is_document(&self) -> bool {
        self.is_document
    }

    /// Reads what `steps` need, in one round trip; most often nothing.
    pub(crate) fn new(
        steps: &Steps<'_>,
        tables: &[Table],
        format: Format,
        connection: &mut Connection,
    ) -> Result<Self, WriteError> {
        let mut asked = Vec::new();
        let mut request = Vec::new();
        for step in &steps.list {
            let table = &tables[step.table];
            let (Op::Update, Some(row), Some(new)) =
                (step.change.op(), step.change.new_row(), steps.new_key(step))
            else {
                continue;
            };
            let old = steps.old_key(step).filter(|old| *old != new);
            if old.is_some() {
                asked.push((step, new, false));
                redis::cmd("EXISTS")
                    .arg(new)
                    .write_packed_command(&mut request);
            }
            let is_partial = is_partial(table, row, step);
            let from = old.or_else(|| (format == Format::Json).then_some(new));
            if let (true, Some(from)) = (is_partial, from) {
                asked.push((step, from, true));
                let mut command = redis::cmd(if format == Format::Hash {
                    "HMGET"
                } else {
                    "GET"
                });
                command.arg(from);
                if format == Format::Hash {
                    for column in &table.relation.columns {
                        command.arg(&column.name);
                    }
                }
                command.write_packed_command(&mut request);
            }
        }
        let mut reads = Self {
            is_document: format == Format::Json,
            ..Self::default()
        };
        if asked.is_empty() {
            return Ok(reads);
        }
        connection.send(&request)?;
        for (step, key, is_row) in asked {
            let reply = connection.receive()?;
            if is_row {
                let held = held(reply, &tables[step.table], format)?;
                reads.held.insert(key.to_vec(), held);
            } else {
                reads.exist.insert(key.to_vec(), reply == Reply::Int(1));
            }
        }
        Ok(reads)
    }
}

/// Whether the update leaves out a column that is stored.
pub(crate) fn is_partial(table: &Table, row: Row<'_>, step: &Step<'_>) -> bool {
    let old = step.change.old_row();
    let mut stored = table.stored.iter();
    stored.any(|&column| value(row, old, column) == Value::Unchanged)
}

fn held(reply: Reply, table: &Table, format: Format) -> Result<Option<Held>, WriteError> {
    let bytes = |reply: Reply| match reply {
        Reply::BulkString(bytes) => Ok(Some(bytes)),
        Reply::Nil => Ok(None),
        _ => Err(error::strange_answer("HMGET")),
    };
    if let (Format::Hash, Reply::Array(fields)) = (format, &reply) {
        let fields = fields.iter().cloned().map(bytes);
        let held: Held = fields.collect::<Result<_, _>>()?;
        return Ok(held.iter().any(Option::is_some).then_some(held));
    }
    let Some(text) = bytes(reply)? else {
        return Ok(None);
    };
    let columns = &table.relation.columns;
    if format == Format::String {
        let mut held = vec![None; columns.len()];
        held[table.stored[0]] = Some(text);
        return Ok(Some(held));
    }
    // Taken apart without reading the numbers in it. What is not a document of ours has nothing to keep.
    let Ok(document) = serde_json::from_slice::<HashMap<String, &RawValue>>(&text) else {
        return Ok(None);
    };
    let held = columns.iter().map(|column| {
        let value = document.get(&column.name)?;
        Some(value.get().as_bytes().to_vec())
    });
    Ok(Some(held.collect()))
}
