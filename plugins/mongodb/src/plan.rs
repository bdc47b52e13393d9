//! From the changes of a batch to commands.
//!
//! Each table goes its own way, since nothing in MongoDB ties two collections. Where nothing ties
//! a table's rows to each other either, the changes of each key come to [one](compaction), and go
//! out in bulk: deletes, inserts, replacements, partial updates. Where a unique index does, or a key
//! moves, changes keep their order; see [`moves`](crate::moves).

use std::collections::HashMap;

use tahr_plugin_api::{Batch, Change, Op, Row, Value, WriteError, compaction};

use crate::{
    commands::Commands,
    documents::{Cell, Documents},
    moves::{Displaced, Moves},
    table::{Table, Tables},
};

/// The changes of one table.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) table: usize,
    /// The last truncate; it ended all that came before.
    pub(crate) truncate: Option<usize>,
    /// With their indexes in the batch.
    pub(crate) changes: Vec<(usize, Change<'a>)>,
    /// Whether some update gives its row another key.
    pub(crate) has_moves: bool,
}

/// The changes of a batch, by table.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    pub(crate) groups: Vec<Group<'a>>,
}

/// Documents that were read, by table and `_id`.
pub(crate) type Held = HashMap<(usize, Vec<u8>), Vec<u8>>;

impl<'a> Plan<'a> {
    /// Sorts the changes of `batch`, whose tables are all known.
    pub(crate) fn new(batch: &'a Batch, tables: &Tables) -> Result<Self, WriteError> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut current = 0;
        let mut version = None;
        for (index, change) in batch.changes().enumerate() {
            let relation = change.relation();
            if version != Some(relation.version) {
                version = Some(relation.version);
                let table = tables.number(relation).ok_or_else(|| {
                    WriteError::fatal(format!(
                        "relation version {} is not known",
                        relation.version
                    ))
                })?;
                let known = groups.iter().position(|group| group.table == table);
                current = known.unwrap_or_else(|| {
                    groups.push(Group {
                        table,
                        truncate: None,
                        changes: Vec::new(),
                        has_moves: false,
                    });
                    groups.len() - 1
                });
            }
            let group = &mut groups[current];
            if change.op() == Op::Truncate {
                group.changes.clear();
                group.truncate = Some(index);
                group.has_moves = false;
                continue;
            }
            let table = tables.get(group.table);
            group.has_moves |= change.moves_key(&table.key);
            group.changes.push((index, change));
        }
        Ok(Self { groups })
    }

    /// The documents that have to be read before: rows whose key moves and of which the source did
    /// not send everything; and, where the source has the old row whole, those whose key is taken,
    /// since only such a table can have a key that is checked at commit.
    pub(crate) fn reads(&self, tables: &Tables) -> Result<Vec<(usize, Vec<u8>)>, WriteError> {
        let mut reads = Vec::new();
        // It counts nothing: what it writes is not stored.
        let mut documents = Documents::new(tahr_plugin_api::Unfit::Error);
        for group in self.groups.iter().filter(|group| group.has_moves) {
            let table = tables.get(group.table);
            for (_, change) in &group.changes {
                if !change.moves_key(&table.key) || group.truncate.is_some() {
                    continue;
                }
                let Some(old) = change.old_row() else {
                    continue;
                };
                if is_partial(table, change) {
                    let id = documents.id_bytes(table, |column| Cell::Sent(old.value(column)))?;
                    reads.push((group.table, id));
                }
                if !old.is_key_only() {
                    let id =
                        documents.id_bytes(table, |column| Cell::Sent(change.value(column)))?;
                    reads.push((group.table, id));
                }
            }
        }
        Ok(reads)
    }

    /// Writes the commands.
    pub(crate) fn write(
        &self,
        tables: &Tables,
        held: &Held,
        displaced: &mut Displaced,
        commands: &mut Commands,
    ) -> Result<(), WriteError> {
        for group in &self.groups {
            let table = tables.get(group.table);
            let to = (group.table, table);
            if let Some(change) = group.truncate {
                commands.truncate(to, change)?;
                displaced.forget(&table.collection);
            }
            if table.key.is_empty() {
                whole_rows(group, to, commands)?;
            } else if table.in_order || group.has_moves || displaced.has_some(&table.collection) {
                Moves::new(to, group, held, displaced).write(group, commands)?;
            } else {
                compacted(group, to, commands)?;
            }
        }
        Ok(())
    }
}

impl Plan<'_> {
    /// Writes the commands of a copy, which only inserts.
    pub(crate) fn load(&self, tables: &Tables, commands: &mut Commands) -> Result<(), WriteError> {
        for group in &self.groups {
            let to = (group.table, tables.get(group.table));
            for &(index, change) in &group.changes {
                commands.insert(to, index, |column| Cell::Sent(change.value(column)))?;
            }
        }
        Ok(())
    }
}

/// Whether the source left something of the new row out.
pub(crate) fn is_partial(table: &Table, change: &Change<'_>) -> bool {
    let mut columns = table.columns.iter();
    columns.any(|&column| change.value(column).is_unchanged())
}

/// The value of a column, if it was sent.
pub(crate) fn sent(value: Value<'_>) -> Option<Cell<'_>> {
    (!value.is_unchanged()).then_some(Cell::Sent(value))
}

fn compacted(
    group: &Group<'_>,
    to: (usize, &Table),
    commands: &mut Commands,
) -> Result<(), WriteError> {
    let table = to.1;
    let changes = group.changes.iter().copied();
    let sets = compaction::compact(changes, &table.key, &table.columns);
    for gone in &sets.deletes {
        commands.delete(to, gone.index, |column| Cell::Sent(gone.row.value(column)))?;
    }
    for put in &sets.inserts {
        commands.insert(to, put.index(), |column| Cell::Sent(put.value(column)))?;
    }
    for put in &sets.upserts {
        commands.put(to, put.index(), |column| Cell::Sent(put.value(column)))?;
    }
    for put in &sets.updates {
        let key = |column| Cell::Sent(put.value(column));
        commands.set(to, put.index(), key, |column| sent(put.value(column)))?;
    }
    Ok(())
}

/// Rows without a key: one change after another, each matched whole.
fn whole_rows(
    group: &Group<'_>,
    to: (usize, &Table),
    commands: &mut Commands,
) -> Result<(), WriteError> {
    let whole = |row: Option<Row<'_>>, index: usize| {
        row.ok_or_else(|| {
            WriteError::fatal(format!(
                "a change of table {:?} comes without its row",
                to.1.collection
            ))
            .change(index)
        })
        .map(drop)
    };
    for &(index, change) in &group.changes {
        let (old, new) = (change.old_row(), change.new_row());
        let before = |column: usize| Cell::Sent(old.map_or(Value::Null, |row| row.value(column)));
        let after = |column: usize| Cell::Sent(change.value(column));
        match change.op() {
            Op::Insert => {
                whole(new, index)?;
                commands.insert(to, index, after)?;
            }
            Op::Update => {
                whole(old.and(new), index)?;
                commands.replace_equal(to, index, before, after)?;
            }
            Op::Delete => {
                whole(old, index)?;
                commands.delete_equal(to, index, before)?;
            }
            Op::Truncate => {}
        }
    }
    Ok(())
}
