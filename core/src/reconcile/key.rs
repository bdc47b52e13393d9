//! What is judged on its own: one row of one table, or a table as a whole.

use std::{
    cmp::Ordering,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Blob;

/// A table of the sync, numbered by whoever feeds changes; the same number on all sources, and
/// after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId(pub u32);

/// One row of one table, by its packed identity columns. Keys sort by table and then by bytes,
/// which is the order in which an apply takes its locks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Key {
    /// The table.
    pub table: TableId,
    /// The packed identity columns; none for the table as a whole, which sorts before its rows.
    pub row: Option<Blob>,
    /// Made once, since a key is looked up many times on its way.
    #[serde(skip)]
    hash: u64,
}

/// A key as it is stored.
#[derive(Deserialize)]
struct Stored {
    table: TableId,
    row: Option<Blob>,
}

impl From<Stored> for Key {
    fn from(Stored { table, row }: Stored) -> Self {
        match row {
            Some(row) => Self::new(table, row),
            None => Self::whole(table),
        }
    }
}

impl Key {
    /// The row of `table` with these packed identity columns.
    #[must_use]
    pub fn new(table: TableId, row: impl Into<Blob>) -> Self {
        let row = row.into();
        Self {
            table,
            hash: xxh3_64_with_seed(row.as_ref(), u64::from(table.0)),
            row: Some(row),
        }
    }

    /// The table as a whole: what a truncate changes.
    #[must_use]
    pub const fn whole(table: TableId) -> Self {
        // Spread over all bits, as the others are.
        let hash = (table.0 as u64 ^ 0x5bd1_e995).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            table,
            row: None,
            hash,
        }
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

    /// A hash of table and columns, the same in every run.
    #[must_use]
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.table == other.table && self.row == other.row
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.table, &self.row).cmp(&(other.table, &other.row))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// What a map of keys hashes with: nothing, for keys bring their hash along.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A map of keys, in an order that only depends on what was done to it.
pub type KeyMap<V> = IndexMap<Key, V, BuildHasherDefault<KeyHasher>>;
/// A set of keys, in such an order.
pub type KeySet = IndexSet<Key, BuildHasherDefault<KeyHasher>>;
