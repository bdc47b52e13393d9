//! A row or a key, column by column.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap as _,
};

use crate::{
    masters::{
        SharedTable,
        rows::{self, Field},
    },
    reconcile::Blob,
};

/// Columns with their values as PostgreSQL's text, none for null, in the table's order; in JSON an
/// object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(pub Vec<(String, Option<String>)>);

impl Columns {
    /// A packed row of `table`.
    pub(super) fn of_row(table: Option<&SharedTable>, row: &Blob) -> Self {
        Self::of(row, |position| {
            Some(table?.columns.get(position)?.name.clone())
        })
    }

    /// A packed key of `table`.
    pub(super) fn of_key(table: Option<&SharedTable>, key: &Blob) -> Self {
        Self::of(key, |position| {
            let table = table?;
            let column = table.columns.get(*table.key.get(position)?)?;
            Some(column.name.clone())
        })
    }

    fn of(packed: &Blob, name: impl Fn(usize) -> Option<String>) -> Self {
        let columns = rows::fields(packed).enumerate().map(|(position, field)| {
            let value = match field {
                Field::Null => None,
                Field::Text(text) => Some(text.to_owned()),
                Field::Unchanged => Some("(unchanged)".to_owned()),
            };
            // A table that the sync selects no more has values, but no names.
            (
                name(position).unwrap_or_else(|| format!("column {}", position + 1)),
                value,
            )
        });
        Self(columns.collect())
    }

    /// Cuts values to about `length` bytes, and says so in them.
    pub(super) fn shorten(&mut self, length: usize) {
        for (_, value) in &mut self.0 {
            if let Some(text) = value.as_mut().filter(|text| text.len() > length + 32) {
                let whole = text.len();
                text.truncate(text.floor_char_boundary(length));
                text.push_str(&format!("… ({whole} bytes)"));
            }
        }
    }
}

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ColumnsVisitor)
    }
}

struct ColumnsVisitor;

impl<'de> Visitor<'de> for ColumnsVisitor {
    type Value = Columns;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of columns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
        let mut columns = Vec::new();
        while let Some(column) = map.next_entry()? {
            columns.push(column);
        }
        Ok(Columns(columns))
    }
}
