//! The thread of a lane.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tahr_plugin_api::{
    Batch, Change, Checkpoint, ErrorKind, LoadMode, Lsn, Part, Position, Relation, Role, StreamId,
    TableName, WriteError, Written,
    abi::{Canceller, HostCalls, RemoteWriter},
};
use tahr_postgres_connect::Url;
use tokio::runtime::Handle;

use super::{
    copy::{copy_tables, look_up, of_source},
    feed::{self, Fed, Feed},
    retry::Backoff,
    route::Routes,
    shape::Shapes,
    state::{Fault, State, StatusCell},
};
use crate::{
    config::{self, Existing, OnGap},
    log::{LaneId, Log},
    plugin::Plugin,
    record::Relations,
    shutdown::Stop,
    source::Table,
};

/// A lane that holds everything stores a bare advance of its position after this much of the
/// source's log, or this long, so that the source needs to keep less.
const ADVANCE_BYTES: u64 = 16 << 20;
const ADVANCE_AFTER: Duration = Duration::from_secs(60);

/// What a lane is made of.
#[derive(Debug)]
pub struct Setup {
    /// Its place in the log.
    pub id: LaneId,
    /// Its target's name.
    pub target: String,
    /// The sync's rules.
    pub sync: Arc<config::Sync>,
    /// The writer's plugin.
    pub plugin: Plugin,
    /// The target's options.
    pub options: serde_json::Value,
    /// Where the engine keeps what must outlive it.
    pub state_dir: PathBuf,
    /// Which stream it is.
    pub stream: StreamId,
    /// The source's tables that the sync selects.
    pub tables: Vec<Table>,
    /// Where the source is, for copies.
    pub url: Url,
    /// How tahr calls itself there.
    pub application: String,
    /// How long a snapshot may take.
    pub slot_timeout: Duration,
    /// The source's log.
    pub log: Arc<Log>,
    /// The source's relations.
    pub relations: Arc<Relations>,
    /// Where copies run.
    pub runtime: Handle,
    /// What it shows of itself.
    pub status: Arc<StatusCell>,
    /// The engine's wish to end.
    pub stop: Stop,
}

impl Setup {
    /// `sync/target`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.stream.sync, self.target)
    }

    pub(super) fn open(&self, role: Role) -> Result<(RemoteWriter, Canceller), WriteError> {
        let host = LaneHost {
            name: self.name(),
            status: Arc::clone(&self.status),
            stop: self.stop.clone(),
        };
        self.plugin.module.open_writer(&self.options, role, host)
    }
}

/// What a lane's writers may ask of the engine.
struct LaneHost {
    name: String,
    status: Arc<StatusCell>,
    stop: Stop,
}

impl HostCalls for LaneHost {
    fn log(&self, level: u32, message: &str) {
        match level {
            1 => tracing::error!(lane = %self.name, "{message}"),
            2 => tracing::warn!(lane = %self.name, "{message}"),
            3 => tracing::info!(lane = %self.name, "{message}"),
            _ => tracing::debug!(lane = %self.name, "{message}"),
        }
    }

    fn count(&self, name: &str, by: u64) {
        self.status
            .update(|status| *status.counters.entry(name.to_owned()).or_default() += by);
    }

    fn is_stopping(&self) -> bool {
        self.stop.is_stopping()
    }
}

/// A running lane.
#[derive(Debug)]
pub struct Lane {
    /// What it shows of itself.
    pub status: Arc<StatusCell>,
    canceller: Arc<std::sync::Mutex<Option<Canceller>>>,
    thread: JoinHandle<()>,
}

impl Lane {
    /// Starts the lane's thread.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub fn spawn(setup: Setup) -> std::io::Result<Self> {
        let status = Arc::clone(&setup.status);
        let canceller = Arc::new(std::sync::Mutex::new(None));
        let worker = Worker {
            routes: Routes::new(Arc::clone(&setup.sync), Arc::clone(&setup.relations)),
            writer: None,
            canceller: Arc::clone(&canceller),
            prepared: HashSet::new(),
            shapes: None,
            single_until: None,
            reached: None,
            had_checkpoint: false,
            backoff: Backoff::default(),
            setup,
        };
        let thread = std::thread::Builder::new()
            .name(format!("lane {}", worker.setup.name()))
            .spawn(move || worker.run())?;
        Ok(Self {
            status,
            canceller,
            thread,
        })
    }

    /// Whether its thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Interrupts what its writer is blocked in.
    pub fn cancel(&self) {
        let canceller = self
            .canceller
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(canceller) = &*canceller {
            canceller.cancel();
        }
    }

    /// Waits for its thread to end.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a lane's thread panicked; this is a bug of tahr");
        }
    }
}

