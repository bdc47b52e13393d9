//! A source table as the catalog describes it.

use tahr_plugin_api::Relation;

/// What a relation is in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableKind {
    /// A table of its own, or a partition whose root is not wanted.
    #[default]
    Plain,
    /// The root of a partitioned table; its partitions are part of it and not listed.
    Partitioned,
    /// A foreign table: not in the WAL.
    Foreign,
    /// A materialized view: not decoded.
    MaterializedView,
}

/// A table of the source: its [`Relation`] and what only the engine needs to know.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Identity, columns and keys; version 0, `target` equal to `source`. Columns that the source
    /// computes are not in it, since the stream doesn't carry them: see `generated`. A key that
    /// holds one is not in it either, nor is a deferrable key, which may be violated for the time
    /// of a transaction.
    pub relation: Relation,
    /// What it is.
    pub kind: TableKind,
    /// Whether it, or one of its partitions, is not written to the WAL.
    pub unlogged: bool,
    /// Partitions that are foreign tables.
    pub foreign_partitions: Vec<String>,
    /// The role that owns it.
    pub owner: String,
    /// Whether that role is a superuser, whose rights are not for lending.
    pub owner_is_superuser: bool,
    /// Whether the session's role has the rights of its owner.
    pub owned: bool,
    /// Whether the session's role may read it.
    pub readable: bool,
    /// Whether policies hide rows from the session's role.
    pub row_security: bool,
    /// Columns that the source computes; neither copied nor streamed.
    pub generated: Vec<String>,
    /// Whether a computed column is in the replica identity.
    pub generated_in_identity: bool,
    /// Whether its primary key is deferrable, which is none for the replica identity.
    pub deferrable_key: bool,
    /// Whether updates and deletes name their row: there is a replica identity.
    pub has_identity: bool,
    /// Rows, all partitions together: the planner's guess.
    pub estimated_rows: u64,
    /// Pages of 8 KiB, all partitions together, as they are on disk.
    pub pages: u64,
}
