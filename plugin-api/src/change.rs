//! One row-level change, and the rows in it.

use std::sync::Arc;

use crate::{
    Lsn, Relation, Timestamp, Value,
    abi::{Arena, NO_ROW, RawChange, RawTransaction},
};

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Op {
    /// A new row.
    Insert = 1,
    /// A row's new values; where its key changed, the old key too.
    Update = 2,
    /// A row's end.
    Delete = 3,
    /// The end of all rows of the relation.
    Truncate = 4,
}

impl Op {
    /// The one with this number on the ABI.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Insert,
            2 => Self::Update,
            3 => Self::Delete,
            4 => Self::Truncate,
            _ => return None,
        })
    }
}

/// One insert, update, delete or truncate.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    arena: &'a Arena,
    raw: &'a RawChange,
    transaction: &'a RawTransaction,
    relation: &'a Arc<Relation>,
}

impl<'a> Change<'a> {
    pub(crate) fn new(
        arena: &'a Arena,
        raw: &'a RawChange,
        transaction: &'a RawTransaction,
        relation: &'a Arc<Relation>,
    ) -> Self {
        Self {
            arena,
            raw,
            transaction,
            relation,
        }
    }

    /// What it does.
    #[must_use]
    pub fn op(&self) -> Op {
        Op::from_number(self.raw.op).unwrap_or(Op::Truncate)
    }

    /// The table it does it to.
    #[must_use]
    pub fn relation(&self) -> &'a Arc<Relation> {
        self.relation
    }

    /// The row after an insert or update. After an update some values may be
    /// [`Value::Unchanged`].
    #[must_use]
    pub fn new_row(&self) -> Option<Row<'a>> {
        self.row(self.raw.new, false)
    }

    /// The row before a delete, and before an update that moved its key or whose table has
    /// `REPLICA IDENTITY FULL`. An update without it left the key as it is in the new row.
    #[must_use]
    pub fn old_row(&self) -> Option<Row<'a>> {
        self.row(self.raw.old, self.raw.flags & Self::KEY_ONLY != 0)
    }

    /// The value of the column at `index` after the change, also where the source did not send it and
    /// the old row has it; null for a change without a new row.
    ///
    /// # Panics
    ///
    /// Where the relation has no such column.
    #[must_use]
    pub fn value(&self, index: usize) -> Value<'a> {
        let Some(new) = self.new_row() else {
            return Value::Null;
        };
        let value = new.value(index);
        match self.old_row() {
            Some(old) if value.is_unchanged() && old.has(index) => old.value(index),
            _ => value,
        }
    }

    /// Whether it is an update that changes a row's key, whose columns are at these positions.
    #[must_use]
    pub fn moves_key(&self, key: &[usize]) -> bool {
        match self.old_row() {
            Some(old) if self.op() == Op::Update => key
                .iter()
                .any(|&column| self.value(column) != old.value(column)),
            _ => false,
        }
    }

    fn row(&self, start: u32, is_key_only: bool) -> Option<Row<'a>> {
        (start != NO_ROW).then_some(Row {
            arena: self.arena,
            start,
            relation: self.relation,
            is_key_only,
        })
    }

    /// In the raw flags of updates and deletes: the old row holds its identity columns only.
    pub const KEY_ONLY: u8 = 1;
    /// In the raw flags of truncates.
    pub const CASCADE: u8 = 1;
    /// In the raw flags of truncates.
    pub const RESTART_IDENTITY: u8 = 2;

    /// Whether a truncate was `CASCADE`; the tables it reached are changes of their own.
    #[must_use]
    pub fn is_cascade(&self) -> bool {
        self.op() == Op::Truncate && self.raw.flags & Self::CASCADE != 0
    }

    /// Whether a truncate was `RESTART IDENTITY`.
    #[must_use]
    pub fn restarts_identity(&self) -> bool {
        self.op() == Op::Truncate && self.raw.flags & Self::RESTART_IDENTITY != 0
    }

    /// Where its transaction's commit record starts.
    #[must_use]
    pub fn commit_lsn(&self) -> Lsn {
        Lsn(self.transaction.commit_lsn)
    }

    /// When its transaction committed, by the source's clock.
    #[must_use]
    pub fn commit_time(&self) -> Timestamp {
        Timestamp(self.transaction.commit_time)
    }

    /// Its transaction's ID in the source.
    #[must_use]
    pub fn xid(&self) -> u32 {
        self.transaction.xid
    }

    /// Index of its row message in the source transaction, counted before any filter: the same
    /// however often the change is sent.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.raw.ordinal
    }
}

/// The values of one row, in the order of its relation's columns.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    arena: &'a Arena,
    start: u32,
    relation: &'a Arc<Relation>,
    is_key_only: bool,
}

impl<'a> Row<'a> {
    /// The value of the column at `index` of [`Relation::columns`].
    ///
    /// # Panics
    ///
    /// Where the relation has no such column.
    #[must_use]
    pub fn value(&self, index: usize) -> Value<'a> {
        let column = &self.relation.columns[index];
        self.arena.value(
            self.start as usize + column.source_index as usize,
            column.kind,
        )
    }

    /// The value of the column `name`; none where the relation has no such column.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        self.relation
            .position_of(name)
            .map(|index| self.value(index))
    }

    /// Every column's value, in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Value<'a>> + use<'a> {
        let row = *self;
        (0..self.relation.columns.len()).map(move |index| row.value(index))
    }

    /// The values of the columns at `indexes`, a key for instance.
    pub fn select<'b>(
        &self,
        indexes: &'b [usize],
    ) -> impl ExactSizeIterator<Item = Value<'a>> + use<'a, 'b> {
        let row = *self;
        indexes.iter().map(move |&index| row.value(index))
    }

    /// Whether only the identity columns mean anything (an old row under a key); the others read
    /// as null and must not be written anywhere.
    #[must_use]
    pub fn is_key_only(&self) -> bool {
        self.is_key_only
    }

    /// Whether the value of the column at `index` means anything.
    fn has(&self, index: usize) -> bool {
        !self.is_key_only || self.relation.columns[index].in_identity
    }

    /// Whether some value was not sent, since the update left it unchanged.
    #[must_use]
    pub fn has_unchanged(&self) -> bool {
        self.values().any(|value| value.is_unchanged())
    }
}
