//! Reading the target back, for comparison with the source.
//!
//! Both databases print a value of one type alike, so texts are compared. Where the target's column
//! has another type, the target itself is asked how it prints what it would be given.

use std::{collections::HashMap, pin::pin, sync::Arc};

use futures_util::StreamExt as _;
use tahr_plugin_api::{
    Batch, Relation, Row, Value, WriteError,
    read_back::{Digest, Digester, KeyName, ReadBack},
};
use tokio_postgres::{Client, Error};

use crate::{
    catalog::Existing,
    error::{explain, is_about_rows},
    parameter::{Parameter, put_hex},
    statements::literal,
    table::Table,
    target::Target,
};

/// Keys that are looked up by one statement.
const KEYS: usize = 500;

/// The form of a value of the source that the column can't hold; nothing stored has it.
const UNFIT: u8 = 1;

/// What the target makes of a value.
#[derive(Debug)]
enum Printed {
    As(Option<String>),
    /// It can't hold it.
    Unfit,
}

/// A relation's table, as it is now.
#[derive(Debug)]
pub(crate) struct Reading {
    table: Table,
    /// Per column of the relation, the type of the target's column.
    types: Vec<String>,
    /// Per column of `table.written`, whether the target may print its values in another way.
    is_other: Vec<bool>,
    in_key: Vec<bool>,
}

/// Whether every value of the type `from` is printed the same by the type `to`.
fn prints_alike(from: &str, to: &str) -> bool {
    let is_int = |name: &str| ["smallint", "integer", "bigint"].contains(&name);
    from == to || (is_int(from) && is_int(to)) || to == "text" || to == "character varying"
}

impl Reading {
    async fn new(client: &Client, relation: &Arc<Relation>) -> Result<Self, WriteError> {
        let name = relation.target.to_string();
        let found = Existing::find(client, &relation.target).await;
        let existing = found
            .map_err(|error| explain(&error, &format!("table \"{name}\"")))?
            .ok_or_else(|| {
                WriteError::rejected(format!("table \"{name}\" does not exist")).table(&name)
            })?;
        let mut types = Vec::with_capacity(relation.columns.len());
        for column in &relation.columns {
            let found = existing.column(&column.name).ok_or_else(|| {
                let column = &column.name;
                let missing = format!("column \"{column}\" of table \"{name}\" does not exist");
                WriteError::rejected(missing).table(&name).column(column)
            })?;
            types.push(found.type_name.clone());
        }
        let table = Table::new(relation, &existing, false);
        let other =
            |&index: &usize| !prints_alike(&relation.columns[index].type_name, &types[index]);
        Ok(Self {
            is_other: table.written.iter().map(other).collect(),
            in_key: table
                .written
                .iter()
                .map(|index| table.key.contains(index))
                .collect(),
            types,
            table,
        })
    }

    fn failed(&self, error: &Error) -> WriteError {
        let name = &self.table.relation.target;
        explain(error, &format!("read table \"{name}\"")).table(name.to_string())
    }

    /// What the target would print of each change's values in the columns that it prints in another
    /// way; by position in `table.written`.
    async fn printed(
        &self,
        client: &Client,
        batch: &Batch,
    ) -> Result<HashMap<usize, Vec<Printed>>, WriteError> {
        let mut printed = HashMap::new();
        for (place, _) in self.is_other.iter().enumerate().filter(|(_, is)| **is) {
            let index = self.table.written[place];
            let texts = batch.changes().map(|change| {
                let row = change.new_row().or(change.old_row())?;
                let is_there = !row.is_key_only() || self.in_key[place];
                is_there.then(|| text_of(row.value(index)))?
            });
            let texts: Vec<Option<String>> = texts.collect();
            let sql = format!(
                "SELECT CASE WHEN v IS NOT NULL THEN pg_catalog.format('%s', v::{}) END \
                 FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS u(v, n) ORDER BY n",
                self.types[index]
            );
            printed.insert(place, self.print(client, &sql, &texts).await?);
        }
        Ok(printed)
    }

