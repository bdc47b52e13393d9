//! MERGE.

use std::collections::HashSet;
use std::sync::Arc;

use super::catalog::Table;
use super::change::{InsertPlan, UpdatePlan, reading, row_number};
use super::plan::{Given, Reading, assignments, inputs, own_source, select_list};
use super::rows::Rows;
use super::scope::Source;
use super::translate::{Param, Translator};
use crate::error::{OraError, Result};
use crate::sql::tree::{Expr, Merge, MergeInsert, MergeUpdate};
use crate::value::{Kind, Value};

/// A MERGE, ready to run.
#[derive(Debug, Clone)]
pub(crate) struct MergePlan {
    table: Arc<Table>,
    /// The rows of the source.
    source: Reading,
    /// The rows of the table that one of them matches.
    matches: Reading,
    update: Option<MergeUpdatePlan>,
    insert: Option<MergeInsertPlan>,
}

#[derive(Debug, Clone)]
struct MergeUpdatePlan {
    /// Of one row, whose number is the last of the source's values.
    update: UpdatePlan,
    /// Gives that row if it is to be deleted once it was updated.
    delete: Option<Reading>,
}

#[derive(Debug, Clone)]
struct MergeInsertPlan {
    /// Gives a row if there is one to be inserted.
    condition: Option<Reading>,
    insert: InsertPlan,
}

impl MergePlan {
    pub(super) fn new(translator: &mut Translator<'_>, merge: &Merge) -> Result<Self> {
        let table = translator
            .catalog
            .table(translator.connection, &merge.table)?;
        let (from, mut source) = translator.source(&merge.source)?;
        let read: Vec<_> = source
            .columns
            .iter()
            .map(|column| (column.sql.clone(), column.data_type.kind()))
            .collect();
        let kinds = read.iter().map(|(_, kind)| *kind).collect();
        let source_reading = reading(
            translator,
            format!("{} FROM {from}", select_list(&read)),
            kinds,
        );
        // From here on the source is one row, whose values are parameters.
        translator.params.clear();
        for (at, column) in source.columns.iter_mut().enumerate() {
            column.sql = translator.param(Param::Source(at));
        }
        let row = translator.param(Param::Source(source.columns.len()));
        let target = own_source(&table, merge.alias.as_ref());
        if let Some(update) = &merge.update {
            check_on(&merge.on, &target, update)?;
        }
        translator.scopes.enter(vec![target, source.clone()]);
        let on = translator.condition(&merge.on)?;
        let sql = format!("SELECT t.rowid FROM {} AS t WHERE {on}", table.sqlite());
        let matches = reading(translator, sql, vec![Kind::RowId]);
        let update = merge
            .update
            .as_ref()
            .map(|update| MergeUpdatePlan::new(translator, &table, update, &row));
        let update = update.transpose()?;
        translator.scopes.leave();
        translator.scopes.enter(vec![source]);
        let insert = merge
            .insert
            .as_ref()
            .map(|insert| MergeInsertPlan::new(translator, &table, insert));
        let insert = insert.transpose()?;
        translator.scopes.leave();
        Ok(Self {
            table,
            source: source_reading,
            matches,
            update,
            insert,
        })
    }

    pub(super) fn run(&self, rows: &mut Rows<'_>, binds: &[Value]) -> Result<u64> {
        let mut merged = 0;
        let mut touched = HashSet::new();
        for mut source in self
            .source
            .rows(rows.connection, Given { binds, source: &[] })?
        {
            let found = self.matches.rows(
                rows.connection,
                Given {
                    binds,
                    source: &source,
                },
            )?;
            if found.is_empty() {
                if let Some(insert) = &self.insert {
                    merged += insert.run(
                        rows,
                        Given {
                            binds,
                            source: &source,
                        },
                    )?;
                }
                continue;
            }
            let Some(update) = &self.update else {
                continue;
            };
            for row in found {
                let row = row_number(&row)?;
                if !touched.insert(row) {
                    return Err(OraError::new(
                        30926,
                        "unable to get a stable set of rows in the source tables",
                    ));
                }
                source.push(Value::RowId(row));
                merged += update.run(
                    rows,
                    &self.table,
                    row,
                    Given {
                        binds,
                        source: &source,
                    },
                )?;
                source.pop();
            }
        }
        Ok(merged)
    }
}

