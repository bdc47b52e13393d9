//! Writing work inside an open transaction, or an order in one of its own.
//!
//! Few rows of a table are written by one statement each, whose answers nobody waits for before the
//! next is sent; many by arrays, which the server takes apart. Rows that are new go through `COPY`,
//! which is faster by half, but fails with one that is there. Asking for all of them would cost
//! what that gains, so some are asked for, and a piece that fails is written the other way, as is
//! what comes after it.

use std::{collections::HashSet, pin::pin};

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt as _;
use tokio_postgres::types::ToSql;

use super::{
    Order,
    error::{Class, Failure, What},
    pipeline::Pipeline,
    session::Session,
    table::{Form, TableSql, join},
    values::{arrays, copy_line, texts},
    work::{Put, Work},
};
use crate::reconcile::Blob;

/// Rows of a table from which on arrays are faster than one statement each.
const BULK: usize = 8;
/// Keys of a table from which on they are worth a plan of their own.
const PLANNED: usize = 32;
/// Rows of a table from which on it pays to find out whether they are new.
const COPY: usize = 512;
/// Keys that are asked for to guess so.
const SAMPLE: usize = 64;
/// Rows in one statement.
const ROWS: usize = 5_000;
/// Bytes in one statement, about.
const BYTES: usize = 8 << 20;
/// Bytes of `COPY` that are gathered before they are sent.
const GATHERED: usize = 128 << 10;

/// How work is written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// Whether rows that look new are copied.
    pub(super) copies: bool,
    /// Whether rows are written before others are deleted, for foreign keys.
    pub(super) rows_first: bool,
}

/// Writes an order in one transaction and commits it, without savepoints: after any failure nothing
/// of it is written.
pub(super) async fn write_plainly<'a>(
    session: &'a Session,
    order: &'a Order,
) -> Result<(), Failure<'a>> {
    let work = Work::new(order, &session.tables, 0..order.rows.len(), []);
    let mut writer = Writer::new(
        session,
        Manner {
            copies: true,
            ..Manner::default()
        },
    );
    writer.prepare(&work).await?;
    let begin = session.begin();
    let client = &session.client;
    let begun = async move { client.batch_execute(&begin).await.map(|()| 0) };
    writer.pipeline.send(What::Session, begun).await?;
    let marked = session.mark(order.sequence);
    writer.pipeline.send(What::Marker, marked).await?;
    writer.write(&work).await?;
    if let Some(notes) = Session::origins(order) {
        writer
            .pipeline
            .send(What::Notes, session.note(notes))
            .await?;
    }
    // After a failed statement this is a rollback.
    let committed = async move { client.batch_execute("COMMIT").await.map(|()| 0) };
    writer.pipeline.send(What::Session, committed).await?;
    writer.pipeline.drain().await
}

/// Sends the statements of some work.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    session: &'a Session,
    pub(super) pipeline: Pipeline<'a>,
    manner: Manner,
}

impl<'a> Writer<'a> {
    pub(super) fn new(session: &'a Session, manner: Manner) -> Self {
        Self {
            session,
            pipeline: Pipeline::default(),
            manner,
        }
    }

    /// Prepares what can be known beforehand, so that nothing has to be waited for later.
    pub(super) async fn prepare(&mut self, work: &Work<'a>) -> Result<(), Failure<'a>> {
        for table in work.tables() {
            table.forget();
        }
        let mut wanted: Vec<(&TableSql, Form)> = Vec::new();
        for (table, keys) in work.moves.iter().chain(&work.deletes) {
            wanted.push((table, deleting(table, keys.len())));
        }
        for (table, rows) in &work.rows {
            wanted.push((table, putting(table, rows.len())));
            if self.copies(table, rows.len()) {
                wanted.push((table, Form::Copy));
                wanted.push((table, Form::Present));
            }
        }
        for (table, form) in wanted {
            self.prepared(table, form).await?;
        }
        Ok(())
    }

    async fn prepared(
        &mut self,
        table: &'a TableSql,
        form: Form,
    ) -> Result<tokio_postgres::Statement, Failure<'a>> {
        let prepared = table.prepare(&self.session.client, form).await;
        prepared.map_err(|error| Failure::sql(What::Rows(table), error))
    }

