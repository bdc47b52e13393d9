//! What `resolve` returned, as the judge wants it.

use mlua::{Table, Value};

use super::{
    question::{Question, Shape, plain},
    spelling::spell,
};
use crate::{
    masters::{
        SharedTable,
        rows::{Field, Packer, fields},
    },
    reconcile::{Answer, Blob, Candidate, Key, Quarrel, Row},
};

/// A conflict, and how it was put to Lua.
pub(super) struct Asked<'a> {
    pub(super) quarrel: Quarrel,
    pub(super) key: &'a Key,
    pub(super) candidates: &'a [Candidate],
    pub(super) table: &'a SharedTable,
    pub(super) shape: &'a Shape,
    pub(super) question: &'a Question,
}

/// What an answer may be.
const ANSWERS: &str = "return a candidate, { row = … }, { deleted = true } or \"skip\"";

impl Asked<'_> {
    /// The answer that `value` is.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to follow `resolve returned …`.
    pub(super) fn answer(&self, value: &Value) -> Result<Answer, String> {
        match value {
            Value::Table(table) => self.table(table),
            Value::Integer(index) => self.index(*index),
            Value::Number(index) if index.fract() == 0.0 => self.index(*index as i64),
            Value::String(text) if text == "skip" => Ok(Answer::Skip),
            Value::String(_) => Err(format!("text other than \"skip\": {ANSWERS}")),
            Value::Nil => Err(format!("nothing: {ANSWERS}")),
            other => Err(format!("a {}: {ANSWERS}", other.type_name())),
        }
    }

    fn index(&self, index: i64) -> Result<Answer, String> {
        let count = self.candidates.len();
        match usize::try_from(index) {
            Ok(index) if (1..=count).contains(&index) => self.winner(index - 1),
            _ => Err(format!("{index}, and there are {count} candidates")),
        }
    }

    /// The candidate wins as it is: what the function altered of it would be lost.
    fn winner(&self, index: usize) -> Result<Answer, String> {
        let (shown, row) = &self.question.candidates[index];
        let is_same = match (&self.candidates[index].version.row, row) {
            (Some(version), Some(row)) => {
                shown.raw_get::<Value>("row").ok().as_ref() == Some(&Value::Table(row.clone()))
                    && self.is_same(&version.payload, row)
            }
            _ => true,
        };
        match is_same {
            true => Ok(Answer::Winner(index)),
            false => Err(format!(
                "candidate {}, whose row it has altered: return {{ row = … }} for a merged row",
                index + 1
            )),
        }
    }

    fn is_same(&self, packed: &Blob, row: &Table) -> bool {
        let mut values = fields(packed)
            .zip(&self.table.columns)
            .zip(&self.shape.names);
        values.all(|((field, column), name)| {
            let value = row.raw_get::<Value>(name).unwrap_or(Value::Nil);
            is_field(&value, field, column.kind)
        })
    }

    fn table(&self, table: &Table) -> Result<Answer, String> {
        let mut candidates = self.question.candidates.iter();
        if let Some(index) = candidates.position(|(shown, _)| shown == table) {
            return self.winner(index);
        }
        if table.metatable().is_some_and(|its| its == self.shape.rows) {
            return Err("a row: return { row = … } for a merged row".into());
        }
        let get = |name: &str| table.raw_get::<Value>(name).unwrap_or(Value::Nil);
        let answer = match (get("row"), get("deleted")) {
            (Value::Table(row), Value::Nil | Value::Boolean(false)) => {
                Answer::Merged(Some(self.merged(&row)?))
            }
            (Value::Nil, Value::Boolean(true)) => Answer::Merged(None),
            _ => return Err(format!("a table that is no answer: {ANSWERS}")),
        };
        match self.quarrel {
            Quarrel::Key => Ok(answer),
            Quarrel::Unique => Err(
                "a merged row, and a unique constraint keeps both rows apart: return the candidate \
                 that stays, or \"skip\""
                    .into(),
            ),
        }
    }

    /// The merged row. One that began as a candidate's, or as a copy of it, has a value for each
    /// column, and nil is NULL. A row made by hand names each column, and `NULL` is NULL: a column
    /// that was forgotten is not taken for one that shall be emptied.
    fn merged(&self, row: &Table) -> Result<Row, String> {
        let is_complete = row.metatable().is_some_and(|its| its == self.shape.rows);
        let table = self.table;
        let mut packer = Packer::default();
        let mut known = 0;
        for (at, (column, name)) in table.columns.iter().zip(&self.shape.names).enumerate() {
            let about = |what: &str| {
                format!(
                    "a row whose column \"{}\" of table {} {what}",
                    column.name, table.name
                )
            };
            let value = row.raw_get::<Value>(name).unwrap_or(Value::Nil);
            known += usize::from(!value.is_nil());
            let is_null = match &value {
                Value::Nil if !is_complete => {
                    return Err(about(
                        "is missing: begin with a candidate's, as in `local row = \
                         copy(conflict.candidates[1].row)`, or set it, to NULL where it has no value",
                    ));
                }
                value => value.is_nil() || *value == Value::NULL,
            };
            if is_null {
                if column.not_null {
                    return Err(about("is NULL, which it may not be"));
                }
                packer.field(Field::Null);
            } else if let Some(text) = self.known(at, &value) {
                packer.field(Field::Text(text));
            } else {
                let text = spell(&value, column).map_err(|what| about(&what))?;
                packer.field(Field::Text(&text));
            }
        }
        if !is_complete && row.pairs::<Value, Value>().count() > known {
            let columns = |name: &Value| match name {
                Value::String(name) => table.columns.iter().any(|c| *name == c.name.as_str()),
                _ => false,
            };
            let mut names = row.pairs::<Value, Value>().flatten().map(|(name, _)| name);
            let unknown = names.find(|name| !columns(name));
            let unknown = unknown
                .and_then(|name| name.to_string().ok())
                .unwrap_or_default();
            return Err(format!(
                "a row with the column \"{unknown}\", which table {} doesn't have",
                table.name
            ));
        }
        let row = packer.take_row();
        self.keeps_key(&row)?;
        Ok(row)
    }

    /// The text of an equal value that a candidate has, or had, in the column at `at`.
    fn known(&self, at: usize, value: &Value) -> Option<&str> {
        let kind = self.table.columns[at].kind;
        let rows = self
            .candidates
            .iter()
            .flat_map(|candidate| [candidate.version.row.as_ref(), candidate.previous.as_ref()]);
        rows.flatten()
            .find_map(|row| match fields(&row.payload).nth(at)? {
                field @ Field::Text(text) => is_field(value, field, kind).then_some(text),
                _ => None,
            })
    }

    fn keeps_key(&self, row: &Row) -> Result<(), String> {
        let values: Vec<Field<'_>> = fields(&row.payload).collect();
        let key = self.key.row.iter().flat_map(fields);
        for (field, &at) in key.zip(&self.table.key) {
            if values.get(at) != Some(&field) {
                return Err(format!(
                    "a row whose key column \"{}\" of table {} is another than the conflict's",
                    self.table.columns[at].name, self.table.name
                ));
            }
        }
        Ok(())
    }
}

/// Whether the value is what Lua is shown of the field.
fn is_field(value: &Value, field: Field<'_>, kind: tahr_plugin_api::ValueKind) -> bool {
    match (value, field) {
        (Value::Nil, Field::Null | Field::Unchanged) => true,
        (value, Field::Text(text)) => match (plain(kind, text), value) {
            (Some(Value::Number(a)), Value::Number(b)) => a.to_bits() == b.to_bits(),
            (Some(plain), value) => plain == *value,
            (None, Value::String(value)) => *value == text,
            (None, _) => false,
        },
        _ => false,
    }
}
