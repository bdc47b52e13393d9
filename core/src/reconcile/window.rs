//! A window: what a source's stream has shown since its cut, folded to one change per key.

use std::collections::BTreeMap;

use tahr_plugin_api::Lsn;

use super::{Change, Flight, Key, Left, Op, Origin, Row, SourceId, TableId, Transaction, Version};

/// A source's last change of a key.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) version: Version,
    /// The row before the first change of the key.
    pub(super) previous: Option<Row>,
    /// What an apply of another sync made of the key after that, if its origin is older: `latest`
    /// lets such an apply hide nothing, since it has not seen what it overwrote.
    pub(super) covered: Option<Version>,
}

impl Last {
    /// The same change with another version.
    pub(super) fn with(&self, version: Version) -> Self {
        Self {
            version,
            previous: self.previous.clone(),
            covered: None,
        }
    }
}

/// A run of changes, folded: first the tables were emptied, then the keys got what they have.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    pub(super) wiped: BTreeMap<TableId, Version>,
    pub(super) last: BTreeMap<Key, Last>,
}

impl Segment {
    fn push(&mut self, from: usize, id: SourceId, time: i64, change: Change) {
        let Change {
            key,
            op,
            previous,
            origin,
        } = change;
        let origin = origin.unwrap_or(Origin {
            source: id,
            time,
            path: Vec::new(),
        });
        let version = |row, moved| Version {
            row,
            from,
            origin: origin.clone(),
            moved,
            hops: 0,
        };
        match op {
            Op::Put(row) => self.put(key, version(Some(row), None), previous),
            Op::Delete => self.put(key, version(None, None), previous),
            Op::Move { to, row } => {
                let there = version(Some(row), Some(key.clone()));
                self.put(key, version(None, Some(to.clone())), previous);
                self.put(to, there, None);
            }
            Op::Truncate => {
                self.last.retain(|other, _| other.table != key.table);
                self.wiped.insert(key.table, version(None, None));
            }
        }
    }

    fn put(&mut self, key: Key, version: Version, previous: Option<Row>) {
        match self.last.get_mut(&key) {
            // The first change of the window knows what the key was before all of them.
            Some(last) if version.is_older_guest(&last.version) => last.covered = Some(version),
            Some(last) => (last.version, last.covered) = (version, None),
            None => {
                self.last.insert(
                    key,
                    Last {
                        version,
                        previous,
                        covered: None,
                    },
                );
            }
        }
    }

    /// Whether the key was changed in this run.
    pub(super) fn touched(&self, key: &Key) -> bool {
        self.last.contains_key(key) || self.wiped.contains_key(&key.table)
    }
}

/// An apply of ours as the stream shows it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) left: Vec<Left>,
    pub(super) segment: Segment,
}

impl Shown {
    pub(super) fn left(&self, key: &Key) -> bool {
        self.left.iter().any(|left| left.key == *key)
    }
}

/// What a source's stream has shown since its cut. With an apply in flight, changes before its
/// marker and after it are kept apart: before it, the source hadn't seen what it was owed.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    pub(super) end: Option<Lsn>,
    pub(super) before: Segment,
    pub(super) shown: Option<Shown>,
    pub(super) after: Segment,
}

/// A stream showed an apply that this state knows nothing of: the state is older than the source,
/// or a second engine is at work. The source has to be parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMarker(
    /// The apply's number.
    pub u64,
);

impl std::fmt::Display for UnknownMarker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the stream shows apply {}, which this engine did not send",
            self.0
        )
    }
}

impl std::error::Error for UnknownMarker {}

impl Window {
    /// Takes in the next transaction of member `from`, whose name across syncs is `id`.
    pub(super) fn push(
        &mut self,
        from: usize,
        id: SourceId,
        flight: Option<&Flight>,
        transaction: Transaction,
    ) -> Result<(), UnknownMarker> {
        let Transaction {
            end,
            time,
            marker,
            changes,
        } = transaction;
        let segment = match marker {
            Some(marker) => {
                if self.shown.is_some() || flight.map(|f| f.sequence) != Some(marker.sequence) {
                    return Err(UnknownMarker(marker.sequence));
                }
                let shown = Shown {
                    left: marker.left,
                    segment: Segment::default(),
                };
                &mut self.shown.insert(shown).segment
            }
            None if flight.is_some() && self.shown.is_none() => &mut self.before,
            None => &mut self.after,
        };
        for change in changes {
            segment.push(from, id, time, change);
        }
        self.end = Some(end);
        Ok(())
    }

    /// The runs of the source's own changes.
    pub(super) fn segments(&self) -> [&Segment; 2] {
        [&self.before, &self.after]
    }

    /// Keys it holds.
    pub(super) fn len(&self) -> usize {
        self.before.last.len() + self.after.last.len()
    }
}