    /// Writes it; the last statements may still be on their way.
    pub(super) async fn write(&mut self, work: &Work<'a>) -> Result<(), Failure<'a>> {
        if !work.truncates.is_empty() {
            let tables = join(&work.truncates, ", ", |table| table.quoted.clone());
            let client = &self.session.client;
            let emptied = async move {
                let text = format!("TRUNCATE {tables}");
                client.batch_execute(&text).await.map(|()| 0)
            };
            self.pipeline.send(What::Truncate, emptied).await?;
        }
        self.deletes(&work.moves).await?;
        if !self.manner.rows_first {
            self.deletes(&work.deletes).await?;
        }
        for (table, rows) in &work.rows {
            self.rows(table, rows, work.empties(table)).await?;
        }
        if self.manner.rows_first {
            self.deletes(&work.deletes).await?;
        }
        Ok(())
    }

    async fn deletes(
        &mut self,
        deletes: &[(&'a TableSql, Vec<&'a Blob>)],
    ) -> Result<(), Failure<'a>> {
        for (table, keys) in deletes {
            let form = deleting(table, keys.len());
            let width = table.key.len();
            if form == Form::Delete {
                for key in keys {
                    self.one(table, form, key, width).await?;
                }
            } else {
                for chunk in chunks(table, keys, |key| key.as_ref().len()) {
                    self.many(table, form, chunk.iter().copied(), width).await?;
                }
            }
        }
        Ok(())
    }

    async fn rows(
        &mut self,
        table: &'a TableSql,
        rows: &[Put<'a>],
        is_empty: bool,
    ) -> Result<(), Failure<'a>> {
        let form = putting(table, rows.len());
        let width = table.columns.len();
        if form == Form::Put {
            for put in rows {
                self.one(table, form, put.row, width).await?;
            }
            return Ok(());
        }
        let mut is_new =
            self.copies(table, rows.len()) && (is_empty || self.looks_new(table, rows).await?);
        for chunk in chunks(table, rows, |put| put.row.as_ref().len()) {
            is_new = is_new && self.copy(table, chunk).await?;
            if !is_new {
                let rows = chunk.iter().map(|put| put.row);
                self.many(table, form, rows, width).await?;
            }
        }
        Ok(())
    }

    /// Whether so many rows are worth finding out whether they are new.
    fn copies(&self, table: &TableSql, rows: usize) -> bool {
        self.manner.copies && rows >= COPY && !table.is_recursive
    }

