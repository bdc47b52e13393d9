//! A version: what one change made of a key, and where it came from.

use serde::{Deserialize, Serialize};

use super::{Blob, Key};

/// A database that takes part in any sync of this engine. Paths name sources by it, since a change
/// may come from one that is no member of the sync at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub u32);

/// A row as its source's reader packed it. Two rows are equal when their fingerprints are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The row, or where to find it; reconciling only hands it on.
    pub payload: Blob,
    /// A hash of all values. A row with unchanged TOAST columns is completed before it is hashed.
    pub fingerprint: u64,
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Row {}

/// Where and when a change was made, before any sync carried it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The source on which it was made.
    pub source: SourceId,
    /// Its commit time there, in microseconds: what `latest` and `earliest` compare.
    pub time: i64,
    /// The sources it was carried from on its way here; empty for a change made where it was read.
    pub path: Vec<SourceId>,
}

/// A key's row, or its absence, as one change left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The row; none is a tombstone: the key was deleted.
    pub row: Option<Row>,
    /// The member in whose stream it was read, and which can complete the row.
    pub from: usize,
    /// Where and when the change was made.
    pub origin: Origin,
    /// The other key of an update that changed the key: of a tombstone where the row went, of a row
    /// where it came from.
    pub moved: Option<Key>,
    /// How many applies in a row were altered by triggers to make it.
    pub hops: u8,
}

/// A version for comparing only. Versions with equal rows are not the same yet: who has seen an
/// earlier delete has not seen a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    content: Option<u64>,
    source: SourceId,
    time: i64,
}

impl Version {
    /// Whether this is a row, not a tombstone.
    #[must_use]
    pub const fn is_row(&self) -> bool {
        self.row.is_some()
    }

    pub(super) fn mark(&self) -> Mark {
        let content = self.row.as_ref().map(|row| row.fingerprint);
        Mark {
            content,
            source: self.origin.source,
            time: self.origin.time,
        }
    }

    /// Whether this was carried here by another sync, and made before `other`.
    pub(super) const fn is_older_guest(&self, other: &Self) -> bool {
        !self.origin.path.is_empty() && self.origin.time < other.origin.time
    }

    /// Nothing, in the place of what lost to this version.
    pub(super) fn tombstone(&self) -> Self {
        Self {
            row: None,
            moved: None,
            ..self.clone()
        }
    }
}
