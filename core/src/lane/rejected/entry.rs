//! A row whose last changes were set aside.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::{Change, Column, Position, Relation, TableName, WriteError};

use super::{
    cell::Cell,
    deed::{Deed, Key, Verb, key_names},
};
use crate::masters::chronicle::Moment;

/// Which change of the source: its transaction's commit LSN, its ordinal, its table's OID.
pub(super) type ChangeId = (u64, u64, u32);

pub(super) fn id_of(change: &Change<'_>) -> ChangeId {
    let oid = change.relation().oid;
    (change.commit_lsn().0, change.ordinal(), oid)
}

/// The position that covers `id`: a target whose checkpoint is there or behind has passed it.
pub(super) fn position_of(id: ChangeId) -> Position {
    Position::inside(tahr_plugin_api::Lsn(id.0), id.1 + 1)
}

/// Why a target does not take a change; never with row values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What the writer says, with the target's own code.
    pub message: String,
    /// What to do about it; may be empty.
    #[serde(default)]
    pub hint: String,
    /// The column, where one is to blame.
    #[serde(default)]
    pub column: Option<String>,
}

impl From<&WriteError> for Reason {
    fn from(error: &WriteError) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint.clone(),
            column: error.column.clone(),
        }
    }
}

impl Reason {
    /// The error of a change of `table` that has to park its lane for it.
    pub(super) fn error(self, table: &TableName) -> WriteError {
        let error = WriteError::rejected(self.message).table(table.to_string());
        let error = error.hint(self.hint);
        match self.column {
            Some(column) => error.column(column),
            None => error,
        }
    }
}

/// A column of the row, so that it is found in later versions of its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnName {
    /// Its name.
    pub name: String,
    /// Its number in the source's catalog; 0 where it isn't known.
    pub number: i16,
}

impl ColumnName {
    fn is(&self, column: &Column) -> bool {
        match (self.number, column.number) {
            (0, _) | (_, 0) => self.name == column.name,
            (known, now) => known == now,
        }
    }
}

/// A row whose last changes were set aside: what the target has still to do to it, all of them in
/// one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in its lane; the same as long as it is there.
    pub number: u64,
    /// The position that covers the newest change in it.
    pub at: Position,
    /// The table in the source.
    pub table: TableName,
    /// The table's OID.
    pub oid: u32,
    /// The columns of the rows, in order.
    pub columns: Vec<ColumnName>,
    /// Names of the columns that name a row; none where the table has no key.
    pub key: Vec<String>,
    /// What is to be done.
    pub deed: Deed,
    /// How many changes of the source that is.
    pub changes: u64,
    /// Transaction ID of the newest of them.
    pub xid: u32,
    /// When that committed.
    pub committed_at: Moment,
    /// When the first one was set aside.
    pub since: Moment,
    /// Why.
    pub reason: Reason,
}

impl Entry {
    /// `change`, which is `deed`, as the entry `number`.
    pub(super) fn new(number: u64, change: &Change<'_>, deed: Deed, reason: Reason) -> Self {
        let relation = change.relation();
        let name = |column: &Column| ColumnName {
            name: column.name.clone(),
            number: column.number,
        };
        Self {
            number,
            at: position_of(id_of(change)),
            table: relation.source.clone(),
            oid: relation.oid,
            columns: relation.columns.iter().map(name).collect(),
            key: key_names(relation),
            deed,
            changes: 1,
            xid: change.xid(),
            committed_at: Moment(change.commit_time()),
            since: Moment::now(),
            reason,
        }
    }

    /// Whether its rows have its columns, and what is done the rows for it.
    pub(super) fn is_sound(&self) -> bool {
        let fits = |row: &Option<Vec<Cell>>| {
            row.as_ref()
                .is_none_or(|row| row.len() == self.columns.len())
        };
        let Deed { verb, old, new, .. } = &self.deed;
        let is_there = match verb {
            Verb::Insert => old.is_none() && new.is_some(),
            Verb::Update => new.is_some(),
            Verb::Delete => old.is_some() && new.is_none(),
        };
        let is_column = |name: &String| self.columns.iter().any(|column| column.name == *name);
        is_there && fits(old) && fits(new) && self.key.iter().all(is_column)
    }

