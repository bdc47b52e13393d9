//! A conflict as a Lua table.

use std::collections::BTreeMap;

use mlua::{Error, String as Text, Table, Value};
use tahr_plugin_api::{Timestamp, ValueKind};

use super::machine::Machine;
use crate::{
    masters::{
        SharedTable,
        rows::{Field, fields},
    },
    reconcile::{Blob, Candidate, Quarrel, SourceId},
};

/// How the sources are called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Those of the sync, by their index.
    pub(super) members: Vec<String>,
    /// All that a change may come from.
    pub(super) ids: BTreeMap<SourceId, String>,
}

/// How the rows of one table are shown to Lua.
pub(super) struct Shape {
    /// Names of the columns, as Lua text.
    pub(super) names: Vec<Text>,
    /// Metatable of its rows: knows the columns.
    pub(super) rows: Table,
    table: Text,
}

/// A conflict as Lua sees it.
pub(super) struct Question {
    pub(super) conflict: Table,
    /// The candidates, and their rows.
    pub(super) candidates: Vec<(Table, Option<Table>)>,
}

impl Shape {
    pub(super) fn new(machine: &Machine, table: &SharedTable) -> Result<Self, Error> {
        let lua = &machine.lua;
        let known = lua.create_table()?;
        let mut names = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let name = lua.create_string(&column.name)?;
            known.raw_set(&name, true)?;
            names.push(name);
        }
        let name = table.name.to_string();
        Ok(Self {
            names,
            rows: machine.shape(&name, &known)?,
            table: lua.create_string(name)?,
        })
    }
}

impl Question {
    pub(super) fn new(
        machine: &Machine,
        shape: &Shape,
        table: &SharedTable,
        names: &Names,
        (quarrel, key, candidates): (Quarrel, Option<&Blob>, &[Candidate]),
    ) -> Result<Self, Error> {
        let lua = &machine.lua;
        let conflict = lua.create_table_with_capacity(0, 5)?;
        let kind = match quarrel {
            Quarrel::Key => "key",
            Quarrel::Unique => "unique",
        };
        conflict.raw_set("kind", kind)?;
        conflict.raw_set("table", &shape.table)?;
        conflict.raw_set("columns", lua.create_sequence_from(&shape.names)?)?;
        let shown = lua.create_table_with_capacity(0, table.key.len())?;
        for (field, &at) in key.into_iter().flat_map(fields).zip(&table.key) {
            shown.raw_set(
                &shape.names[at],
                value(machine, table.columns[at].kind, field)?,
            )?;
        }
        conflict.raw_set("key", shown)?;
        let list = lua.create_table_with_capacity(candidates.len(), 0)?;
        let mut all = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let row = |row: Option<&Blob>| {
                row.map(|row| self::row(machine, shape, table, row))
                    .transpose()
            };
            let version = &candidate.version;
            let of_row = row(version.row.as_ref().map(|row| &row.payload))?;
            let previous = row(candidate.previous.as_ref().map(|row| &row.payload))?;
            let shown = lua.create_table_with_capacity(0, 8)?;
            let source = names.members.get(version.from).map_or("?", String::as_str);
            shown.raw_set("source", source)?;
            match names.ids.get(&version.origin.source) {
                Some(origin) => shown.raw_set("origin", origin.as_str())?,
                None => shown.raw_set("origin", "?")?,
            }
            // Versions have PostgreSQL's own times, which begin with 2000.
            let time = Timestamp(version.origin.time);
            shown.raw_set("time", time.unix_micros())?;
            shown.raw_set("time_text", time_text(time))?;
            shown.raw_set("standing", candidate.standing)?;
            shown.raw_set("deleted", of_row.is_none())?;
            shown.raw_set("row", of_row.as_ref())?;
            shown.raw_set("previous", previous)?;
            list.raw_push(&shown)?;
            all.push((shown, of_row));
        }
        conflict.raw_set("candidates", list)?;
        Ok(Self {
            conflict,
            candidates: all,
        })
    }
}

fn row(
    machine: &Machine,
    shape: &Shape,
    table: &SharedTable,
    packed: &Blob,
) -> Result<Table, Error> {
    let shown = machine
        .lua
        .create_table_with_capacity(0, shape.names.len())?;
    for ((field, column), name) in fields(packed).zip(&table.columns).zip(&shape.names) {
        match value(machine, column.kind, field)? {
            Value::Nil => {}
            value => shown.raw_set(name, value)?,
        }
    }
    shown.set_metatable(Some(shape.rows.clone()))?;
    Ok(shown)
}

/// A value as Lua has it: numbers and truth where PostgreSQL has them, else its text.
fn value(machine: &Machine, kind: ValueKind, field: Field<'_>) -> Result<Value, Error> {
    let Field::Text(text) = field else {
        return Ok(Value::Nil);
    };
    if let Some(plain) = plain(kind, text) {
        return Ok(plain);
    }
    Ok(Value::String(machine.lua.create_string(text)?))
}

/// As [`value`], of what is no text in Lua.
pub(super) fn plain(kind: ValueKind, text: &str) -> Option<Value> {
    match kind {
        ValueKind::Bool => match text {
            "t" | "true" => Some(Value::Boolean(true)),
            "f" | "false" => Some(Value::Boolean(false)),
            _ => None,
        },
        ValueKind::Int => text.parse().ok().map(Value::Integer),
        ValueKind::Float => text.parse().ok().map(Value::Number),
        _ => None,
    }
}

/// A time as ISO 8601 has it.
fn time_text(time: Timestamp) -> String {
    let Some((date, clock)) = time.civil() else {
        return time.to_string();
    };
    let micros = clock.micros();
    let (seconds, part) = (micros / 1_000_000, micros % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{part:06}Z")
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, time_text};

    #[test]
    fn times_are_printed_in_utc() {
        for (micros, text) in [
            (1_767_323_045_123_456, "2026-01-02T03:04:05.123456Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            let time = Timestamp::from_unix_micros(micros).unwrap();
            assert_eq!(time_text(time), text);
        }
    }
}
