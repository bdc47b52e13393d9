//! An order, sorted by table.

use std::collections::{BTreeMap, HashMap};

use super::{Order, table::TableSql};
use crate::reconcile::{Blob, TableId};

/// A row to write: its key and itself, packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Put<'a> {
    pub(super) key: &'a Blob,
    pub(super) row: &'a Blob,
}

/// What to write, or a part of it.
#[derive(Debug, Default)]
pub(super) struct Work<'a> {
    /// Tables to empty.
    pub(super) truncates: Vec<&'a TableSql>,
    /// Keys of rows that are in others' way, deleted before all else.
    pub(super) moves: Vec<(&'a TableSql, Vec<&'a Blob>)>,
    /// Keys to delete: children before parents.
    pub(super) deletes: Vec<(&'a TableSql, Vec<&'a Blob>)>,
    /// Rows to write: parents before children.
    pub(super) rows: Vec<(&'a TableSql, Vec<Put<'a>>)>,
}

impl<'a> Work<'a> {
    /// The keys of `order` at `indices`, and the keys of rows at `moved`, which are deleted before
    /// they are written. A key of a table that is none of the sync's any more is passed over.
    pub(super) fn new(
        order: &'a Order,
        tables: &'a HashMap<TableId, TableSql>,
        indices: impl IntoIterator<Item = usize>,
        moved: impl IntoIterator<Item = usize>,
    ) -> Self {
        let mut truncates = Vec::new();
        let mut deletes: BTreeMap<(usize, TableId), (&TableSql, Vec<&Blob>)> = BTreeMap::new();
        let mut moves = deletes.clone();
        let mut rows: BTreeMap<(usize, TableId), (&TableSql, Vec<Put<'_>>)> = BTreeMap::new();
        // Keys of a table follow each other.
        let mut last: Option<(TableId, &TableSql)> = None;
        let mut of = |id: TableId| {
            if last.is_none_or(|(last, _)| last != id) {
                last = Some((id, tables.get(&id)?));
            }
            last.map(|(_, table)| table)
        };
        for index in indices {
            let (key, version) = &order.rows[index];
            let Some(table) = of(key.table) else { continue };
            let place = (table.rank, key.table);
            match (&key.row, &version.row) {
                (None, _) => truncates.push(table),
                (Some(key), None) => deletes.entry(place).or_insert((table, vec![])).1.push(key),
                (Some(key), Some(row)) => {
                    let row = &row.payload;
                    if table.is_replaced {
                        moves.entry(place).or_insert((table, vec![])).1.push(key);
                    }
                    rows.entry(place)
                        .or_insert((table, vec![]))
                        .1
                        .push(Put { key, row });
                }
            }
        }
        for index in moved {
            let key = &order.rows[index].0;
            if let (Some(table), Some(row)) = (of(key.table), &key.row) {
                let place = (table.rank, key.table);
                moves.entry(place).or_insert((table, vec![])).1.push(row);
            }
        }
        Self {
            truncates,
            moves: moves.into_values().rev().collect(),
            deletes: deletes.into_values().rev().collect(),
            rows: rows.into_values().collect(),
        }
    }

    /// The tables of it, each as often as it is named.
    pub(super) fn tables(&self) -> impl Iterator<Item = &'a TableSql> {
        let deletes = self
            .moves
            .iter()
            .chain(&self.deletes)
            .map(|(table, _)| *table);
        deletes.chain(self.rows.iter().map(|(table, _)| *table))
    }

    /// Whether the table is emptied first.
    pub(super) fn empties(&self, table: &TableSql) -> bool {
        self.truncates
            .iter()
            .any(|other| std::ptr::eq(*other, table))
    }
}
