//! The copy of a table.
//!
//! A fresh copy goes straight into the table. A replacing one goes into a table beside it, `tahr_load_…`,
//! which takes the table's place by one `RENAME TABLE` at the end, so that readers never see an emptied
//! table. Where triggers or foreign keys hang on the table itself, its rows are replaced in one
//! transaction instead. (A rename commits by itself: where the process dies before the copy is noted as
//! complete, the copy begins anew.)

use std::sync::Arc;

use tahr_plugin_api::{Batch, LoadMode, Lsn, Op, Relation, WriteError, failpoint};

use crate::{
    catalog::Existing,
    checkpoint::CheckpointRows,
    columns::wanted,
    error::{LOCKS, NO_TABLE, code, explain},
    failure::{Expect, Failure, What},
    load_data,
    names::{load_table, old_table, quote, table_name},
    script::{Kind, Script},
    session::Session,
    table::Table,
    target::Target,
};

/// How often a batch is loaded again after a deadlock with another loader.
const ATTEMPTS: usize = 5;

fn failed(table: &str) -> impl Fn(mysql_async::Error) -> WriteError {
    move |error| explain(&error, &format!("copy table {table:?}")).table(table)
}

impl Target {
    /// See [`Writer::holds_rows`](tahr_plugin_api::Writer::holds_rows).
    pub(crate) async fn holds_rows(&mut self, relation: &Relation) -> Result<bool, WriteError> {
        let name = table_name(relation);
        match holds_rows(&mut self.session, &quote(&name)).await {
            Ok(holds_rows) => Ok(holds_rows),
            Err(error) if code(&error) == NO_TABLE => Ok(false),
            Err(error) => Err(failed(&name)(error)),
        }
    }

    /// See [`Writer::begin_load`](tahr_plugin_api::Writer::begin_load).
    pub(crate) async fn begin_load(
        &mut self,
        relation: &Arc<Relation>,
        mode: LoadMode,
    ) -> Result<(), WriteError> {
        self.refuse_inside("begin a copy")?;
        CheckpointRows::create(&mut self.session).await?;
        let table = self.table(relation).await?;
        let source = relation.source.to_string();
        let marked = self.rows.read(&mut self.session).await?;
        let is_ours = marked.is_some_and(|found| found.copied_to.contains_key(&source));
        let session = &mut self.session;
        let failed = failed(&table.name);
        let name = &table.quoted;
        let holds_rows = match mode {
            LoadMode::Fresh => holds_rows(session, name).await.map_err(&failed)?,
            LoadMode::Replace => false,
        };
        if holds_rows && !is_ours {
            let error = WriteError::rejected(format!("table {:?} holds rows already", table.name));
            return Err(error
                .hint(format!(
                    "TRUNCATE TABLE {name}, or set `existing = \"replace\"` in the sync to replace \
                     them"
                ))
                .table(&table.name));
        }
        self.rows.mark(session, &source, Lsn::ZERO).await?;
        let beside = quote(&load_table(&table.name));
        let old = quote(&old_table(&table.name));
        let drop = format!("DROP TABLE IF EXISTS {beside}, {old}");
        session.run(&drop).await.map_err(&failed)?;
        failpoint::pass("mysql.dropped");
        if mode == LoadMode::Replace {
            let create = format!("CREATE TABLE {beside} LIKE {name}");
            session.run(&create).await.map_err(&failed)?;
        } else if (holds_rows || is_ours)
            && session
                .run(&format!("TRUNCATE TABLE {name}"))
                .await
                .is_err()
        {
            // A foreign key refers to it, or the right is missing. Either statement waits for what a
            // loader of before was killed in the middle of.
            let delete = format!("DELETE FROM {name}");
            session.run(&delete).await.map_err(&failed)?;
        }
        self.followed.insert(source);
        self.loads.insert(relation.oid, mode);
        Ok(())
    }