    /// The key of the row that the target still has; none where it has none.
    pub(super) fn place(&self) -> Option<Key> {
        self.deed.before(&self.key_positions())
    }

    /// The key of the row in the source; none where it is gone there.
    pub(super) fn row(&self) -> Option<Key> {
        self.deed.after(&self.key_positions())
    }

    /// The keys that its row has in the source and in the target, as PostgreSQL prints them.
    pub fn keys(&self) -> impl Iterator<Item = Vec<Box<str>>> {
        let printed = |key: Key| key.iter().map(Cell::printed).collect::<Option<Vec<_>>>();
        [self.row(), self.place()]
            .into_iter()
            .flatten()
            .filter_map(printed)
    }

    fn key_positions(&self) -> Vec<usize> {
        let place = |name: &String| self.columns.iter().position(|column| column.name == *name);
        self.key.iter().filter_map(place).collect()
    }

    /// Whether its row has its name by the columns that name the rows of `relation`.
    pub(super) fn is_named_as(&self, relation: &Relation) -> bool {
        let key = relation.key();
        // In this order, since that is how keys are compared.
        let mut pairs = key.iter().zip(self.key_positions());
        key.len() == self.key.len()
            && pairs.all(|(&index, known)| self.columns[known].is(&relation.columns[index]))
    }

    /// What is to be done, in the columns of `relation`; none where its rows are named by other
    /// columns today.
    pub(super) fn deed_in(&self, relation: &Relation) -> Option<Deed> {
        if !self.is_named_as(relation) {
            return None;
        }
        let place = |column: &Column| self.columns.iter().position(|known| known.is(column));
        let places: Vec<_> = relation.columns.iter().map(place).collect();
        // A column that was added since without values is null in rows of before.
        let map = |row: &Vec<Cell>, absent: Cell| -> Vec<Cell> {
            let cell = |place: &Option<usize>| place.map_or(absent.clone(), |at| row[at].clone());
            places.iter().map(cell).collect()
        };
        let absent = match self.deed.verb {
            Verb::Update => Cell::UNCHANGED,
            Verb::Insert | Verb::Delete => Cell::Null,
        };
        Some(Deed {
            old: self.deed.old.as_ref().map(|row| map(row, Cell::Null)),
            new: self.deed.new.as_ref().map(|row| map(row, absent)),
            ..self.deed.clone()
        })
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        self.deed.size() + 32 * self.columns.len()
    }
}

/// What a person chose among the entries of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// All of them.
    All,
    /// Those of these numbers.
    Numbers(BTreeSet<u64>),
}

impl Choice {
    /// Whether it includes the entry `number`.
    #[must_use]
    pub fn includes(&self, number: u64) -> bool {
        match self {
            Self::All => true,
            Self::Numbers(numbers) => numbers.contains(&number),
        }
    }
}

/// What became of the entries that a person chose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// `sync/target`.
    pub lane: String,
    /// Entries that are applied, or discarded.
    pub done: Vec<u64>,
    /// Entries that the target still refuses, and why.
    pub refused: Vec<(u64, Reason)>,
    /// Numbers that there are no entries of.
    pub unknown: Vec<u64>,
    /// Why nothing was done; none where something was.
    pub failed: Option<String>,
}

impl Settled {
    /// Nothing done so far in the lane `lane`.
    pub(crate) fn of(lane: impl fmt::Display) -> Self {
        Self {
            lane: lane.to_string(),
            ..Self::default()
        }
    }

    /// Nothing, and why.
    pub(crate) fn failed(lane: impl fmt::Display, why: impl Into<String>) -> Self {
        Self {
            failed: Some(why.into()),
            ..Self::of(lane)
        }
    }
}
