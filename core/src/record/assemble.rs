//! Messages into arenas: transactions are counted, split where they are large, and cut where a
//! table's schema changes.

use std::{collections::HashMap, sync::Arc};

use tahr_plugin_api::{
    Change, Lsn, Op, Position, Relation,
    abi::{Arena, ArenaBuilder},
};

use super::value;
use crate::pgoutput::{Message, OldTuple, OldTupleKind, Tuple, TupleValue};

/// When an arena is full.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Changes in one arena.
    pub changes: usize,
    /// Bytes in one arena; a single larger row makes a larger arena.
    ///
    /// An arena that is half full is not shared with a further transaction, so one that takes up
    /// to half of the limits is never split for want of room.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            changes: 8192,
            bytes: 2 << 20,
        }
    }
}

/// The stream said something that can't be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// A row of a table that was not announced.
    #[error("a row of the unannounced relation {0}")]
    UnknownRelation(u32),
    /// A row with another number of values than its table has columns.
    #[error("a row of {table} has {found} values, not {expected}")]
    WrongWidth {
        /// The table.
        table: String,
        /// Its columns.
        expected: usize,
        /// The row's values.
        found: usize,
    },
    /// A row, a commit or a begin where none can be.
    #[error("{0} outside of its place in a transaction")]
    Misplaced(&'static str),
}

/// Builds arenas from the messages of one stream.
///
/// It begins at a [`Position`] and passes over what lies before it, also inside a transaction: a
/// reader that reconnects goes on exactly where it was.
#[derive(Debug)]
pub struct Assembler {
    builder: ArenaBuilder,
    limits: Limits,
    open: Option<Open>,
    resume: Position,
    known: HashMap<u32, Known>,
    /// The table of the previous row, which is mostly the table of the next one.
    last: Option<(u32, u32)>,
}

#[derive(Debug)]
struct Open {
    commit_lsn: Lsn,
    commit_time: i64,
    xid: u32,
    /// Row messages so far.
    ordinal: u64,
    /// Row messages to pass over: those that an earlier connection has brought already.
    skip: u64,
}

#[derive(Debug)]
struct Known {
    relation: Arc<Relation>,
    bytes_columns: Box<[bool]>,
    /// For each column, whether it belongs to the replica identity.
    identity: Box<[bool]>,
}

impl Assembler {
    /// An assembler whose arenas begin behind `resume`.
    #[must_use]
    pub fn new(limits: Limits, resume: Position) -> Self {
        Self {
            builder: ArenaBuilder::default(),
            limits,
            open: None,
            resume,
            known: HashMap::new(),
            last: None,
        }
    }

    /// Announces a table's schema. Returns the arena so far where it holds changes of another
    /// version: an arena never crosses one.
    pub fn relation(&mut self, relation: Arc<Relation>) -> Option<Arena> {
        let is_crossed = self.known.get(&relation.oid).is_some_and(|known| {
            let version = known.relation.version;
            version != relation.version && self.builder.refers_to(version)
        });
        let arena = if is_crossed { self.cut() } else { None };
        self.last = None;
        let bytes_columns = value::bytes_columns(&relation);
        let identity = relation
            .columns
            .iter()
            .map(|column| column.in_identity)
            .collect();
        self.known.insert(
            relation.oid,
            Known {
                relation,
                bytes_columns,
                identity,
            },
        );
        arena
    }

