//! The thread of a lane: it connects, works, and decides what an error leads to.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use tahr_plugin_api::{
    ErrorKind, LoadMode, Lsn, Position, Role, WriteError,
    abi::{Canceller, RemoteWriter},
};

use super::{
    feed::Feed,
    rejected::Aside,
    resync,
    retry::Backoff,
    route::Routes,
    setup::Setup,
    shape::Shapes,
    state::{Fault, State, StatusCell},
};
use crate::shutdown::Stop;

/// How long a lane that can't catch up streams between two groups of tables that it copies again.
const CATCH_UP: Duration = Duration::from_secs(30);

/// A running lane.
#[derive(Debug)]
pub struct Lane {
    /// What it shows of itself.
    pub status: Arc<StatusCell>,
    stop: Stop,
    canceller: Arc<Mutex<Option<Canceller>>>,
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
        let stop = setup.stop.clone();
        let canceller = Arc::new(Mutex::new(None));
        let worker = Worker {
            routes: Routes::new(Arc::clone(&setup.sync), Arc::clone(&setup.relations)),
            writer: None,
            canceller: Arc::clone(&canceller),
            prepared: HashSet::new(),
            shapes: None,
            reshaped: HashSet::new(),
            single_until: None,
            reached: None,
            catches_up: None,
            had_checkpoint: false,
            may_find_left_over: true,
            backoff: Backoff::default(),
            aside: Aside::default(),
            setup,
        };
        let thread = std::thread::Builder::new()
            .name(format!("lane {}", worker.setup.name()))
            .spawn(move || worker.run())?;
        Ok(Self {
            status,
            stop,
            canceller,
            thread,
        })
    }

    /// Asks it to end after what it is in; its log has to tell it too, by
    /// [`Log::dismiss`](crate::log::Log::dismiss) or [`Log::stop`](crate::log::Log::stop).
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Whether its thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Lets it try again at once, if it waits to.
    pub fn rouse(&self) {
        self.stop.rouse();
    }

    /// Interrupts what its writer is blocked in.
    pub fn cancel(&self) {
        let canceller = self
            .canceller
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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

pub(super) struct Worker {
    pub(super) setup: Setup,
    pub(super) routes: Routes,
    pub(super) writer: Option<RemoteWriter>,
    pub(super) canceller: Arc<Mutex<Option<Canceller>>>,
    /// What the tables looked like when the target was made ready for them; read when needed.
    pub(super) shapes: Option<Shapes>,
    /// OIDs of tables that are to be copied again, since their schema brought values.
    pub(super) reshaped: HashSet<u32>,
    /// Relation versions that the target is ready for.
    pub(super) prepared: HashSet<u32>,
    /// Transactions are given one by one up to here, since one of them was rejected.
    pub(super) single_until: Option<Position>,
    /// The furthest that the target can be by this engine's doing.
    pub(super) reached: Option<Position>,
    /// Until when the lane streams what has come during a copy, at the longest, before it copies the
    /// rest of what was asked for.
    pub(super) catches_up: Option<Instant>,
    /// Whether the target has shown a checkpoint in this run.
    pub(super) had_checkpoint: bool,
    /// Whether the target may still be about to commit what an engine before this one gave it.
    pub(super) may_find_left_over: bool,
    pub(super) backoff: Backoff,
    /// What the target has rejected.
    pub(super) aside: Aside,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("lane", &self.setup.name())
            .finish_non_exhaustive()
    }
}

