//! Statements sent without waiting for the answers of those before them.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use tahr_plugin_api::{Host, WriteError};
use tokio_postgres::Error;

use crate::{
    error::{COPY_ANEW, NO_ROW, code, explain},
    table::Table,
};

/// Statements in flight, so that neither side holds much for the other.
const IN_FLIGHT: usize = 512;

/// What a statement is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    /// Begin, savepoint, commit.
    Transaction,
    /// The checkpoint's compare-and-set.
    Compare,
    /// A change, by its index in the batch.
    Change(usize, &'a Table),
    /// The deletion of a row that may be gone already.
    Delete(usize, &'a Table),
    /// Changes of a table together.
    Bulk(&'a Table),
}

/// The first statement that failed.
#[derive(Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) what: What<'a>,
    pub(crate) error: Error,
}

impl Failure<'_> {
    /// Whether it is the checkpoint that was not the expected one.
    pub(crate) fn is_moved(&self) -> bool {
        // 42P01: the table is gone altogether.
        matches!(self.what, What::Compare) && matches!(code(&self.error), NO_ROW | "42P01")
    }

    /// The failure as the engine wants it.
    pub(crate) fn into_error(self) -> WriteError {
        let (change, table) = match self.what {
            What::Transaction => return explain(&self.error, "transaction"),
            What::Compare => return explain(&self.error, "checkpoint"),
            What::Change(index, table) | What::Delete(index, table) => (Some(index), table),
            What::Bulk(table) => (None, table),
        };
        let target = table.relation.target.to_string();
        let mut error = if code(&self.error) == NO_ROW {
            WriteError::rejected(format!(
                "table \"{target}\" has no row that the update or delete is for"
            ))
            .hint(COPY_ANEW)
        } else {
            explain(&self.error, &format!("table \"{target}\""))
        };
        error.change = change;
        error.table.get_or_insert(target);
        error
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + 'a>>;

/// A queue of sent statements. Before anything else is awaited on the connection it must be
/// [drained](Self::drain): an answer that nobody takes blocks those behind it.
pub(crate) struct Pipeline<'a> {
    host: &'a Host,
    sent: VecDeque<(What<'a>, Answer<'a>)>,
}

impl fmt::Debug for Pipeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("sent", &self.sent.len())
            .finish()
    }
}

impl<'a> Pipeline<'a> {
    /// An empty one.
    pub(crate) fn new(host: &'a Host) -> Self {
        Self {
            host,
            sent: VecDeque::new(),
        }
    }

    /// Sends a statement: the future's first poll does, as tokio-postgres promises.
    pub(crate) async fn send(
        &mut self,
        what: What<'a>,
        statement: impl Future<Output = Result<u64, Error>> + 'a,
    ) -> Result<(), Failure<'a>> {
        while self.sent.len() >= IN_FLIGHT {
            self.take().await?;
        }
        let mut answer: Answer<'a> = Box::pin(statement);
        let first = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context)));
        if let Poll::Ready(result) = first.await {
            // Encoding failed, or the connection is gone; what was sent before may say why.
            self.drain().await?;
            return self.judge(what, result);
        }
        self.sent.push_back((what, answer));
        Ok(())
    }

    /// Waits for all answers.
    pub(crate) async fn drain(&mut self) -> Result<(), Failure<'a>> {
        while !self.sent.is_empty() {
            self.take().await?;
        }
        Ok(())
    }

    /// Adds to a counter of the lane.
    pub(crate) fn count(&self, name: &str, by: u64) {
        self.host.count(name, by);
    }

    async fn take(&mut self) -> Result<(), Failure<'a>> {
        match self.sent.pop_front() {
            Some((what, answer)) => {
                let result = answer.await;
                self.judge(what, result)
            }
            None => Ok(()),
        }
    }

    fn judge(&self, what: What<'a>, result: Result<u64, Error>) -> Result<(), Failure<'a>> {
        let rows = result.map_err(|error| Failure { what, error })?;
        if rows == 0 && matches!(what, What::Delete(..)) {
            self.host.count(MISSING, 1);
        }
        Ok(())
    }
}

/// Counts deletes whose row was gone: the target is as it should be, but was not before.
pub(crate) const MISSING: &str = "deletes_of_missing_rows";
