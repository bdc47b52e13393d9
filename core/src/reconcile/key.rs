//! What is judged on its own: one row of one table, or a table as a whole.

use serde::{Deserialize, Serialize};

use super::Blob;

/// A table of the sync, numbered by whoever feeds changes; the same number on all sources, and
/// after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId(pub u32);

/// One row of one table, by its packed identity columns. Keys sort by table and then by bytes,
/// which is the order in which an apply takes its locks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The table.
    pub table: TableId,
    /// The packed identity columns; none for the table as a whole, which sorts before its rows.
    pub row: Option<Blob>,
}

impl Key {
    /// The row of `table` with these packed identity columns.
    #[must_use]
    pub fn new(table: TableId, row: impl Into<Blob>) -> Self {
        Self {
            table,
            row: Some(row.into()),
        }
    }

    /// The table as a whole: what a truncate changes.
    #[must_use]
    pub const fn whole(table: TableId) -> Self {
        Self { table, row: None }
    }

    /// Whether this is a table, not a row.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.row.is_none()
    }

    /// The table that this row is in, as a key.
    #[must_use]
    pub const fn table_key(&self) -> Self {
        Self::whole(self.table)
    }
}
