//! A batch as the target is to get it: without what is set aside, and with what was set aside before
//! and a later change of its row brings along.

use std::{collections::BTreeMap, sync::Arc};

use tahr_plugin_api::{
    Batch, Change, Lsn, Op, Relation, Route, Segment,
    abi::{Arena, ArenaBuilder, RawTransaction},
};

use super::{
    book::{Book, End},
    cell::Cell,
    deed::Deed,
    entry::{ChangeId, Entry, Reason, id_of, position_of},
};

/// Changes that the target has refused, and why.
pub(super) type Refused = BTreeMap<ChangeId, Reason>;

/// What becomes of a change.
enum Fate {
    AsItIs,
    /// It does this instead.
    Becomes(Deed),
    Left,
}

/// `batch` as the target is to get it; none where that is as it is. `book` is changed to what holds
/// once the target has stored it.
pub(super) fn sift(book: &mut Book, batch: &Batch, refused: &Refused) -> Option<Batch> {
    if book.entries().is_empty() && !holds_any(batch, refused) {
        return None;
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
            match fate(book, &change, refused) {
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
        return None;
    }
    let (previous, position) = (batch.previous().clone(), batch.position().clone());
    Some(Batch::new(segments, previous, position, batch.part()))
}

fn holds_any(batch: &Batch, refused: &Refused) -> bool {
    !refused.is_empty()
        && batch
            .changes()
            .any(|change| refused.contains_key(&id_of(&change)))
}

/// What becomes of `change`, noted in `book`.
fn fate(book: &mut Book, change: &Change<'_>, refused: &Refused) -> Fate {
    let (id, oid) = (id_of(change), change.relation().oid);
    let reason = refused.get(&id);
    if reason.is_none() && !book.has_table(oid) {
        return Fate::AsItIs;
    }
    let at = position_of(id);
    let Some(deed) = Deed::of(change) else {
        if change.op() == Op::Truncate {
            let ended: Vec<_> = book
                .entries()
                .values()
                .filter(|entry| entry.oid == oid)
                .collect();
            let ended: Vec<_> = ended.into_iter().map(|entry| entry.number).collect();
            for number in ended {
                book.end(number, at.clone(), End::Truncated);
            }
        }
        return Fate::AsItIs;
    };
    let key = change.relation().key();
    let (before, after) = (deed.before(&key), deed.after(&key));
    // The row that was set aside goes on; or its key is used anew, of which the target still has
    // the row that was to be deleted.
    let goes_on = book.of_row(oid, before.as_ref()).map(Arc::clone);
    let is_new = before.is_none() && !key.is_empty();
    let returns = is_new.then(|| {
        let mut entries = book.at_place(oid, after.as_ref());
        entries.find(|entry| entry.row().is_none()).map(Arc::clone)
    });
    let entry = goes_on.or(returns.flatten());
    let known = entry.as_ref().map(|entry| entry.number);
    let merged = match &entry {
        None => Some(deed),
        Some(entry) => match entry.deed_in(change.relation()) {
            Some(earlier) => earlier.then(deed, &key),
            None => Some(deed),
        },
    };
    let Some(merged) = merged else {
        if let Some(number) = known {
            book.end(number, at, End::Vanished);
        }
        return Fate::Left;
    };
    let blocker = blocker(book, oid, &key, &merged, known);
    let reason = match (reason, blocker) {
        (Some(reason), _) => reason.clone(),
        (None, Some(number)) => Reason {
            message: format!("the target still has the row of change {number} under this key"),
            ..Reason::default()
        },
        (None, None) => {
            return match known {
                None => Fate::AsItIs,
                Some(number) => {
                    book.end(number, at, End::Overtaken);
                    Fate::Becomes(merged)
                }
            };
        }
    };
    let number = known.unwrap_or_else(|| book.next_number());
    let mut new = Entry::new(number, change, merged, reason);
    if let Some(entry) = entry {
        new.since = entry.since;
        new.changes += entry.changes;
    }
    book.put(new);
    Fate::Left
}

/// The number of an entry, other than `own`, under whose row in the target `deed` would put another
/// one. Rows without a key stand beside each other.
pub(super) fn blocker(
    book: &Book,
    oid: u32,
    key: &[usize],
    deed: &Deed,
    own: Option<u64>,
) -> Option<u64> {
    if key.is_empty() {
        return None;
    }
    let after = deed.after(key);
    let mut entries = book.at_place(oid, after.as_ref());
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
