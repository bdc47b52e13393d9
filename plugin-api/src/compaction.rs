//! What the changes of a key come to: many changes of one table merged into sets of rows that can
//! be written in bulk.
//!
//! For writers whose target takes rows in bulk, between the batch and the statements. [`compact`]
//! keeps what the changes say in sum: a value that the newest change left unchanged is the one before
//! it, a delete ends a key, an insert after a delete replaces the row. It is for tables with a key,
//! for changes that don't [move](crate::Change::moves_key) it, and for tables that nothing ties to
//! the source's order: no further unique key and no enforced foreign key. Keys are compared by their
//! text: only where two texts are two values, or the target says so too.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{Hash, Hasher},
};

use crate::{Change, Op, Row, Value};

/// A row's key, compared by the text of its values.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    row: Row<'a>,
    columns: &'a [usize],
}

impl<'a> Key<'a> {
    /// The key of `row`, whose columns are at these positions.
    #[must_use]
    pub fn new(row: Row<'a>, columns: &'a [usize]) -> Self {
        Self { row, columns }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.row
            .select(self.columns)
            .eq(other.row.select(other.columns))
    }
}

impl Eq for Key<'_> {}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for value in self.row.select(self.columns) {
            match value {
                Value::Text(_, text) => text.hash(state),
                Value::Bytes(bytes) => bytes.hash(state),
                Value::Null | Value::Unchanged => 0_u8.hash(state),
            }
        }
    }
}

/// A row as it is to be, put together from the newest change of its key and, for what that left
/// unchanged, the ones before.
#[derive(Debug)]
pub struct Put<'a> {
    index: usize,
    newest: Change<'a>,
    earlier: Vec<Change<'a>>,
}

impl<'a> Put<'a> {
    fn new(index: usize, newest: Change<'a>) -> Self {
        Self {
            index,
            newest,
            earlier: Vec::new(),
        }
    }

    /// The value of the column; unchanged where no change of the batch has it.
    #[must_use]
    pub fn value(&self, column: usize) -> Value<'a> {
        let value = self.newest.value(column);
        if !value.is_unchanged() || self.earlier.is_empty() {
            return value;
        }
        let mut earlier = self.earlier.iter().rev().map(|change| change.value(column));
        earlier
            .find(|value| !value.is_unchanged())
            .unwrap_or(Value::Unchanged)
    }

    /// The change that it came from, or the last of them.
    #[must_use]
    pub fn newest(&self) -> Change<'a> {
        self.newest
    }

    /// The index of that change in its batch.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether some of the columns are unchanged.
    #[must_use]
    pub fn is_partial(&self, written: &[usize]) -> bool {
        let mut columns = written.iter();
        columns.any(|&column| self.value(column).is_unchanged())
    }

    /// Puts a newer change of the key over it.
    fn update(&mut self, index: usize, change: Change<'a>, written: &[usize]) {
        let before = std::mem::replace(&mut self.newest, change);
        self.index = index;
        let mut columns = written.iter();
        if columns.any(|&column| change.value(column).is_unchanged()) {
            self.earlier.push(before);
        } else {
            self.earlier.clear();
        }
    }
}

/// An old row that is to go, and the index of the change that deletes it.
#[derive(Clone, Copy, Debug)]
pub struct Gone<'a> {
    /// The change's index in its batch.
    pub index: usize,
    /// Its old row.
    pub row: Row<'a>,
}

/// The changes of one table, one per key, by what is to be done. The sets have no key in common,
/// so their order doesn't matter.
#[derive(Debug, Default)]
pub struct Compacted<'a> {
    /// New rows.
    pub inserts: Vec<Put<'a>>,
    /// Rows to insert or replace.
    pub upserts: Vec<Put<'a>>,
    /// Rows of which some columns are to be set.
    pub updates: Vec<Put<'a>>,
    /// Rows to delete.
    pub deletes: Vec<Gone<'a>>,
}