    /// What `sql` makes of each of `texts`, some of which the column may not be able to hold.
    async fn print(
        &self,
        client: &Client,
        sql: &str,
        texts: &[Option<String>],
    ) -> Result<Vec<Printed>, WriteError> {
        let mut printed = Vec::with_capacity(texts.len());
        let mut open = vec![texts];
        while let Some(texts) = open.pop() {
            match client.query(sql, &[&texts]).await {
                Ok(rows) => printed.extend(rows.iter().map(|row| Printed::As(row.get(0)))),
                Err(error) if is_about_rows(&error) => match texts {
                    [] | [_] => printed.push(Printed::Unfit),
                    _ => {
                        let (one, two) = texts.split_at(texts.len() / 2);
                        open.extend([two, one]);
                    }
                },
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(printed)
    }

    /// The statement that prints the table, or its rows under these keys.
    fn copy(&self, keys: Option<&[Row<'_>]>) -> String {
        let table = &self.table;
        let columns: Vec<String> = (table.written.iter())
            .map(|&index| format!("t.{}", table.quoted(index)))
            .collect();
        let columns = columns.join(", ");
        let name = &table.name;
        let Some(keys) = keys else {
            return format!("COPY (SELECT {columns} FROM {name} t) TO STDOUT");
        };
        let rows: Vec<String> = keys
            .iter()
            .map(|row| {
                let values = table.key.iter().map(|&index| {
                    let text = text_of(row.value(index));
                    let text = text.map_or_else(|| "NULL".to_owned(), |text| literal(&text));
                    format!("{text}::{}", self.types[index])
                });
                format!("({})", values.collect::<Vec<_>>().join(", "))
            })
            .collect();
        let names: Vec<String> = (0..table.key.len())
            .map(|place| format!("k{place}"))
            .collect();
        let same = table.same_key(|name| format!("t.{name}"), |place, _| format!("v.k{place}"));
        format!(
            "COPY (SELECT {columns} FROM (VALUES {}) v({}) JOIN {name} t ON {same}) TO STDOUT",
            rows.join(", "),
            names.join(", ")
        )
    }

    /// Gives what `statement` prints.
    async fn give(
        &self,
        client: &Client,
        statement: &str,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        let failed = |error| self.failed(&error);
        let mut lines = pin!(client.copy_out(statement).await.map_err(failed)?);
        let mut digester = Digester::default();
        let mut values: Vec<Option<Vec<u8>>> = vec![None; self.in_key.len()];
        while let Some(chunk) = lines.next().await {
            let chunk = chunk.map_err(failed)?;
            for line in chunk.split_inclusive(|&byte| byte == b'\n') {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let mut scratch = Vec::new();
                for (place, field) in line.split(|&byte| byte == b'\t').enumerate() {
                    let Some(&in_key) = self.in_key.get(place) else {
                        break;
                    };
                    if field == b"\\N" {
                        digester.null(in_key);
                    } else {
                        digester.value(in_key, 0, unescape(field, &mut scratch));
                    }
                    if in_key {
                        values[place] =
                            (field != b"\\N").then(|| unescape(field, &mut scratch).to_vec());
                    }
                }
                rows.row(digester.finish(), |name| self.name(&values, name))?;
            }
        }
        Ok(())
    }

    fn name(&self, values: &[Option<Vec<u8>>], name: &mut KeyName<'_>) {
        for index in &self.table.key {
            let place = self
                .table
                .written
                .iter()
                .position(|written| written == index);
            match place.and_then(|place| values[place].as_deref()) {
                Some(text) => name.text(&String::from_utf8_lossy(text)),
                None => name.null(),
            }
        }
    }
}

impl Target {
    async fn reading(&mut self, relation: &Arc<Relation>) -> Result<Arc<Reading>, WriteError> {
        if let Some(reading) = self.readings.get(&relation.version) {
            return Ok(Arc::clone(reading));
        }
        let reading = Arc::new(Reading::new(&self.session.client, relation).await?);
        self.readings.insert(relation.version, Arc::clone(&reading));
        Ok(reading)
    }

    /// See [`Writer::digests`](tahr_plugin_api::Writer::digests).
    pub(crate) async fn digests(&mut self, batch: &Batch) -> Result<Vec<Digest>, WriteError> {
        let Some(first) = batch.changes().next() else {
            return Ok(Vec::new());
        };
        let reading = self.reading(first.relation()).await?;
        let printed = reading.printed(&self.session.client, batch).await?;
        let mut digests = Vec::new();
        let mut digester = Digester::default();
        let mut hex = bytes::BytesMut::new();
        for (number, change) in batch.changes().enumerate() {
            let Some(row) = change.new_row().or(change.old_row()) else {
                digests.push(Digest::default());
                continue;
            };
            for (place, &index) in reading.table.written.iter().enumerate() {
                let in_key = reading.in_key[place];
                if row.is_key_only() && !in_key {
                    continue;
                }
                let kind = reading.table.relation.columns[index].kind;
                let other = printed.get(&place).and_then(|texts| texts.get(number));
                match (other, Parameter::new(row.value(index), kind)) {
                    (Some(Printed::As(Some(text))), _) => {
                        digester.value(in_key, 0, text.as_bytes());
                    }
                    (Some(Printed::As(None)), _) | (None, Parameter::Null) => digester.null(in_key),
                    (Some(Printed::Unfit), _) => {
                        let text = text_of(row.value(index)).unwrap_or_default();
                        digester.value(in_key, UNFIT, text.as_bytes());
                    }
                    (None, Parameter::Text(text)) => digester.value(in_key, 0, text.as_bytes()),
                    (None, Parameter::Raw(text)) => digester.value(in_key, 0, text),
                    (None, Parameter::Bytes(bytes)) => {
                        hex.clear();
                        hex.extend_from_slice(b"\\x");
                        put_hex(bytes, &mut hex);
                        digester.value(in_key, 0, &hex);
                    }
                }
            }
            digests.push(digester.finish());
        }
        Ok(digests)
    }

    /// See [`Writer::read_back`](tahr_plugin_api::Writer::read_back).
    pub(crate) async fn read_back(
        &mut self,
        relation: &Arc<Relation>,
        keys: Option<&Batch>,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        let reading = self.reading(relation).await?;
        let client = &self.session.client;
        let Some(keys) = keys else {
            return reading.give(client, &reading.copy(None), rows).await;
        };
        let keys: Vec<Row<'_>> = keys
            .changes()
            .filter_map(|change| change.old_row().or(change.new_row()))
            .collect();
        let mut open: Vec<_> = keys.chunks(KEYS).rev().collect();
        while let Some(keys) = open.pop() {
            let statement = reading.copy(Some(keys));
            match reading.give(client, &statement, rows).await {
                // One of them is none that the column can hold, so it isn't there. Others may come
                // twice.
                Err(error) if error.code.starts_with("22") || error.code.starts_with("23") => {
                    if keys.len() > 1 {
                        let (one, two) = keys.split_at(keys.len() / 2);
                        open.extend([two, one]);
                    }
                }
                given => given?,
            }
        }
        Ok(())
    }
}

/// PostgreSQL's text of a value.
fn text_of(value: Value<'_>) -> Option<String> {
    match value {
        Value::Null | Value::Unchanged => None,
        Value::Text(_, text) => Some(text.to_owned()),
        Value::Bytes(bytes) => {
            let mut text = bytes::BytesMut::from(&b"\\x"[..]);
            put_hex(bytes, &mut text);
            Some(String::from_utf8_lossy(&text).into_owned())
        }
    }
}

/// A value of `COPY`'s text format as it was.
fn unescape<'a>(field: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if !field.contains(&b'\\') {
        return field;
    }
    scratch.clear();
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        scratch.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(&other) => other,
                None => b'\\',
            },
            byte => byte,
        });
    }
    scratch
}
