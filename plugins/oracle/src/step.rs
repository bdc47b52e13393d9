//! In which order and by which path the changes of a batch are applied.

use std::collections::HashSet;

use tahr_plugin_api::{
    Change, Op, Row, Value,
    compaction::{Key, Put},
};

use crate::table::Table;

/// A change with its index in the batch and its table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) index: usize,
    pub(crate) change: Change<'a>,
    pub(crate) table: &'a Table,
}

/// Some changes that are applied the same way.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Of one table, merged per key.
    Bulk(Vec<Item<'a>>),
    /// In the source's order.
    Rows(Vec<Item<'a>>),
    /// Tables to empty, of one source transaction.
    Truncate(Vec<Item<'a>>),
}

/// A new row: a change, or what several come to.
pub(crate) trait NewRow<'a> {
    /// The index of the change to blame.
    fn index(&self) -> usize;
    fn value(&self, column: usize) -> Value<'a>;
    /// What names the row that is there.
    fn key(&self, column: usize) -> Value<'a>;
}

impl<'a> NewRow<'a> for Item<'a> {
    fn index(&self) -> usize {
        self.index
    }

    fn value(&self, column: usize) -> Value<'a> {
        self.change.value(column)
    }

    fn key(&self, column: usize) -> Value<'a> {
        match self.change.old_row() {
            Some(old) => old.value(column),
            None => self.change.value(column),
        }
    }
}

impl<'a> NewRow<'a> for Put<'a> {
    fn index(&self) -> usize {
        Put::index(self)
    }

    fn value(&self, column: usize) -> Value<'a> {
        Put::value(self, column)
    }

    fn key(&self, column: usize) -> Value<'a> {
        Put::value(self, column)
    }
}

/// What a change is written by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Insert,
    /// All columns of a row that keeps its key.
    Whole,
    /// Some columns.
    Part(Vec<usize>),
    Delete,
}

impl<'a> Item<'a> {
    /// The shape; none where nothing is to be done.
    pub(crate) fn shape(&self) -> Option<Shape> {
        let table = self.table;
        match self.change.op() {
            Op::Insert => return Some(Shape::Insert),
            Op::Delete => return Some(Shape::Delete),
            Op::Update | Op::Truncate => {}
        }
        let moves = self.change.moves_key(&table.key);
        let columns = table.all.iter().copied();
        let is_set = |index: &usize| {
            let is_key = table.columns[*index].is_key;
            !self.value(*index).is_unchanged() && (moves || !is_key)
        };
        let set: Vec<usize> = columns.filter(is_set).collect();
        if set.is_empty() {
            return None;
        }
        let is_whole = !moves && !table.key.is_empty() && set == table.others;
        Some(if is_whole {
            Shape::Whole
        } else {
            Shape::Part(set)
        })
    }

    /// The keys that the change is about, old and new.
    fn keys(&self) -> impl Iterator<Item = Key<'a>> {
        let (old, new) = (self.change.old_row(), self.change.new_row());
        let new: Option<Row<'a>> = match (old, new) {
            // The new row of an update may lack what did not change.
            (Some(_), Some(_)) if !self.change.moves_key(&self.table.key) => None,
            (_, new) => new,
        };
        let rows = [old, new].into_iter().flatten();
        rows.map(|row| Key::new(row, &self.table.key))
    }
}

/// Orders the changes into steps.
pub(crate) fn steps<'a>(items: impl Iterator<Item = Item<'a>>) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    // Changes since the last truncate: those of tied tables together, the others by table.
    let mut groups: Vec<(Option<&'a str>, Vec<Item<'a>>)> = Vec::new();
    for item in items {
        if item.change.op() == Op::Truncate {
            close(&mut groups, &mut steps);
            match steps.last_mut() {
                Some(Step::Truncate(tables)) if tables[0].change.xid() == item.change.xid() => {
                    tables.push(item);
                }
                _ => steps.push(Step::Truncate(vec![item])),
            }
            continue;
        }
        let group = (!item.table.is_tied).then_some(&*item.table.name);
        // Few tables per batch, and mostly the one of the change before.
        match groups.iter_mut().rev().find(|(known, _)| *known == group) {
            Some((_, items)) => items.push(item),
            None => groups.push((group, vec![item])),
        }
    }
    close(&mut groups, &mut steps);
    steps
}

fn close<'a>(groups: &mut Vec<(Option<&'a str>, Vec<Item<'a>>)>, steps: &mut Vec<Step<'a>>) {
    for (_, items) in groups.drain(..) {
        let table = items[0].table;
        let moves = |item: &Item<'a>| item.change.moves_key(&table.key);
        let is_bulk = items.len() > 1 && table.is_free && !items.iter().any(moves);
        steps.push(if is_bulk {
            Step::Bulk(items)
        } else {
            Step::Rows(items)
        });
    }
}

/// How many changes at the beginning of `items` are one statement: of one table and shape, about
/// keys that are all different.
pub(crate) fn run<'a>(items: &[Item<'a>], shape: &Shape) -> usize {
    let table = items[0].table;
    if table.key.is_empty() {
        let is_insert =
            |item: &&Item<'a>| std::ptr::eq(item.table, table) && item.change.op() == Op::Insert;
        let inserts = items.iter().take_while(is_insert).count();
        return inserts.max(1);
    }
    let mut seen: HashSet<Key<'a>> = HashSet::new();
    for (count, item) in items.iter().enumerate() {
        let is_same =
            std::ptr::eq(item.table, table) && (count == 0 || item.shape().as_ref() == Some(shape));
        if !is_same || item.keys().any(|key| seen.contains(&key)) {
            return count;
        }
        seen.extend(item.keys());
    }
    items.len()
}
