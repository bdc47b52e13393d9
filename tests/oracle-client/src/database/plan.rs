//! How a statement that changes rows runs: what it reads, and where the values of its columns come
//! from.

use std::sync::Arc;

use rusqlite::Connection;

use super::catalog::Table;
use super::scope::Source;
use super::translate::{Param, Translator};
use crate::error::{OraError, Result};
use crate::sql::tree::{Assignment, Expr, Name};
use crate::value::{Kind, TEXT_BYTES, Value};

/// What is known of a bind before its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BindShape {
    pub(crate) kind: Kind,
    /// Bytes of a value at most.
    pub(crate) max_bytes: u64,
}

/// A query of SQLite's and the kinds of its columns.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) sql: String,
    pub(crate) params: Vec<Param>,
    pub(crate) kinds: Vec<Kind>,
}

/// Where a column's new value comes from.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Bind(usize),
    Constant(Value),
    /// A column of the reading.
    Read(usize),
    Default,
}

/// The values of one execution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) binds: &'a [Value],
    /// A row of MERGE's source, and what else is passed that way.
    pub(crate) source: &'a [Value],
}

impl Reading {
    /// Its rows.
    pub(crate) fn rows(
        &self,
        connection: &Connection,
        given: Given<'_>,
    ) -> Result<Vec<Vec<Value>>> {
        let mut statement = connection.prepare_cached(&self.sql)?;
        // Parts of one statement share their list of parameters, and use a part of it.
        let used = &self.params[..statement.parameter_count()];
        let mut cells = Vec::with_capacity(used.len());
        for param in used {
            cells.push(match param {
                Param::Constant(cell) => cell.clone(),
                Param::Source(at) => given
                    .source
                    .get(*at)
                    .map_or(Value::Null, Clone::clone)
                    .to_cell(),
                Param::Bind(at) => {
                    let value = given.binds.get(*at).unwrap_or(&Value::Null);
                    refuse_long(value)?;
                    value.to_cell()
                }
            });
        }
        let mut rows = statement.query(rusqlite::params_from_iter(cells))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let values = self.kinds.iter().enumerate();
            let values = values.map(|(at, kind)| Value::from_cell(row.get_ref(at)?, *kind));
            all.push(values.collect::<Result<_>>()?);
        }
        Ok(all)
    }
}

/// Long text and bytes go into columns, and into nothing else.
fn refuse_long(value: &Value) -> Result<()> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::Raw(bytes) => bytes.len(),
        _ => 0,
    };
    if length > TEXT_BYTES {
        return Err(OraError::new(
            1461,
            "can bind a LONG value only for insert into a LONG column",
        ));
    }
    Ok(())
}

impl Input {
    pub(crate) fn value(&self, given: Given<'_>, read: &[Value]) -> Option<Value> {
        match self {
            Self::Bind(at) => Some(given.binds.get(*at).cloned().unwrap_or(Value::Null)),
            Self::Constant(value) => Some(value.clone()),
            Self::Read(at) => Some(read.get(*at).cloned().unwrap_or(Value::Null)),
            Self::Default => None,
        }
    }
}

/// Columns and where their values come from; the expressions among them become columns of a reading,
/// after those that are there.
pub(crate) fn inputs(
    translator: &mut Translator<'_>,
    table: &Table,
    targets: &[usize],
    values: &[Option<Expr>],
    read: &mut Vec<(String, Kind)>,
) -> Result<Vec<Input>> {
    let mut inputs = Vec::with_capacity(values.len());
    for (value, target) in values.iter().zip(targets) {
        inputs.push(match value {
            None => Input::Default,
            Some(Expr::Bind(at)) => Input::Bind(*at),
            Some(Expr::Null) => Input::Constant(Value::Null),
            Some(Expr::Number(number)) => Input::Constant(Value::Number(number.clone())),
            Some(Expr::Text(text)) => Input::Constant(Value::text(text)),
            Some(expr) => {
                let typed = translator.value(expr)?;
                // Refused now if it is no value for the column.
                translator.convert(&typed, table.columns[*target].data_type.kind())?;
                read.push((typed.sql, typed.kind));
                Input::Read(read.len() - 1)
            }
        });
    }
    Ok(inputs)
}

/// The positions of columns, each once; all of the table's if none is named.
pub(crate) fn targets(table: &Table, columns: &[Name]) -> Result<Vec<usize>> {
    if columns.is_empty() {
        return Ok((0..table.columns.len()).collect());
    }
    let mut targets = Vec::with_capacity(columns.len());
    for name in columns {
        let at = table.position(name)?;
        if targets.contains(&at) {
            return Err(OraError::new(957, "duplicate column name"));
        }
        targets.push(at);
    }
    Ok(targets)
}

/// The positions and the values of SET.
pub(crate) fn assignments(
    table: &Table,
    set: &[Assignment],
) -> Result<(Vec<usize>, Vec<Option<Expr>>)> {
    let names: Vec<Name> = set.iter().map(|(name, _)| name.clone()).collect();
    let values = set.iter().map(|(_, value)| value.clone()).collect();
    Ok((targets(table, &names)?, values))
}

/// A source that is the table itself, under the alias `t` of SQLite's.
pub(crate) fn own_source(table: &Arc<Table>, alias: Option<&Name>) -> Source {
    Source::table(table, alias, "t")
}

/// `SELECT a, b …`, or a NULL where nothing is read.
pub(crate) fn select_list(read: &[(String, Kind)]) -> String {
    if read.is_empty() {
        return "SELECT NULL".to_owned();
    }
    let sql: Vec<&str> = read.iter().map(|(sql, _)| sql.as_str()).collect();
    format!("SELECT {}", sql.join(", "))
}

/// Refuses wide binds after one that goes into a LOB, as a server does.
pub(crate) fn check_order(
    table: &Table,
    targets: &[usize],
    inputs: &[Input],
    binds: &[BindShape],
) -> Result<()> {
    let mut of_lobs = vec![false; binds.len()];
    for (target, input) in targets.iter().zip(inputs) {
        if let Input::Bind(at) = input
            && let Some(is_lob) = of_lobs.get_mut(*at)
        {
            *is_lob = table.columns[*target].data_type.kind().is_lob();
        }
    }
    let Some(first) = of_lobs.iter().position(|is_lob| *is_lob) else {
        return Ok(());
    };
    let is_wide = |at: usize| {
        !of_lobs[at] && !binds[at].kind.is_lob() && binds[at].max_bytes > TEXT_BYTES as u64
    };
    if (first..binds.len()).any(is_wide) {
        return Err(OraError::new(
            24816,
            "Expanded non LONG bind data supplied after actual LONG or LOB column",
        ));
    }
    Ok(())
}
