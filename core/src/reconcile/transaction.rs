//! A transaction as a source's stream shows it: the only thing that reconciling believes.

use tahr_plugin_api::Lsn;

use super::{Key, Origin, Row};

/// One committed transaction of a source, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The end of its commit record: the cut, once this transaction is the last one taken.
    pub end: Lsn,
    /// Its commit time, in microseconds.
    pub time: i64,
    /// Set on an apply of this sync, by the row of `tahr.checkpoint` that it changed first. An apply
    /// of another sync has none; its changes carry their origins.
    pub marker: Option<Marker>,
    /// Its row changes in order.
    pub changes: Vec<Change>,
}

/// How a source shows an apply of this sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The apply's number.
    pub sequence: u64,
    /// What the apply left out, as it wrote itself beside its number.
    pub left: Vec<Left>,
}

/// A key of the plan that an apply left out: it stays owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The key.
    pub key: Key,
    /// The row in its way, when a unique or exclusion constraint refused it; none when it was
    /// locked.
    pub holder: Option<Holder>,
}

/// The row that has what another may not have too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its key, in the same table.
    pub key: Key,
    /// The row.
    pub row: Row,
    /// When it was committed, where the source tracks that; else it counts as the oldest.
    pub time: Option<i64>,
}

/// One row change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key it changed; for a move the old one.
    pub key: Key,
    /// What it did.
    pub op: Op,
    /// The row before it, where the stream shows that: for custom code only.
    pub previous: Option<Row>,
    /// Where it came from, in an apply of another sync; a change made here has none.
    pub origin: Option<Origin>,
}

/// What a change did to its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// An insert, or an update that left the key as it was.
    Put(Row),
    /// A delete.
    Delete,
    /// An update of the key itself.
    Move {
        /// The new key, in the same table.
        to: Key,
        /// The row there.
        row: Row,
    },
    /// A truncate; the key is a whole table.
    Truncate,
}