    /// Takes a message; returns an arena when one is full. Relations go to
    /// [`relation`](Self::relation) instead.
    ///
    /// # Errors
    ///
    /// The message doesn't fit what came before; the assembler is of no use then.
    pub fn message(&mut self, message: &Message<'_>) -> Result<Option<Arena>, AssemblyError> {
        match *message {
            Message::Begin {
                commit_lsn,
                commit_time_micros,
                xid,
            } => {
                self.begin(commit_lsn, commit_time_micros, xid)?;
            }
            Message::Commit {
                commit_lsn,
                end_lsn,
                ..
            } => {
                self.commit(commit_lsn, end_lsn)?;
                return Ok(self.is_filled_to(2).then(|| self.cut()).flatten());
            }
            Message::Insert { relation, new } => {
                if self.count_row()? {
                    let new = self.row(relation, &new, None)?;
                    self.change(Op::Insert, 0, relation, None, Some(new));
                }
            }
            Message::Update { relation, old, new } => {
                if self.count_row()? {
                    let (before, flags) = match &old {
                        Some(old) => (Some(self.row(relation, &old.tuple, None)?), key_flag(old)),
                        None => (None, 0),
                    };
                    let new = self.row(relation, &new, old.as_ref())?;
                    self.change(Op::Update, flags, relation, before, Some(new));
                }
            }
            Message::Delete { relation, old } => {
                if self.count_row()? {
                    let row = self.row(relation, &old.tuple, None)?;
                    self.change(Op::Delete, key_flag(&old), relation, Some(row), None);
                }
            }
            Message::Truncate {
                cascade,
                restart_identity,
                ref relations,
            } => {
                if self.count_row()? {
                    let flags = if cascade { Change::CASCADE } else { 0 }
                        | if restart_identity {
                            Change::RESTART_IDENTITY
                        } else {
                            0
                        };
                    for &relation in relations {
                        self.number(relation)?;
                        self.change(Op::Truncate, flags, relation, None, None);
                    }
                }
            }
            Message::Relation(_)
            | Message::Type { .. }
            | Message::Origin { .. }
            | Message::Logical(_) => {}
        }
        Ok(self.is_filled_to(1).then(|| self.cut()).flatten())
    }

    fn begin(&mut self, commit_lsn: Lsn, commit_time: i64, xid: u32) -> Result<(), AssemblyError> {
        if self.open.is_some() {
            return Err(AssemblyError::Misplaced("a begin"));
        }
        let is_resumed = self.resume.is_inside() && commit_lsn == self.resume.lsn;
        let skip = match commit_lsn {
            lsn if lsn < self.resume.lsn => u64::MAX,
            _ if is_resumed => self.resume.ordinal,
            _ => 0,
        };
        self.open = Some(Open {
            commit_lsn,
            commit_time,
            xid,
            ordinal: 0,
            skip,
        });
        if skip != u64::MAX {
            self.builder
                .begin(commit_lsn.0, commit_time, xid, is_resumed.then_some(skip));
        }
        Ok(())
    }

    /// Counts a row message; whether it is to be taken.
    fn count_row(&mut self) -> Result<bool, AssemblyError> {
        let open = self
            .open
            .as_mut()
            .ok_or(AssemblyError::Misplaced("a row"))?;
        open.ordinal += 1;
        Ok(open.ordinal > open.skip)
    }

    fn commit(&mut self, commit_lsn: Lsn, end_lsn: Lsn) -> Result<(), AssemblyError> {
        let open = self
            .open
            .take()
            .filter(|open| open.commit_lsn == commit_lsn);
        let open = open.ok_or(AssemblyError::Misplaced("a commit"))?;
        if open.skip != u64::MAX {
            self.builder.commit(end_lsn.0, open.ordinal.max(open.skip));
        }
        Ok(())
    }

    /// Whether one `part`th of the limits is reached.
    fn is_filled_to(&self, part: usize) -> bool {
        self.builder.changes() >= self.limits.changes / part
            || self.builder.used() >= self.limits.bytes / part
    }

    /// The arena's number for the table of OID `oid`.
    fn number(&mut self, oid: u32) -> Result<u32, AssemblyError> {
        if let Some((last, number)) = self.last
            && last == oid
        {
            return Ok(number);
        }
        let known = self
            .known
            .get(&oid)
            .ok_or(AssemblyError::UnknownRelation(oid))?;
        let number = self.builder.relation(known.relation.version);
        self.last = Some((oid, number));
        Ok(number)
    }

