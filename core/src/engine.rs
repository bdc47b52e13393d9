//! The engine: wires sources, logs and lanes together, and owns their start and end.
//!
//! There is no data logic here. [`Engine::start`] checks everything first and says all that is
//! wrong at once; then each source gets a log, a reader and one lane per (sync, target).
//! [`Engine::stop`] lets what is in flight finish. The command line runs it, and the control socket
//! answers from [`Engine::report`].

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::Position;
use tokio::{runtime::Handle, task::JoinHandle};

use crate::{
    Error, Faults,
    config::{Config, Source},
    lane::{Claims, Lane, Setup, State, Status, StatusCell, stream_id},
    log::{LaneId, Log},
    plugin::Registry,
    record::Relations,
    shutdown::Stop,
    source::{Opened, Reader, SourceCell, SourceError, SourceStatus, Table},
};

/// How long lanes may finish what they are in before their writers are interrupted.
const GRACE: Duration = Duration::from_secs(4);

/// All that an engine shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The engine's name.
    pub engine: String,
    /// Its process.
    pub pid: u32,
    /// Its sources.
    pub sources: Vec<SourceStatus>,
    /// Its lanes.
    pub lanes: Vec<Status>,
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    name: String,
    sources: Vec<Running>,
    stop: Stop,
}

/// One source with its lanes.
#[derive(Debug)]
struct Running {
    opened: Opened,
    log: Arc<Log>,
    status: Arc<SourceCell>,
    lanes: Vec<Lane>,
    reader: JoinHandle<()>,
}

