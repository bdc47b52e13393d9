//! Applying the steps of a plan inside the open transaction.

use std::collections::HashSet;

use tahr_plugin_api::{Host, Op, Row, Value};
use tokio_postgres::Client;

use crate::{
    copy::copy_rows,
    error,
    parameter::Parameter,
    pipeline::{Failure, Pipeline, What},
    plan::{BULK, Item, Mode, Step},
    statements::Statement,
    table::Table,
};

/// Sends statements of one batch.
#[derive(Debug)]
pub(crate) struct Applier<'a> {
    pub(crate) client: &'a Client,
    pub(crate) pipeline: Pipeline<'a>,
    pub(crate) mode: Mode,
    /// Whether the transaction began with an earlier batch, whose rows temporary tables still have.
    pub(crate) is_continued: bool,
    /// Temporary tables that this batch has filled.
    pub(crate) staged: HashSet<String>,
}

impl<'a> Applier<'a> {
    /// An applier on `client`.
    pub(crate) fn new(client: &'a Client, host: &'a Host, mode: Mode, is_continued: bool) -> Self {
        Self {
            client,
            pipeline: Pipeline::new(host),
            mode,
            is_continued,
            staged: HashSet::new(),
        }
    }

    /// Applies one step; its last statements may still be in the pipeline.
    pub(crate) async fn step(&mut self, step: &Step<'a>) -> Result<(), Failure<'a>> {
        match step {
            Step::Rows(items) => self.rows(items).await,
            Step::Bulk(items) => Box::pin(self.bulk(items)).await,
            Step::Truncate(items) => self.truncate(items).await,
        }
    }

    async fn rows(&mut self, items: &[Item<'a>]) -> Result<(), Failure<'a>> {
        let mut rest = items;
        while let Some(item) = rest.first() {
            let run = self.run(rest);
            if run.len() >= BULK && item.change.op() == Op::Insert {
                Box::pin(self.copy(run)).await?;
            } else if run.len() > 1 {
                Box::pin(self.swap(run)).await?;
            } else {
                self.row(item).await?;
            }
            rest = &rest[run.len()..];
        }
        Ok(())
    }

    /// The changes at the beginning of `items` that go together: a long run of inserts into a
    /// table, or keys that change places.
    fn run<'b>(&self, items: &'b [Item<'a>]) -> &'b [Item<'a>] {
        let first = &items[0];
        let is_same = |item: &&Item<'a>| {
            std::ptr::eq(item.table, first.table) && item.change.op() == first.change.op()
        };
        let len = match (self.mode, first.change.op()) {
            (Mode::Fast, Op::Insert) => items.iter().take_while(is_same).count(),
            (Mode::Swapping, Op::Update) => crate::swap::run(items),
            _ => 1,
        };
        let is_short = first.change.op() == Op::Insert && len < BULK;
        &items[..if is_short { 1 } else { len.max(1) }]
    }

    /// Copies inserts of one table straight into it.
    pub(crate) async fn copy(&mut self, items: &[Item<'a>]) -> Result<(), Failure<'a>> {
        let table = items[0].table;
        let rows = items
            .iter()
            .filter_map(|item| item.change.new_row())
            .map(|row| table.parameters(row, &table.written));
        self.copy_into(table, rows).await
    }

    /// Copies rows of the written columns' values into `table`.
    pub(crate) async fn copy_into<R, V>(
        &mut self,
        table: &'a Table,
        rows: R,
    ) -> Result<(), Failure<'a>>
    where
        R: IntoIterator<Item = V>,
        V: IntoIterator<Item = Parameter<'a>>,
    {
        let statement = self
            .prepared(What::Bulk(table), table, Statement::Copy)
            .await?;
        self.pipeline.drain().await?;
        copy_rows(self.client, &statement, rows)
            .await
            .map_err(|error| Failure {
                what: What::Bulk(table),
                error,
            })?;
        Ok(())
    }

    /// Sends one change as one statement.
    pub(crate) async fn row(&mut self, item: &Item<'a>) -> Result<(), Failure<'a>> {
        let table = item.table;
        let what = What::Change(item.index, table);
        let (old, new) = (item.change.old_row(), item.change.new_row());
        match (item.change.op(), old, new) {
            (Op::Insert, _, Some(new)) => {
                self.send(
                    what,
                    Statement::Insert,
                    table.parameters(new, &table.written).collect(),
                )
                .await
            }
            (Op::Update, old, Some(new)) => self.update(item, old, new).await,
            (Op::Delete, Some(old), _) if table.key.is_empty() => {
                self.send(
                    what,
                    Statement::DeleteMatch,
                    table.parameters(old, &table.written).collect(),
                )
                .await
            }
            (Op::Delete, Some(old), _) => {
                let what = What::Delete(item.index, table);
                self.send(
                    what,
                    Statement::Delete,
                    table.parameters(old, &table.key).collect(),
                )
                .await
            }
            // The decoder makes no change without its row.
            _ => Ok(()),
        }
    }

    async fn update(
        &mut self,
        item: &Item<'a>,
        old: Option<Row<'a>>,
        new: Row<'a>,
    ) -> Result<(), Failure<'a>> {
        let table = item.table;
        let moves_key = item.moves_key();
        let values = table.written.iter().map(|&c| (c, item.change.value(c)));
        let parameter =
            |column: usize, value| Parameter::new(value, table.relation.columns[column].kind);
        if !table.key.is_empty() && !moves_key && values.clone().all(|(_, v)| !v.is_unchanged()) {
            let values = values
                .map(|(column, value)| parameter(column, value))
                .collect();
            let what = What::Change(item.index, table);
            return self.send(what, Statement::Upsert, values).await;
        }
        // The key is left out where it stays, since an identity column refuses to be set.
        let is_set = |column: usize, value: &Value<'_>| {
            !value.is_unchanged() && (moves_key || !table.key.contains(&column))
        };
        let mask: Vec<bool> = values.clone().map(|(c, v)| is_set(c, &v)).collect();
        if !mask.contains(&true) {
            return Ok(());
        }
        let sent = values
            .filter(|(column, value)| is_set(*column, value))
            .map(|(column, value)| parameter(column, value));
        let (statement, place) = if table.key.is_empty() {
            (Statement::UpdateMatch(mask), &table.written)
        } else {
            (Statement::Update(mask), &table.key)
        };
        let values = sent
            .chain(table.parameters(old.unwrap_or(new), place))
            .collect();
        self.send(What::Change(item.index, table), statement, values)
            .await
    }

    /// Sends a statement of `what`'s table.
    pub(crate) async fn send(
        &mut self,
        what: What<'a>,
        statement: Statement,
        values: Vec<Parameter<'a>>,
    ) -> Result<(), Failure<'a>> {
        let (What::Change(_, table) | What::Delete(_, table) | What::Bulk(table)) = what else {
            return Ok(());
        };
        let statement = self.prepared(what, table, statement).await?;
        let client = self.client;
        let answer = async move { client.execute_raw(&statement, values).await };
        self.pipeline.send(what, answer).await
    }

    /// Sends plain text, without parameters.
    pub(crate) async fn send_text(
        &mut self,
        what: What<'a>,
        text: String,
    ) -> Result<(), Failure<'a>> {
        let client = self.client;
        let answer = async move { client.batch_execute(&text).await.map(|()| 0) };
        self.pipeline.send(what, answer).await
    }

    /// `statement`, prepared; waits for the pipeline where it wasn't yet.
    pub(crate) async fn prepared(
        &mut self,
        what: What<'a>,
        table: &'a Table,
        statement: Statement,
    ) -> Result<tokio_postgres::Statement, Failure<'a>> {
        if let Some(prepared) = table.known(&statement) {
            return Ok(prepared);
        }
        self.pipeline.drain().await?;
        table
            .prepare(self.client, statement)
            .await
            .map_err(|error| Failure { what, error })
    }

    async fn truncate(&mut self, items: &[Item<'a>]) -> Result<(), Failure<'a>> {
        let mut names: Vec<&str> = items.iter().map(|item| item.table.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let restart = if items[0].change.restarts_identity() {
            " RESTART IDENTITY"
        } else {
            ""
        };
        let text = format!("TRUNCATE {}{restart}", names.join(", "));
        self.send_text(What::Change(items[0].index, items[0].table), text)
            .await
    }
}

/// Whether applying the batch another way may tell more, or even succeed.
pub(crate) fn next_mode(failure: &Failure<'_>, mode: Mode, steps: &[Step<'_>]) -> Option<Mode> {
    if !error::is_about_rows(&failure.error) {
        return None;
    }
    let is_duplicate = error::code(&failure.error) == "23505";
    match mode {
        Mode::Fast if matches!(failure.what, What::Bulk(_)) => Some(Mode::InOrder),
        Mode::Fast | Mode::InOrder if is_duplicate && has_moves(steps) => Some(Mode::Swapping),
        _ => None,
    }
}

fn has_moves(steps: &[Step<'_>]) -> bool {
    steps.iter().any(|step| match step {
        Step::Rows(items) => items.iter().any(Item::moves_key),
        _ => false,
    })
}
