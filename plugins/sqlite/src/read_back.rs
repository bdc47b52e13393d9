//! Reading the file back, for comparison with the source.
//!
//! A value counts as it would be stored: numbers as numbers whatever the column makes of them, all
//! else as text or bytes. What somebody else put there in another form is different.

use rusqlite::{Connection, Statement, types::ValueRef};
use tahr_plugin_api::{
    Batch, Relation, Row, Value, WriteError,
    read_back::{Digest, Digester, KeyName, ReadBack},
};

use crate::{
    catalog,
    error::failed,
    names::{self, quote, quote_list},
    plan,
    types::{Form, bind},
};

/// The forms that values are told apart by.
mod form {
    pub(super) const INTEGER: u8 = 1;
    pub(super) const REAL: u8 = 2;
    pub(super) const TEXT: u8 = 3;
    pub(super) const BLOB: u8 = 4;
}

/// A relation's table, as it is now.
struct Reading {
    table: String,
    forms: Vec<Form>,
    key: Vec<usize>,
    in_key: Vec<bool>,
    digester: Digester,
}

impl Reading {
    fn new(connection: &Connection, relation: &Relation) -> Result<Self, WriteError> {
        let name = names::table(relation);
        let table = catalog::table(connection, &name)?.ok_or_else(|| {
            WriteError::rejected(format!("table {name:?} does not exist")).table(&name)
        })?;
        if let Some(column) = relation
            .columns
            .iter()
            .find(|column| table.column(&column.name).is_none())
        {
            let column = &column.name;
            let missing = format!("column {column:?} of table {name:?} does not exist");
            return Err(WriteError::rejected(missing).table(name).column(column));
        }
        let columns = 0..relation.columns.len();
        Ok(Self {
            forms: plan::forms(relation, &table),
            key: relation.key(),
            in_key: columns.map(|index| relation.is_in_key(index)).collect(),
            digester: Digester::default(),
            table: name,
        })
    }

    fn failed(&self, error: &rusqlite::Error) -> WriteError {
        failed(&format!("read table {:?}", self.table), error)
    }

    fn select(&self, relation: &Relation) -> String {
        let columns = quote_list(relation.columns.iter().map(|column| &*column.name));
        format!("SELECT {columns} FROM {}", quote(&self.table))
    }

    /// What would be stored of a row.
    fn expected(&mut self, row: Row<'_>) -> Digest {
        let only_key = row.is_key_only();
        for (index, &form) in self.forms.iter().enumerate() {
            let in_key = self.in_key[index];
            if only_key && !in_key {
                continue;
            }
            put(
                &mut self.digester,
                in_key,
                form,
                given(row.value(index), form),
            );
        }
        self.digester.finish()
    }

    /// Gives the rows of `statement`, whose parameters are bound.
    fn give(
        &mut self,
        statement: &mut Statement<'_>,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        let mut found = statement.raw_query();
        while let Some(row) = found.next().map_err(|error| self.failed(&error))? {
            for (index, &form) in self.forms.iter().enumerate() {
                let value = row.get_ref(index).map_err(|error| self.failed(&error))?;
                put(&mut self.digester, self.in_key[index], form, value);
            }
            let digest = self.digester.finish();
            rows.row(digest, |name| {
                for &index in &self.key {
                    name_of(name, self.forms[index], row.get_ref(index).ok());
                }
            })?;
        }
        Ok(())
    }
}

/// What would be stored of each row of `batch`.
pub(crate) fn digests(connection: &Connection, batch: &Batch) -> Result<Vec<Digest>, WriteError> {
    let mut digests = Vec::new();
    let mut reading = None;
    for change in batch.changes() {
        let reading = match &mut reading {
            Some(reading) => reading,
            none => none.insert(Reading::new(connection, change.relation())?),
        };
        let row = change.new_row().or(change.old_row());
        digests.push(row.map(|row| reading.expected(row)).unwrap_or_default());
    }
    Ok(digests)
}