impl Engine {
    /// Opens every source and starts its lanes. A source that is out of reach is tried for
    /// `patience`, or without end.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with config, plugins and sources.
    pub async fn start(
        config: &Config,
        registry: &Registry,
        patience: Option<Duration>,
        stop: Stop,
    ) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let mut sources = Vec::new();
        let used = config.sources.iter().filter(|(name, _)| {
            config
                .syncs
                .values()
                .any(|sync| sync.sources.contains(name))
        });
        let mut claims = Claims::default();
        for (name, source) in used {
            let approve =
                async |tables: &[Table]| claims.take(config, registry, name, tables).await;
            let opened = Opened::open(config, (name, source), patience, &stop, approve).await;
            match opened.and_then(|opened| start_source(config, registry, opened, source, &stop)) {
                Ok(running) => sources.push(running),
                Err(more) => faults.extend(more.into_errors()),
            }
        }
        let engine = Self {
            name: config.engine.name.clone(),
            sources,
            stop,
        };
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
        let mut report = Report {
            engine: self.name.clone(),
            pid: std::process::id(),
            ..Report::default()
        };
        for running in &self.sources {
            let source = running.status.get();
            let end = source.end.max(running.log.tail().lsn);
            report.lanes.extend(running.lanes.iter().map(|lane| {
                let mut status = lane.status.get();
                status.lag_bytes = end.bytes_since(status.passed.max(running.opened.confirmed));
                let age = status.lag_as_of.and_then(|as_of| as_of.elapsed().ok());
                if let (Some(age), true) = (age, status.lag_bytes > 0) {
                    status.lag_seconds += age.as_secs_f64();
                }
                status
            }));
            report.sources.push(source);
        }
        report
    }

    /// Completes when a source can't be read any more.
    pub async fn failed(&self) -> Error {
        loop {
            for running in &self.sources {
                if let Some(error) = running.status.take_failure() {
                    return of_source(&running.opened.name, error);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until every lane holds what the sources hold now.
    ///
    /// # Errors
    ///
    /// A lane is parked, or has failed `patience` long.
    pub async fn catch_up(&self, patience: Duration) -> Result<(), Faults> {
        let mut presents = Vec::new();
        for running in &self.sources {
            let present = running.opened.mark_present().await;
            presents.push(present.map_err(|error| of_source(&running.opened.name, error))?);
        }
        let mut retrying_since: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            let mut faults = Vec::new();
            let mut is_done = true;
            for (running, present) in self.sources.iter().zip(&presents) {
                for (index, lane) in running.lanes.iter().enumerate() {
                    // A lane that has nothing to do looks where the source stands now and then:
                    // here somebody waits for it.
                    running.log.wake(LaneId(index));
                    let status = lane.status.get();
                    let name = format!("{}/{}", status.sync, status.target);
                    let is_passed = status.passed >= *present && status.state == State::Streaming;
                    let has_given_up = match status.state {
                        State::Parked => true,
                        State::Retrying => {
                            let since = retrying_since
                                .entry(name.clone())
                                .or_insert_with(Instant::now);
                            since.elapsed() > patience
                        }
                        _ => {
                            retrying_since.remove(&name);
                            false
                        }
                    };
                    match status.fault.filter(|_| has_given_up) {
                        Some(fault) => {
                            let message = format!("lane {name}: {}", fault.message);
                            faults.push(Error::target(message).hint(fault.hint));
                        }
                        None => is_done &= is_passed,
                    }
                }
            }
            // The others finish before one that can't is reported.
            if is_done || self.stop.is_stopping() {
                return Faults::unless_empty(faults);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends lanes and readers, and waits for them.
    pub async fn stop(self) {
        self.stop.stop();
        for running in &self.sources {
            running.log.stop();
        }
        let deadline = Instant::now() + GRACE;
        let is_done = |sources: &[Running]| {
            sources
                .iter()
                .all(|running| running.lanes.iter().all(Lane::is_finished))
        };
        while !is_done(&self.sources) {
            if Instant::now() > deadline {
                for lane in self.sources.iter().flat_map(|running| &running.lanes) {
                    if !lane.is_finished() {
                        lane.cancel();
                    }
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            if Instant::now() > deadline + GRACE {
                tracing::error!("a writer does not return; ending without it");
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for running in self.sources {
            for lane in running.lanes {
                lane.join();
            }
            let _ = running.reader.await;
        }
    }
}

fn start_source(
    config: &Config,
    registry: &Registry,
    opened: Opened,
    source: &Source,
    stop: &Stop,
) -> Result<Running, Faults> {
    let name = opened.name.as_str();
    let relations = Arc::new(Relations::default());
    let folder = config.engine.state_dir.join("log").join(name);
    let start = Position::at(opened.confirmed);
    let log = Log::new(&folder, config.engine.memory, start)
        .map_err(|error| Error::failed(error.to_string()))?;
    let log = Arc::new(log);
    let mut lanes = Vec::new();
    let lane_stop = stop.clone();
    for (sync_name, sync) in &config.syncs {
        if !sync.sources.iter().any(|source| source == name) {
            continue;
        }
        for target_name in &sync.targets {
            let target = &config.targets[target_name];
            let plugin = registry.get(&target.plugin)?.clone();
            let id = LaneId(lanes.len());
            // Before the reader starts, so that nothing is released that the lane will need.
            log.join(id, Position::at(opened.confirmed));
            let tables = opened
                .tables
                .iter()
                .filter(|table| sync.selects(&table.relation.source));
            let setup = Setup {
                id,
                target: target_name.clone(),
                sync: Arc::new(sync.clone()),
                status: Arc::new(StatusCell::new(sync_name, target_name, &target.plugin)),
                plugin,
                state_dir: config.engine.state_dir.clone(),
                options: serde_json::Value::Object(target.options.clone()),
                stream: stream_id(sync_name, name, &opened.identity, &opened.slot),
                tables: tables.cloned().collect(),
                url: opened.url.clone(),
                application: opened.application.clone(),
                slot_timeout: source.slot_timeout,
                log: Arc::clone(&log),
                relations: Arc::clone(&relations),
                runtime: Handle::current(),
                stop: lane_stop.clone(),
            };
            let lane = Lane::spawn(setup)
                .map_err(|error| Error::failed("start a lane's thread").caused_by(error))?;
            lanes.push(lane);
        }
    }
    let status = Arc::new(SourceCell::new(name));
    status.update(|status| {
        status.read = opened.confirmed;
        status.released = opened.confirmed;
    });
    let reader = Reader {
        url: opened.url.clone(),
        application: opened.application.clone(),
        slot: opened.slot.clone(),
        publication: opened.publication.clone(),
        max_row_bytes: source.max_row_bytes,
        redo: source.redo,
        log: Arc::clone(&log),
        relations,
        status: Arc::clone(&status),
        stop: stop.clone(),
    };
    let reader = tokio::spawn(reader.run());
    Ok(Running {
        opened,
        log,
        status,
        lanes,
        reader,
    })
}

/// An error of the source `name`, as a command ends with it.
pub(crate) fn of_source(name: &str, error: SourceError) -> Error {
    let made = Error::source(format!("source \"{name}\": {}", error.message));
    match error.hint.is_empty() {
        true => made,
        false => made.hint(error.hint),
    }
}