struct Worker {
    setup: Setup,
    routes: Routes,
    writer: Option<RemoteWriter>,
    canceller: Arc<std::sync::Mutex<Option<Canceller>>>,
    /// What the tables looked like when the target was made ready for them; read when needed.
    shapes: Option<Shapes>,
    /// Relation versions that the target is ready for.
    prepared: HashSet<u32>,
    /// Transactions are given one by one up to here, since one of them was rejected.
    single_until: Option<Position>,
    /// The furthest that the target can be by this engine's doing.
    reached: Option<Position>,
    /// Whether the target has shown a checkpoint in this run.
    had_checkpoint: bool,
    backoff: Backoff,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("lane", &self.setup.name())
            .finish_non_exhaustive()
    }
}

/// How an attempt ended without an error.
enum Flow {
    /// The engine is stopping.
    Stopped,
    /// From the checkpoint again, at once.
    Again,
}

/// Changes and transactions given to the writer and not stored yet.
#[derive(Default)]
struct Given {
    changes: u64,
    transactions: u64,
}

impl Worker {
    fn run(mut self) {
        let name = self.setup.name();
        loop {
            let error = match self.attempt() {
                Ok(Flow::Stopped) => break,
                Ok(Flow::Again) => continue,
                Err(_) if self.setup.stop.is_stopping() => break,
                Err(error) => error,
            };
            let fault = Fault::from(&error);
            if error.is_transient() {
                let wait = self.backoff.next();
                self.setup.status.update(|status| {
                    status.state = State::Retrying;
                    status.fault = Some(fault);
                });
                tracing::warn!(lane = %name, %error, hint = error.hint, retry_in = ?wait,
                    failures = self.backoff.failures(), "lane has a transient error");
                if self.setup.stop.wait(wait) {
                    break;
                }
            } else {
                self.setup.status.update(|status| {
                    status.state = State::Parked;
                    status.fault = Some(fault);
                    status.copy = None;
                });
                tracing::error!(lane = %name, %error, hint = error.hint, "lane is parked");
                // Whatever the target has open must not stay so while a person is waited for.
                self.writer = None;
                self.setup.log.park(self.setup.id);
                self.setup.stop.wait_for_it();
                return;
            }
        }
        self.setup
            .status
            .update(|status| status.state = State::Stopped);
    }

    /// From connecting to the next error or the end.
    fn attempt(&mut self) -> Result<Flow, WriteError> {
        let mut writer = self.connect()?;
        let flow = self.work(&mut writer);
        // A writer that panicked is in no state to be called again.
        if !matches!(&flow, Err(error) if error.kind == ErrorKind::Fatal) {
            self.writer = Some(writer);
        }
        flow
    }

    fn connect(&mut self) -> Result<RemoteWriter, WriteError> {
        if let Some(mut writer) = self.writer.take() {
            // What was made inside a transaction went with it.
            if self.setup.plugin.description.capabilities.transactional_ddl {
                self.prepared.clear();
            }
            match writer.reset() {
                Ok(()) => return Ok(writer),
                Err(error) => {
                    self.writer = Some(writer);
                    return Err(error);
                }
            }
        }
        self.prepared.clear();
        let (writer, canceller) = self.setup.open(Role::Stream)?;
        *self
            .canceller
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(canceller);
        Ok(writer)
    }

