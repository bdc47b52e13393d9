//! A batch as the target is to get it: without what is set aside, and with what was set aside before
//! and a later change of its row brings along.

use std::{collections::BTreeMap, sync::Arc};

use tahr_plugin_api::{
    Batch, Change, Lsn, Op, Relation, Route, Segment, TableName,
    abi::{Arena, ArenaBuilder, RawTransaction},
};

use super::{
    book::{Book, End},
    cell::Cell,
    deed::{Deed, names_by_text},
    entry::{ChangeId, Entry, Reason, id_of, position_of},
};

/// Changes that the target has refused, and why.
pub(super) type Refused = BTreeMap<ChangeId, Reason>;

/// How much may be set aside: rows, and their bytes, beside the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) rows: usize,
    pub(super) size: usize,
}

impl Room {
    pub(super) fn has(self, book: &Book) -> bool {
        book.entries().len() < self.rows && book.size() < self.size
    }
}

/// A change that can't be set aside.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) table: TableName,
    /// Why it should have been.
    pub(super) reason: Reason,
    pub(super) why: Why,
}

#[derive(Debug)]
pub(super) enum Why {
    NoRoom,
    /// The target is to lose a key that may come back in another spelling.
    Spelling,
}

/// What becomes of a change.
enum Fate {
    AsItIs,
    /// It does this instead.
    Becomes(Deed),
    Left,
}

/// `batch` as the target is to get it; none where that is as it is. `book` is changed to what holds
/// once the target has stored it; halfway where a change can't be set aside.
pub(super) fn sift(
    book: &mut Book,
    batch: &Batch,
    refused: &Refused,
    room: Room,
) -> Result<Option<Batch>, Unfit> {
    if book.entries().is_empty() && !holds_any(batch, refused) {
        return Ok(None);
    }
    let mut segments = Vec::new();
    let mut is_same = true;
    for segment in batch.segments() {
        let mut first = segment.first;
        let mut cut = |at: u32, segments: &mut Vec<Segment>| {
            if first < at {
                segments.push(part(segment, first, at));
            }
            first = at + 1;
        };
        for at in segment.first..segment.end {
            let one = part(segment, at, at + 1);
            let Some(change) = one.changes().next() else {
                continue;
            };
            match fate(book, &change, refused, room)? {
                Fate::AsItIs => continue,
                Fate::Left => cut(at, &mut segments),
                Fate::Becomes(deed) => {
                    cut(at, &mut segments);
                    segments.push(alone(segment, at, &change, &deed));
                }
            }
            is_same = false;
        }
        if first < segment.end {
            segments.push(part(segment, first, segment.end));
        }
    }
    if is_same {
        return Ok(None);
    }
    let (previous, position) = (batch.previous().clone(), batch.position().clone());
    let sifted = Batch::new(segments, previous, position, batch.part());
    Ok(Some(sifted))
}

fn holds_any(batch: &Batch, refused: &Refused) -> bool {
    !refused.is_empty()
        && batch
            .changes()
            .any(|change| refused.contains_key(&id_of(&change)))
}

/// What becomes of `change`, noted in `book`.
fn fate(
    book: &mut Book,
    change: &Change<'_>,
    refused: &Refused,
    room: Room,
) -> Result<Fate, Unfit> {
    let (id, relation) = (id_of(change), change.relation());
    let reason = refused.get(&id);
    if reason.is_none() && !book.has_table(relation.oid) {
        return Ok(Fate::AsItIs);
    }
    let at = position_of(id);
    let Some(deed) = Deed::of(change) else {
        if change.op() == Op::Truncate {
            let entries = book.entries().values();
            let ended = entries.filter(|entry| entry.oid == relation.oid);
            let ended: Vec<_> = ended.map(|entry| entry.number).collect();
            for number in ended {
                book.end(number, at.clone(), End::Truncated);
            }
        }
        return Ok(Fate::AsItIs);
    };
    let key = relation.key();
    let (before, after) = (deed.before(&key), deed.after(&key));
    // The row that was set aside goes on; or its key is used anew, of which the target still has
    // the row that was to be deleted.
    let goes_on = book.of_row(relation, before.as_ref()).map(Arc::clone);
    let is_new = before.is_none() && !key.is_empty();
    let returns = is_new.then(|| {
        let mut entries = book.at_place(relation, after.as_ref());
        entries.find(|entry| entry.row().is_none()).map(Arc::clone)
    });
    let entry = goes_on.or(returns.flatten());
    let known = entry.as_ref().map(|entry| entry.number);
    let earlier = entry.as_ref().and_then(|entry| entry.deed_in(relation));
    let merged = match earlier {
        None => deed,
        Some(earlier) => match earlier.then(deed.clone(), &key) {
            Some(merged) => merged,
            None => {
                let is_free = book.at_place(relation, before.as_ref()).next().is_none();
                // Somebody may have put the row there; it is gone in the source.
                let goes_too = is_free && !key.is_empty();
                match (goes_too, reason) {
                    (true, Some(_)) => deed,
                    _ => {
                        if let Some(number) = known {
                            book.end(number, at, End::Vanished);
                        }
                        return Ok(if goes_too { Fate::AsItIs } else { Fate::Left });
                    }
                }
            }
        },
    };
    let reason = match (reason, blocker(book, relation, &merged, known)) {
        (Some(reason), _) => reason.clone(),
        (None, Some(number)) => blocked_by(number),
        (None, None) => {
            return Ok(match known {
                None => Fate::AsItIs,
                Some(number) => {
                    book.end(number, at, End::Overtaken);
                    Fate::Becomes(merged)
                }
            });
        }
    };
    let why = if known.is_none() && !room.has(book) {
        Some(Why::NoRoom)
    } else {
        let (before, after) = (merged.before(&key), merged.after(&key));
        let leaves_key = !key.is_empty() && before.is_some() && before != after;
        (leaves_key && !names_by_text(relation)).then_some(Why::Spelling)
    };
    if let Some(why) = why {
        let table = relation.source.clone();
        return Err(Unfit { table, reason, why });
    }
    let number = known.unwrap_or_else(|| book.next_number());
    let mut new = Entry::new(number, change, merged, reason);
    if let Some(entry) = entry {
        new.since = entry.since;
        new.changes += entry.changes;
    }
    book.put(new);
    Ok(Fate::Left)
}