    /// See [`Writer::load`](tahr_plugin_api::Writer::load).
    pub(crate) async fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let Some(relation) = batch.changes().next().map(|change| change.relation()) else {
            return Ok(());
        };
        let table = self.load_table(relation).await?;
        if self.options.load_data && self.session.server.takes_local_data {
            let buffer = std::mem::take(&mut self.buffer);
            let loaded = load_data::load(&mut self.session, &table, batch, buffer).await?;
            self.buffer = loaded.buffer;
            if let Some(counts) = loaded.counts {
                self.count(counts, 0);
                return Ok(());
            }
            // What the server has to say is said to statements, which it takes strictly.
            self.session.server.takes_local_data = false;
        }
        self.insert(&table, batch).await
    }

    /// Loads by `INSERT`s, again after a deadlock.
    async fn insert(&mut self, table: &Table, batch: &Batch) -> Result<(), WriteError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let buffer = std::mem::take(&mut self.buffer);
            let mut script = Script::new(buffer, self.session.server.max_statement);
            let inserted = Box::pin(insert(&mut self.session, &mut script, table, batch)).await;
            let counts = script.counts;
            let inserted = inserted.map_err(|failure| (failure.code(), failure.into_error()));
            self.buffer = script.into_buffer();
            match inserted {
                Ok(()) => {
                    self.count(counts, 0);
                    return Ok(());
                }
                Err((code, _)) if LOCKS.contains(&code) && attempts < ATTEMPTS => {
                    let rolled_back = self.session.run("ROLLBACK").await;
                    rolled_back.map_err(failed(&table.name))?;
                }
                Err((_, error)) => return Err(error),
            }
        }
    }

    /// Where the copy goes: this loader wasn't told, but the table beside is there or not. What it
    /// finds holds until the loader's flush.
    async fn load_table(&mut self, relation: &Arc<Relation>) -> Result<Arc<Table>, WriteError> {
        if let Some(table) = self.load_tables.get(&relation.oid) {
            return Ok(Arc::clone(table));
        }
        let name = table_name(relation);
        let beside = load_table(&name);
        let failed = failed(&name);
        let session = &mut self.session;
        let (name, existing) = match Existing::find(session, &beside).await.map_err(&failed)? {
            Some(existing) => (&beside, existing),
            None => {
                let existing = Existing::find(session, &name).await.map_err(&failed)?;
                let existing = existing.ok_or_else(|| {
                    WriteError::transient(format!("no copy of table {name:?} is under way"))
                })?;
                (&name, existing)
            }
        };
        let unfit = self.options.unfit;
        let wanted = wanted(relation, unfit, &session.server);
        let table = Arc::new(Table::new(relation, name, &existing, &wanted, unfit));
        self.load_tables.insert(relation.oid, Arc::clone(&table));
        Ok(table)
    }

    /// See [`Writer::end_load`](tahr_plugin_api::Writer::end_load).
    pub(crate) async fn end_load(
        &mut self,
        relation: &Arc<Relation>,
        copied_to: Lsn,
    ) -> Result<(), WriteError> {
        self.refuse_inside("end a copy")?;
        let table = self.table(relation).await?;
        let Some(&mode) = self.loads.get(&relation.oid) else {
            let fault = format!("the copy of table {:?} was interrupted", table.name);
            return Err(WriteError::transient(fault).table(&table.name));
        };
        let source = relation.source.to_string();
        let session = &mut self.session;
        let failed = failed(&table.name);
        let name = &table.quoted;
        let beside = quote(&load_table(&table.name));
        match mode {
            LoadMode::Fresh => self.rows.mark(session, &source, copied_to).await?,
            LoadMode::Replace if table.is_plain => {
                let old = quote(&old_table(&table.name));
                let rename = format!("RENAME TABLE {name} TO {old}, {beside} TO {name}");
                session.run(&rename).await.map_err(&failed)?;
                failpoint::pass("mysql.renamed");
                self.rows.mark(session, &source, copied_to).await?;
                failpoint::pass("mysql.marked");
                let drop = format!("DROP TABLE IF EXISTS {old}");
                session.run(&drop).await.map_err(&failed)?;
            }
            LoadMode::Replace => {
                let columns: Vec<&str> = (table.written.iter())
                    .map(|&index| &*table.columns[index].quoted)
                    .collect();
                let columns = columns.join(",");
                let replace = format!(
                    "START TRANSACTION; DELETE FROM {name}; \
                     INSERT INTO {name} ({columns}) SELECT {columns} FROM {beside}; {}; COMMIT; \
                     DROP TABLE {beside}",
                    self.rows.mark_statement(&source, copied_to)
                );
                session.run(&replace).await.map_err(&failed)?;
            }
        }
        self.loads.remove(&relation.oid);
        Ok(())
    }
}

async fn holds_rows(session: &mut Session, table: &str) -> Result<bool, mysql_async::Error> {
    use mysql_async::prelude::Queryable as _;

    let sql = format!("SELECT EXISTS (SELECT 1 FROM {table})");
    let found: Option<bool> = session.conn.query_first(sql).await?;
    Ok(found == Some(true))
}

async fn insert<'a>(
    session: &mut Session,
    script: &mut Script<'a>,
    table: &'a Table,
    batch: &Batch,
) -> Result<(), Failure<'a>> {
    script.add(What::Transaction, Expect::Any, "START TRANSACTION");
    for (index, change) in batch.changes().enumerate() {
        if change.op() == Op::Insert {
            let value = |column| change.value(column);
            script.row(index, table, Kind::Insert, value)?;
        }
        if script.is_full() {
            Box::pin(script.flush(session)).await?;
        }
    }
    script.add(What::Transaction, Expect::Any, "COMMIT");
    Box::pin(script.flush(session)).await
}

/// Whether an error is one that a loader meets beside others.
pub(crate) fn is_lock(error: &mysql_async::Error) -> bool {
    LOCKS.contains(&code(error))
}