    fn work(&mut self, writer: &mut RemoteWriter) -> Result<Flow, WriteError> {
        let found = writer.checkpoint(&self.setup.stream)?;
        if let Some(found) = &found {
            refuse_other_stream(&found.stream, &self.setup.stream)?;
        }
        let (position, mode) = self.place(writer, found.as_ref())?;
        let copied_to = found.map(|found| found.copied_to).unwrap_or_default();
        self.forget_left_tables(writer, &copied_to)?;
        let is_resync = matches!(mode, Some(LoadMode::Replace));
        let mut missing = Vec::new();
        let mut changed = Vec::new();
        let reshaped = self.reshaped_while_away()?;
        for table in &self.setup.tables {
            let source = &table.relation.source;
            match copied_to.get(&source.to_string()) {
                Some(&lsn) if lsn != Lsn::ZERO && !is_resync => {
                    self.routes.copied(source.clone(), lsn);
                    if reshaped.contains(&table.relation.oid) {
                        changed.push(table.clone());
                    }
                }
                _ => missing.push(table.clone()),
            }
        }
        let mut feed = Feed::new(Arc::clone(&self.setup.log), self.setup.id, position.clone());
        if !missing.is_empty() {
            self.setup.status.update(|status| {
                status.state = State::Copying;
                status.stored = Some(position.clone());
            });
            let mode = mode.unwrap_or(match self.setup.sync.existing {
                Existing::Refuse => LoadMode::Fresh,
                Existing::Replace => LoadMode::Replace,
            });
            let tables = missing.len();
            tracing::info!(lane = %self.setup.name(), tables, "copying");
            self.copy(writer, missing, mode)?;
            tracing::info!(lane = %self.setup.name(), tables, "copied");
            self.backoff.succeeded();
        }
        if !changed.is_empty() {
            self.setup
                .status
                .update(|status| status.state = State::Copying);
            self.copy(writer, changed, LoadMode::Replace)?;
        }
        self.setup.status.update(|status| {
            status.state = State::Streaming;
            status.stored = Some(position.clone());
            status.passed = position.lsn;
        });
        self.stream(writer, &mut feed)
    }

    fn copy(
        &mut self,
        writer: &mut RemoteWriter,
        tables: Vec<Table>,
        mode: LoadMode,
    ) -> Result<(), WriteError> {
        for relation in copy_tables(&self.setup, writer, &mut self.routes, tables, mode)? {
            self.ready(&relation)?;
        }
        Ok(())
    }

    /// Notes that the target is ready for `relation`.
    fn ready(&mut self, relation: &Relation) -> Result<(), WriteError> {
        self.prepared.insert(relation.version);
        let source = self.setup.relations.get(relation.version);
        if let (Some(shapes), Some(source)) = (&mut self.shapes, source) {
            let noted = shapes.note(relation, &source);
            noted.map_err(|error| WriteError::transient(format!("state folder: {error}")))?;
        }
        Ok(())
    }

    /// OIDs of the tables whose values were changed by their schema while no engine ran: the
    /// stream will not bring them. Looks once, at the start.
    fn reshaped_while_away(&mut self) -> Result<HashSet<u32>, WriteError> {
        let mut reshaped = HashSet::new();
        if self.shapes.is_some() {
            return Ok(reshaped);
        }
        let setup = &self.setup;
        let shapes = Shapes::load(&setup.state_dir, &setup.stream.sync, &setup.target);
        for table in &setup.tables {
            let source = setup.relations.version_of(table.relation.clone());
            let Some(relation) = self.routes.relation(source.version)? else {
                continue;
            };
            if let Some(reason) = shapes.reason(&relation) {
                tracing::info!(lane = %setup.name(), "{reason}; copying it again");
                reshaped.insert(relation.oid);
            }
        }
        self.shapes = Some(shapes);
        Ok(reshaped)
    }

    /// A table that has left the sync, or the source, is not kept current any more: were it to come
    /// back, its old mark would hide the changes in between.
    fn forget_left_tables(
        &self,
        writer: &mut RemoteWriter,
        copied_to: &BTreeMap<String, Lsn>,
    ) -> Result<(), WriteError> {
        for (name, _) in copied_to.iter().filter(|(_, lsn)| **lsn != Lsn::ZERO) {
            let is_here = |table: &Table| table.relation.source.to_string() == *name;
            if self.setup.tables.iter().any(is_here) {
                continue;
            }
            // A dot may belong to either name; the mark is found by both together.
            if let Some((schema, table)) = name.split_once('.') {
                let table = TableName::new(schema, table);
                tracing::info!(lane = %self.setup.name(), %table, "table has left the sync");
                writer.forget_copy(&table)?;
            }
        }
        Ok(())
    }

