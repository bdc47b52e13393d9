//! Applying changes, one after another in source order.
//!
//! A statement is prepared once and bound again for each row; values go from the batch's arena
//! into SQLite without a copy of ours.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, Statement};
use tahr_plugin_api::{Batch, Change, Op, Relation, Row, Value, WriteError};

use crate::{
    error::failed,
    plan::Plan,
    statements,
    types::{Form, bind},
};

/// What happened to values and rows beyond their being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Floats `-0` that became `0`.
    pub(crate) negative_zeros: u64,
    /// Deletes of rows that weren't there.
    pub(crate) missing_rows: u64,
}

/// The plans of the relations that a batch holds, by version.
pub(crate) type Plans = HashMap<u32, Plan>;

/// Applies every change of `batch`. The relations' plans are all in `plans`.
pub(crate) fn apply(
    connection: &Connection,
    plans: &Plans,
    batch: &Batch,
) -> Result<Counts, WriteError> {
    let mut counts = Counts::default();
    let mut tables: Vec<TableStatements<'_>> = Vec::new();
    let mut current = 0;
    for (index, change) in batch.changes().enumerate() {
        let version = change.relation().version;
        if tables
            .get(current)
            .is_none_or(|table| table.version != version)
        {
            current = match tables.iter().position(|table| table.version == version) {
                Some(position) => position,
                None => {
                    let plan = plans.get(&version).ok_or_else(|| {
                        WriteError::fatal(format!("relation version {version} has no plan"))
                    })?;
                    tables.push(TableStatements::new(connection, version, plan));
                    tables.len() - 1
                }
            };
        }
        tables[current]
            .apply(&change, &mut counts)
            .map_err(|error| error.change(index))?;
    }
    Ok(counts)
}

/// The prepared statements of one table, while a batch is applied.
struct TableStatements<'a> {
    connection: &'a Connection,
    version: u32,
    plan: &'a Plan,
    insert: Option<CachedStatement<'a>>,
    upsert: Option<CachedStatement<'a>>,
    delete: Option<CachedStatement<'a>>,
    /// By the columns that they set.
    updates: HashMap<Vec<usize>, CachedStatement<'a>>,
}

impl<'a> TableStatements<'a> {
    fn new(connection: &'a Connection, version: u32, plan: &'a Plan) -> Self {
        Self {
            connection,
            version,
            plan,
            insert: None,
            upsert: None,
            delete: None,
            updates: HashMap::new(),
        }
    }

    fn apply(&mut self, change: &Change<'_>, counts: &mut Counts) -> Result<(), WriteError> {
        match (change.op(), change.old_row(), change.new_row()) {
            (Op::Insert, _, Some(new)) => self.insert(new, counts),
            (Op::Update, old, Some(new)) => self.update(change.relation(), old, new, counts),
            (Op::Delete, Some(old), _) => self.delete(old, counts),
            (Op::Truncate, ..) => self
                .connection
                .execute(&self.plan.truncate, [])
                .map(|_| ())
                .map_err(|error| self.error("truncate", &error)),
            (op, ..) => Err(WriteError::fatal(format!(
                "{op:?} of table {:?} comes without its row",
                self.plan.table
            ))),
        }
    }

    /// A row that is there already (a table that others changed) is made equal, where its key can
    /// be seen.
    fn insert(&mut self, row: Row<'_>, counts: &mut Counts) -> Result<(), WriteError> {
        let plan = self.plan;
        let (slot, sql) = match &plan.upsert {
            Some(sql) => (&mut self.upsert, sql),
            None => (&mut self.insert, &plan.insert),
        };
        prepared(self.connection, slot, sql)
            .and_then(|statement| {
                bind_row(statement, row, &plan.forms, counts)?;
                statement.raw_execute()
            })
            .map(|_| ())
            .map_err(|error| self.error("insert into", &error))
    }

    fn delete(&mut self, row: Row<'_>, counts: &mut Counts) -> Result<(), WriteError> {
        let plan = self.plan;
        let deleted = prepared(self.connection, &mut self.delete, &plan.delete)
            .and_then(|statement| {
                bind_old(statement, row, plan)?;
                statement.raw_execute()
            })
            .map_err(|error| self.error("delete from", &error))?;
        if deleted == 0 {
            counts.missing_rows += 1;
        }
        Ok(())
    }

