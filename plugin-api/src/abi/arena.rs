//! The arena: many rows in four flat vectors, shared by every lane.

use abi_stable::{
    StableAbi,
    std_types::{RArc, RVec},
};

use crate::{Lsn, Value, ValueKind};

/// How a [`RawValue`] stands for its value.
pub mod state {
    /// SQL NULL.
    pub const NULL: u8 = 0;
    /// Not sent by the source, since an update left it unchanged.
    pub const UNCHANGED: u8 = 1;
    /// UTF-8 text in `data`.
    pub const TEXT: u8 = 2;
    /// Bytes in `data`.
    pub const BYTES: u8 = 3;
}

/// One value: 16 bytes, whatever it is.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default)]
pub struct RawValue {
    /// One of [`state`].
    pub state: u8,
    /// Zero today.
    pub flags: u8,
    /// Zero today.
    pub extra: u16,
    /// Bytes in `data`.
    pub len: u32,
    /// Where they begin.
    pub offset: u64,
}

/// "No row here" in [`RawChange::new`] and [`RawChange::old`].
pub const NO_ROW: u32 = u32::MAX;

/// One change: what was done to which row of which relation.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct RawChange {
    /// [`Op`](crate::Op) as a number.
    pub op: u8,
    /// 1 where `old` holds only the identity columns; truncate: 1 cascade, 2 restart identity.
    pub flags: u8,
    /// Zero today.
    pub extra: u16,
    /// Position in the arena's `relations`.
    pub relation: u32,
    /// Position in the arena's `transactions`.
    pub transaction: u32,
    /// First value of the new row, or [`NO_ROW`].
    pub new: u32,
    /// First value of the old row, or [`NO_ROW`].
    pub old: u32,
    /// Zero today.
    pub more: u32,
    /// Index of the row message in its source transaction, counted before any filter.
    pub ordinal: u64,
}

/// One source transaction, or the piece of it that lies in this arena.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default)]
pub struct RawTransaction {
    /// Start of its commit record.
    pub commit_lsn: u64,
    /// End of its commit record; 0 while it goes on in a later arena.
    pub end_lsn: u64,
    /// Microseconds since 2000-01-01 UTC.
    pub commit_time: i64,
    /// Row messages of the transaction up to the end of this piece, filtered ones included.
    pub ordinal: u64,
    /// Its transaction ID in the source.
    pub xid: u32,
    /// Its first change in this arena.
    pub first_change: u32,
    /// 1: began in an earlier arena. 2: goes on in a later one.
    pub flags: u32,
    /// Zero today.
    pub extra: u32,
}

impl RawTransaction {
    /// In [`flags`](Self::flags): its beginning lies in an earlier arena.
    pub const CONTINUED: u32 = 1;
    /// In [`flags`](Self::flags): its end lies in a later arena.
    pub const OPEN: u32 = 2;
}

/// The flat vectors of an arena.
#[repr(C)]
#[derive(StableAbi, Debug, Default)]
pub struct RawArena {
    pub(super) data: RVec<u8>,
    pub(super) values: RVec<RawValue>,
    pub(super) changes: RVec<RawChange>,
    pub(super) transactions: RVec<RawTransaction>,
    /// Versions of the relations that the changes refer to.
    pub(super) relations: RVec<u32>,
    pub(super) flags: u64,
    pub(super) extra: u64,
}

/// Many changes in memory that engine and plugins share; never altered once built.
#[derive(Clone, Debug)]
pub struct Arena(pub(super) RArc<RawArena>);

impl Arena {
    /// The changes, in source order.
    #[must_use]
    pub fn changes(&self) -> &[RawChange] {
        &self.0.changes
    }

    /// The transactions, in commit order.
    #[must_use]
    pub fn transactions(&self) -> &[RawTransaction] {
        &self.0.transactions
    }

    /// Versions of the relations that [`RawChange::relation`] refers to.
    #[must_use]
    pub fn relations(&self) -> &[u32] {
        &self.0.relations
    }

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &[RawValue] {
        &self.0.values
    }

    /// The bytes that the values point into.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.0.data
    }

    /// Memory held, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.data.capacity()
            + self.0.values.capacity() * size_of::<RawValue>()
            + self.0.changes.capacity() * size_of::<RawChange>()
            + self.0.transactions.capacity() * size_of::<RawTransaction>()
            + self.0.relations.capacity() * size_of::<u32>()
    }

    /// Changes of transaction `index`: its first and the one behind its last.
    #[must_use]
    pub fn changes_of(&self, index: usize) -> (u32, u32) {
        let transactions = self.transactions();
        let first = transactions[index].first_change;
        let count = u32::try_from(self.changes().len()).unwrap_or(u32::MAX);
        (
            first,
            transactions
                .get(index + 1)
                .map_or(count, |next| next.first_change),
        )
    }

    /// Where transaction `index` leaves a reader: behind it, or inside it while it goes on.
    #[must_use]
    pub fn position_after(&self, index: usize) -> crate::Position {
        let transaction = &self.transactions()[index];
        if transaction.flags & RawTransaction::OPEN == 0 {
            crate::Position::at(Lsn(transaction.end_lsn))
        } else {
            crate::Position::inside(Lsn(transaction.commit_lsn), transaction.ordinal)
        }
    }

    /// The value at `index`, which is of `kind`.
    #[must_use]
    pub fn value(&self, index: usize, kind: ValueKind) -> Value<'_> {
        let raw = self.0.values[index];
        match raw.state {
            state::NULL => Value::Null,
            state::UNCHANGED => Value::Unchanged,
            state::TEXT => {
                let bytes = self.bytes(raw);
                // SAFETY: the builder copies a TEXT value from a `&str`, whole, and an arena is
                // not altered afterwards; a read-back arena is checked when it is read.
                Value::Text(kind, unsafe { std::str::from_utf8_unchecked(bytes) })
            }
            _ => Value::Bytes(self.bytes(raw)),
        }
    }

    fn bytes(&self, raw: RawValue) -> &[u8] {
        let start = usize::try_from(raw.offset).unwrap_or(usize::MAX);
        &self.0.data[start..start + raw.len as usize]
    }
}
