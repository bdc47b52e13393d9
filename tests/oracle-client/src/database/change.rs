//! INSERT, UPDATE and DELETE: planned once for an execution, run once for each row of binds.

use std::sync::Arc;

use super::catalog::Table;
use super::merge::MergePlan;
use super::plan::{
    BindShape, Given, Input, Reading, assignments, check_order, inputs, own_source, select_list,
    targets,
};
use super::rows::Rows;
use super::select::split_row_number;
use super::translate::{Translator, check_conversion};
use crate::error::{OraError, Result};
use crate::sql::tree::{Assignment, Expr, Name, Query, Rows as TreeRows, Statement};
use crate::value::{Kind, Value};

/// A statement that changes rows, ready to run.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Insert(InsertPlan),
    Update(UpdatePlan),
    Delete { table: Arc<Table>, reading: Reading },
    Merge(Box<MergePlan>),
}

#[derive(Debug, Clone)]
pub(crate) struct InsertPlan {
    pub(super) table: Arc<Table>,
    pub(super) targets: Vec<usize>,
    pub(super) inputs: Vec<Input>,
    /// Absent where all values are at hand.
    pub(super) reading: Option<Reading>,
}

#[derive(Debug, Clone)]
pub(crate) struct UpdatePlan {
    pub(super) table: Arc<Table>,
    pub(super) targets: Vec<usize>,
    pub(super) inputs: Vec<Input>,
    /// Row numbers, then what is computed.
    pub(super) reading: Reading,
}

impl Change {
    /// Plans a statement; none if it changes no rows.
    pub(crate) fn plan(
        translator: &mut Translator<'_>,
        statement: &Statement,
        binds: &[BindShape],
    ) -> Result<Option<Self>> {
        let connection = translator.connection;
        let table_of =
            |translator: &mut Translator<'_>, table| translator.catalog.table(connection, table);
        Ok(Some(match statement {
            Statement::Insert {
                table,
                columns,
                rows,
            } => {
                let table = table_of(translator, table)?;
                Self::Insert(match rows {
                    TreeRows::Values(values) => {
                        InsertPlan::values(translator, table, columns, values, binds)?
                    }
                    TreeRows::Query(query) => InsertPlan::query(translator, table, columns, query)?,
                })
            }
            Statement::Update {
                table,
                alias,
                set,
                condition,
            } => {
                let table = table_of(translator, table)?;
                Self::Update(UpdatePlan::new(
                    translator,
                    table,
                    alias.as_ref(),
                    set,
                    condition.as_ref(),
                    binds,
                )?)
            }
            Statement::Delete {
                table,
                alias,
                condition,
            } => {
                let table = table_of(translator, table)?;
                translator
                    .scopes
                    .enter(vec![own_source(&table, alias.as_ref())]);
                let tail = tail(translator, &table, condition.as_ref())?;
                translator.scopes.leave();
                let reading = reading(
                    translator,
                    format!("SELECT t.rowid{tail}"),
                    vec![Kind::RowId],
                );
                Self::Delete { table, reading }
            }
            Statement::Merge(merge) => Self::Merge(Box::new(MergePlan::new(translator, merge)?)),
            _ => return Ok(None),
        }))
    }

    /// Whether one execution writes several rows, of which all or none count.
    pub(crate) fn is_compound(&self) -> bool {
        match self {
            Self::Insert(InsertPlan {
                reading: None,
                table,
                ..
            }) => table
                .constraints
                .iter()
                .any(|constraint| matches!(constraint.letter, 'C' | 'R')),
            _ => true,
        }
    }

    /// Runs it once, and gives the number of rows.
    pub(crate) fn run(&self, rows: &mut Rows<'_>, binds: &[Value]) -> Result<u64> {
        let given = Given { binds, source: &[] };
        match self {
            Self::Insert(plan) => plan.run(rows, given),
            Self::Update(plan) => plan.run(rows, given),
            Self::Delete { table, reading } => {
                let found = reading.rows(rows.connection, given)?;
                for row in &found {
                    rows.delete(table, row_number(row)?)?;
                }
                Ok(found.len() as u64)
            }
            Self::Merge(plan) => plan.run(rows, binds),
        }
    }
}

/// What the translator has made, with its parameters; those stay, for what follows.
pub(super) fn reading(translator: &Translator<'_>, sql: String, kinds: Vec<Kind>) -> Reading {
    Reading {
        sql,
        params: translator.params.clone(),
        kinds,
    }
}

/// `FROM t WHERE … LIMIT …`
fn tail(
    translator: &mut Translator<'_>,
    table: &Table,
    condition: Option<&Expr>,
) -> Result<String> {
    let (condition, limit) = split_row_number(condition);
    let mut sql = format!(" FROM {} AS t", table.sqlite());
    if let Some(condition) = condition {
        sql.push_str(&format!(" WHERE {}", translator.condition(&condition)?));
    }
    if let Some(limit) = limit {
        sql.push_str(&translator.limit(&limit)?);
    }
    Ok(sql)
}