impl MergeUpdatePlan {
    fn new(
        translator: &mut Translator<'_>,
        table: &Arc<Table>,
        update: &MergeUpdate,
        row: &str,
    ) -> Result<Self> {
        let (targets, values) = assignments(table, &update.set)?;
        let mut read = vec![("t.rowid".to_owned(), Kind::RowId)];
        let inputs = inputs(translator, table, &targets, &values, &mut read)?;
        let mut conditions = vec![format!("t.rowid = {row}")];
        if let Some(condition) = &update.condition {
            conditions.push(translator.condition(condition)?);
        }
        let from = format!(" FROM {} AS t WHERE ", table.sqlite());
        let sql = select_list(&read) + &from + &conditions.join(" AND ");
        let kinds = read.iter().map(|(_, kind)| *kind).collect();
        let of_row = reading(translator, sql, kinds);
        let delete = match &update.delete {
            Some(condition) => {
                let sql = format!(
                    "SELECT t.rowid{from}t.rowid = {row} AND {}",
                    translator.condition(condition)?
                );
                Some(reading(translator, sql, vec![Kind::RowId]))
            }
            None => None,
        };
        let update = UpdatePlan {
            table: Arc::clone(table),
            targets,
            inputs,
            reading: of_row,
        };
        Ok(Self { update, delete })
    }

    fn run(&self, rows: &mut Rows<'_>, table: &Table, row: i64, given: Given<'_>) -> Result<u64> {
        let updated = self.update.run(rows, given)?;
        if updated > 0
            && let Some(delete) = &self.delete
            && !delete.rows(rows.connection, given)?.is_empty()
        {
            rows.delete(table, row)?;
        }
        Ok(updated)
    }
}

impl MergeInsertPlan {
    fn new(
        translator: &mut Translator<'_>,
        table: &Arc<Table>,
        insert: &MergeInsert,
    ) -> Result<Self> {
        let plan = InsertPlan::values(
            translator,
            Arc::clone(table),
            &insert.columns,
            &insert.values,
            &[],
        )?;
        let condition = match &insert.condition {
            Some(condition) => {
                let sql = format!("SELECT 1 WHERE {}", translator.condition(condition)?);
                Some(reading(translator, sql, vec![Kind::Number]))
            }
            None => None,
        };
        Ok(Self {
            condition,
            insert: plan,
        })
    }

    fn run(&self, rows: &mut Rows<'_>, given: Given<'_>) -> Result<u64> {
        if let Some(condition) = &self.condition
            && condition.rows(rows.connection, given)?.is_empty()
        {
            return Ok(0);
        }
        self.insert.run(rows, given)
    }
}

/// ORA-38104: a column of the condition can't be set.
fn check_on(on: &Expr, target: &Source, update: &MergeUpdate) -> Result<()> {
    let mut named = Vec::new();
    columns(on, &mut named);
    for (name, _) in &update.set {
        let of_target = |(table, column): &(Option<String>, String)| {
            column == name && (table.is_none() || *table == target.name)
        };
        if named.iter().any(of_target) {
            return Err(OraError::new(
                38104,
                format!("Columns referenced in the ON Clause cannot be updated: \"{name}\""),
            ));
        }
    }
    Ok(())
}

/// The columns that a condition names.
fn columns(expr: &Expr, found: &mut Vec<(Option<String>, String)>) {
    match expr {
        Expr::Column { table, name } => found.push((table.clone(), name.clone())),
        Expr::And(left, right)
        | Expr::Or(left, right)
        | Expr::Concat(left, right)
        | Expr::Compare { left, right, .. }
        | Expr::Arithmetic { left, right, .. } => {
            columns(left, found);
            columns(right, found);
        }
        Expr::Not(inner)
        | Expr::IsNull(inner)
        | Expr::Negate(inner)
        | Expr::Cast { value: inner, .. } => {
            columns(inner, found);
        }
        Expr::Between { value, low, high } => [value, low, high]
            .into_iter()
            .for_each(|part| columns(part, found)),
        Expr::In { value, list } => {
            columns(value, found);
            list.iter().for_each(|part| columns(part, found));
        }
        Expr::Call { args, .. } => args.iter().for_each(|part| columns(part, found)),
        _ => {}
    }
}
