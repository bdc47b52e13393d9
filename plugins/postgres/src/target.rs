//! One target: its session, its open transaction, its tables.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use tahr_plugin_api::{
    Batch, Checkpoint, Host, LoadMode, Lsn, Position, Relation, Role, StreamId, TableName,
    WriteError, Written, failpoint,
};

use crate::{
    apply::{Applier, next_mode},
    catalog::Existing,
    checkpoint::{COMPARE_AND_SET, CheckpointRows},
    error::{code, explain},
    options::Options,
    parameter::Parameter,
    pipeline::{Failure, What},
    plan::{Item, Mode, Step, plan},
    prepare::prepare,
    read_back::Reading,
    session::{Interrupt, Session},
    table::Table,
};

/// The state behind the writer; its functions run on the writer's own runtime.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) session: Session,
    pub(crate) options: Options,
    pub(crate) role: Role,
    pub(crate) host: Host,
    pub(crate) rows: CheckpointRows,
    /// What the target held when it was last looked at or written.
    position: Option<Position>,
    /// Whether the stream had a position before this writer was opened.
    is_continued: bool,
    /// Whether a transaction of parts is open.
    is_open: bool,
    compare: Option<tokio_postgres::Statement>,
    /// By relation version.
    tables: HashMap<u32, Arc<Table>>,
    /// The newest version of each source table, by OID.
    newest: HashMap<u32, Arc<Relation>>,
    /// Source tables whose target is already replicated to and may be altered.
    pub(crate) followed: BTreeSet<String>,
    /// Copies under way, begun by this session; by OID.
    pub(crate) loads: HashMap<u32, LoadMode>,
    /// Where a loader copies to, by OID.
    pub(crate) load_statements: HashMap<u32, String>,
    /// Tables as they are read back, by relation version.
    pub(crate) readings: HashMap<u32, Arc<Reading>>,
}

impl Target {
    /// Connects.
    pub(crate) async fn open(
        options: Options,
        role: Role,
        host: &Host,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Self, WriteError> {
        let session = Session::open(&options, role, host, interrupt).await?;
        Ok(Self {
            session,
            options,
            role,
            host: host.clone(),
            rows: CheckpointRows::default(),
            position: None,
            is_continued: false,
            is_open: false,
            compare: None,
            tables: HashMap::new(),
            newest: HashMap::new(),
            followed: BTreeSet::new(),
            loads: HashMap::new(),
            load_statements: HashMap::new(),
            readings: HashMap::new(),
        })
    }

    /// See [`Writer::reset`](tahr_plugin_api::Writer::reset).
    pub(crate) async fn reset(
        &mut self,
        is_broken: bool,
        interrupt: &Arc<Interrupt>,
    ) -> Result<(), WriteError> {
        // Tables made in the lost transaction are gone; all are looked up again when needed.
        self.tables.clear();
        self.loads.clear();
        self.load_statements.clear();
        self.readings.clear();
        self.is_open = false;
        let client = &self.session.client;
        if is_broken || client.is_closed() || client.batch_execute("ROLLBACK").await.is_err() {
            self.compare = None;
            self.session = Session::open(&self.options, self.role, &self.host, interrupt).await?;
        }
        Ok(())
    }

    /// See [`Writer::checkpoint`](tahr_plugin_api::Writer::checkpoint).
    pub(crate) async fn checkpoint(
        &mut self,
        stream: &StreamId,
    ) -> Result<Option<Checkpoint>, WriteError> {
        self.rows = CheckpointRows::new(stream);
        let found = self.rows.read(&self.session.client).await?;
        self.position = found.as_ref().and_then(|found| found.position.clone());
        self.is_continued |= self.position.is_some();
        if let Some(found) = &found {
            self.followed.extend(found.copied_to.keys().cloned());
        }
        Ok(found)
    }

    /// See [`Writer::prepare`](tahr_plugin_api::Writer::prepare).
    pub(crate) async fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        self.tables.remove(&relation.version);
        self.table(relation).await.map(drop)
    }

    /// The table of `relation`, which is made ready where that has not been done, or was undone
    /// with the transaction that it was done in.
    pub(crate) async fn table(
        &mut self,
        relation: &Arc<Relation>,
    ) -> Result<Arc<Table>, WriteError> {
        if let Some(table) = self.tables.get(&relation.version) {
            return Ok(Arc::clone(table));
        }
        let client = &self.session.client;
        let failed = |error: tokio_postgres::Error| {
            explain(&error, &format!("table \"{}\"", relation.target))
        };
        let existing = if self.role == Role::Stream {
            let previous = self.newest.get(&relation.oid).map(AsRef::as_ref);
            // Known as copied, from this session, or from an earlier one of this stream.
            let is_ours = previous.is_some()
                || self.is_continued
                || self.followed.contains(&relation.source.to_string());
            let is_alone = !self.is_open;
            if is_alone {
                client.batch_execute("BEGIN").await.map_err(failed)?;
            }
            let prepared =
                Box::pin(prepare(client, &self.options, relation, previous, is_ours)).await;
            if is_alone {
                let end = if prepared.is_ok() {
                    "COMMIT"
                } else {
                    "ROLLBACK"
                };
                client.batch_execute(end).await.map_err(failed)?;
            }
            prepared?
        } else {
            let found = Existing::find(client, &relation.target).await;
            found.map_err(failed)?.ok_or_else(|| {
                WriteError::rejected(format!("table \"{}\" does not exist", relation.target))
            })?
        };
        self.newest.insert(relation.oid, Arc::clone(relation));
        let table = Arc::new(Table::new(relation, &existing, self.session.is_replica));
        self.tables.insert(relation.version, Arc::clone(&table));
        Ok(table)
    }