/// What the table of `relation` holds, or what of it is under `keys`.
pub(crate) fn read_back(
    connection: &Connection,
    relation: &Relation,
    keys: Option<&Batch>,
    rows: &mut ReadBack<'_>,
) -> Result<(), WriteError> {
    let mut reading = Reading::new(connection, relation)?;
    let select = reading.select(relation);
    let Some(keys) = keys else {
        let statement = connection.prepare(&select);
        let mut statement = statement.map_err(|error| reading.failed(&error))?;
        return reading.give(&mut statement, rows);
    };
    let conditions: Vec<String> = reading
        .key
        .iter()
        .enumerate()
        .map(|(place, &index)| {
            let name = quote(&relation.columns[index].name);
            format!("{name} = ?{}", place + 1)
        })
        .collect();
    let select = format!("{select} WHERE {}", conditions.join(" AND "));
    let statement = connection.prepare(&select);
    let mut statement = statement.map_err(|error| reading.failed(&error))?;
    for change in keys.changes() {
        let Some(row) = change.old_row().or(change.new_row()) else {
            continue;
        };
        for (place, &index) in reading.key.iter().enumerate() {
            bind(
                &mut statement,
                place + 1,
                row.value(index),
                reading.forms[index],
            )
            .map_err(|error| reading.failed(&error))?;
        }
        reading.give(&mut statement, rows)?;
    }
    Ok(())
}

/// A value of the source in the form in which it is bound.
fn given(value: Value<'_>, form: Form) -> ValueRef<'_> {
    let text = match value {
        Value::Null | Value::Unchanged => return ValueRef::Null,
        Value::Bytes(bytes) => return ValueRef::Blob(bytes),
        Value::Text(_, text) => text,
    };
    let plain = ValueRef::Text(text.as_bytes());
    match form {
        Form::Text | Form::Blob => plain,
        Form::Bool => ValueRef::Integer(i64::from(text == "t")),
        Form::Integer => text.parse().map_or(plain, ValueRef::Integer),
        Form::Real => match text.parse::<f64>() {
            Ok(number) if !number.is_nan() => ValueRef::Real(number),
            _ => plain,
        },
    }
}

/// Adds a value of a column that has values of this form.
fn put(digester: &mut Digester, in_key: bool, form: Form, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => digester.null(in_key),
        ValueRef::Text(text) => digester.value(in_key, form::TEXT, text),
        ValueRef::Blob(bytes) => digester.value(in_key, form::BLOB, bytes),
        ValueRef::Integer(number) if form == Form::Real => {
            #[expect(clippy::cast_precision_loss, reason = "it was a float before")]
            real(digester, in_key, number as f64);
        }
        ValueRef::Integer(number) => {
            digester.value(in_key, form::INTEGER, &number.to_le_bytes());
        }
        ValueRef::Real(number) => match whole(number) {
            Some(whole) if form != Form::Real => {
                digester.value(in_key, form::INTEGER, &whole.to_le_bytes());
            }
            _ => real(digester, in_key, number),
        },
    }
}

fn real(digester: &mut Digester, in_key: bool, number: f64) {
    // `-0` is `0` in SQLite's files.
    let number = if number == 0.0 { 0.0 } else { number };
    digester.value(in_key, form::REAL, &number.to_bits().to_le_bytes());
}

/// The integer that a column made for floats has turned into one.
fn whole(number: f64) -> Option<i64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and small enough"
    )]
    let is_whole = |number: f64| number as i64;
    (number.fract() == 0.0 && number.abs() <= LARGEST).then(|| is_whole(number))
}

/// Adds a value of a key as PostgreSQL reads it.
fn name_of(name: &mut KeyName<'_>, form: Form, value: Option<ValueRef<'_>>) {
    match value {
        Some(ValueRef::Integer(number)) if form == Form::Bool => {
            name.text(if number == 0 { "f" } else { "t" });
        }
        Some(ValueRef::Integer(number)) => name.text(&number.to_string()),
        Some(ValueRef::Real(number)) if number.is_infinite() => {
            name.text(if number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            });
        }
        Some(ValueRef::Real(number)) => name.text(&number.to_string()),
        Some(ValueRef::Text(text)) => name.text(&String::from_utf8_lossy(text)),
        Some(ValueRef::Blob(bytes)) => name.bytes(bytes),
        Some(ValueRef::Null) | None => name.null(),
    }
}
