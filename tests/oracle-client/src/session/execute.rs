//! Executing statements.

use std::collections::VecDeque;
use std::time::Instant;

use super::Session;
use crate::database::{
    BindShape, Change, Definitions, Given, Reading, ResultColumn, Rows, Translator,
};
use crate::error::{OraError, Result};
use crate::sql::tree::{Block, Statement};
use crate::sql::{Parsed, parse};
use crate::value::{Kind, Value};

/// How an array of binds is executed.
pub(crate) struct Batch<'a> {
    /// The statement as it was written, for faults.
    pub(crate) sql: &'a str,
    pub(crate) shapes: &'a [BindShape],
    pub(crate) rows: u32,
    /// The values of a row.
    pub(crate) values: &'a mut dyn FnMut(u32) -> Result<Vec<Value>>,
    /// Goes on behind rows that fail.
    pub(crate) collects_errors: bool,
    pub(crate) commits: bool,
}

/// The rows of a query, as they were when it was executed.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResultRows {
    pub(crate) columns: Vec<ResultColumn>,
    pub(crate) rows: VecDeque<Vec<Value>>,
}

/// What an execution has done, up to an error if there was one.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Rows that each row of binds touched.
    pub(crate) counts: Vec<u64>,
    /// Rows of binds that failed.
    pub(crate) errors: Vec<(u32, OraError)>,
    pub(crate) result: Option<ResultRows>,
    pub(crate) error: Option<OraError>,
}

impl Session {
    /// Parses a statement, with names as long as this server's may be.
    pub(crate) fn parse(&self, sql: &str) -> Result<Parsed> {
        parse(sql, self.settings().name_bytes())
    }

    /// Executes a statement for each row of binds.
    pub(crate) fn execute(&mut self, parsed: &Parsed, mut batch: Batch<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        let sql = batch.sql;
        let executed = self.call("execute", sql, |session| {
            session.run(parsed, &mut batch, &mut outcome)
        });
        outcome.error = executed.err();
        outcome
    }

    fn run(&mut self, parsed: &Parsed, batch: &mut Batch<'_>, outcome: &mut Outcome) -> Result<()> {
        self.catalog.refresh(&self.connection)?;
        let statement = &parsed.statement;
        if statement.is_definition() {
            self.define(statement)?;
            outcome.counts.push(0);
            return Ok(());
        }
        match statement {
            Statement::Query(query) => {
                if query.is_for_update {
                    self.begin_writing()?;
                }
                outcome.result = Some(self.select(parsed, batch)?);
            }
            Statement::AlterSession(settings) => {
                for (name, value) in settings {
                    self.settings().set(name, value)?;
                }
                outcome.counts.push(0);
            }
            Statement::Commit => self.commit()?,
            Statement::Rollback => self.undo()?,
            Statement::Lock { table, .. } => {
                self.catalog.table(&self.connection, table)?;
                self.begin_writing()?;
            }
            Statement::Block(body) => {
                if !parsed.binds.is_empty() {
                    return Err(OraError::unknown("binds of a block"));
                }
                self.block(body)?;
                outcome.counts.push(1);
            }
            _ => self.change(statement, batch, outcome)?,
        }
        if batch.commits {
            self.commit()?;
        }
        Ok(())
    }

    fn select(&mut self, parsed: &Parsed, batch: &mut Batch<'_>) -> Result<ResultRows> {
        let Statement::Query(query) = &parsed.statement else {
            return Err(OraError::unknown("a query"));
        };
        let binds = (batch.values)(0)?;
        let kinds: Vec<Kind> = batch.shapes.iter().map(|shape| shape.kind).collect();
        let version = self.settings().version.clone();
        let mut translator = Translator::new(&self.connection, &mut self.catalog, &kinds, &version);
        let selected = translator.query(query)?;
        let kinds = selected
            .columns
            .iter()
            .map(|column| column.data_type.kind())
            .collect();
        let reading = Reading {
            sql: selected.sql,
            params: translator.params,
            kinds,
        };
        let rows = reading.rows(
            &self.connection,
            Given {
                binds: &binds,
                source: &[],
            },
        )?;
        Ok(ResultRows {
            columns: selected.columns,
            rows: rows.into(),
        })
    }

