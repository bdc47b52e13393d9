//! Reading the target back, for comparison with the source.
//!
//! Values are compared as what they are: numbers without the zeros that a column's scale adds, times
//! without those of its precision, floats bit by bit. A `JSON` column, in which MySQL spells documents
//! its own way, is not compared.

use std::{collections::HashSet, sync::Arc};

use mysql_async::{Error, Row, Value as Held, prelude::Queryable as _};
use tahr_plugin_api::{
    Batch, Relation, Row as SourceRow, Value, WriteError,
    read_back::{Digest, Digester, KeyName, ReadBack},
};

use crate::{
    catalog::Existing,
    error::explain,
    holds::Holds,
    names::{column_name, table_name},
    statements::put_key,
    table::Table,
    target::Target,
    types::Form,
    value::{Counts, Fitted},
};

/// Keys that are looked up by one statement.
const KEYS: usize = 500;

/// What a value that is none of the column's kind is told by.
const STRANGE: u8 = 1;
/// What a value of the source that the column can't hold is told by; nothing stored is.
const UNFIT: u8 = 2;

/// A relation's table, as it is now.
#[derive(Debug)]
pub(crate) struct Reading {
    table: Arc<Table>,
    /// Per written column, whether it is compared.
    is_compared: Vec<bool>,
    in_key: Vec<bool>,
}

impl Reading {
    fn failed(&self, error: &Error) -> WriteError {
        let name = &self.table.name;
        explain(error, &format!("read table {name:?}")).table(name)
    }

    fn select(&self) -> String {
        let table = &self.table;
        let columns = table.written.iter();
        let columns = columns.map(|&index| table.columns[index].quoted.as_str());
        let columns: Vec<&str> = columns.collect();
        format!("SELECT {} FROM {}", columns.join(","), table.quoted)
    }

    /// The condition that names the rows under `keys`; none where the columns can't hold any of them.
    fn under(&self, keys: &[SourceRow<'_>]) -> Option<String> {
        let table = &self.table;
        let is_single = table.key.len() == 1;
        let mut sql = Vec::new();
        for row in keys {
            let end = sql.len();
            if end > 0 {
                sql.extend_from_slice(if is_single { b"," } else { b" OR " });
            }
            let value = |index| row.value(index);
            if put_key(&mut sql, table, value, &mut Counts::default()).is_err() {
                sql.truncate(end);
            }
        }
        if sql.is_empty() {
            return None;
        }
        let sql = String::from_utf8_lossy(&sql);
        Some(match (is_single, table.key.first()) {
            (true, Some(&only)) => format!(" WHERE {} IN ({sql})", table.columns[only].quoted),
            _ => format!(" WHERE {sql}"),
        })
    }

    /// What would be stored of a row.
    fn expected(&self, row: SourceRow<'_>, digester: &mut Digester) -> Digest {
        for (place, &index) in self.table.written.iter().enumerate() {
            let in_key = self.in_key[place];
            if row.is_key_only() && !in_key || !self.is_compared[place] {
                continue;
            }
            let form = self.table.columns[index].form;
            let value = row.value(index);
            match self.table.fit(index, value, &mut Counts::default()) {
                Ok(Fitted::Null) => digester.null(in_key),
                Ok(Fitted::Number(text) | Fitted::Float(text) | Fitted::Text(text)) => {
                    put(digester, in_key, form, text.as_bytes());
                }
                Ok(Fitted::Bytes(bytes)) => put(digester, in_key, form, bytes),
                Ok(Fitted::Hex(bytes)) => put(digester, in_key, form, hex(bytes).as_bytes()),
                Err(_) => digester.value(in_key, UNFIT, bytes_of(value)),
            }
        }
        digester.finish()
    }

    /// A row as the target has it.
    fn held(&self, row: &Row, digester: &mut Digester) -> Digest {
        for (place, &index) in self.table.written.iter().enumerate() {
            if !self.is_compared[place] {
                continue;
            }
            let form = self.table.columns[index].form;
            let in_key = self.in_key[place];
            match row.as_ref(place) {
                Some(Held::Bytes(bytes)) => put(digester, in_key, form, bytes),
                Some(Held::NULL) | None => digester.null(in_key),
                // The text protocol has no others.
                Some(_) => digester.value(in_key, STRANGE, &[]),
            }
        }
        digester.finish()
    }

    fn name(&self, row: &Row, name: &mut KeyName<'_>) {
        for index in &self.table.key {
            let place = self.table.written.iter().position(|of| of == index);
            let held = place.and_then(|place| row.as_ref(place));
            let column = &self.table.columns[*index];
            match held {
                Some(Held::Bytes(bytes)) if column.form == Form::Bytes => name.bytes(bytes),
                Some(Held::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                    Ok(text) => name.text(text),
                    Err(_) => name.null(),
                },
                _ => name.null(),
            }
        }
    }
}

/// What tells a value from others of its column.
fn bytes_of(value: Value<'_>) -> &[u8] {
    match value {
        Value::Null | Value::Unchanged => &[],
        Value::Text(_, text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
    }
}

/// Adds a value by its form, as text.
fn put(digester: &mut Digester, in_key: bool, form: Form, text: &[u8]) {
    let plain = match form {
        Form::Float => {
            let number = std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok());
            let Some(number) = number else {
                return digester.value(in_key, STRANGE, text);
            };
            let number: f64 = if number == 0.0 { 0.0 } else { number };
            return digester.value(in_key, 0, &number.to_bits().to_le_bytes());
        }
        Form::Decimal | Form::Date | Form::DateTime | Form::Time => without_zeros(text),
        // A column of bits prints them as bytes.
        Form::Bool if text == [0] => b"0",
        Form::Bool if text == [1] => b"1",
        Form::Int | Form::Bool | Form::Text | Form::Bytes => text,
    };
    digester.value(in_key, 0, plain);
}

/// Without the zeros at the end of a fraction.
fn without_zeros(text: &[u8]) -> &[u8] {
    if !text.contains(&b'.') {
        return text;
    }
    let end = text.iter().rposition(|&byte| byte != b'0');
    let text = &text[..end.map_or(0, |end| end + 1)];
    text.strip_suffix(b".").unwrap_or(text)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = b"\\x".to_vec();
    crate::value::put_hex(&mut text, bytes);
    String::from_utf8_lossy(&text).into_owned()
}

impl Target {
    async fn reading(&mut self, relation: &Arc<Relation>) -> Result<Reading, WriteError> {
        let table = self.table(relation).await?;
        if !self.unreadable.contains_key(&relation.version) {
            let name = table_name(relation);
            let found = Existing::find(&mut self.session, &name).await;
            let existing = found
                .map_err(|error| explain(&error, &format!("table {name:?}")))?
                .unwrap_or_default();
            let documents = existing.columns.iter();
            let documents = documents.filter(|column| column.holds == Holds::Json);
            let documents: HashSet<String> = documents.map(|column| column.name.clone()).collect();
            for column in &relation.columns {
                if existing.column(&column_name(&column.name)).is_none() {
                    let column = &column.name;
                    let missing = format!("column {column:?} of table {name:?} does not exist");
                    return Err(WriteError::rejected(missing).table(name).column(column));
                }
            }
            self.unreadable.insert(relation.version, documents);
        }
        let documents = self.unreadable.get(&relation.version);
        let is_document = |index: &usize| {
            let name = column_name(&relation.columns[*index].name);
            documents.is_some_and(|documents| documents.contains(&*name))
        };
        Ok(Reading {
            is_compared: table
                .written
                .iter()
                .map(|index| !is_document(index))
                .collect(),
            in_key: table
                .written
                .iter()
                .map(|index| table.key.contains(index))
                .collect(),
            table,
        })
    }

