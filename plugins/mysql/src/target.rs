//! One target: its session, its open transaction, its tables.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use tahr_plugin_api::{
    Batch, Checkpoint, Host, LoadMode, Lsn, Position, Relation, Role, StreamId, TableName,
    WriteError, Written, failpoint,
};

use crate::{
    apply::Applier,
    catalog::Existing,
    checkpoint::CheckpointRows,
    columns::wanted,
    error::{DUPLICATE, NO_TABLE, explain},
    failure::{Expect, Failure, What},
    names::table_name,
    options::Options,
    plan::{Item, Mode, Step, has_moves, plan},
    prepare::prepare,
    script::Script,
    session::{Interrupt, Session},
    table::Table,
    value::Counts,
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
    /// By relation version.
    tables: HashMap<u32, Arc<Table>>,
    /// The newest version of each source table, by OID.
    newest: HashMap<u32, Arc<Relation>>,
    /// Source tables whose target is already replicated to and may be altered.
    pub(crate) followed: BTreeSet<String>,
    /// Copies under way, begun by this session; by OID.
    pub(crate) loads: HashMap<u32, LoadMode>,
    /// What a loader copies into, by OID.
    pub(crate) load_tables: HashMap<u32, Arc<Table>>,
    /// What statements are put together in.
    pub(crate) buffer: Vec<u8>,
    /// Columns that can't be compared, by relation version.
    pub(crate) unreadable: HashMap<u32, HashSet<String>>,
}

impl Target {
    /// Connects.
    pub(crate) async fn open(
        options: Options,
        role: Role,
        host: &Host,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Self, WriteError> {
        Ok(Self {
            session: Session::open(&options, role, interrupt).await?,
            options,
            role,
            host: host.clone(),
            rows: CheckpointRows::default(),
            position: None,
            is_continued: false,
            is_open: false,
            tables: HashMap::new(),
            newest: HashMap::new(),
            followed: BTreeSet::new(),
            loads: HashMap::new(),
            load_tables: HashMap::new(),
            buffer: Vec::new(),
            unreadable: HashMap::new(),
        })
    }

    /// See [`Writer::reset`](tahr_plugin_api::Writer::reset).
    pub(crate) async fn reset(
        &mut self,
        is_broken: bool,
        interrupt: &Arc<Interrupt>,
    ) -> Result<(), WriteError> {
        // Whatever went wrong may have been a table that isn't what it was.
        self.tables.clear();
        self.loads.clear();
        self.load_tables.clear();
        self.is_open = false;
        if is_broken || self.session.run("ROLLBACK").await.is_err() {
            interrupt.end_broken().await;
            self.session = Session::open(&self.options, self.role, interrupt).await?;
        }
        Ok(())
    }

    /// See [`Writer::checkpoint`](tahr_plugin_api::Writer::checkpoint).
    pub(crate) async fn checkpoint(
        &mut self,
        stream: &StreamId,
    ) -> Result<Option<Checkpoint>, WriteError> {
        self.rows = CheckpointRows::new(stream);
        let found = self.rows.read(&mut self.session).await?;
        self.position = found.as_ref().and_then(|found| found.position.clone());
        self.is_continued |= self.position.is_some();
        if let Some(found) = &found {
            self.followed.extend(found.copied_to.keys().cloned());
        }
        Ok(found)
    }

    /// See [`Writer::prepare`](tahr_plugin_api::Writer::prepare).
    pub(crate) async fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        self.refuse_inside("prepare a table")?;
        self.tables.remove(&relation.version);
        self.table(relation).await.map(drop)
    }

    /// The table of `relation`, which is made ready where that has not been done.
    pub(crate) async fn table(
        &mut self,
        relation: &Arc<Relation>,
    ) -> Result<Arc<Table>, WriteError> {
        if let Some(table) = self.tables.get(&relation.version) {
            return Ok(Arc::clone(table));
        }
        let name = table_name(relation);
        let wanted = wanted(relation, self.options.unfit, &self.session.server);
        // Inside a transaction nothing can be made or altered.
        let existing = if self.role == Role::Stream && !self.is_open {
            let previous = self.newest.get(&relation.oid).map(AsRef::as_ref);
            // Known as copied, from this session, or from an earlier one of this stream.
            let is_ours = previous.is_some()
                || self.is_continued
                || self.followed.contains(&relation.source.to_string());
            Box::pin(prepare(
                &mut self.session,
                &self.options,
                (relation, &name),
                &wanted,
                previous,
                is_ours,
            ))
            .await?
        } else {
            let found = Existing::find(&mut self.session, &name).await;
            let found = found.map_err(|error| explain(&error, &format!("table {name:?}")))?;
            found.ok_or_else(|| {
                WriteError::rejected(format!("table {name:?} does not exist")).table(&name)
            })?
        };
        self.newest.insert(relation.oid, Arc::clone(relation));
        let unfit = self.options.unfit;
        let table = Arc::new(Table::new(relation, &name, &existing, &wanted, unfit));
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
        let Self {
            session,
            tables,
            rows,
            buffer,
            ..
        } = self;
        let compare = rows.compare_and_set(batch.previous(), batch.position());
        let items = || {
            batch.changes().enumerate().map(|(index, change)| Item {
                index,
                change,
                table: &tables[&change.relation().version],
            })
        };
        let ends = batch.ends_transaction();
        let (is_open, mut mode) = (self.is_open, Mode::Fast);
        let outcome = loop {
            let steps = plan(items(), mode);
            let begin = match (is_open, mode) {
                (false, Mode::Fast) => "START TRANSACTION",
                (true, Mode::Fast) => "SAVEPOINT tahr",
                (false, _) => "ROLLBACK AND NO CHAIN; START TRANSACTION",
                (true, _) => "ROLLBACK TO SAVEPOINT tahr",
            };
            let script = Script::new(std::mem::take(buffer), session.server.max_statement);
            let mut applier = Applier {
                session: &mut *session,
                script,
                mode,
            };
            let attempted = Box::pin(attempt(&mut applier, &steps, begin, &compare, ends)).await;
            let script = applier.script;
            let (counts, missing) = (script.counts, script.missing);
            *buffer = script.into_buffer();
            let failure = match attempted {
                Ok(()) => break Ok((counts, missing)),
                Err(failure) => failure,
            };
            match next_mode(&failure, mode, &steps) {
                Some(next) => mode = next,
                None => break Err(Outcome::of(failure)),
            }
        };
        match outcome {
            Ok((counts, missing)) => self.count(counts, missing),
            Err(Outcome::Moved) => return self.moved().await,
            Err(Outcome::Failed(error)) => return Err(error),
        }
        self.is_open = !ends;
        if self.is_open {
            return Ok(Written::Accepted);
        }
        self.position = Some(batch.position().clone());
        Ok(Written::Stored(batch.position().clone()))
    }

