//! Reading the keys of a table back, for comparison with the source.
//!
//! A row is its key in Redis and what is under it, in the very bytes that would be written. Another
//! type of value makes it another row. Fields that no column has don't: those of a column that was
//! dropped in the source stay until the row is written again.

use std::collections::HashMap;

use redis::Value as Reply;
use serde_json::value::RawValue;
use tahr_plugin_api::{
    Batch, Relation, WriteError,
    read_back::{Digest, Digester, KeyName, ReadBack},
};

use crate::{
    connection::Connection,
    error,
    options::Format,
    scan::Scan,
    table::{Steps, Table, Tables},
    types,
};

/// What is put in the place of a value that is none of ours.
const STRANGE: u8 = 1;

/// What would be stored of each change of `batch`.
pub(crate) fn digests(
    batch: &Batch,
    tables: &mut Tables,
    format: Format,
) -> Result<Vec<Digest>, WriteError> {
    let steps = Steps::new(batch, tables)?;
    let mut digester = Digester::default();
    let mut text = Vec::new();
    let mut digests = Vec::with_capacity(steps.list.len());
    for step in &steps.list {
        let table = &tables.all()[step.table];
        let key = steps.new_key(step).or(steps.old_key(step));
        digester.value(true, 0, key.unwrap_or_default());
        let Some(row) = step.change.new_row() else {
            digests.push(digester.finish());
            continue;
        };
        if format == Format::Json {
            text.clear();
            for (column, label) in table.labels.iter().enumerate() {
                text.push(if column == 0 { b'{' } else { b',' });
                text.extend_from_slice(label);
                types::json(row.value(column), &mut text);
            }
            text.push(b'}');
            digester.value(false, 0, &text);
            digests.push(digester.finish());
            continue;
        }
        let mut is_empty = true;
        for &column in &table.stored {
            match types::raw(row.value(column)) {
                Some(bytes) => {
                    is_empty = false;
                    digester.value(false, 0, bytes);
                }
                None => digester.null(false),
            }
        }
        let digest = digester.finish();
        digests.push(match is_empty {
            true => digest.not_kept(),
            false => digest,
        });
    }
    Ok(digests)
}

/// What Redis holds of `relation`'s table, or what of it is under `keys`.
pub(crate) fn read_back(
    connection: &mut Connection,
    tables: &mut Tables,
    relation: &std::sync::Arc<Relation>,
    keys: Option<&Batch>,
    format: Format,
    rows: &mut ReadBack<'_>,
) -> Result<(), WriteError> {
    if let Some(keys) = keys {
        let steps = Steps::new(keys, tables)?;
        let named = steps.list.iter();
        let named = named.filter_map(|step| steps.old_key(step).or(steps.new_key(step)));
        let named: Vec<Vec<u8>> = named.map(<[u8]>::to_vec).collect();
        let number = tables.number(relation)?;
        return give(connection, &tables.all()[number], &named, format, rows);
    }
    let number = tables.number(relation)?;
    let table = &tables.all()[number];
    let mut scan = Scan::new(table.key.prefix());
    while let Some(found) = scan.next(connection)? {
        give(connection, table, &found, format, rows)?;
    }
    Ok(())
}

/// Gives what is under `keys`, all of them asked at once.
fn give(
    connection: &mut Connection,
    table: &Table,
    keys: &[Vec<u8>],
    format: Format,
    rows: &mut ReadBack<'_>,
) -> Result<(), WriteError> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut request = Vec::new();
    for key in keys {
        let mut command = redis::cmd(match format {
            Format::Hash => "HGETALL",
            _ => "GET",
        });
        command.arg(key).write_packed_command(&mut request);
    }
    connection.send(&request)?;
    let mut digester = Digester::default();
    for key in keys {
        digester.value(true, 0, key);
        let is_there = match connection.receive() {
            Ok(reply) => put(reply, table, format, &mut digester)?,
            Err(error) if error.code == "WRONGTYPE" => {
                digester.value(false, STRANGE, &[]);
                true
            }
            Err(error) => return Err(error),
        };
        let digest = digester.finish();
        if is_there {
            rows.row(digest, |name| name_of(name, table, key))?;
        }
    }
    Ok(())
}

/// Adds what is under a key; whether there is anything.
fn put(
    reply: Reply,
    table: &Table,
    format: Format,
    digester: &mut Digester,
) -> Result<bool, WriteError> {
    if format != Format::Hash {
        return match reply {
            Reply::Nil => Ok(false),
            Reply::BulkString(bytes) => {
                let known = match format {
                    Format::Json => without_more(&bytes, table),
                    _ => None,
                };
                digester.value(false, 0, known.as_deref().unwrap_or(&bytes));
                Ok(true)
            }
            _ => Err(error::strange_answer("GET")),
        };
    }
    let strange = || error::strange_answer("HGETALL");
    let bytes = |reply: Reply| match reply {
        Reply::BulkString(bytes) => Ok(bytes),
        _ => Err(strange()),
    };
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    match reply {
        Reply::Map(pairs) => {
            for (field, value) in pairs {
                fields.push((bytes(field)?, bytes(value)?));
            }
        }
        Reply::Array(list) => {
            let mut list = list.into_iter();
            while let (Some(field), Some(value)) = (list.next(), list.next()) {
                fields.push((bytes(field)?, bytes(value)?));
            }
        }
        _ => return Err(strange()),
    }
    if fields.is_empty() {
        return Ok(false);
    }
    for &column in &table.stored {
        let name = table.relation.columns[column].name.as_bytes();
        match fields.iter().find(|(field, _)| field == name) {
            Some((_, value)) => digester.value(false, 0, value),
            None => digester.null(false),
        }
    }
    Ok(true)
}

/// The columns' part of a document that has more than them.
fn without_more(text: &[u8], table: &Table) -> Option<Vec<u8>> {
    let document: HashMap<String, &RawValue> = serde_json::from_slice(text).ok()?;
    if document.len() <= table.labels.len() {
        return None;
    }
    let mut known = Vec::with_capacity(text.len());
    for (column, label) in table.relation.columns.iter().zip(&table.labels) {
        known.push(if known.is_empty() { b'{' } else { b',' });
        known.extend_from_slice(label);
        known.extend_from_slice(document.get(&column.name)?.get().as_bytes());
    }
    known.push(b'}');
    Some(known)
}

fn name_of(name: &mut KeyName<'_>, table: &Table, key: &[u8]) {
    let values = table.key.parse(key).unwrap_or_default();
    for column in table.relation.key() {
        let value = values.iter().find(|(of, _)| *of == column);
        match value.and_then(|(_, text)| std::str::from_utf8(text).ok()) {
            Some(text) => name.text(text),
            None => name.null(),
        }
    }
}