    /// Where the lane goes on; and how tables are loaded, where that is given by more than the
    /// config. Makes the first checkpoint.
    fn place(
        &mut self,
        writer: &mut RemoteWriter,
        found: Option<&Checkpoint>,
    ) -> Result<(Position, Option<LoadMode>), WriteError> {
        let held = found.and_then(|found| found.position.clone());
        // From here on the log keeps what the lane needs; whether it still had all of it is asked
        // afterwards.
        if let Some(position) = &held {
            if let Some(reached) = self.reached.as_ref().filter(|reached| position > reached) {
                return Err(other_engine(position, reached));
            }
            self.setup.log.join(self.setup.id, position.clone());
        }
        let reach = self.setup.log.reach();
        let gap = match &held {
            Some(position) if *position >= reach => {
                self.had_checkpoint = true;
                self.reached = self.reached.take().max(held.clone());
                return Ok((position.clone(), None));
            }
            Some(position) => Some(format!(
                "target holds the source up to {position}, and the source's log begins at {reach}: \
                 what lies between is lost"
            )),
            None if self.had_checkpoint => {
                Some("target has lost its checkpoint and perhaps its data".to_owned())
            }
            None => None,
        };
        let mode = gap.is_some().then_some(LoadMode::Replace);
        if let Some(gap) = gap {
            let refills = self.setup.plugin.description.capabilities.refills;
            let default = if refills { OnGap::Resync } else { OnGap::Park };
            if self.setup.sync.on_gap.unwrap_or(default) == OnGap::Park {
                return Err(WriteError::rejected(format!("gap: {gap}")).hint(
                    "set `on_gap = \"resync\"` in the sync to copy its tables again, \
                     and start tahr anew",
                ));
            }
            tracing::warn!(lane = %self.setup.name(), "gap: {gap}; copying all tables again");
        }
        self.reached = self.reached.take().max(Some(reach.clone()));
        match writer.flush(&reach)? {
            Written::Stored(position) if position == reach => {
                self.had_checkpoint = true;
                Ok((position, mode))
            }
            other => Err(WriteError::transient(format!(
                "target did not take the first checkpoint: {other:?}"
            ))),
        }
    }

    fn stream(&mut self, writer: &mut RemoteWriter, feed: &mut Feed) -> Result<Flow, WriteError> {
        let limits = feed::Limits {
            rows: self.setup.sync.max_batch_rows as usize,
            bytes: usize::try_from(self.setup.sync.max_batch_bytes).unwrap_or(usize::MAX),
            delay: self.setup.sync.max_delay,
        };
        let mut given = Given::default();
        let mut is_accepted = false;
        let mut advanced = Instant::now();
        loop {
            let single = self
                .single_until
                .as_ref()
                .is_some_and(|until| feed.at() < until);
            let patience = if is_accepted && !feed.is_open() {
                Duration::ZERO
            } else {
                Duration::from_secs(1)
            };
            match feed.next(&mut self.routes, limits, single, patience)? {
                Fed::Stopped => {
                    self.finish(writer, feed, is_accepted)?;
                    return Ok(Flow::Stopped);
                }
                Fed::Tail(at) => {
                    if feed.is_open() {
                        continue;
                    }
                    // A checkpoint inside a transaction that has nothing for the lane so far would
                    // be one inside a transaction that the target never saw begin.
                    let at = if at.is_inside() {
                        feed.given().clone()
                    } else {
                        at
                    };
                    let behind = at.lsn.bytes_since(feed.given().lsn);
                    let is_due = behind >= ADVANCE_BYTES || advanced.elapsed() >= ADVANCE_AFTER;
                    if is_accepted || (is_due && at > *feed.given()) {
                        if self.flush(writer, feed, &at, &mut given)? {
                            return Ok(Flow::Again);
                        }
                        advanced = Instant::now();
                        is_accepted = false;
                    }
                    // Whatever failed before is behind it.
                    if self.reached.as_ref().is_none_or(|reached| at >= *reached) {
                        self.backoff.succeeded();
                    }
                    self.setup.status.update(|status| {
                        status.passed = at.lsn;
                        status.lag_seconds = 0.0;
                    });
                }
                Fed::Batch {
                    batch,
                    changes,
                    transactions,
                } => {
                    // Tables are altered between transactions, where the target can't do it inside.
                    if is_accepted
                        && matches!(batch.part(), Part::Whole | Part::First)
                        && !self.setup.plugin.description.capabilities.transactional_ddl
                        && feed::relations(&batch).any(|new| !self.prepared.contains(&new.version))
                        && self.flush(writer, feed, batch.previous(), &mut given)?
                    {
                        return Ok(Flow::Again);
                    }
                    if self.prepare(writer, &batch)? {
                        return Ok(Flow::Again);
                    }
                    self.reached = self.reached.take().max(Some(batch.position().clone()));
                    given.changes += changes;
                    given.transactions += transactions;
                    let written = match writer.write(&batch) {
                        Ok(written) => written,
                        Err(error) => return self.refused(error, &batch, transactions),
                    };
                    if self.moved(&written, batch.previous(), batch.position())? {
                        return Ok(Flow::Again);
                    }
                    is_accepted = written == Written::Accepted;
                    if let Written::Stored(position) = written {
                        advanced = Instant::now();
                        let lag = seconds_since_commit(&batch);
                        self.stored(&position, std::mem::take(&mut given), lag);
                    }
                }
            }
        }
    }

