//! The engine: wires sources, logs and lanes together, and owns their start, change and end.
//!
//! ```text
//! config ─▶ plan ─▶ reload ─▶ seats: what is wanted ─▶ tend ─▶ lanes: what there is
//! plugin folders ─▶ watch ──────▲                               ▲
//! source ─▶ supervise: open, read ──────────────────────▶ log ──┘
//! ```
//!
//! There is no data logic here. [`Engine::start`] opens all sources side by side and says all that
//! is wrong with them at once; one that is out of reach is tried on and holds up no other. Each
//! source gets a log, a reader and one seat per (sync, target), in which a lane sits. A lane whose
//! plugin is missing is parked, and starts when the plugin appears. [`Engine::reload`] compares the
//! config file with what runs (`plan`, which is pure), refuses it as a whole or changes just those
//! seats that differ. [`Engine::stop`] lets what is in flight finish. The command line runs the
//! engine, and the control socket answers by its [`Control`]: what it is doing, and what a person
//! wants paused, resumed or tried at once.

mod catch_up;
mod changed;
mod circles;
mod control;
mod kick;
mod missing;
mod part;
mod pauses;
mod plan;
mod prepare;
mod rejected;
mod reload;
mod reloaded;
mod report;
mod resync;
mod running;
mod seat;
mod supervise;
mod tables;
mod verify;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex as AsyncMutex, Notify, oneshot},
    task::JoinHandle,
};

pub use changed::{Changed, Outcome};
pub use control::Control;
pub use kick::{Kicked, Marks};
pub use missing::Missing;
pub use part::Part;
pub use pauses::Pauses;
pub use rejected::Rejected;
pub use reloaded::Reloaded;
pub use report::Report;
pub use resync::Resynced;

use crate::{
    Error, Faults,
    config::Config,
    lane::{Claims, Lane},
    masters,
    plugin::{Registry, Scanner},
    shutdown::Stop,
    source::{SourceCell, SourceError},
};
use circles::Circles;
use plan::used;
use running::{Running, Streaming};
use seat::GRACE;
use supervise::{Verdict, supervise};

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    tending: JoinHandle<()>,
}

/// What the engine's tasks share. Locks are held for moments, and never while waiting; `changing`
/// alone is, so that one change of the engine comes after the other.
#[derive(Debug)]
struct Shared {
    config: Mutex<Arc<Config>>,
    scanner: Mutex<Scanner>,
    sources: Mutex<BTreeMap<String, Running>>,
    failure: Mutex<Option<Faults>>,
    claims: AsyncMutex<Claims>,
    circles: Mutex<Circles>,
    changing: AsyncMutex<()>,
    /// Held by the verification that is under way.
    verifying: AsyncMutex<()>,
    /// What a person wants paused; changed while `changing` is held.
    pauses: Mutex<Pauses>,
    /// By sync: a handle for each that has several sources.
    masters: Mutex<BTreeMap<String, masters::Handle>>,
    /// What it was doing when it began to end.
    last: Mutex<Option<Report>>,
    /// Something is wanted that is not there.
    untidy: Notify,
    stop: Stop,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn config(&self) -> Arc<Config> {
        Arc::clone(&lock(&self.config))
    }

    fn registry(&self) -> Registry {
        lock(&self.scanner).registry()
    }

    /// Notes why the engine can't go on.
    fn fail(&self, faults: Faults) {
        lock(&self.failure).get_or_insert(faults);
    }

    /// Does something with the source `name`, where it is open.
    fn with_source<T>(&self, name: &str, work: impl FnOnce(&mut Streaming) -> T) -> Option<T> {
        let mut sources = lock(&self.sources);
        sources.get_mut(name)?.streaming.as_mut().map(work)
    }

    /// Shows a source that is open now to everybody.
    fn install(&self, name: &str, streaming: Streaming) {
        if let Some(running) = lock(&self.sources).get_mut(name) {
            running.streaming = Some(streaming);
        }
        self.untidy.notify_one();
    }

    /// What the engine is doing.
    fn report(&self) -> Report {
        if let Some(last) = &*lock(&self.last) {
            return last.clone();
        }
        let config = self.config();
        let pauses = lock(&self.pauses).clone();
        let mut report = Report {
            engine: config.engine.name.clone(),
            pid: std::process::id(),
            ..Report::default()
        };
        for running in lock(&self.sources).values() {
            report.add(running, &config, &pauses);
        }
        let masters = lock(&self.masters);
        report.masters = masters.values().map(masters::Handle::status).collect();
        report
    }

    /// Begins to open the source `name`; answers how it goes.
    fn begin(
        self: &Arc<Self>,
        name: &str,
        patience: Option<Duration>,
    ) -> oneshot::Receiver<Verdict> {
        let (send, verdict) = oneshot::channel();
        let status = Arc::new(SourceCell::new(name));
        let stop = self.stop.child();
        // The task waits for this lock before it can look for its source.
        let mut sources = lock(&self.sources);
        let task = supervise(
            Arc::clone(self),
            name.to_owned(),
            (Arc::clone(&status), stop.clone()),
            patience,
            send,
        );
        let running = Running {
            status,
            stop,
            streaming: None,
            task: tokio::spawn(task),
        };
        sources.insert(name.to_owned(), running);
        verdict
    }

