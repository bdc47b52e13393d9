//! A flight: an apply on its way to a source.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Key, Version};

/// An apply whose marker has not been seen yet: one transaction, to be sent until the source's
/// checkpoint row has its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// The apply's number, which its first statement writes.
    pub sequence: u64,
    /// What to write, in the order of keys, which is that of locking. A whole table is truncated
    /// before its rows. Shared with who writes it.
    #[serde(serialize_with = "serialize", deserialize_with = "deserialize")]
    pub rows: Arc<Vec<(Key, Version)>>,
}

impl Flight {
    /// What is written of a key, if anything is.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Version> {
        self.place(key, 0).map(|place| &self.rows[place].1)
    }

    /// Where a key is among the rows; found at once where it is `hint`'s.
    pub(super) fn place(&self, key: &Key, hint: usize) -> Option<usize> {
        if self.rows.get(hint).is_some_and(|(there, _)| there == key) {
            return Some(hint);
        }
        self.rows.binary_search_by(|(there, _)| there.cmp(key)).ok()
    }

    /// How many applies in a row were altered by triggers to make any of it.
    pub(super) fn hops(&self) -> u8 {
        let hops = self.rows.iter().map(|(_, version)| version.hops);
        hops.max().unwrap_or(0)
    }
}

fn serialize<S: Serializer>(
    rows: &Arc<Vec<(Key, Version)>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter())
}

fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Arc<Vec<(Key, Version)>>, D::Error> {
    Vec::deserialize(deserializer).map(Arc::new)
}
