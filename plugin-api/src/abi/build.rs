//! Building arenas: row by row in the decoder, from bytes when a segment file is read back.

use abi_stable::std_types::{RArc, RVec};

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

    /// Opens a transaction, or another piece of one (`continued`, after `ordinal` row messages).
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

    /// Leaves the open transaction to go on in the next arena, after `ordinal` row messages. One
    /// that has no change in this arena leaves no trace in it.
    pub fn split(&mut self, ordinal: u64) {
        let changes = count(self.raw.changes.len());
        if let Some(transaction) = self.raw.transactions.last_mut() {
            if transaction.first_change == changes {
                self.raw.transactions.pop();
            } else {
                transaction.flags |= RawTransaction::OPEN;
                transaction.ordinal = ordinal;
            }
        }
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

impl Arena {
    /// The arena as bytes, for a file that this machine reads back.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let raw = &self.0;
        for len in [
            raw.data.len(),
            raw.values.len(),
            raw.changes.len(),
            raw.transactions.len(),
            raw.relations.len(),
        ] {
            out.extend_from_slice(&(len as u64).to_le_bytes());
        }
        out.extend_from_slice(&raw.data);
        for v in &raw.values {
            let head = u64::from(v.state) | u64::from(v.flags) << 8 | u64::from(v.len) << 32;
            out.extend_from_slice(&head.to_le_bytes());
            out.extend_from_slice(&v.offset.to_le_bytes());
        }
        for c in &raw.changes {
            let head = u64::from(c.op) | u64::from(c.flags) << 8 | u64::from(c.relation) << 32;
            let rows = u64::from(c.new) | u64::from(c.old) << 32;
            for word in [head, rows, u64::from(c.transaction), c.ordinal] {
                out.extend_from_slice(&word.to_le_bytes());
            }
        }
        for t in &raw.transactions {
            let tail = u64::from(t.xid) | u64::from(t.first_change) << 32;
            #[expect(clippy::cast_sign_loss, reason = "read back the same way")]
            let time = t.commit_time as u64;
            for word in [
                t.commit_lsn,
                t.end_lsn,
                time,
                t.ordinal,
                tail,
                u64::from(t.flags),
            ] {
                out.extend_from_slice(&word.to_le_bytes());
            }
        }
        for version in &raw.relations {
            out.extend_from_slice(&version.to_le_bytes());
        }
    }

    /// Reads what [`write_to`](Self::write_to) wrote; none where the bytes are not that. Every
    /// index is checked, so a damaged file that got past its checksum can't reach beyond the arena.
    #[must_use]
    pub fn read_from(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [data, values, changes, transactions, relations] =
            std::array::from_fn(|_| reader.word());
        let (data, values) = (usize::try_from(data?).ok()?, values?);
        let (changes, transactions, relations) = (changes?, transactions?, relations?);
        let data = reader.take(data)?;
        let mut raw = RawArena {
            data: RVec::from(data.to_vec()),
            ..RawArena::default()
        };
        raw.values.reserve_exact(reader.room(values, 16)?);
        for _ in 0..values {
            let (head, offset) = (reader.word()?, reader.word()?);
            let value = RawValue {
                state: head as u8,
                flags: (head >> 8) as u8,
                extra: 0,
                len: (head >> 32) as u32,
                offset,
            };
            let start = usize::try_from(offset).ok()?;
            let text = data.get(start..start.checked_add(value.len as usize)?)?;
            if value.state == state::TEXT {
                std::str::from_utf8(text).ok()?;
            }
            raw.values.push(value);
        }
        raw.changes.reserve_exact(reader.room(changes, 32)?);
        for _ in 0..changes {
            let (head, rows) = (reader.word()?, reader.word()?);
            let change = RawChange {
                op: head as u8,
                flags: (head >> 8) as u8,
                extra: 0,
                relation: (head >> 32) as u32,
                transaction: u32::try_from(reader.word()?).ok()?,
                new: rows as u32,
                old: (rows >> 32) as u32,
                more: 0,
                ordinal: reader.word()?,
            };
            let fits = u64::from(change.relation) < relations
                && u64::from(change.transaction) < transactions
                && Op::from_number(change.op).is_some();
            fits.then(|| raw.changes.push(change))?;
        }
        for _ in 0..transactions {
            let [commit_lsn, end_lsn, time, ordinal, tail, flags] =
                std::array::from_fn(|_| reader.word());
            #[expect(clippy::cast_possible_wrap, reason = "written the same way")]
            let commit_time = time? as i64;
            raw.transactions.push(RawTransaction {
                commit_lsn: commit_lsn?,
                end_lsn: end_lsn?,
                commit_time,
                ordinal: ordinal?,
                xid: tail? as u32,
                first_change: (tail? >> 32) as u32,
                flags: u32::try_from(flags?).ok()?,
                extra: 0,
            });
        }
        for _ in 0..relations {
            raw.relations
                .push(u32::from_le_bytes(reader.take(4)?.try_into().ok()?));
        }
        reader.0.is_empty().then(|| Self(RArc::new(raw)))
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// `count` as a capacity, where that many items of `size` bytes can still follow.
    fn room(&self, count: u64, size: u64) -> Option<usize> {
        (count.checked_mul(size)? <= self.0.len() as u64).then_some(usize::try_from(count).ok()?)
    }
}