    /// Brings what there is closer to what is wanted; whether nothing is left to do.
    fn tend(&self) -> bool {
        if self.stop.is_stopping() {
            return true;
        }
        let config = self.config();
        // Always in this order.
        let mut circles = lock(&self.circles);
        let mut sources = lock(&self.sources);
        let mut busy = BTreeSet::new();
        let mut is_done = true;
        for (name, running) in sources.iter_mut() {
            let stop = &running.stop;
            if let Some(streaming) = &mut running.streaming {
                is_done &= streaming.clear(&mut busy);
                // The last thing that a source is read for is the last of its lanes, unless other
                // sources get its changes.
                if !streaming.is_wanted() && config.masters_of(name).next().is_none() {
                    stop.stop();
                    streaming.log.stop();
                }
            }
        }
        sources.retain(|_, running| {
            // The next log of the source has the same folder.
            let streaming = running.streaming.as_ref();
            let is_kept = streaming.is_some_and(|streaming| streaming.log.is_kept());
            let stays = !(running.stop.is_stopping() && running.task.is_finished()) || is_kept;
            is_done &= !(stays && running.stop.is_stopping());
            stays
        });
        for running in sources.values_mut() {
            if let Some(streaming) = &mut running.streaming {
                is_done &= streaming.fill(&config, &busy, &running.stop);
            }
        }
        is_done &= circles.tend(&config, &mut sources, &self.stop);
        is_done
    }
}

impl Engine {
    /// Opens the sources and starts their lanes, with the plugins that `scanner` has found. A source
    /// that is out of reach is tried for `patience`, before this returns; or without end, after it
    /// has.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the sources, and tables that share an object of a target.
    pub async fn start(
        config: &Config,
        scanner: Scanner,
        patience: Option<Duration>,
        stop: Stop,
    ) -> Result<Self, Faults> {
        let shared = Arc::new(Shared {
            config: Mutex::new(Arc::new(config.clone())),
            scanner: Mutex::new(scanner),
            sources: Mutex::default(),
            failure: Mutex::default(),
            claims: AsyncMutex::default(),
            circles: Mutex::default(),
            changing: AsyncMutex::default(),
            verifying: AsyncMutex::default(),
            pauses: Mutex::new(Pauses::load(&config.engine.state_dir)?),
            masters: Mutex::default(),
            last: Mutex::default(),
            untidy: Notify::new(),
            stop,
        });
        for note in shared.forget_pauses(config) {
            tracing::warn!("{note}");
        }
        shared.convene(config);
        let names: Vec<_> = used(config).map(|(name, _)| name).collect();
        let verdicts: Vec<_> = names
            .into_iter()
            .map(|name| shared.begin(name, patience))
            .collect();
        let tending = tokio::spawn(tend(Arc::clone(&shared)));
        let engine = Self { shared, tending };
        let mut faults = Vec::new();
        for verdict in verdicts {
            if let Ok(Verdict::Faulty(more)) = verdict.await {
                faults.extend(more.into_errors());
            }
        }
        if faults.is_empty() {
            return Ok(engine);
        }
        engine.stop().await;
        Faults::unless_empty(faults)?;
        Err(Error::failed("the engine did not start").into())
    }

    /// What it is doing.
    #[must_use]
    pub fn report(&self) -> Report {
        self.shared.report()
    }

    /// A grip on it, for whoever answers a person.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::of(&self.shared)
    }

    /// Completes when a source can't be read any more.
    pub async fn failed(&self) -> Faults {
        loop {
            if let Some(faults) = lock(&self.shared.failure).take() {
                return faults;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends lanes and readers, and waits for them.
    pub async fn stop(self) {
        let last = Report {
            is_stopping: true,
            ..self.report()
        };
        *lock(&self.shared.last) = Some(last);
        self.shared.stop.stop();
        self.shared.untidy.notify_one();
        let _ = self.tending.await;
        let circles = lock(&self.shared.circles).take();
        let mut lanes = Vec::new();
        let mut tasks = Vec::new();
        for (_, running) in std::mem::take(&mut *lock(&self.shared.sources)) {
            tasks.push(running.task);
            if let Some(mut streaming) = running.streaming {
                streaming.log.stop();
                lanes.extend(streaming.seats.values_mut().filter_map(seat::Seat::take));
            }
        }
        let deadline = Instant::now() + GRACE;
        while !lanes.iter().all(Lane::is_finished) {
            if Instant::now() > deadline {
                let unfinished = lanes.iter().filter(|lane| !lane.is_finished());
                unfinished.for_each(Lane::cancel);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            if Instant::now() > deadline + GRACE {
                tracing::error!("a writer does not return; ending without it");
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        lanes.into_iter().for_each(Lane::join);
        for circle in circles {
            while !circle.is_finished() && Instant::now() < deadline + GRACE {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            match circle.is_finished() {
                true => circle.join(),
                false => tracing::error!("a sync's thread does not end; ending without it"),
            }
        }
        for task in tasks {
            let _ = task.await;
        }
    }
}

/// Tends the seats whenever something has changed, until the engine stops.
async fn tend(shared: Arc<Shared>) {
    while !shared.stop.is_stopping() {
        if shared.tend() {
            tokio::select! {
                () = shared.stop.asked() => {}
                () = shared.untidy.notified() => {}
            }
        } else {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// An error of the source `name`, as a command ends with it.
pub(crate) fn of_source(name: &str, error: SourceError) -> Error {
    let made = Error::source(format!("source \"{name}\": {}", error.message));
    match error.hint.is_empty() {
        true => made,
        false => made.hint(error.hint),
    }
}