    /// Tells the host what happened beyond the writing.
    pub(crate) fn count(&self, counts: Counts, missing: u64) {
        for (name, count) in [
            ("float_negative_zero", counts.negative_zeros),
            ("values_set_null", counts.set_null),
            ("values_clamped", counts.clamped),
            ("deletes_of_missing_rows", missing),
        ] {
            if count != 0 {
                self.host.count(name, count);
            }
        }
    }

    /// The target's checkpoint is another: undoes what was begun and says what it is.
    async fn moved(&mut self) -> Result<Written, WriteError> {
        let rolled_back = self.session.run("ROLLBACK").await;
        rolled_back.map_err(|error| explain(&error, "roll back"))?;
        self.is_open = false;
        self.position = self.rows.position(&mut self.session).await?;
        Ok(Written::Moved(self.position.clone()))
    }

    /// See [`Writer::flush`](tahr_plugin_api::Writer::flush).
    pub(crate) async fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        if self.role == Role::Load {
            // Every batch was committed when it was loaded.
            self.load_tables.clear();
            return Ok(Written::Stored(position.clone()));
        }
        self.refuse_inside("store a position")?;
        let stored = match &self.position {
            None => self.rows.insert(&mut self.session, position).await?,
            Some(previous) => {
                let compare = self.rows.compare_and_set(previous, position);
                match self.session.execute(&compare).await {
                    Ok(rows) => rows == 1,
                    Err(error) if crate::error::code(&error) == NO_TABLE => false,
                    Err(error) => return Err(explain(&error, "write table \"tahr_checkpoint\"")),
                }
            }
        };
        if !stored {
            return self.moved().await;
        }
        self.position = Some(position.clone());
        Ok(Written::Stored(position.clone()))
    }

    /// See [`Writer::forget_copy`](tahr_plugin_api::Writer::forget_copy).
    pub(crate) async fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        self.refuse_inside("forget a copy")?;
        let table = table.to_string();
        self.rows.mark(&mut self.session, &table, Lsn::ZERO).await
    }

    /// See [`Writer::forget`](tahr_plugin_api::Writer::forget).
    pub(crate) async fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        self.refuse_inside("forget a stream")?;
        self.rows = CheckpointRows::new(stream);
        self.rows.forget(&mut self.session).await?;
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

/// How a batch that was not applied ended.
enum Outcome {
    Moved,
    Failed(WriteError),
}

impl Outcome {
    fn of(failure: Failure<'_>) -> Self {
        let has_no_checkpoint = matches!(
            failure,
            Failure::Server {
                what: What::Compare,
                ..
            }
        ) && failure.code() == NO_TABLE;
        match failure {
            Failure::Moved => Self::Moved,
            _ if has_no_checkpoint => Self::Moved,
            failure => Self::Failed(failure.into_error()),
        }
    }
}

async fn attempt<'a>(
    applier: &mut Applier<'_, 'a>,
    steps: &[Step<'a>],
    begin: &str,
    compare: &str,
    ends: bool,
) -> Result<(), Failure<'a>> {
    for statement in begin.split("; ") {
        applier
            .script
            .add(What::Transaction, Expect::Any, statement);
    }
    applier.script.add(What::Compare, Expect::Any, compare);
    if applier.mode != Mode::Fast {
        // What fails from here on is a change.
        applier.flush().await?;
    }
    for step in steps {
        applier.step(step).await?;
    }
    if !applier.script.expects_nothing() {
        applier.flush().await?;
    }
    failpoint::pass("mysql.applied");
    if ends {
        applier.script.add(What::Transaction, Expect::Any, "COMMIT");
    }
    applier.flush().await
}

/// Whether applying the batch another way may tell more, or even succeed.
fn next_mode(failure: &Failure<'_>, mode: Mode, steps: &[Step<'_>]) -> Option<Mode> {
    match mode {
        Mode::Fast if failure.is_worth_a_closer_look() => Some(Mode::InOrder),
        Mode::Fast | Mode::InOrder if failure.code() == DUPLICATE && has_moves(steps) => {
            Some(Mode::Swapping)
        }
        _ => None,
    }
}