/// How an attempt ended without an error.
pub(super) enum Flow {
    /// The lane is to end.
    Stopped,
    /// From the checkpoint again, at once.
    Again,
}
impl Worker {
    fn run(mut self) {
        let name = self.setup.name();
        loop {
            self.setup.resyncs.take_new();
            let error = match self.attempt() {
                Ok(Flow::Stopped) => break,
                Ok(Flow::Again) => continue,
                Err(_) if self.setup.stop.is_stopping() => break,
                // What was asked for meanwhile may be the way out.
                Err(error) if !error.is_transient() && self.setup.resyncs.take_new() => continue,
                Err(error) if error.is_transient() => self.left_behind().unwrap_or(error),
                Err(error) => error,
            };
            let fault = Fault::from(&error);
            let hint = error.hint_text();
            if error.is_transient() {
                let wait = self.backoff.next();
                self.setup.status.update(|status| {
                    status.state = State::Retrying;
                    status.fault = Some(fault);
                    status.retry_at = Some(SystemTime::now() + wait);
                });
                tracing::warn!(lane = %name, %error, hint, retry_in = ?wait,
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
                tracing::error!(lane = %name, %error, hint, "lane is parked");
                // Whatever the target has open must not stay so while a person is waited for.
                self.writer = None;
                self.aside.rest(&self.setup);
                self.setup.log.park(self.setup.id);
                self.setup.stop.wait_for_it();
                return;
            }
        }
        self.aside.rest(&self.setup);
        self.setup
            .status
            .update(|status| status.state = State::Stopped);
    }

    /// From connecting to the next error or the end.
    fn attempt(&mut self) -> Result<Flow, WriteError> {
        if self.setup.stop.is_stopping() {
            return Ok(Flow::Stopped);
        }
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
            .unwrap_or_else(PoisonError::into_inner) = Some(canceller);
        Ok(writer)
    }

    fn work(&mut self, writer: &mut RemoteWriter) -> Result<Flow, WriteError> {
        let found = writer.checkpoint(&self.setup.stream)?;
        let (position, is_anew) = self.place(writer, found.as_ref())?;
        let copied_to = found.map(|found| found.copied_to).unwrap_or_default();
        self.find_joined(&copied_to)?;
        self.forget_left_tables(writer, &copied_to)?;
        self.aside.begin(&self.setup, &position, &copied_to)?;
        self.find_reshaped()?;
        let asked = self.asked()?;
        let (mut missing, mut replaced, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for table in &self.setup.tables {
            let source = &table.relation.source;
            let name = source.to_string();
            let copied = copied_to.get(&name).filter(|&&lsn| lsn != Lsn::ZERO);
            if let Some(&lsn) = copied.filter(|_| !is_anew) {
                self.routes.copied(source.clone(), lsn);
                if self.reshaped.contains(&table.relation.oid) {
                    replaced.push(table.clone());
                } else if asked.contains(&name) {
                    kept.push(table.clone());
                }
            } else if is_anew || asked.contains(&name) {
                replaced.push(table.clone());
            } else {
                missing.push(table.clone());
            }
        }
        // Those that are kept current meanwhile come in groups, between which the lane catches up.
        let group = resync::group(&kept);
        replaced.extend(kept.drain(..group));
        let mut feed = Feed::new(Arc::clone(&self.setup.log), self.setup.id, position.clone());
        let existing = self.first_copy();
        for (tables, mode) in [(missing, existing), (replaced, LoadMode::Replace)] {
            if tables.is_empty() {
                continue;
            }
            self.setup
                .status
                .update(|status| status.stored = Some(position.clone()));
            let count = tables.len();
            tracing::info!(lane = %self.setup.name(), tables = count, "copying");
            self.copy(writer, tables, mode)?;
            tracing::info!(lane = %self.setup.name(), tables = count, "copied");
            self.backoff.succeeded();
        }
        self.catches_up = (!kept.is_empty()).then(|| Instant::now() + CATCH_UP);
        tracing::info!(lane = %self.setup.name(), from = %position, "streaming");
        self.setup.status.update(|status| {
            status.state = State::Streaming;
            status.stored = Some(position.clone());
            status.passed = position.lsn;
            // How old what follows is, is not known; from here on it is counted.
            if status.lag_seconds.is_none() {
                status.lag_seconds = Some(0.0);
                status.lag_as_of = Some(SystemTime::now());
            }
        });
        self.stream(writer, &mut feed)
    }
}