    /// The columns of a query that isn't executed.
    pub(crate) fn describe(
        &mut self,
        parsed: &Parsed,
        shapes: &[BindShape],
    ) -> Result<Vec<ResultColumn>> {
        let Statement::Query(query) = &parsed.statement else {
            return Ok(Vec::new());
        };
        self.catalog.refresh(&self.connection)?;
        let kinds: Vec<Kind> = shapes.iter().map(|shape| shape.kind).collect();
        let version = self.settings().version.clone();
        let mut translator = Translator::new(&self.connection, &mut self.catalog, &kinds, &version);
        Ok(translator.query(query)?.columns)
    }

    fn change(
        &mut self,
        statement: &Statement,
        batch: &mut Batch<'_>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let kinds: Vec<Kind> = batch.shapes.iter().map(|shape| shape.kind).collect();
        let (version, formats) = {
            let settings = self.settings();
            (settings.version.clone(), settings.formats.clone())
        };
        let mut translator = Translator::new(&self.connection, &mut self.catalog, &kinds, &version);
        let change = Change::plan(&mut translator, statement, batch.shapes)?;
        let change = change.ok_or_else(|| OraError::unknown("this statement"))?;
        self.begin_writing()?;
        let started = Instant::now();
        for row in 0..batch.rows {
            self.check_cancelled(started)?;
            let done = self.row_fault(batch.sql).and_then(|()| {
                let binds = (batch.values)(row)?;
                let mut rows = Rows {
                    connection: &self.connection,
                    catalog: &mut self.catalog,
                    formats: &formats,
                    version: &version,
                };
                whole(&change, &mut rows, &binds)
            });
            match done {
                Ok(count) => outcome.counts.push(count),
                Err(error) if batch.collects_errors && is_of_row(&error) => {
                    outcome.counts.push(0);
                    outcome.errors.push((row, error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Runs a definition, which commits what was done and what it does.
    fn define(&mut self, statement: &Statement) -> Result<()> {
        self.commit()?;
        self.begin_writing()?;
        let defined = self.define_within(statement).and_then(|()| self.commit());
        if defined.is_err() {
            self.undo()?;
            self.catalog = Default::default();
        }
        defined
    }

    fn define_within(&mut self, statement: &Statement) -> Result<()> {
        let mut definitions = Definitions {
            connection: &self.connection,
            catalog: &mut self.catalog,
        };
        match statement {
            Statement::CreateTable {
                table,
                columns,
                constraints,
            } => definitions.create_table(table, columns, constraints),
            Statement::CreateIndex {
                name,
                table,
                columns,
                is_unique,
            } => definitions.create_index(name, table, columns, *is_unique),
            Statement::AlterTable { table, alterations } => {
                definitions.alter_table(table, alterations)
            }
            Statement::DropTable { table, cascades } => definitions.drop_table(table, *cascades),
            Statement::DropIndex(name) => definitions.drop_index(name),
            Statement::Truncate(table) => definitions.truncate(table),
            _ => Ok(()),
        }
    }

    fn block(&mut self, body: &[Block]) -> Result<()> {
        for part in body {
            match part {
                Block::Null => {}
                Block::Execute(sql) => {
                    let parsed = self.parse(sql)?;
                    self.run_plain(&parsed)?;
                }
                Block::Statement(statement) => {
                    self.run_plain(&Parsed {
                        statement: (**statement).clone(),
                        binds: Vec::new(),
                    })?;
                }
                Block::Guarded { body, passing } => match self.block(body) {
                    Err(error) if passing.contains(&0) || passing.contains(&error.code) => {}
                    other => other?,
                },
            }
        }
        Ok(())
    }

    fn run_plain(&mut self, parsed: &Parsed) -> Result<()> {
        let mut batch = Batch {
            sql: "",
            shapes: &[],
            rows: 1,
            values: &mut |_| Ok(Vec::new()),
            collects_errors: false,
            commits: false,
        };
        self.run(parsed, &mut batch, &mut Outcome::default())
    }
}

/// Runs one execution, of which all or nothing is done.
fn whole(change: &Change, rows: &mut Rows<'_>, binds: &[Value]) -> Result<u64> {
    if !change.is_compound() {
        return change.run(rows, binds);
    }
    let connection = rows.connection;
    connection.prepare_cached("SAVEPOINT one")?.execute([])?;
    let done = change.run(rows, binds);
    if done.is_err() {
        connection.prepare_cached("ROLLBACK TO one")?.execute([])?;
    }
    connection.prepare_cached("RELEASE one")?.execute([])?;
    done
}

/// Whether an error is of a row of binds, and not of the whole execution.
fn is_of_row(error: &OraError) -> bool {
    !error.is_fatal && !matches!(error.code, 54 | 60 | 600 | 1013 | 3156)
}
