//! Arenas as bytes, for files that the same machine reads back.

use abi_stable::std_types::{RArc, RVec};

use super::arena::{Arena, NO_ROW, RawArena, RawChange, RawTransaction, RawValue, state};
use crate::Op;

fn put<const N: usize>(out: &mut Vec<u8>, words: [u64; N]) {
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

fn bits(first: u8, second: u8, extra: u16, high: u32) -> u64 {
    u64::from(first) | u64::from(second) << 8 | u64::from(extra) << 16 | u64::from(high) << 32
}

impl Arena {
    /// Adds the arena as bytes to `out`.
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
        out.reserve(raw.data.len() + 16 * raw.values.len() + 32 * raw.changes.len());
        out.extend_from_slice(&raw.data);
        for v in &raw.values {
            let head = bits(v.state, v.flags, v.extra, v.len);
            put(out, [head, v.offset]);
        }
        for c in &raw.changes {
            let head = bits(c.op, c.flags, c.extra, c.relation);
            put(
                out,
                [
                    head,
                    pair(c.new, c.old),
                    pair(c.transaction, c.more),
                    c.ordinal,
                ],
            );
        }
        for t in &raw.transactions {
            #[expect(clippy::cast_sign_loss, reason = "read back the same way")]
            let time = t.commit_time as u64;
            let (tail, flags) = (pair(t.xid, t.first_change), pair(t.flags, t.extra));
            put(out, [t.commit_lsn, t.end_lsn, time, t.ordinal, tail, flags]);
        }
        for version in &raw.relations {
            out.extend_from_slice(&version.to_le_bytes());
        }
    }

    /// Reads what [`write_to`](Self::write_to) wrote; none where the bytes are not that. A damaged
    /// file that got past its checksum can't make text of what isn't, nor lead beyond the arena:
    /// every value lies in the data, every row in the values, every change in its transaction.
    #[must_use]
    pub fn read_from(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [data, values, changes, transactions, relations] =
            std::array::from_fn(|_| reader.word());
        let (values, changes) = (values?, changes?);
        let (transactions, relations) = (transactions?, relations?);
        let data = reader.take(usize::try_from(data?).ok()?)?;
        let mut raw = RawArena {
            data: RVec::from(data.to_vec()),
            ..RawArena::default()
        };
        raw.values.reserve_exact(reader.room(values, 16)?);
        for _ in 0..values {
            raw.values.push(reader.value(data)?);
        }
        raw.changes.reserve_exact(reader.room(changes, 32)?);
        for _ in 0..changes {
            raw.changes.push(reader.change()?);
        }
        raw.transactions
            .reserve_exact(reader.room(transactions, 48)?);
        for _ in 0..transactions {
            raw.transactions.push(reader.transaction()?);
        }
        raw.relations.reserve_exact(reader.room(relations, 4)?);
        for _ in 0..relations {
            raw.relations
                .push(u32::from_le_bytes(reader.take(4)?.try_into().ok()?));
        }
        (reader.0.is_empty() && is_whole(&raw)).then(|| Self(RArc::new(raw)))
    }
}