    /// Stores what was accepted, and `at`; whether the lane has to start over from its checkpoint.
    fn flush(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &mut Feed,
        at: &Position,
        given: &mut Given,
    ) -> Result<bool, WriteError> {
        self.reached = self.reached.take().max(Some(at.clone()));
        let flushed = writer.flush(at)?;
        if self.moved(&flushed, feed.given(), at)? {
            return Ok(true);
        }
        feed.advanced(at.clone());
        self.stored(at, std::mem::take(given), None);
        Ok(false)
    }

    /// Makes the target ready for relations that `batch` brings for the first time; whether the
    /// lane has to start over from its checkpoint.
    fn prepare(&mut self, writer: &mut RemoteWriter, batch: &Batch) -> Result<bool, WriteError> {
        let mut starts_over = false;
        for relation in feed::relations(batch) {
            let is_its = |change: Change<'_>| change.relation().version == relation.version;
            // A version that only older changes have, which the copy holds, may be long gone.
            if self.prepared.contains(&relation.version) || !batch.changes().any(is_its) {
                continue;
            }
            let reason = self
                .shapes
                .as_ref()
                .and_then(|shapes| shapes.reason(relation));
            if let Some(reason) = reason {
                let oids = [relation.oid];
                let tables = self.setup.runtime.block_on(look_up(&self.setup, &oids));
                let tables = tables.map_err(of_source)?;
                if !tables.is_empty() {
                    tracing::info!(lane = %self.setup.name(), "{reason}; copying it again");
                    writer.reset()?;
                    writer.checkpoint(&self.setup.stream)?;
                    self.setup
                        .status
                        .update(|status| status.state = State::Copying);
                    self.copy(writer, tables, LoadMode::Replace)?;
                    return Ok(true);
                }
            }
            let is_open = matches!(batch.part(), Part::Middle | Part::Last);
            let capabilities = &self.setup.plugin.description.capabilities;
            // The target's own DDL would commit half of the open transaction: take it back, make
            // the table ready, and play the transaction again from the log.
            if is_open
                && capabilities.transactions
                && !capabilities.transactional_ddl
                && !starts_over
            {
                writer.reset()?;
                writer.checkpoint(&self.setup.stream)?;
                starts_over = true;
            }
            writer.prepare(relation)?;
            self.ready(relation)?;
        }
        Ok(starts_over)
    }

    /// After a batch was refused: one of several transactions is to blame, and the good ones among
    /// them are to be stored first.
    fn refused(
        &mut self,
        error: WriteError,
        batch: &Batch,
        transactions: u64,
    ) -> Result<Flow, WriteError> {
        if error.kind != ErrorKind::Rejected || transactions < 2 {
            return Err(error);
        }
        tracing::debug!(lane = %self.setup.name(), transactions, %error, "giving them one by one");
        self.single_until = Some(batch.position().clone());
        Ok(Flow::Again)
    }