    fn update(
        &mut self,
        relation: &Relation,
        old: Option<Row<'_>>,
        new: Row<'_>,
        counts: &mut Counts,
    ) -> Result<(), WriteError> {
        let plan = self.plan;
        let is_whole = !new.has_unchanged();
        let is_moved = old.is_some_and(|old| moves_key(old, new, &plan.key));
        if is_whole && !is_moved && plan.upsert.is_some() {
            return self.insert(new, counts);
        }
        let is_key = |index: &usize| !plan.key.is_empty() && plan.key.contains(index);
        let set: Vec<usize> = (0..plan.forms.len())
            .filter(|index| !new.value(*index).is_unchanged() && (is_moved || !is_key(index)))
            .collect();
        if set.is_empty() {
            return Ok(());
        }
        let Some(named_by) = old.or_else(|| (!plan.key.is_empty()).then_some(new)) else {
            return Err(WriteError::fatal(format!(
                "update of table {:?} names no row",
                plan.table
            )));
        };
        let changed = self
            .run_update(relation, &set, named_by, new, counts)
            .map_err(|error| self.error("update", &error))?;
        match changed {
            0 if is_whole && !plan.key.is_empty() => self.insert(new, counts),
            0 => Err(WriteError::rejected(format!(
                "a row of table {:?} is missing that an update changes in part",
                plan.table
            ))
            .hint(
                "the table was changed by others; to copy the sync's tables anew: `tahr drop SYNC`, \
                 set `existing = \"replace\"` in the sync, `tahr run`",
            )
            .table(&plan.table)),
            _ => Ok(()),
        }
    }

    fn run_update(
        &mut self,
        relation: &Relation,
        set: &[usize],
        named_by: Row<'_>,
        new: Row<'_>,
        counts: &mut Counts,
    ) -> rusqlite::Result<usize> {
        let plan = self.plan;
        if !self.updates.contains_key(set) {
            let sql = statements::update(relation, &plan.table, set);
            let statement = self.connection.prepare_cached(&sql)?;
            self.updates.insert(set.to_vec(), statement);
        }
        let Some(statement) = self.updates.get_mut(set) else {
            return Ok(0);
        };
        for &index in set {
            let value = new.value(index);
            counts.negative_zeros +=
                u64::from(bind(statement, index + 1, value, plan.forms[index])?);
        }
        bind_old(statement, named_by, plan)?;
        statement.raw_execute()
    }

    fn error(&self, verb: &str, error: &rusqlite::Error) -> WriteError {
        let table = &self.plan.table;
        let mut error = failed(&format!("{verb} table {table:?}"), error);
        error.table.get_or_insert_with(|| table.clone());
        error
    }
}

fn prepared<'s, 'a>(
    connection: &'a Connection,
    slot: &'s mut Option<CachedStatement<'a>>,
    sql: &str,
) -> rusqlite::Result<&'s mut CachedStatement<'a>> {
    Ok(match slot {
        Some(statement) => statement,
        None => slot.insert(connection.prepare_cached(sql)?),
    })
}

fn bind_row(
    statement: &mut Statement<'_>,
    row: Row<'_>,
    forms: &[Form],
    counts: &mut Counts,
) -> rusqlite::Result<()> {
    for (index, &form) in forms.iter().enumerate() {
        counts.negative_zeros += u64::from(bind(statement, index + 1, row.value(index), form)?);
    }
    Ok(())
}

/// Binds what names the old row, behind the new values.
fn bind_old(statement: &mut Statement<'_>, row: Row<'_>, plan: &Plan) -> rusqlite::Result<()> {
    let mut number = plan.forms.len();
    let mut next = |index: usize| {
        number += 1;
        bind(statement, number, row.value(index), plan.forms[index]).map(|_| ())
    };
    if plan.key.is_empty() {
        (0..plan.forms.len()).try_for_each(&mut next)
    } else {
        plan.key.iter().copied().try_for_each(&mut next)
    }
}

/// Whether the update gives the row another key. A key value that was not sent is the old one.
fn moves_key(old: Row<'_>, new: Row<'_>, key: &[usize]) -> bool {
    let differs = |&index: &usize| match new.value(index) {
        Value::Unchanged => false,
        value => value != old.value(index),
    };
    key.iter().any(differs)
}