/// Why a row waits for the entry `number`.
pub(super) fn blocked_by(number: u64) -> Reason {
    Reason {
        message: format!("the target still has the row of change {number} under this key"),
        hint: "retry or discard that one first".to_owned(),
        column: None,
    }
}

/// The number of an entry, other than `own`, under whose row in the target `deed` would put another
/// one. Rows without a key stand beside each other.
pub(super) fn blocker(
    book: &Book,
    relation: &Relation,
    deed: &Deed,
    own: Option<u64>,
) -> Option<u64> {
    let key = relation.key();
    if key.is_empty() {
        return None;
    }
    let after = deed.after(&key);
    let mut entries = book.at_place(relation, after.as_ref());
    let stands = entries.find(|entry| Some(entry.number) != own && entry.row() != after);
    stands.map(|entry| entry.number)
}

fn part(segment: &Segment, first: u32, end: u32) -> Segment {
    Segment {
        arena: segment.arena.clone(),
        first,
        end,
        routes: Arc::clone(&segment.routes),
    }
}

/// `deed` in the place of `change`, which is at `at` of `segment`.
fn alone(segment: &Segment, at: u32, change: &Change<'_>, deed: &Deed) -> Segment {
    let raw = segment.arena.changes()[at as usize];
    let transaction = segment.arena.transactions()[raw.transaction as usize];
    let ordinal = change.ordinal();
    write(&[(transaction, Arc::clone(change.relation()), deed, ordinal)])
}

/// A segment that does `deeds`, each as a transaction, in the columns of its relation, and with its
/// ordinal.
pub(super) fn write(deeds: &[(RawTransaction, Arc<Relation>, &Deed, u64)]) -> Segment {
    let mut builder = ArenaBuilder::default();
    let mut routes: Vec<Option<Route>> = Vec::new();
    for (transaction, relation, deed, ordinal) in deeds {
        builder.begin(
            transaction.commit_lsn,
            transaction.commit_time,
            transaction.xid,
            None,
        );
        let index = builder.relation(relation.version);
        if index as usize == routes.len() {
            routes.push(Some(Route {
                relation: Arc::clone(relation),
                from: Lsn::ZERO,
            }));
        }
        let mut row = |row: &Vec<Cell>| push(&mut builder, relation, row);
        let old = deed.old.as_ref().map(&mut row);
        let new = deed.new.as_ref().map(row);
        let flags = if deed.key_only { Change::KEY_ONLY } else { 0 };
        builder.change(deed.verb.op(), flags, index, old, new, *ordinal);
        builder.commit(transaction.end_lsn, ordinal + 1);
    }
    let arena: Arena = builder.finish();
    Segment {
        first: 0,
        end: u32::try_from(arena.changes().len()).unwrap_or(u32::MAX),
        arena,
        routes: routes.into(),
    }
}

/// Adds a row of `relation` as its source would send it: excluded columns are null.
fn push(builder: &mut ArenaBuilder, relation: &Relation, row: &[Cell]) -> u32 {
    let start = builder.start_row();
    let width = relation
        .columns
        .iter()
        .map(|column| column.source_index + 1);
    for place in 0..width.max().unwrap_or(0) {
        let mut columns = relation.columns.iter();
        match columns.position(|column| column.source_index == place) {
            Some(index) => row[index].push_to(builder),
            None => builder.push_null(),
        }
    }
    start
}