    /// See [`Writer::write`](tahr_plugin_api::Writer::write).
    pub(crate) async fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        for change in batch.changes() {
            if !self.tables.contains_key(&change.relation().version) {
                self.table(change.relation()).await?;
            }
        }
        if let Err(error) = self.ready_compare().await {
            return match code(&error) {
                "42P01" | "3F000" => self.moved().await,
                _ => Err(explain(&error, "checkpoint")),
            };
        }
        let mut mode = Mode::Fast;
        loop {
            let steps = plan(self.items(batch), mode);
            let failure = match Box::pin(self.attempt(batch, &steps, mode)).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            if failure.is_moved() {
                drop(steps);
                return self.moved().await;
            }
            match next_mode(&failure, mode, &steps) {
                Some(next) => mode = next,
                None => return Err(failure.into_error()),
            }
        }
        self.is_open = !batch.ends_transaction();
        if self.is_open {
            return Ok(Written::Accepted);
        }
        self.position = Some(batch.position().clone());
        Ok(Written::Stored(batch.position().clone()))
    }

    fn items<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = Item<'a>> {
        batch.changes().enumerate().map(|(index, change)| Item {
            index,
            change,
            table: &self.tables[&change.relation().version],
        })
    }

    async fn attempt<'a>(
        &'a self,
        batch: &'a Batch,
        steps: &[Step<'a>],
        mode: Mode,
    ) -> Result<(), Failure<'a>> {
        let client = &self.session.client;
        let ends = batch.ends_transaction();
        let mut applier = Applier::new(client, &self.host, mode, self.is_open);
        let begin = match (self.is_open, mode) {
            (false, Mode::Fast) => "BEGIN",
            (false, _) => "ROLLBACK; BEGIN",
            (true, Mode::Fast) => "SAVEPOINT tahr",
            (true, _) => "ROLLBACK TO SAVEPOINT tahr",
        };
        applier
            .send_text(What::Transaction, begin.to_owned())
            .await?;
        if let Some(compare) = &self.compare {
            let values = [
                self.rows.stream.sync.clone(),
                self.rows.stream.source.clone(),
                batch.previous().to_string(),
                batch.position().to_string(),
                self.rows.stream_text.clone(),
            ];
            let answer = async move {
                let values = values.iter().map(|value| Parameter::Text(value));
                client.execute_raw(compare, values).await
            };
            applier.pipeline.send(What::Compare, answer).await?;
        }
        for step in steps {
            applier.step(step).await?;
        }
        failpoint::pass("postgres.applied");
        let end = match (ends, self.is_open) {
            (true, _) => "COMMIT",
            (false, true) => "RELEASE SAVEPOINT tahr",
            (false, false) => return applier.pipeline.drain().await,
        };
        applier.send_text(What::Transaction, end.to_owned()).await?;
        applier.pipeline.drain().await
    }

    async fn ready_compare(&mut self) -> Result<(), tokio_postgres::Error> {
        if self.compare.is_none() {
            self.compare = Some(self.session.client.prepare(COMPARE_AND_SET).await?);
        }
        Ok(())
    }

    /// The target's checkpoint is another: undoes what was begun and says what it is.
    async fn moved(&mut self) -> Result<Written, WriteError> {
        let client = &self.session.client;
        client
            .batch_execute("ROLLBACK")
            .await
            .map_err(|error| explain(&error, "roll back"))?;
        self.is_open = false;
        self.tables.clear();
        self.position = self.rows.position(client).await?;
        Ok(Written::Moved(self.position.clone()))
    }

    /// See [`Writer::flush`](tahr_plugin_api::Writer::flush).
    pub(crate) async fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        if self.role == Role::Load {
            // Every batch was committed when it was copied.
            self.load_statements.clear();
            return Ok(Written::Stored(position.clone()));
        }
        self.refuse_inside("store a position")?;
        let client = &self.session.client;
        let Some(previous) = &self.position else {
            if !self.rows.insert(client, position).await? {
                return self.moved().await;
            }
            self.position = Some(position.clone());
            return Ok(Written::Stored(position.clone()));
        };
        let stream = &self.rows.stream;
        let (previous, next) = (previous.to_string(), position.to_string());
        let values = [
            &stream.sync,
            &stream.source,
            &previous,
            &next,
            &self.rows.stream_text,
        ];
        let values = values.map(|value| Parameter::Text(value));
        let stored = match &self.compare {
            Some(compare) => client.execute_raw(compare, values).await,
            None => client.execute_raw(COMPARE_AND_SET, values).await,
        };
        if let Err(error) = stored {
            let failure = Failure {
                what: What::Compare,
                error,
            };
            if failure.is_moved() {
                return self.moved().await;
            }
            return Err(failure.into_error());
        }
        self.position = Some(position.clone());
        Ok(Written::Stored(position.clone()))
    }

    /// See [`Writer::forget_copy`](tahr_plugin_api::Writer::forget_copy).
    pub(crate) async fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        self.refuse_inside("forget a copy")?;
        let (client, table) = (&self.session.client, table.to_string());
        self.rows.mark(client, &table, Lsn::ZERO).await
    }

    /// See [`Writer::forget`](tahr_plugin_api::Writer::forget).
    pub(crate) async fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        self.refuse_inside("forget a stream")?;
        self.rows = CheckpointRows::new(stream);
        self.drop_staging().await?;
        self.rows.forget(&self.session.client).await?;
        self.compare = None;
        self.position = None;
        Ok(())
    }

    /// Some calls can't come between the parts of a transaction.
    pub(crate) fn refuse_inside(&self, what: &str) -> Result<(), WriteError> {
        if self.is_open {
            return Err(WriteError::fatal(format!(
                "can't {what} inside an open transaction"
            )));
        }
        Ok(())
    }
}