pub(super) fn row_number(row: &[Value]) -> Result<i64> {
    match row.first() {
        Some(Value::RowId(number)) => Ok(*number),
        _ => Err(OraError::new(
            600,
            "internal error code, arguments: [row number]",
        )),
    }
}

impl InsertPlan {
    pub(super) fn values(
        translator: &mut Translator<'_>,
        table: Arc<Table>,
        columns: &[Name],
        values: &[Option<Expr>],
        binds: &[BindShape],
    ) -> Result<Self> {
        let targets = targets(&table, columns)?;
        if values.len() != targets.len() {
            let error = if values.len() < targets.len() {
                (947, "not enough values")
            } else {
                (913, "too many values")
            };
            return Err(OraError::new(error.0, error.1));
        }
        let mut read = Vec::new();
        let inputs = inputs(translator, &table, &targets, values, &mut read)?;
        check_order(&table, &targets, &inputs, binds)?;
        let kinds = read.iter().map(|(_, kind)| *kind).collect();
        let reading = (!read.is_empty()).then(|| reading(translator, select_list(&read), kinds));
        Ok(Self {
            table,
            targets,
            inputs,
            reading,
        })
    }

    fn query(
        translator: &mut Translator<'_>,
        table: Arc<Table>,
        columns: &[Name],
        query: &Query,
    ) -> Result<Self> {
        let targets = targets(&table, columns)?;
        let query = translator.query(query)?;
        if query.columns.len() != targets.len() {
            let error = if query.columns.len() < targets.len() {
                (947, "not enough values")
            } else {
                (913, "too many values")
            };
            return Err(OraError::new(error.0, error.1));
        }
        let kinds: Vec<Kind> = query
            .columns
            .iter()
            .map(|column| column.data_type.kind())
            .collect();
        for (at, kind) in targets.iter().zip(&kinds) {
            check_conversion(*kind, table.columns[*at].data_type.kind())?;
        }
        let inputs = (0..targets.len()).map(Input::Read).collect();
        let reading = Some(reading(translator, query.sql, kinds));
        Ok(Self {
            table,
            targets,
            inputs,
            reading,
        })
    }

    pub(super) fn run(&self, rows: &mut Rows<'_>, given: Given<'_>) -> Result<u64> {
        let read = match &self.reading {
            Some(reading) => reading.rows(rows.connection, given)?,
            None => vec![Vec::new()],
        };
        for read in &read {
            let values = self.targets.iter().zip(&self.inputs);
            let values = values
                .map(|(at, input)| (*at, input.value(given, read)))
                .collect();
            rows.insert(&self.table, values)?;
        }
        Ok(read.len() as u64)
    }
}

impl UpdatePlan {
    fn new(
        translator: &mut Translator<'_>,
        table: Arc<Table>,
        alias: Option<&Name>,
        set: &[Assignment],
        condition: Option<&Expr>,
        binds: &[BindShape],
    ) -> Result<Self> {
        let (targets, values) = assignments(&table, set)?;
        translator.scopes.enter(vec![own_source(&table, alias)]);
        let mut read = vec![("t.rowid".to_owned(), Kind::RowId)];
        let inputs = inputs(translator, &table, &targets, &values, &mut read)?;
        let tail = tail(translator, &table, condition)?;
        translator.scopes.leave();
        check_order(&table, &targets, &inputs, binds)?;
        let kinds = read.iter().map(|(_, kind)| *kind).collect();
        let reading = reading(translator, select_list(&read) + &tail, kinds);
        Ok(Self {
            table,
            targets,
            inputs,
            reading,
        })
    }

    pub(super) fn run(&self, rows: &mut Rows<'_>, given: Given<'_>) -> Result<u64> {
        let found = self.reading.rows(rows.connection, given)?;
        let unique: Vec<usize> = self
            .targets
            .iter()
            .copied()
            .filter(|at| self.is_unique(*at))
            .collect();
        if found.len() > 1 && !unique.is_empty() {
            for row in &found {
                rows.blank(&self.table, row_number(row)?, &unique)?;
            }
        }
        for row in &found {
            let values = self
                .inputs
                .iter()
                .map(|input| input.value(given, row))
                .collect();
            rows.update(&self.table, row_number(row)?, &self.targets, values)?;
        }
        Ok(found.len() as u64)
    }

    fn is_unique(&self, at: usize) -> bool {
        let id = self.table.columns[at].id;
        let mut unique = self.table.indexes.iter().filter(|index| index.is_unique);
        unique.any(|index| index.columns.contains(&id))
    }
}
