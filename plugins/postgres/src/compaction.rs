//! What the changes of a key come to.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{Hash, Hasher},
};

use tahr_plugin_api::{Op, Row, Value};

use crate::{parameter::Parameter, plan::Item};

/// A row's key, compared by the text of its values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    row: Row<'a>,
    columns: &'a [usize],
}

impl<'a> Key<'a> {
    /// The key of `row`.
    pub(crate) fn new(row: Row<'a>, columns: &'a [usize]) -> Self {
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
                Value::Null | Value::Unchanged => ().hash(state),
            }
        }
    }
}

/// A row as it is to be, put together from the newest change of its key and, for what that left
/// unchanged, the ones before.
#[derive(Debug)]
pub(crate) struct Put<'a> {
    newest: Item<'a>,
    earlier: Vec<Item<'a>>,
}

impl<'a> Put<'a> {
    fn new(newest: Item<'a>) -> Self {
        Self {
            newest,
            earlier: Vec::new(),
        }
    }

    /// The value of the column; unchanged where no change of the batch has it.
    pub(crate) fn value(&self, column: usize) -> Value<'a> {
        std::iter::once(&self.newest)
            .chain(self.earlier.iter().rev())
            .filter_map(|item| Some(item.value(&item.change.new_row()?, column)))
            .find(|value| !value.is_unchanged())
            .unwrap_or(Value::Unchanged)
    }

    /// The value of the column as a parameter.
    pub(crate) fn parameter(&self, column: usize) -> Parameter<'a> {
        let kind = self.newest.table.relation.columns[column].kind;
        Parameter::new(self.value(column), kind)
    }

    /// Every written column's value as a parameter.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = Parameter<'a>> {
        let columns = &self.newest.table.written;
        columns.iter().map(|&column| self.parameter(column))
    }

    fn values(&self) -> impl Iterator<Item = Value<'a>> {
        let columns = &self.newest.table.written;
        columns.iter().map(|&column| self.value(column))
    }

    /// The change that it came from, or the last of them.
    pub(crate) fn newest(&self) -> &Item<'a> {
        &self.newest
    }

    fn is_partial(&self) -> bool {
        self.values().any(|value| value.is_unchanged())
    }

    /// Puts a newer change of the key over it.
    fn update(&mut self, item: Item<'a>) {
        let before = std::mem::replace(&mut self.newest, item);
        let has_all = item.change.new_row().is_none_or(|new| {
            let mut columns = item.table.written.iter();
            !columns.any(|&column| item.value(&new, column).is_unchanged())
        });
        if has_all {
            self.earlier.clear();
        } else {
            self.earlier.push(before);
        }
    }
}

/// What a key's changes come to; `was_there`: before the batch.
#[derive(Debug)]
enum Merged<'a> {
    Put { put: Put<'a>, was_there: bool },
    Gone { old: Row<'a>, was_there: bool },
}

/// The changes of one table, one per key, by what is to be done. The sets have no key in common,
/// so their order doesn't matter.
#[derive(Debug, Default)]
pub(crate) struct Compacted<'a> {
    /// New rows.
    pub(crate) inserts: Vec<Put<'a>>,
    /// Rows to insert or replace.
    pub(crate) upserts: Vec<Put<'a>>,
    /// Rows of which some columns are to be set.
    pub(crate) updates: Vec<Put<'a>>,
    /// Old rows to delete.
    pub(crate) deletes: Vec<Row<'a>>,
}

/// Merges changes of one table whose keys don't move; in order of first appearance.
pub(crate) fn compact<'a>(items: &[Item<'a>]) -> Compacted<'a> {
    let mut merged: Vec<Merged<'a>> = Vec::with_capacity(items.len());
    let mut places: HashMap<Key<'a>, usize> = HashMap::with_capacity(items.len());
    for item in items {
        let (old, new) = (item.change.old_row(), item.change.new_row());
        let Some(row) = new.filter(|_| item.change.op() == Op::Insert).or(old).or(new) else {
            continue;
        };
        let first = match places.entry(Key::new(row, &item.table.key)) {
            Entry::Occupied(place) => {
                merge(&mut merged[*place.get()], *item, row);
                continue;
            }
            Entry::Vacant(place) => {
                place.insert(merged.len());
                item.change.op()
            }
        };
        let put = Put::new(*item);
        merged.push(match first {
            Op::Insert => Merged::Put {
                put,
                was_there: false,
            },
            Op::Delete => Merged::Gone {
                old: row,
                was_there: true,
            },
            _ => Merged::Put {
                put,
                was_there: true,
            },
        });
    }
    let mut result = Compacted::default();
    for change in merged {
        match change {
            Merged::Put {
                put,
                was_there: false,
            } if !put.is_partial() => result.inserts.push(put),
            Merged::Put { put, .. } if put.is_partial() => result.updates.push(put),
            Merged::Put { put, .. } => result.upserts.push(put),
            Merged::Gone {
                old,
                was_there: true,
            } => result.deletes.push(old),
            Merged::Gone { .. } => {}
        }
    }
    result
}

fn merge<'a>(known: &mut Merged<'a>, item: Item<'a>, row: Row<'a>) {
    let (Merged::Put { was_there, .. } | Merged::Gone { was_there, .. }) = *known;
    if item.change.op() == Op::Delete {
        *known = Merged::Gone {
            old: row,
            was_there,
        };
    } else if let Merged::Put { put, .. } = known {
        put.update(item);
    } else {
        *known = Merged::Put {
            put: Put::new(item),
            was_there,
        };
    }
}