/// Whether changes, transactions, relations and rows fit together as the builder lays them.
fn is_whole(raw: &RawArena) -> bool {
    let mut row = 0;
    let mut transaction = 0;
    for (index, change) in raw.changes.iter().enumerate() {
        let in_order = change.transaction >= transaction;
        transaction = change.transaction;
        let Some(own) = raw.transactions.get(transaction as usize) else {
            return false;
        };
        let next = raw.transactions.get(transaction as usize + 1);
        let is_own = own.first_change as usize <= index
            && next.is_none_or(|next| index < next.first_change as usize);
        let is_known = (change.relation as usize) < raw.relations.len();
        if !(in_order && is_own && is_known && Op::from_number(change.op).is_some()) {
            return false;
        }
        for start in [change.old, change.new] {
            if start == NO_ROW {
                continue;
            }
            if start < row || start as usize > raw.values.len() {
                return false;
            }
            row = start;
        }
    }
    let mut first = 0;
    raw.transactions.iter().all(|transaction| {
        let in_order = transaction.first_change >= first;
        first = transaction.first_change;
        in_order && first as usize <= raw.changes.len()
    })
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

    fn value(&mut self, data: &[u8]) -> Option<RawValue> {
        let (head, offset) = (self.word()?, self.word()?);
        let value = RawValue {
            state: head as u8,
            flags: (head >> 8) as u8,
            extra: (head >> 16) as u16,
            len: (head >> 32) as u32,
            offset,
        };
        let start = usize::try_from(offset).ok()?;
        let bytes = data.get(start..start.checked_add(value.len as usize)?)?;
        let is_valid = match value.state {
            state::TEXT => std::str::from_utf8(bytes).is_ok(),
            other => other <= state::BYTES,
        };
        is_valid.then_some(value)
    }

    fn change(&mut self) -> Option<RawChange> {
        let (head, rows, place) = (self.word()?, self.word()?, self.word()?);
        Some(RawChange {
            op: head as u8,
            flags: (head >> 8) as u8,
            extra: (head >> 16) as u16,
            relation: (head >> 32) as u32,
            new: rows as u32,
            old: (rows >> 32) as u32,
            transaction: place as u32,
            more: (place >> 32) as u32,
            ordinal: self.word()?,
        })
    }

    fn transaction(&mut self) -> Option<RawTransaction> {
        let [commit_lsn, end_lsn, time, ordinal, tail, flags] =
            std::array::from_fn(|_| self.word());
        let (tail, flags) = (tail?, flags?);
        #[expect(clippy::cast_possible_wrap, reason = "written the same way")]
        let commit_time = time? as i64;
        Some(RawTransaction {
            commit_lsn: commit_lsn?,
            end_lsn: end_lsn?,
            commit_time,
            ordinal: ordinal?,
            xid: tail as u32,
            first_change: (tail >> 32) as u32,
            flags: flags as u32,
            extra: (flags >> 32) as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ValueKind, abi::ArenaBuilder};

    /// Two transactions, one continued and one open; every state of a value, every kind of change.
    fn arena() -> Arena {
        let mut builder = ArenaBuilder::default();
        builder.begin(100, -5, 7, Some(3));
        let table = builder.relation(4);
        let old = builder.start_row();
        builder.push_text("kä");
        builder.push_null();
        let new = builder.start_row();
        builder.push_unchanged();
        assert!(builder.push_hex(b"00fF7f"));
        builder.change(Op::Update, 1, table, Some(old), Some(new), 3);
        builder.change(Op::Truncate, 2, table, None, None, 4);
        builder.commit(160, 5);
        builder.begin(200, 1 << 60, u32::MAX, None);
        let other = builder.relation(9);
        let row = builder.start_row();
        builder.push_text("");
        builder.change(Op::Insert, 0, other, None, Some(row), 0);
        let row = builder.start_row();
        builder.push_bytes(&[255, 0]);
        builder.change(Op::Delete, 0, other, Some(row), None, 1);
        assert!(builder.split(2));
        builder.finish()
    }

    fn bytes_of(arena: &Arena) -> Vec<u8> {
        let mut bytes = Vec::new();
        arena.write_to(&mut bytes);
        bytes
    }

    /// Calls everything that looks into an arena.
    fn touch(arena: &Arena) {
        for index in 0..arena.values().len() {
            let _ = format!("{:?}", arena.value(index, ValueKind::Text));
        }
        for index in 0..arena.transactions().len() {
            let (first, end) = arena.changes_of(index);
            for change in &arena.changes()[first as usize..end as usize] {
                assert_eq!(change.transaction as usize, index);
                assert!((change.relation as usize) < arena.relations().len());
                for row in [change.old, change.new] {
                    assert!(row == NO_ROW || row as usize <= arena.values().len());
                }
            }
            let _ = arena.position_after(index);
        }
    }

    #[test]
    fn an_arena_is_read_back_as_it_was() {
        let arena = arena();
        let read = Arena::read_from(&bytes_of(&arena)).unwrap();
        assert_eq!(format!("{:?}", read.0), format!("{:?}", arena.0));
        touch(&read);
        let empty = ArenaBuilder::default().finish();
        assert!(Arena::read_from(&bytes_of(&empty)).is_some());
    }

    #[test]
    fn a_damaged_byte_is_refused_or_stays_within_the_arena() {
        let good = bytes_of(&arena());
        let mut refused = 0;
        for at in 0..good.len() {
            for flip in 1..=255 {
                let mut bad = good.clone();
                bad[at] ^= flip;
                match Arena::read_from(&bad) {
                    Some(arena) => touch(&arena),
                    None => refused += 1,
                }
            }
        }
        assert!(refused > good.len() * 255 / 4, "only {refused} refused");
    }

    #[cfg(feature = "testing")]
    #[test]
    fn no_bytes_are_an_arena_that_leads_beyond_itself() {
        let samples = [
            bytes_of(&arena()),
            bytes_of(&ArenaBuilder::default().finish()),
        ];
        crate::testing::fuzz("arenas", &samples, |bytes| {
            Arena::read_from(bytes).inspect(touch).is_some()
        });
    }

    #[test]
    fn bytes_cut_short_or_too_long_are_refused() {
        let good = bytes_of(&arena());
        for len in 0..good.len() {
            assert!(Arena::read_from(&good[..len]).is_none(), "{len} bytes");
        }
        let longer = [&good[..], &[0]].concat();
        assert!(Arena::read_from(&longer).is_none());
    }

    #[test]
    fn a_transaction_leaves_a_trace_only_where_it_has_one() {
        let mut builder = ArenaBuilder::default();
        builder.begin(1, 0, 0, None);
        builder.commit(2, 0);
        assert!(!builder.has_transactions(), "empty");
        builder.begin(3, 0, 0, None);
        assert!(!builder.split(4), "nothing of it was put anywhere");
        assert!(!builder.has_transactions());
        builder.begin(3, 0, 0, Some(4));
        assert!(builder.split(4), "an earlier arena holds its beginning");
        assert!(!builder.has_transactions());
        builder.begin(3, 0, 0, Some(4));
        builder.commit(9, 4);
        let end = builder.finish().position_after(0);
        assert_eq!(end, crate::Position::at(crate::Lsn(9)));
    }

    #[test]
    fn digits_that_are_none_add_nothing() {
        let mut builder = ArenaBuilder::default();
        for wrong in [&b"0"[..], b"0g", b"00zz"] {
            assert!(!builder.push_hex(wrong), "{wrong:?}");
        }
        assert_eq!((builder.values(), builder.data_len()), (0, 0));
        assert!(builder.push_hex(b""));
        assert_eq!((builder.values(), builder.data_len()), (1, 0));
    }
}