/// What a key's changes come to; `was_there`: before the batch.
enum Merged<'a> {
    Put { put: Put<'a>, was_there: bool },
    Gone { gone: Gone<'a>, was_there: bool },
}

/// Merges changes of one table, given with their indexes in the batch, whose keys don't move; each
/// set is in order of first appearance. `key` are the positions of the key's columns, `written`
/// those of the columns that are written to the target. A truncate among the changes is a mistake
/// and ignored.
pub fn compact<'a>(
    changes: impl ExactSizeIterator<Item = (usize, Change<'a>)>,
    key: &'a [usize],
    written: &[usize],
) -> Compacted<'a> {
    let mut merged: Vec<Merged<'a>> = Vec::with_capacity(changes.len());
    let mut places: HashMap<Key<'a>, usize> = HashMap::with_capacity(changes.len());
    for (index, change) in changes {
        let (old, new) = (change.old_row(), change.new_row());
        let Some(row) = new.filter(|_| change.op() == Op::Insert).or(old).or(new) else {
            continue;
        };
        match places.entry(Key::new(row, key)) {
            Entry::Occupied(place) => {
                merge(&mut merged[*place.get()], index, change, row, written);
            }
            Entry::Vacant(place) => {
                place.insert(merged.len());
                let was_there = change.op() != Op::Insert;
                merged.push(if change.op() == Op::Delete {
                    let gone = Gone { index, row };
                    Merged::Gone { gone, was_there }
                } else {
                    let put = Put::new(index, change);
                    Merged::Put { put, was_there }
                });
            }
        }
    }
    let mut result = Compacted::default();
    for change in merged {
        match change {
            Merged::Put { put, .. } if put.is_partial(written) => result.updates.push(put),
            Merged::Put { put, was_there } if was_there => result.upserts.push(put),
            Merged::Put { put, .. } => result.inserts.push(put),
            Merged::Gone { gone, was_there } if was_there => result.deletes.push(gone),
            Merged::Gone { .. } => {}
        }
    }
    result
}

fn merge<'a>(
    known: &mut Merged<'a>,
    index: usize,
    change: Change<'a>,
    row: Row<'a>,
    written: &[usize],
) {
    let (Merged::Put { was_there, .. } | Merged::Gone { was_there, .. }) = *known;
    if change.op() == Op::Delete {
        let gone = Gone { index, row };
        *known = Merged::Gone { gone, was_there };
    } else if let Merged::Put { put, .. } = known {
        put.update(index, change, written);
    } else {
        let put = Put::new(index, change);
        *known = Merged::Put { put, was_there };
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::{BatchBuilder, Cell, relation};

    #[test]
    fn the_changes_of_a_key_come_to_one() {
        let table = relation("public.items")
            .column("id", "integer")
            .column("name", "text")
            .column("notes", "text")
            .key(["id"])
            .build();
        let batch = BatchBuilder::after(&crate::Position::default())
            .insert(&table, ["1", "a", "x"])
            .update(&table, [Cell::Text("1"), Cell::Text("b"), Cell::Unchanged])
            .delete(&table, ["2"])
            .insert(&table, ["2", "c", "y"])
            .update(&table, [Cell::Text("3"), Cell::Null, Cell::Unchanged])
            .insert(&table, ["4", "d", "z"])
            .delete(&table, ["4"])
            .delete(&table, ["5"])
            .build();
        let changes: Vec<_> = batch.changes().enumerate().collect();
        let compacted = compact(changes.into_iter(), &[0], &[0, 1, 2]);
        let texts = |puts: &[Put<'_>]| -> Vec<Vec<Option<String>>> {
            let text = |value: Value<'_>| match value {
                Value::Text(_, text) => Some(text.to_owned()),
                _ => None,
            };
            let row = |put: &Put<'_>| (0..3).map(|column| text(put.value(column))).collect();
            puts.iter().map(row).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            texts(&compacted.inserts),
            [[some("1"), some("b"), some("x")]]
        );
        assert_eq!(
            texts(&compacted.upserts),
            [[some("2"), some("c"), some("y")]]
        );
        assert_eq!(texts(&compacted.updates), [[some("3"), None, None]]);
        let deleted: Vec<usize> = compacted.deletes.iter().map(|gone| gone.index).collect();
        assert_eq!(deleted, [7]);
        assert_eq!(compacted.inserts[0].index(), 1);
    }
}
