//! A window: what a source's stream has shown since its cut, folded to one change per key.

use std::collections::BTreeMap;

use indexmap::map::Entry;
use tahr_plugin_api::Lsn;

use super::{
    Change, Flight, Holder, Key, Left, Op, Origin, Row, SourceId, TableId, Transaction, Version,
    key::KeyMap,
};

/// A source's last change of a key.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) version: Version,
    /// The row before the first change of the key.
    pub(super) previous: Option<Row>,
    /// What an apply of another sync made of the key after that, if its origin is older: `latest`
    /// lets such an apply hide nothing, since it has not seen what it overwrote.
    pub(super) covered: Option<Box<Version>>,
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
    pub(super) last: KeyMap<Last>,
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
        let version = |row, moved, origin| Version {
            row,
            from,
            origin,
            moved,
            hops: 0,
        };
        match op {
            Op::Put(row) => self.put(key, version(Some(row), None, origin), previous),
            Op::Delete => self.put(key, version(None, None, origin), previous),
            Op::Move { to, row } => {
                let there = version(Some(row), Some(key.clone()), origin.clone());
                self.put(key, version(None, Some(to.clone()), origin), previous);
                self.put(to, there, None);
            }
            Op::Truncate => {
                self.last.retain(|other, _| other.table != key.table);
                self.wiped.insert(key.table, version(None, None, origin));
            }
        }
    }

    fn put(&mut self, key: Key, version: Version, previous: Option<Row>) {
        match self.last.entry(key) {
            // The first change of the window knows what the key was before all of them.
            Entry::Occupied(mut last) => {
                let last = last.get_mut();
                match version.is_older_guest(&last.version) {
                    true => last.covered = Some(Box::new(version)),
                    false => (last.version, last.covered) = (version, None),
                }
            }
            Entry::Vacant(place) => {
                place.insert(Last {
                    version,
                    previous,
                    covered: None,
                });
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
    /// Keys that it left out, and what was in their way.
    pub(super) left: KeyMap<Option<Holder>>,
    /// For each row of the plan whether it was shown just so; rows that are in `segment` too were
    /// changed again after that.
    as_planned: Vec<bool>,
    /// What differs from the plan.
    pub(super) segment: Segment,
    /// The row of the plan that is expected next.
    next: usize,
}

impl Shown {
    fn new(left: Vec<Left>, flight: &Flight) -> Self {
        Self {
            left: left
                .into_iter()
                .map(|left| (left.key, left.holder))
                .collect(),
            as_planned: vec![false; flight.rows.len()],
            segment: Segment::default(),
            next: 0,
        }
    }

    fn push(&mut self, flight: &Flight, from: usize, id: SourceId, time: i64, change: Change) {
        let row = match &change.op {
            Op::Put(row) => Some(row),
            Op::Delete => None,
            Op::Truncate => {
                for ((key, _), shown) in flight.rows.iter().zip(&mut self.as_planned) {
                    *shown &= key.table != change.key.table;
                }
                return self.segment.push(from, id, time, change);
            }
            Op::Move { .. } => return self.segment.push(from, id, time, change),
        };
        let place = flight.place(&change.key, self.next);
        let plan = place.filter(|&place| flight.rows[place].1.row.as_ref() == row);
        match plan.filter(|_| !self.segment.last.contains_key(&change.key)) {
            Some(place) => {
                self.as_planned[place] = true;
                self.next = place + 1;
            }
            None => self.segment.push(from, id, time, change),
        }
    }

    /// Whether a key of the plan was left out.
    pub(super) fn left(&self, key: &Key) -> bool {
        self.left.contains_key(key)
    }

    /// Whether the row of the plan at `place`, which is `key`'s, was shown, as it was planned or not.
    pub(super) fn has(&self, place: usize, key: &Key) -> bool {
        self.as_planned[place] || self.segment.last.contains_key(key)
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
        if let Some(marker) = marker {
            let flight = flight.filter(|flight| flight.sequence == marker.sequence);
            let Some(flight) = flight.filter(|_| self.shown.is_none()) else {
                return Err(UnknownMarker(marker.sequence));
            };
            let shown = self.shown.insert(Shown::new(marker.left, flight));
            for change in changes {
                shown.push(flight, from, id, time, change);
            }
        } else {
            let segment = match flight.is_some() && self.shown.is_none() {
                true => &mut self.before,
                false => &mut self.after,
            };
            for change in changes {
                segment.push(from, id, time, change);
            }
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
