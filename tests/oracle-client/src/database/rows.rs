//! Writing single rows: defaults, types, NOT NULL, CHECK, unique and foreign keys.

use std::sync::Arc;

use rusqlite::{Connection, params_from_iter};

use super::catalog::{Catalog, Constraint, SCHEMA, Table};
use super::plan::{Given, Reading};
use super::scope::Source;
use super::translate::Translator;
use crate::error::{OraError, Result};
use crate::sql::{parse_condition, parse_expression};
use crate::value::{ColumnName, Formats, Kind, Number, Value, store};

/// Rows of tables, as one session writes them.
pub(crate) struct Rows<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) catalog: &'a mut Catalog,
    pub(crate) formats: &'a Formats,
    pub(crate) version: &'a str,
}

impl Rows<'_> {
    /// Inserts a row; columns that are not given get their defaults.
    pub(crate) fn insert(
        &mut self,
        table: &Table,
        mut given: Vec<(usize, Option<Value>)>,
    ) -> Result<()> {
        let mut row = Vec::with_capacity(table.columns.len());
        for (at, column) in table.columns.iter().enumerate() {
            let value = given
                .iter_mut()
                .find(|(target, _)| *target == at)
                .and_then(|(_, value)| value.take());
            let value = match value {
                Some(value) => value,
                None => self.default(table, at)?,
            };
            let value = self.stored(table, at, value)?;
            if value == Value::Null && column.not_null {
                let name = name(table, at);
                return Err(OraError::new(
                    1400,
                    format!("cannot insert NULL into ({name})"),
                ));
            }
            row.push(value);
        }
        let names: Vec<String> = table
            .columns
            .iter()
            .map(super::catalog::Column::sqlite)
            .collect();
        let places = vec!["?"; names.len()].join(", ");
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({places})",
            table.sqlite(),
            names.join(", ")
        );
        let cells = row.iter().map(Value::to_cell);
        let inserted = self
            .connection
            .prepare_cached(&sql)?
            .execute(params_from_iter(cells));
        inserted.map_err(|error| unique(table, error))?;
        self.check_conditions(table, self.connection.last_insert_rowid())?;
        let all: Vec<usize> = (0..row.len()).collect();
        self.check_parents(table, &all, &row)
    }

    /// Sets columns of a row.
    pub(crate) fn update(
        &mut self,
        table: &Table,
        row: i64,
        targets: &[usize],
        values: Vec<Option<Value>>,
    ) -> Result<()> {
        let mut stored = Vec::with_capacity(values.len());
        for (at, value) in targets.iter().zip(values) {
            let value = match value {
                Some(value) => value,
                None => self.default(table, *at)?,
            };
            let value = self.stored(table, *at, value)?;
            if value == Value::Null && table.columns[*at].not_null {
                let name = name(table, *at);
                return Err(OraError::new(
                    1407,
                    format!("cannot update ({name}) to NULL"),
                ));
            }
            stored.push(value);
        }
        self.check_children(table, row, Some((targets, &stored)))?;
        let cells = stored
            .iter()
            .map(Value::to_cell)
            .chain([rusqlite::types::Value::Integer(row)]);
        let updated = self
            .connection
            .prepare_cached(&update_sql(table, targets))?
            .execute(params_from_iter(cells));
        updated.map_err(|error| unique(table, error))?;
        self.check_conditions(table, row)?;
        self.check_parents(table, targets, &stored)
    }

    /// Makes columns NULL for a moment, so that the rows of one statement don't collide with one
    /// another's old values.
    pub(crate) fn blank(&mut self, table: &Table, row: i64, targets: &[usize]) -> Result<()> {
        let cells = targets.iter().map(|_| rusqlite::types::Value::Null);
        let cells = cells.chain([rusqlite::types::Value::Integer(row)]);
        self.connection
            .prepare_cached(&update_sql(table, targets))?
            .execute(params_from_iter(cells))?;
        Ok(())
    }

    pub(crate) fn delete(&mut self, table: &Table, row: i64) -> Result<()> {
        self.check_children(table, row, None)?;
        let sql = format!("DELETE FROM {} WHERE rowid = ?", table.sqlite());
        self.connection.prepare_cached(&sql)?.execute([row])?;
        Ok(())
    }

    fn stored(&self, table: &Table, at: usize, value: Value) -> Result<Value> {
        store(
            value,
            table.columns[at].data_type,
            name(table, at),
            self.formats,
        )
    }

    fn default(&mut self, table: &Table, at: usize) -> Result<Value> {
        let column = &table.columns[at];
        if column.is_identity {
            let sql = format!("SELECT max({}) FROM {}", column.sqlite(), table.sqlite());
            let reading = Reading {
                sql,
                params: Vec::new(),
                kinds: vec![column.data_type.kind()],
            };
            let rows = reading.rows(
                self.connection,
                Given {
                    binds: &[],
                    source: &[],
                },
            )?;
            let last = match rows.into_iter().flatten().next() {
                Some(Value::Number(last)) => last,
                _ => Number::zero(),
            };
            return Ok(Value::Number(last.add(&Number::from(1_i64))));
        }
        let Some(text) = &column.default else {
            return Ok(Value::Null);
        };
        let expr = parse_expression(text)?;
        let mut translator = Translator::new(self.connection, self.catalog, &[], self.version);
        let typed = translator.value(&expr)?;
        let (sql, params) = (format!("SELECT {}", typed.sql), translator.params);
        let rows = Reading {
            sql,
            params,
            kinds: vec![typed.kind],
        }
        .rows(
            self.connection,
            Given {
                binds: &[],
                source: &[],
            },
        )?;
        Ok(rows.into_iter().flatten().next().unwrap_or(Value::Null))
    }

    /// ORA-02290, where a row is not as a CHECK constraint wants it.
    fn check_conditions(&mut self, table: &Table, row: i64) -> Result<()> {
        for check in &table.constraints {
            let Some(text) = &check.condition else {
                continue;
            };
            let condition = parse_condition(text)?;
            let mut translator = Translator::new(self.connection, self.catalog, &[], self.version);
            translator
                .scopes
                .enter(vec![Source::table(&Arc::new(table.clone()), None, "t")]);
            let sql = translator.condition(&condition)?;
            let (sql, params) = (
                format!(
                    "SELECT t.rowid FROM {} AS t WHERE t.rowid = {row} AND NOT ({sql})",
                    table.sqlite()
                ),
                translator.params,
            );
            let reading = Reading {
                sql,
                params,
                kinds: vec![Kind::RowId],
            };
            if !reading
                .rows(
                    self.connection,
                    Given {
                        binds: &[],
                        source: &[],
                    },
                )?
                .is_empty()
            {
                return Err(OraError::new(
                    2290,
                    format!("check constraint ({SCHEMA}.{}) violated", check.name),
                ));
            }
        }
        Ok(())
    }

    /// ORA-02291, where a foreign key among the columns finds no row.
    fn check_parents(&mut self, table: &Table, targets: &[usize], values: &[Value]) -> Result<()> {
        for key in table
            .constraints
            .iter()
            .filter(|constraint| constraint.letter == 'R')
        {
            let value = |id: &i64| {
                let at = table.by_id(*id)?;
                let given = targets.iter().position(|target| *target == at)?;
                Some(values[given].clone())
            };
            let Some(values) = key.columns.iter().map(value).collect::<Option<Vec<_>>>() else {
                continue;
            };
            if values.contains(&Value::Null) {
                continue;
            }
            let parent = self.catalog.table_by_id(self.connection, key.other_table)?;
            if !self.exists(&parent, &key.other_columns, &values)? {
                return Err(OraError::new(
                    2291,
                    format!(
                        "integrity constraint ({SCHEMA}.{}) violated - parent key not found",
                        key.name
                    ),
                ));
            }
        }
        Ok(())
    }

    /// ORA-02292, where a row is referred to by values that it will have no longer.
    fn check_children(
        &mut self,
        table: &Table,
        row: i64,
        after: Option<(&[usize], &[Value])>,
    ) -> Result<()> {
        for child in self.catalog.children(self.connection, table)? {
            for key in child
                .constraints
                .iter()
                .filter(|key| key.letter == 'R' && key.other_table == table.id)
            {
                self.check_child(table, row, after, &child, key)?;
            }
        }
        Ok(())
    }

    fn check_child(
        &mut self,
        table: &Table,
        row: i64,
        after: Option<(&[usize], &[Value])>,
        child: &Table,
        key: &Constraint,
    ) -> Result<()> {
        let columns: Vec<usize> = key
            .other_columns
            .iter()
            .filter_map(|id| table.by_id(*id))
            .collect();
        let names: Vec<String> = columns
            .iter()
            .map(|at| table.columns[*at].sqlite())
            .collect();
        let reading = Reading {
            sql: format!(
                "SELECT {} FROM {} WHERE rowid = {row}",
                names.join(", "),
                table.sqlite()
            ),
            params: Vec::new(),
            kinds: columns
                .iter()
                .map(|at| table.columns[*at].data_type.kind())
                .collect(),
        };
        let rows = reading.rows(
            self.connection,
            Given {
                binds: &[],
                source: &[],
            },
        )?;
        let Some(before) = rows.into_iter().next() else {
            return Ok(());
        };
        if let Some((targets, values)) = after {
            let stays = columns.iter().zip(&before).all(|(at, old)| {
                let given = targets.iter().position(|target| target == at);
                given.is_none_or(|given| values[given] == *old)
            });
            if stays {
                return Ok(());
            }
        }
        if !before.contains(&Value::Null) && self.exists(child, &key.columns, &before)? {
            return Err(OraError::new(
                2292,
                format!(
                    "integrity constraint ({SCHEMA}.{}) violated - child record found",
                    key.name
                ),
            ));
        }
        Ok(())
    }

    fn exists(&self, table: &Table, columns: &[i64], values: &[Value]) -> Result<bool> {
        let conditions: Vec<String> = columns.iter().map(|id| format!("c{id} = ?")).collect();
        let sql = format!(
            "SELECT 1 FROM {} WHERE {}",
            table.sqlite(),
            conditions.join(" AND ")
        );
        let cells = values.iter().map(Value::to_cell);
        Ok(self
            .connection
            .prepare_cached(&sql)?
            .exists(params_from_iter(cells))?)
    }
}

fn update_sql(table: &Table, targets: &[usize]) -> String {
    let set: Vec<String> = targets
        .iter()
        .map(|at| format!("{} = ?", table.columns[*at].sqlite()))
        .collect();
    format!(
        "UPDATE {} SET {} WHERE rowid = ?",
        table.sqlite(),
        set.join(", ")
    )
}

fn name(table: &Table, at: usize) -> ColumnName<'_> {
    ColumnName {
        schema: SCHEMA,
        table: &table.name,
        column: &table.columns[at].name,
    }
}

/// ORA-00001 for SQLite's `UNIQUE constraint failed: t1.c1, t1.c2`.
pub(super) fn unique(table: &Table, error: rusqlite::Error) -> OraError {
    let text = error.to_string();
    let Some((_, columns)) = text.split_once("UNIQUE constraint failed: ") else {
        return error.into();
    };
    let ids: Vec<i64> = columns
        .split(", ")
        .filter_map(|column| column.split_once(".c")?.1.trim().parse().ok())
        .collect();
    let name = table.key_name(&ids);
    OraError::new(1, format!("unique constraint ({SCHEMA}.{name}) violated"))
}