    /// See [`Writer::digests`](tahr_plugin_api::Writer::digests).
    pub(crate) async fn digests(&mut self, batch: &Batch) -> Result<Vec<Digest>, WriteError> {
        let Some(first) = batch.changes().next() else {
            return Ok(Vec::new());
        };
        let reading = self.reading(first.relation()).await?;
        let mut digester = Digester::default();
        let digests = batch.changes().map(|change| {
            let row = change.new_row().or(change.old_row());
            row.map(|row| reading.expected(row, &mut digester))
                .unwrap_or_default()
        });
        Ok(digests.collect())
    }

    /// See [`Writer::read_back`](tahr_plugin_api::Writer::read_back).
    pub(crate) async fn read_back(
        &mut self,
        relation: &Arc<Relation>,
        keys: Option<&Batch>,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        let reading = self.reading(relation).await?;
        let Some(keys) = keys else {
            return self.give(&reading, reading.select(), rows).await;
        };
        let keys = keys.changes();
        let keys = keys.filter_map(|change| change.old_row().or(change.new_row()));
        let keys: Vec<SourceRow<'_>> = keys.collect();
        for keys in keys.chunks(KEYS) {
            if let Some(under) = reading.under(keys) {
                let sql = format!("{}{under}", reading.select());
                self.give(&reading, sql, rows).await?;
            }
        }
        Ok(())
    }

    async fn give(
        &mut self,
        reading: &Reading,
        sql: String,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        let failed = |error: Error| reading.failed(&error);
        let mut digester = Digester::default();
        let mut result = self.session.conn.query_iter(sql).await.map_err(failed)?;
        while let Some(row) = result.next().await.map_err(failed)? {
            let digest = reading.held(&row, &mut digester);
            rows.row(digest, |name| reading.name(&row, name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_behind_the_point_mean_nothing() {
        for (text, plain) in [
            (&b"1.50"[..], &b"1.5"[..]),
            (b"10.00", b"10"),
            (b"100", b"100"),
            (b"0.0", b"0"),
            (b"2020-01-01 10:00:00.000000", b"2020-01-01 10:00:00"),
            (b"2020-01-01 10:00:00.120000", b"2020-01-01 10:00:00.12"),
        ] {
            assert_eq!(without_zeros(text), plain);
        }
    }
}
