//! How questions and answers cross: as bytes in `request`, which both sides of the ABI have.

use super::{Digest, Filter};
use crate::abi::Arena;

/// To a writer: what it would store of rows.
pub(crate) const DIGESTS: u32 = 16;
/// To a writer: what the target holds.
pub(crate) const READ_BACK: u32 = 17;
/// To a writer: whether it holds rows at all.
pub(crate) const HOLDS_ROWS: u32 = 18;
/// To the host: rows that were read back.
pub(crate) const ROWS: u32 = 16;

/// "Null" in the place of a text's length.
const NULL: u32 = u32::MAX;

/// What a writer is asked.
#[derive(Debug)]
pub(crate) struct Question {
    /// The relation's version.
    pub(crate) relation: u32,
    pub(crate) filter: Filter,
    pub(crate) wants_names: bool,
    /// The rows, or the keys; none: the whole table.
    pub(crate) arena: Option<Arena>,
}

impl Question {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.relation.to_le_bytes());
        out.push(u8::from(self.wants_names));
        self.filter.write_to(&mut out);
        if let Some(arena) = &self.arena {
            arena.write_to(&mut out);
        }
        out
    }

    pub(crate) fn read_from(bytes: &[u8]) -> Option<Self> {
        let (relation, rest) = bytes.split_first_chunk()?;
        let (&names, rest) = rest.split_first()?;
        let (filter, rest) = Filter::read_from(rest)?;
        let arena = match rest {
            [] => None,
            bytes => Some(Arena::read_from(bytes)?),
        };
        Some(Self {
            relation: u32::from_le_bytes(*relation),
            filter,
            wants_names: names != 0,
            arena,
        })
    }
}

pub(super) fn put_digest(out: &mut Vec<u8>, digest: Digest) {
    out.extend_from_slice(&digest.key.to_le_bytes());
    out.extend_from_slice(&digest.row.to_le_bytes());
}

pub(super) fn put_text(out: &mut Vec<u8>, text: Option<&[u8]>) {
    let len = text.map_or(NULL, |text| u32::try_from(text.len()).unwrap_or(NULL));
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.filter(|_| len != NULL).unwrap_or_default());
}

fn digest(bytes: &[u8]) -> Option<(Digest, &[u8])> {
    let (key, rest) = bytes.split_first_chunk()?;
    let (row, rest) = rest.split_first_chunk()?;
    let (key, row) = (u64::from_le_bytes(*key), u64::from_le_bytes(*row));
    Some((Digest { key, row }, rest))
}

pub(crate) fn pack_digests(digests: &[Digest]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 * digests.len());
    for &digest in digests {
        put_digest(&mut out, digest);
    }
    out
}

pub(crate) fn unpack_digests(mut bytes: &[u8]) -> Option<Vec<Digest>> {
    let mut digests = Vec::with_capacity(bytes.len() / 16);
    while !bytes.is_empty() {
        let (next, rest) = digest(bytes)?;
        digests.push(next);
        bytes = rest;
    }
    Some(digests)
}

/// A row that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// What it comes to.
    pub digest: Digest,
    /// The values of its key, as PostgreSQL reads them; empty where they were not wanted.
    pub name: Vec<Option<&'a [u8]>>,
}

/// Takes apart what a [`ReadBack`](super::ReadBack) has sent; false where it is something else.
pub fn read_found<'a>(mut bytes: &'a [u8], mut each: impl FnMut(Found<'a>)) -> bool {
    fn next(bytes: &[u8]) -> Option<(Found<'_>, &[u8])> {
        let (digest, rest) = digest(bytes)?;
        let (&columns, mut rest) = rest.split_first()?;
        let mut name = Vec::with_capacity(usize::from(columns));
        for _ in 0..columns {
            let (len, after) = rest.split_first_chunk()?;
            let len = u32::from_le_bytes(*len);
            rest = after;
            if len == NULL {
                name.push(None);
                continue;
            }
            let (text, after) = rest.split_at_checked(len as usize)?;
            name.push(Some(text));
            rest = after;
        }
        Some((Found { digest, name }, rest))
    }
    while !bytes.is_empty() {
        let Some((found, rest)) = next(bytes) else {
            return false;
        };
        each(found);
        bytes = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{abi::ArenaBuilder, read_back::ReadBack};

    #[test]
    fn rows_cross_with_their_names() {
        let mut sent = Vec::new();
        let mut send = |bytes: &[u8]| {
            sent.extend_from_slice(bytes);
            Ok(())
        };
        let mut rows = ReadBack::new(Filter::all(), true, &mut send);
        let of = |key| Digest { key, row: !key };
        rows.row(of(1), |name| name.text("ä")).unwrap();
        rows.row(of(2), |name| {
            name.bytes(&[0, 255]);
            name.null();
        })
        .unwrap();
        rows.flush().unwrap();
        let mut found = Vec::new();
        assert!(read_found(&sent, |row| found.push(row)));
        assert_eq!(found[0].digest, of(1));
        assert_eq!(found[0].name, [Some("ä".as_bytes())]);
        assert_eq!(found[1].name, [Some(&b"\\x00ff"[..]), None]);
        for len in 1..sent.len() {
            let mut count = 0;
            let is_whole = read_found(&sent[..len], |_| count += 1);
            assert!(!is_whole || count == 1, "{len}");
        }
    }

    #[test]
    fn a_question_crosses_with_and_without_rows() {
        let mut builder = ArenaBuilder::default();
        builder.begin(1, 0, 0, None);
        let table = builder.relation(4);
        let row = builder.start_row();
        builder.push_text("k");
        builder.change(crate::Op::Insert, 0, table, None, Some(row), 0);
        builder.commit(2, 1);
        for arena in [None, Some(builder.finish())] {
            let question = Question {
                relation: 4,
                filter: Filter::none(5),
                wants_names: true,
                arena,
            };
            let read = Question::read_from(&question.to_bytes()).unwrap();
            assert_eq!((read.relation, read.wants_names), (4, true));
            assert_eq!(read.filter, question.filter);
            let changes = |question: &Question| question.arena.as_ref().map(|a| a.changes().len());
            assert_eq!(changes(&read), changes(&question));
        }
        assert!(Question::read_from(b"none").is_none());
    }
}