    /// Whether the checkpoint was not where it was left. Behind is a matter of looking and playing
    /// again; ahead means that somebody else writes here.
    fn moved(
        &self,
        written: &Written,
        previous: &Position,
        position: &Position,
    ) -> Result<bool, WriteError> {
        match written {
            Written::Moved(Some(found)) if found > previous && found != position => {
                Err(other_engine(found, previous))
            }
            Written::Moved(found) => {
                let found = found
                    .as_ref()
                    .map_or_else(|| "nothing".to_owned(), Position::to_string);
                tracing::warn!(lane = %self.setup.name(), %found, expected = %previous,
                    "target's checkpoint has moved; looking at it again");
                Ok(true)
            }
            Written::Accepted | Written::Stored(_) => Ok(false),
        }
    }

    fn stored(&mut self, position: &Position, given: Given, lag: Option<f64>) {
        self.setup.log.stored(self.setup.id, position.clone());
        self.backoff.succeeded();
        if self
            .single_until
            .as_ref()
            .is_some_and(|until| position >= until)
        {
            self.single_until = None;
        }
        self.setup.status.update(|status| {
            status.stored = Some(position.clone());
            status.passed = position.lsn;
            status.changes += given.changes;
            status.transactions += given.transactions;
            if let Some(lag) = lag {
                status.lag_seconds = lag;
            }
        });
    }

    /// At a clean stop: what was accepted is stored, and how far the source was read; an open part
    /// of a transaction is given up and comes again.
    fn finish(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &Feed,
        is_accepted: bool,
    ) -> Result<(), WriteError> {
        if feed.is_open() {
            return if is_accepted { writer.reset() } else { Ok(()) };
        }
        let at = feed.at();
        if is_accepted || (at > feed.given() && !at.is_inside()) {
            let target = if at.is_inside() { feed.given() } else { at };
            if let Written::Stored(position) = writer.flush(target)? {
                self.stored(&position, Given::default(), None);
            }
        }
        Ok(())
    }
}

/// The target is further than this engine can have brought it.
fn other_engine(found: &Position, previous: &Position) -> WriteError {
    WriteError::rejected(format!(
        "target's checkpoint is at {found}, ahead of this engine's {previous}: \
         another engine writes to this target"
    ))
    .hint("stop the other engine, or give one of them another sync name")
}

/// A checkpoint of another stream must not be gone on from, nor written over.
fn refuse_other_stream(found: &StreamId, ours: &StreamId) -> Result<(), WriteError> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, found: &dyn fmt::Display, ours: &dyn fmt::Display| {
        let (found, ours) = (found.to_string(), ours.to_string());
        if found != ours {
            differences.push(format!("{what} {found}, not {ours}"));
        }
    };
    compare("system identifier", &found.system_id, &ours.system_id);
    compare("timeline", &found.timeline, &ours.timeline);
    compare("database OID", &found.database, &ours.database);
    compare("slot", &found.slot, &ours.slot);
    compare("checkpoint format", &found.format, &ours.format);
    if differences.is_empty() {
        return Ok(());
    }
    Err(WriteError::rejected(format!(
        "target was filled from another stream of sync \"{}\": {}",
        ours.sync,
        differences.join("; ")
    ))
    .hint(format!(
        "if the source was replaced on purpose, run `tahr drop {}` and copy again with \
         `existing = \"replace\"`",
        ours.sync
    )))
}

/// Seconds since the source committed the last transaction of `batch`, by both clocks.
fn seconds_since_commit(batch: &Batch) -> Option<f64> {
    const EPOCH_2000: f64 = 946_684_800.0;
    let segment = batch.segments().last()?;
    let change = segment
        .arena
        .changes()
        .get((segment.end as usize).checked_sub(1)?)?;
    let commit = segment.arena.transactions()[change.transaction as usize].commit_time;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()?
        .as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "shown to a tenth of a second")]
    let commit = commit as f64 / 1e6 + EPOCH_2000;
    Some((now - commit).max(0.0))
}
