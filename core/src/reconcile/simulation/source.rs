//! A source: rows, a log, and applies that behave as PostgreSQL's transactions do.

use crate::reconcile::{
    Blob, Change, Flight, Holder, Key, Left, Marker, Op, Origin, Row, Rules, TableId, Transaction,
};
use tahr_plugin_api::Lsn;

use super::{Random, Settings, Triggers};

/// Rows in a table at most.
pub(crate) const KEYS: usize = 4;
/// All rows of both tables.
pub(crate) const SLOTS: usize = 2 * KEYS;
/// The row that triggers beside write.
pub(crate) const BESIDE: usize = SLOTS - 1;
/// Set in a row that a settling trigger has altered.
const ALTERED: u32 = 1 << 31;

/// A row: a value in the upper bits, and what must be unique in the lowest two, 0 for none. The
/// whole is never 0, which stands for no row.
pub(crate) type Content = u32;

/// The part of a row that must be unique in its table.
pub(crate) const fn claim(row: Content) -> u32 {
    row & 3
}

/// The key of a slot.
pub(crate) fn key_of(slot: usize) -> Key {
    const NAMES: [[u8; 1]; KEYS] = [[b'a'], [b'b'], [b'c'], [b'd']];
    Key::new(TableId((slot / KEYS) as u32), &NAMES[slot % KEYS])
}

/// The slot of a key; the table's number of a whole table.
pub(crate) fn slot_of(key: &Key) -> Result<usize, usize> {
    let table = key.table.0 as usize;
    let row = key.row.as_ref().ok_or(table)?;
    Ok(table * KEYS + usize::from(row.as_ref()[0] - b'a'))
}

pub(crate) fn row_of(content: Content) -> Row {
    let payload = Blob::from(&content.to_be_bytes());
    Row {
        payload,
        fingerprint: u64::from(content),
    }
}

/// What a row given back by the engine holds.
pub(crate) fn content_of(row: Option<&Row>) -> Content {
    let Some(row) = row else { return 0 };
    let content = Content::try_from(row.fingerprint).expect("a fingerprint we made");
    assert_eq!(
        row.payload.as_ref(),
        content.to_be_bytes(),
        "a row lost its payload"
    );
    content
}

/// What one change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    Put(usize, Content),
    Delete(usize),
    Move(usize, usize, Content),
    Truncate(usize),
}

/// A transaction in the log.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) time: i64,
    /// The engine and its apply.
    pub(crate) marker: Option<(usize, Marker)>,
    pub(crate) changes: Vec<(Did, Option<Origin>)>,
}

/// A database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) rows: [Content; SLOTS],
    pub(crate) log: Vec<Logged>,
    /// When each row was committed.
    pub(crate) times: [i64; SLOTS],
    /// Whether it can say so.
    pub(crate) tracks: bool,
    /// The number of the last apply of each engine.
    pub(crate) markers: [u64; 4],
    /// The write that each row went through last, tombstones too.
    pub(crate) last: [Option<usize>; SLOTS],
    pub(crate) skew: i64,
    pub(crate) triggers: bool,
    /// How often a trigger has altered a row.
    altered: u32,
}

/// What an apply holds until it commits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locks {
    pub(crate) rows: [bool; SLOTS],
    /// Values that it will have written, for their unique part.
    pub(crate) written: [Content; SLOTS],
}

/// An apply whose statements are done and whose commit is not.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) locks: Locks,
    pub(crate) left: Vec<Left>,
    /// In order: truncates first, as keys sort.
    pub(crate) done: Vec<(Key, Content, Origin)>,
}

impl Source {
    /// Runs the statements of an apply. Some rows are locked by others; what finds no row leaves no
    /// trace and takes no lock; what a unique constraint refuses is left out.
    pub(crate) fn open(
        &self,
        rules: &Rules,
        member: usize,
        flight: &Flight,
        settings: &Settings,
        random: &mut Random,
    ) -> Open {
        let mut left = Vec::new();
        let mut plan = Vec::new();
        for (key, version) in flight.rows.iter() {
            if random.percent(settings.locked) {
                left.push(Left {
                    key: key.clone(),
                    holder: None,
                });
            } else {
                plan.push((key, version));
            }
        }
        // Without the refused row the others may not fit any more, so all begins again.
        while let Some((refused, holder)) = settings.unique.then(|| self.refused(&plan)).flatten() {
            let (key, _) = plan.remove(refused);
            left.push(Left {
                key: key.clone(),
                holder: Some(holder),
            });
        }
        let (mut rows, mut locks, mut done) = (self.rows, Locks::default(), Vec::new());
        for (key, version) in plan {
            let content = content_of(version.row.as_ref());
            match slot_of(key) {
                Err(table) => {
                    rows[table * KEYS..][..KEYS].fill(0);
                    locks.rows[table * KEYS..][..KEYS].fill(true);
                }
                Ok(slot) if content == 0 && rows[slot] == 0 => continue,
                Ok(slot) => {
                    (rows[slot], locks.rows[slot], locks.written[slot]) = (content, true, content);
                }
            }
            done.push((key.clone(), content, rules.outgoing(version, member)));
        }
        Open { locks, left, done }
    }