    async fn one(
        &mut self,
        table: &'a TableSql,
        form: Form,
        packed: &'a Blob,
        width: usize,
    ) -> Result<(), Failure<'a>> {
        let values = texts(packed, width).map_err(Failure::misfit(table))?;
        let statement = match table.known(form) {
            Some(statement) => statement,
            None => {
                self.pipeline.drain().await?;
                self.prepared(table, form).await?
            }
        };
        let client = &self.session.client;
        let done = async move { client.execute_raw(&statement, values).await };
        self.pipeline.send(What::Rows(table), done).await
    }

    async fn many(
        &mut self,
        table: &'a TableSql,
        form: Form,
        packed: impl Iterator<Item = &'a Blob>,
        width: usize,
    ) -> Result<(), Failure<'a>> {
        let values = arrays(packed, width).map_err(Failure::misfit(table))?;
        let statement = match table.known(form) {
            Some(statement) => statement,
            None => {
                self.pipeline.drain().await?;
                self.prepared(table, form).await?
            }
        };
        // The next is made while the server takes this one.
        self.pipeline.limit(1).await?;
        let client = &self.session.client;
        let done = async move {
            let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
            client.execute(&statement, &values).await
        };
        self.pipeline.send(What::Rows(table), done).await
    }

    /// Whether none of some of the rows is there.
    async fn looks_new(
        &mut self,
        table: &'a TableSql,
        rows: &[Put<'a>],
    ) -> Result<bool, Failure<'a>> {
        self.pipeline.drain().await?;
        let some = rows.iter().step_by(rows.len().div_ceil(SAMPLE));
        let keys = some.map(|put| put.key);
        let there = numbers(self.session, table, Form::Present, keys).await?;
        Ok(there.is_empty())
    }

    /// Copies rows into the table; false, and nothing is copied, where one of them is there.
    async fn copy(&mut self, table: &'a TableSql, rows: &[Put<'a>]) -> Result<bool, Failure<'a>> {
        self.pipeline.drain().await?;
        let session = self.session;
        session.run("SAVEPOINT tahr_copy").await?;
        match self.copied(table, rows).await {
            Ok(()) => {
                let client = &session.client;
                let kept = async move {
                    let released = client.batch_execute("RELEASE tahr_copy").await;
                    released.map(|()| 0)
                };
                self.pipeline.send(What::Session, kept).await?;
                Ok(true)
            }
            Err(failure) if failure.class() == Class::Unique => {
                session
                    .run("ROLLBACK TO tahr_copy; RELEASE tahr_copy")
                    .await?;
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn copied(&mut self, table: &'a TableSql, rows: &[Put<'a>]) -> Result<(), Failure<'a>> {
        let statement = self.prepared(table, Form::Copy).await?;
        let failed = |error| Failure::sql(What::Rows(table), error);
        let client = &self.session.client;
        let mut sink = pin!(
            client
                .copy_in::<_, Bytes>(&statement)
                .await
                .map_err(failed)?
        );
        let mut buffer = BytesMut::with_capacity(GATHERED + GATHERED / 8);
        for put in rows {
            // A sink that is dropped takes back what was sent.
            copy_line(put.row, table.columns.len(), &mut buffer).map_err(Failure::misfit(table))?;
            if buffer.len() >= GATHERED {
                sink.send(buffer.split().freeze()).await.map_err(failed)?;
                buffer.reserve(GATHERED + GATHERED / 8);
            }
        }
        if !buffer.is_empty() {
            sink.send(buffer.freeze()).await.map_err(failed)?;
        }
        sink.finish().await.map_err(failed)?;
        Ok(())
    }
}

/// The places among `keys` that a statement answers with.
pub(super) async fn numbers<'a>(
    session: &'a Session,
    table: &'a TableSql,
    form: Form,
    keys: impl Iterator<Item = &'a Blob>,
) -> Result<HashSet<usize>, Failure<'a>> {
    let failed = |error| Failure::sql(What::Rows(table), error);
    let values = arrays(keys, table.key.len()).map_err(Failure::misfit(table))?;
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
    let client = &session.client;
    let statement = table.prepare(client, form).await.map_err(failed)?;
    let rows = client.query(&statement, &values).await.map_err(failed)?;
    let place = |row: &tokio_postgres::Row| usize::try_from(row.get::<_, i64>(0) - 1).ok();
    Ok(rows.iter().filter_map(place).collect())
}

fn deleting(table: &TableSql, keys: usize) -> Form {
    let plain = table.key.iter().all(|&at| table.found[at].is_cast_plain);
    match (keys >= PLANNED || table.is_recursive) && plain {
        true => Form::DeleteMany,
        false => Form::Delete,
    }
}

fn putting(table: &TableSql, rows: usize) -> Form {
    match (rows >= BULK || table.is_recursive && rows > 1) && table.is_bulk {
        true => Form::PutMany,
        false => Form::Put,
    }
}

/// `rows` in pieces that one statement takes: of a table that references itself, all at once.
pub(super) fn chunks<'b, T>(
    table: &TableSql,
    rows: &'b [T],
    bytes: impl Fn(&T) -> usize,
) -> Vec<&'b [T]> {
    if table.is_recursive {
        return vec![rows];
    }
    let mut chunks = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        let size = bytes(row);
        if at > start && (at - start >= ROWS || sum + size > BYTES) {
            chunks.push(&rows[start..at]);
            (start, sum) = (at, 0);
        }
        sum += size;
    }
    if start < rows.len() {
        chunks.push(&rows[start..]);
    }
    chunks
}
