//! What a writer knows of a source table.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ValueKind;

/// A schema and a table, unquoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// Schema, such as `public`.
    pub schema: String,
    /// Table.
    pub table: String,
}

impl TableName {
    /// The table `table` in `schema`.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
        }
    }

    /// The name for targets without schemas: `public.t` is `t`, `s.t` is `s_t`.
    #[must_use]
    pub fn flat(&self) -> String {
        match self.schema.as_str() {
            "public" | "" => self.table.clone(),
            schema => format!("{schema}_{}", self.table),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// Which columns an update or delete names a row by: PostgreSQL's replica identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaIdentity {
    /// The primary key.
    #[default]
    Default,
    /// The columns of a chosen unique index.
    Index,
    /// The whole old row.
    Full,
    /// None: only inserts and truncates can be replicated.
    Nothing,
}

/// A source table's identity and columns at one version of its schema, as one lane sees it: under
/// its target name, without excluded columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The source table's OID.
    pub oid: u32,
    /// Counts the versions that the engine has seen; a new one is announced by
    /// [`Writer::prepare`](crate::Writer::prepare).
    pub version: u32,
    /// The table in the source.
    pub source: TableName,
    /// The table in the target, after the sync's renames; how a writer spells it is its own rule.
    pub target: TableName,
    /// The columns to write, in source order.
    pub columns: Vec<Column>,
    /// How updates and deletes name their row.
    pub replica_identity: ReplicaIdentity,
    /// Positions in `columns` of the primary key, in key order; empty without one. From the
    /// source's catalog, which may be newer than the stream.
    pub primary_key: Vec<usize>,
    /// Positions in `columns` of every unique key, the primary key included; from the catalog.
    pub unique_keys: Vec<Vec<usize>>,
    /// Whether the table has a foreign key, or is the target of one; from the catalog.
    #[serde(default)]
    pub foreign_keys: bool,
}

impl Relation {
    /// Positions in [`columns`](Self::columns) of the columns that name a row in the target: the
    /// replica identity's columns, or the primary key under `REPLICA IDENTITY FULL`. Empty for a
    /// table without a key, whose rows can only be matched whole.
    #[must_use]
    pub fn key(&self) -> Vec<usize> {
        let identity = || {
            (0..self.columns.len())
                .filter(|&i| self.columns[i].in_identity)
                .collect::<Vec<_>>()
        };
        match self.replica_identity {
            ReplicaIdentity::Index => identity(),
            ReplicaIdentity::Default if self.primary_key.is_empty() => identity(),
            _ => self.primary_key.clone(),
        }
    }

    /// Whether the column at `index` is one of [`key`](Self::key).
    #[must_use]
    pub fn is_in_key(&self, index: usize) -> bool {
        match self.replica_identity {
            ReplicaIdentity::Index => self.columns[index].in_identity,
            ReplicaIdentity::Default if self.primary_key.is_empty() => {
                self.columns[index].in_identity
            }
            _ => self.primary_key.contains(&index),
        }
    }

    /// The position in [`columns`](Self::columns) of the column `name`.
    #[must_use]
    pub fn position_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// A column of a [`Relation`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, the same in source and target.
    pub name: String,
    /// What its values are.
    pub kind: ValueKind,
    /// Name of its type as PostgreSQL spells it with modifiers: `numeric(10,2)`,
    /// `character varying(20)`, `public.mood`.
    pub type_name: String,
    /// OID of its type.
    pub type_oid: u32,
    /// The type's modifier, -1 without one.
    pub type_modifier: i32,
    /// Whether it belongs to the replica identity (every column does under `FULL`).
    pub in_identity: bool,
    /// Whether the source says `NOT NULL`; from the catalog, a hint.
    pub not_null: bool,
    /// Whether the source computes it (`GENERATED ALWAYS AS (…) STORED`).
    pub generated: bool,
    /// Its number in the source's catalog, which outlives a rename; 0 where it isn't known.
    #[serde(default)]
    pub number: i16,
    /// Whether rows from before the column was added may hold a value in it, as after
    /// `ADD COLUMN … DEFAULT …`; from the catalog.
    #[serde(default)]
    pub filled: bool,
    /// Its place in the row as the source sends it; for the view only.
    #[doc(hidden)]
    pub source_index: u32,
}

impl Column {
    /// Whether two different texts of the column are two different values, so that rows may be told
    /// apart by the text of their key alone. Not so for `numeric` (1.0 = 1.00) or `citext`.
    #[must_use]
    pub fn has_one_text_per_value(&self) -> bool {
        const TEXTS: [&str; 4] = ["text", "character varying", "character", "name"];
        match self.kind {
            ValueKind::Text => {
                let name = self.type_name.split('(').next().unwrap_or_default();
                TEXTS.contains(&name)
            }
            kind => kind.has_one_text_per_value(),
        }
    }
}