    /// Adds a row's values. An unchanged value is taken from `old`, where the source sent it: in
    /// a whole old row, and in an old key whose value was too large to lie in the row itself.
    fn row(
        &mut self,
        oid: u32,
        tuple: &Tuple<'_>,
        old: Option<&OldTuple<'_>>,
    ) -> Result<u32, AssemblyError> {
        let known = self
            .known
            .get(&oid)
            .ok_or(AssemblyError::UnknownRelation(oid))?;
        if tuple.len() != known.bytes_columns.len() {
            return Err(AssemblyError::WrongWidth {
                table: known.relation.source.to_string(),
                expected: known.bytes_columns.len(),
                found: tuple.len(),
            });
        }
        let start = self.builder.start_row();
        let is_whole = old.is_some_and(|old| old.kind == OldTupleKind::Full);
        let mut old = old.map(|old| old.tuple.values());
        let columns = known.bytes_columns.iter().zip(&known.identity);
        for (value, (&is_bytes, &in_identity)) in tuple.values().zip(columns) {
            let before = old.as_mut().and_then(Iterator::next);
            let value = match (value, before) {
                (TupleValue::Unchanged, Some(before)) if is_whole || in_identity => before,
                (value, _) => value,
            };
            match value {
                TupleValue::Null => self.builder.push_null(),
                TupleValue::Unchanged => self.builder.push_unchanged(),
                TupleValue::Text(text) => value::push(&mut self.builder, is_bytes, text),
                // Binary values are never asked for.
                TupleValue::Binary(bytes) => self.builder.push_bytes(bytes),
            }
        }
        Ok(start)
    }

    fn change(&mut self, op: Op, flags: u8, oid: u32, old: Option<u32>, new: Option<u32>) {
        // `row` or `number` has found the table before.
        if let (Ok(number), Some(open)) = (self.number(oid), &self.open) {
            let ordinal = open.ordinal - 1;
            self.builder.change(op, flags, number, old, new, ordinal);
        }
    }

    /// The arena so far; an open transaction goes on in the next one.
    fn cut(&mut self) -> Option<Arena> {
        let open = self.open.as_mut().filter(|open| open.skip != u64::MAX);
        // An open transaction of which nothing is here yet moves on whole.
        let has_rows = self.builder.changes() > 0;
        if !has_rows && (open.is_some() || !self.builder.has_transactions()) {
            return None;
        }
        self.last = None;
        let capacity = (
            self.builder.changes(),
            self.builder.values(),
            self.builder.data_len(),
        );
        let goes_on = match open {
            // What it left here, or an earlier arena holds, is continued in the next one.
            Some(open) if self.builder.split(open.ordinal) => Some(open.ordinal),
            _ => None,
        };
        let arena = self.builder.finish();
        // The next arena is probably like this one: one allocation instead of a dozen doublings.
        // A single large row makes no difference to it.
        let (changes, values, bytes) = capacity;
        self.builder = ArenaBuilder::with_capacity(changes, values, bytes.min(self.limits.bytes));
        if let Some(open) = &self.open
            && open.skip != u64::MAX
        {
            self.builder
                .begin(open.commit_lsn.0, open.commit_time, open.xid, goes_on);
        }
        Some(arena)
    }

    /// What is there, if anything is and no transaction is open: called when the stream pauses,
    /// so that nothing ever waits for an arena to fill.
    pub fn pause(&mut self) -> Option<Arena> {
        if self.open.is_some() || !self.builder.has_transactions() {
            return None;
        }
        self.last = None;
        let arena = self.builder.finish();
        self.builder = ArenaBuilder::default();
        Some(arena)
    }

    /// Whether a transaction has begun and not ended.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.open.is_some()
    }

    /// Whether an arena is being built.
    #[must_use]
    pub fn holds_changes(&self) -> bool {
        self.builder.has_transactions()
    }
}

fn key_flag(old: &OldTuple<'_>) -> u8 {
    match old.kind {
        OldTupleKind::Key => Change::KEY_ONLY,
        OldTupleKind::Full => 0,
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod torture;