    /// The first planned row that can't be written beside the others and the rows that stay.
    fn refused(&self, plan: &[(&Key, &crate::reconcile::Version)]) -> Option<(usize, Holder)> {
        let mut rows = self.rows;
        for (key, _) in plan {
            match slot_of(key) {
                Ok(slot) => rows[slot] = 0,
                Err(table) => rows[table * KEYS..][..KEYS].fill(0),
            }
        }
        for (index, (key, version)) in plan.iter().enumerate() {
            let Ok(slot) = slot_of(key) else { continue };
            let content = content_of(version.row.as_ref());
            if let Some(other) = holder(&rows, slot, content) {
                let (key, row) = (key_of(other), row_of(rows[other]));
                return Some((
                    index,
                    Holder {
                        key,
                        row,
                        time: None,
                    },
                ));
            }
            rows[slot] = content;
        }
        None
    }

    /// Commits an apply.
    pub(crate) fn commit(
        &mut self,
        engine: usize,
        sequence: u64,
        open: Open,
        time: i64,
        triggers: Triggers,
    ) {
        let mut changes = Vec::new();
        let Open { left, done, .. } = open;
        for (key, content, origin) in done {
            let did = match slot_of(&key) {
                Err(table) => {
                    self.rows[table * KEYS..][..KEYS].fill(0);
                    Did::Truncate(table)
                }
                Ok(slot) if content == 0 => {
                    self.rows[slot] = 0;
                    Did::Delete(slot)
                }
                Ok(slot) => {
                    self.rows[slot] = self.altered(content, triggers);
                    self.times[slot] = time;
                    Did::Put(slot, self.rows[slot])
                }
            };
            changes.push((did, Some(origin)));
        }
        let fires = changes
            .iter()
            .any(|(did, _)| matches!(did, Did::Put(slot, _) if *slot < KEYS));
        if self.triggers && triggers == Triggers::Beside && fires {
            self.altered += 1;
            self.times[BESIDE] = time;
            self.rows[BESIDE] = (time as u32) << 2 | ALTERED;
            changes.push((Did::Put(BESIDE, self.rows[BESIDE]), None));
        }
        self.markers[engine] = sequence;
        let marker = Some((engine, Marker { sequence, left }));
        self.log.push(Logged {
            time,
            marker,
            changes,
        });
    }

    /// What a row becomes when it is written.
    pub(crate) fn altered(&mut self, content: Content, triggers: Triggers) -> Content {
        match triggers {
            Triggers::Settling if self.triggers => content | ALTERED,
            Triggers::Endless if self.triggers => {
                self.altered += 1;
                (content & 0xFFFF) | (self.altered << 16) | ALTERED
            }
            _ => content,
        }
    }

    /// Whether a row may be written beside the others.
    pub(crate) fn fits(&self, slot: usize, content: Content, locks: &Locks) -> bool {
        holder(&self.rows, slot, content).is_none()
            && holder(&locks.written, slot, content).is_none()
    }

    /// A transaction of the log as the stream shows it to an engine.
    pub(crate) fn transaction(&self, index: usize, engine: usize) -> Transaction {
        let Logged {
            time,
            marker,
            changes,
        } = &self.log[index];
        let marker = marker.as_ref().filter(|(by, _)| *by == engine);
        let changes = changes.iter().map(|(did, origin)| {
            let (key, op) = match *did {
                Did::Put(slot, content) => (key_of(slot), Op::Put(row_of(content))),
                Did::Delete(slot) => (key_of(slot), Op::Delete),
                Did::Move(slot, to, content) => (
                    key_of(slot),
                    Op::Move {
                        to: key_of(to),
                        row: row_of(content),
                    },
                ),
                Did::Truncate(table) => (Key::whole(TableId(table as u32)), Op::Truncate),
            };
            // An own apply's origins are known already, and a trigger's work has none.
            let origin = origin.clone().filter(|_| marker.is_none());
            Change {
                key,
                op,
                previous: None,
                origin,
            }
        });
        Transaction {
            end: Lsn(index as u64 + 1),
            time: *time,
            marker: marker.map(|(_, marker)| marker.clone()),
            changes: changes.collect(),
        }
    }
}

/// The row of the same table that has what `content` must have alone.
fn holder(rows: &[Content; SLOTS], slot: usize, content: Content) -> Option<usize> {
    let table = slot / KEYS * KEYS;
    let has = |other: &usize| *other != slot && claim(rows[*other]) == claim(content);
    (claim(content) != 0)
        .then(|| (table..table + KEYS).find(has))
        .flatten()
}
