//! Building arenas, row by row.

use abi_stable::std_types::RArc;

use super::arena::{Arena, NO_ROW, RawArena, RawChange, RawTransaction, RawValue, state};
use crate::Op;

/// Fills an [`Arena`]. A row costs no allocation once the vectors have grown.
///
/// Order of calls: [`begin`](Self::begin) a transaction, then per change the values of its old
/// row and its new row between [`start_row`](Self::start_row) and [`change`](Self::change), then
/// [`commit`](Self::commit) or, where the transaction goes on in the next arena, [`split`](Self::split).
#[derive(Debug, Default)]
pub struct ArenaBuilder {
    raw: RawArena,
}

impl ArenaBuilder {
    /// An empty builder that expects about `changes` changes in `bytes` bytes.
    #[must_use]
    pub fn with_capacity(changes: usize, values: usize, bytes: usize) -> Self {
        let mut builder = Self::default();
        builder.raw.data.reserve_exact(bytes);
        builder.raw.values.reserve_exact(values);
        builder.raw.changes.reserve_exact(changes);
        builder
    }

    /// Whether it holds no change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.changes.is_empty()
    }

    /// Changes so far.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.raw.changes.len()
    }

    /// Values so far.
    #[must_use]
    pub fn values(&self) -> usize {
        self.raw.values.len()
    }

    /// Bytes of values so far.
    #[must_use]
    pub fn data_len(&self) -> usize {
        self.raw.data.len()
    }

    /// Bytes used so far, all vectors together.
    #[must_use]
    pub fn used(&self) -> usize {
        self.raw.data.len()
            + self.raw.values.len() * size_of::<RawValue>()
            + self.raw.changes.len() * size_of::<RawChange>()
            + self.raw.transactions.len() * size_of::<RawTransaction>()
    }

    /// The arena's number for relation version `version`.
    pub fn relation(&mut self, version: u32) -> u32 {
        let relations = &mut self.raw.relations;
        // Few relations per arena, and the same one again and again: search from the newest.
        let found = relations.iter().rposition(|&known| known == version);
        let index = found.unwrap_or_else(|| {
            relations.push(version);
            relations.len() - 1
        });
        u32::try_from(index).expect("an arena has fewer relations than changes")
    }

    /// Whether a change refers to relation version `version`, or may.
    #[must_use]
    pub fn refers_to(&self, version: u32) -> bool {
        self.raw.relations.contains(&version)
    }

    /// Opens a transaction, or another piece of one (after `continued_at` row messages).
    pub fn begin(
        &mut self,
        commit_lsn: u64,
        commit_time: i64,
        xid: u32,
        continued_at: Option<u64>,
    ) {
        self.raw.transactions.push(RawTransaction {
            commit_lsn,
            end_lsn: 0,
            commit_time,
            ordinal: continued_at.unwrap_or(0),
            xid,
            first_change: count(self.raw.changes.len()),
            flags: if continued_at.is_some() {
                RawTransaction::CONTINUED
            } else {
                0
            },
            extra: 0,
        });
    }

    /// Starts a row; returns where it begins.
    #[must_use]
    pub fn start_row(&self) -> u32 {
        count(self.raw.values.len())
    }

    /// Adds a null to the row.
    pub fn push_null(&mut self) {
        self.raw.values.push(RawValue {
            state: state::NULL,
            ..RawValue::default()
        });
    }

    /// Adds a value that the source did not send.
    pub fn push_unchanged(&mut self) {
        self.raw.values.push(RawValue {
            state: state::UNCHANGED,
            ..RawValue::default()
        });
    }

    /// Adds text to the row.
    pub fn push_text(&mut self, text: &str) {
        self.push(state::TEXT, text.as_bytes());
    }

    /// Adds bytes to the row.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.push(state::BYTES, bytes);
    }

    /// Adds bytes given in PostgreSQL's hexadecimal digits; false, and nothing added, where they
    /// are not.
    pub fn push_hex(&mut self, digits: &[u8]) -> bool {
        if !digits.len().is_multiple_of(2) {
            return false;
        }
        let offset = self.raw.data.len();
        self.raw.data.reserve(digits.len() / 2);
        for pair in digits.chunks_exact(2) {
            let (Some(high), Some(low)) = (hex(pair[0]), hex(pair[1])) else {
                self.raw.data.truncate(offset);
                return false;
            };
            self.raw.data.push(high << 4 | low);
        }
        let len = count(digits.len() / 2);
        self.raw.values.push(RawValue {
            state: state::BYTES,
            len,
            offset: offset as u64,
            ..RawValue::default()
        });
        true
    }

    fn push(&mut self, state: u8, bytes: &[u8]) {
        let offset = self.raw.data.len() as u64;
        self.raw.data.extend_from_slice(bytes);
        let len = count(bytes.len());
        self.raw.values.push(RawValue {
            state,
            len,
            offset,
            ..RawValue::default()
        });
    }

    /// Adds a change to the open transaction. `relation` is from [`relation`](Self::relation),
    /// rows from [`start_row`](Self::start_row).
    pub fn change(
        &mut self,
        op: Op,
        flags: u8,
        relation: u32,
        old: Option<u32>,
        new: Option<u32>,
        ordinal: u64,
    ) {
        self.raw.changes.push(RawChange {
            op: op as u8,
            flags,
            extra: 0,
            relation,
            transaction: count(self.raw.transactions.len()).saturating_sub(1),
            new: new.unwrap_or(NO_ROW),
            old: old.unwrap_or(NO_ROW),
            more: 0,
            ordinal,
        });
    }

    /// Ends the open transaction, which had `ordinal` row messages. Without any change in this
    /// arena it leaves no trace in it, unless an earlier arena holds its beginning.
    pub fn commit(&mut self, end_lsn: u64, ordinal: u64) {
        let changes = count(self.raw.changes.len());
        if let Some(transaction) = self.raw.transactions.last_mut() {
            let is_empty = transaction.first_change == changes;
            if is_empty && transaction.flags & RawTransaction::CONTINUED == 0 {
                self.raw.transactions.pop();
            } else {
                transaction.end_lsn = end_lsn;
                transaction.ordinal = ordinal;
            }
        }
    }

    /// Leaves the open transaction to go on in the next arena, after `ordinal` row messages;
    /// whether it does. One of which no arena holds anything leaves no trace: it begins anew.
    pub fn split(&mut self, ordinal: u64) -> bool {
        let changes = count(self.raw.changes.len());
        let Some(transaction) = self.raw.transactions.last_mut() else {
            return false;
        };
        let is_empty = transaction.first_change == changes;
        let is_continued = transaction.flags & RawTransaction::CONTINUED != 0;
        if is_empty {
            self.raw.transactions.pop();
        } else {
            transaction.flags |= RawTransaction::OPEN;
            transaction.ordinal = ordinal;
        }
        !is_empty || is_continued
    }

    /// Whether any transaction has begun and left a trace.
    #[must_use]
    pub fn has_transactions(&self) -> bool {
        !self.raw.transactions.is_empty()
    }

    /// The finished arena; the builder is empty again.
    pub fn finish(&mut self) -> Arena {
        Arena(RArc::new(std::mem::take(&mut self.raw)))
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Arenas are cut at some megabytes, far below four thousand million of anything; a single value
/// is at most 1 GiB in PostgreSQL.
fn count(len: usize) -> u32 {
    u32::try_from(len).expect("arenas are cut long before 2^32 of anything")
}
