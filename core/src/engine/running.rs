//! One source with its log, its reader and its seats.
//!
//! [`supervise`] is the task of one source: it opens it, for as long as that takes and without
//! holding up any other, and reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use tahr_plugin_api::Position;
use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle};

use super::{
    Shared, lock, of_source,
    plan::{LaneName, Spec, lanes, used},
    seat::{Hindrance, Seat, Wanted},
};
use crate::{
    Error, Faults,
    config::{Config, Source, Sync},
    lane::{
        Resyncs, Setup,
        rejected::{Book, rejected_path},
        stream_id, views,
    },
    log::{LaneId, Log, LogId, LogSetup},
    masters::circle::Present,
    plugin::Registry,
    record::Relations,
    shutdown::Stop,
    source::{Approval, Opened, Reader, SourceCell, SourceError, SourceErrorKind, Table},
};

/// A source that lanes want.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) status: Arc<SourceCell>,
    pub(super) stop: Stop,
    /// None until it is open.
    pub(super) streaming: Option<Streaming>,
    pub(super) task: JoinHandle<()>,
}

/// A source that is open.
#[derive(Debug)]
pub(super) struct Streaming {
    pub(super) opened: Arc<Opened>,
    pub(super) tables: Vec<Table>,
    pub(super) log: Arc<Log>,
    /// Where its log began when it was opened.
    pub(super) begin: Position,
    pub(super) seats: BTreeMap<LaneName, Seat>,
    /// Places in the log of the circles that it is a member of, by the names of their syncs.
    pub(super) circles: BTreeMap<String, LaneId>,
    source: Source,
    state_dir: PathBuf,
    relations: Arc<Relations>,
    seats_made: usize,
}

/// How the first attempt to open a source went.
#[derive(Debug)]
pub(super) enum Verdict {
    Open,
    /// It is out of reach, and is tried again.
    Away,
    Faulty(Faults),
}

impl Streaming {
    /// The tables that a lane like `spec` takes.
    pub(super) fn tables_of(&self, spec: &Spec) -> Vec<Table> {
        let selects = |table: &&Table| spec.sync.selects(&table.relation.source);
        self.tables.iter().filter(selects).cloned().collect()
    }

    /// The seat of the lane `name`, which is made where there is none. It begins at `stored`, or
    /// where the source is read now.
    pub(super) fn seat(
        &mut self,
        name: &LaneName,
        plugin: &str,
        stored: Option<Position>,
    ) -> &mut Seat {
        let (log, made) = (&self.log, &mut self.seats_made);
        self.seats.entry(name.clone()).or_insert_with(|| {
            let id = LaneId(*made);
            *made += 1;
            // Before anything else, so that nothing is let go that the lane will need.
            match stored {
                Some(stored) => drop(log.join(id, stored)),
                None => drop(log.join_at_tail(id)),
            }
            let resyncs = Resyncs::load(&self.state_dir, &name.sync, &name.target);
            Seat::new(name.clone(), id, plugin, resyncs)
        })
    }

    /// The source's relations.
    pub(super) fn relations(&self) -> &Arc<Relations> {
        &self.relations
    }

    /// The tables that a sync like this takes.
    pub(super) fn tables_of_sync(&self, sync: &Sync) -> Vec<Table> {
        let selects = |table: &&Table| sync.selects(&table.relation.source);
        self.tables.iter().filter(selects).cloned().collect()
    }

    /// The place in the log of the circle of the sync `name`, which is made where there is none, at
    /// `stored` or where the source is read now.
    fn place(&mut self, name: &str, stored: Option<Position>) -> LaneId {
        if let Some(&lane) = self.circles.get(name) {
            return lane;
        }
        let lane = LaneId(self.seats_made);
        self.seats_made += 1;
        match stored {
            Some(stored) => drop(self.log.join(lane, stored)),
            None => drop(self.log.join_at_tail(lane)),
        }
        self.circles.insert(name.to_owned(), lane);
        lane
    }

    /// This source as a member of the circle of the sync `name`.
    pub(super) fn present(&mut self, name: &str, sync: &Sync) -> Present {
        Present {
            lane: self.place(name, None),
            opened: Arc::clone(&self.opened),
            tables: self.tables_of_sync(sync),
            log: Arc::clone(&self.log),
            relations: Arc::clone(&self.relations),
            slot_timeout: self.source.slot_timeout,
        }
    }

    /// Gives up the place of a circle that is no more.
    pub(super) fn leave(&mut self, name: &str) {
        if let Some(lane) = self.circles.remove(name) {
            self.log.leave(lane);
        }
    }

    /// Whether anybody reads it.
    pub(super) fn is_wanted(&self) -> bool {
        !self.seats.is_empty() || !self.circles.is_empty()
    }

    /// Ends lanes that are not wanted as they are; adds their targets to `busy` until they have
    /// ended. Whether none is left.
    pub(super) fn clear(&mut self, busy: &mut BTreeSet<String>) -> bool {
        let log = &self.log;
        let mut is_done = true;
        self.seats.retain(|name, seat| {
            let is_clear = seat.clear(log);
            if !is_clear {
                busy.insert(name.target.clone());
            }
            is_done &= is_clear;
            let stays = seat.wanted().is_some() || !is_clear;
            if !stays {
                log.leave(seat.id);
            }
            stays
        });
        is_done
    }

    /// Starts lanes that are wanted, but none into a target that is `busy`; whether all are there.
    pub(super) fn fill(&mut self, config: &Config, busy: &BTreeSet<String>, stop: &Stop) -> bool {
        let mut is_done = true;
        let (opened, source) = (&self.opened, &self.source);
        let (log, relations) = (&self.log, &self.relations);
        for (name, seat) in &mut self.seats {
            if !seat.is_vacant() {
                continue;
            }
            if busy.contains(&name.target) {
                is_done = false;
                continue;
            }
            seat.fill(log, |seat, wanted, plugin| Setup {
                id: seat.id,
                target: name.target.clone(),
                sync: Arc::clone(&wanted.spec.sync),
                status: Arc::clone(&seat.status),
                rejected: Arc::clone(&seat.rejected),
                attendant: Arc::clone(&seat.attendant),
                plugin,
                state_dir: config.engine.state_dir.clone(),
                options: serde_json::Value::Object(wanted.spec.target.options.clone()),
                stream: stream_id(&name.sync, &name.source, &opened.identity, &opened.slot),
                past: opened.past.clone(),
                resyncs: Arc::clone(&seat.resyncs),
                tables: wanted.tables.clone(),
                url: opened.url.clone(),
                application: opened.application.clone(),
                slot_timeout: source.slot_timeout,
                log: Arc::clone(log),
                relations: Arc::clone(relations),
                runtime: Handle::current(),
                stop: stop.child(),
            });
        }
        is_done
    }

    fn reader(&self, status: &Arc<SourceCell>, stop: Stop) -> Reader {
        let opened = &self.opened;
        Reader {
            url: opened.url.clone(),
            application: opened.application.clone(),
            identity: opened.identity.clone(),
            slot: opened.slot.clone(),
            publication: opened.publication.clone(),
            max_row_bytes: self.source.max_row_bytes,
            redo: self.source.redo,
            log: Arc::clone(&self.log),
            relations: Arc::clone(&self.relations),
            status: Arc::clone(status),
            stop,
        }
    }
}

/// Whether `registry` has what a lane like `spec` needs.
pub(super) fn plugin_for(
    registry: &Registry,
    name: &LaneName,
    spec: &Spec,
) -> Result<crate::plugin::Plugin, Hindrance> {
    let plugin = registry.of_target(&name.target, &spec.target).cloned();
    plugin.map_err(|error| Hindrance::of(&error, true))
}

/// The task of the source `name`: see the module.
pub(super) async fn supervise(
    shared: Arc<Shared>,
    name: String,
    (status, stop): (Arc<SourceCell>, Stop),
    patience: Option<Duration>,
    verdict: oneshot::Sender<Verdict>,
) {
    let mut verdict = Some(verdict);
    match open(&shared, &name, (&status, &stop), patience, &mut verdict).await {
        Ok(()) => {
            if let Some(verdict) = verdict.take() {
                let _ = verdict.send(Verdict::Open);
            }
        }
        Err(faults) => {
            match verdict.take() {
                Some(verdict) => drop(verdict.send(Verdict::Faulty(faults))),
                None if !stop.is_stopping() => shared.fail(faults),
                None => {}
            }
            return;
        }
    }
    let reader = shared.with_source(&name, |streaming| streaming.reader(&status, stop.clone()));
    let Some(reader) = reader else { return };
    reader.run().await;
    let Some(error) = status.take_failure() else {
        return;
    };
    // What several sources hold of each other is bound to what each of them was.
    let has_masters = shared.config().masters_of(&name).next().is_some();
    if error.kind == SourceErrorKind::Changed && !has_masters {
        tracing::warn!(source = name, %error, "the source is opened anew");
        tokio::spawn(open_anew(shared, name));
    } else {
        shared.fail(of_source(&name, error).into());
    }
}

/// Lets the lanes of the source `name` end, and begins it as at a start: then each lane finds out
/// whether it can go on.
fn open_anew(shared: Arc<Shared>, name: String) -> BoxFuture<'static, ()> {
    let begun = async move {
        // A writer that doesn't return must not keep a person's commands from other syncs, so nothing
        // is held meanwhile; and what is wanted of the source by then waits for the new beginning.
        while lock(&shared.sources).contains_key(&name) {
            if shared.stop.is_stopping() {
                return;
            }
            shared.with_source(&name, |streaming| {
                for seat in streaming.seats.values_mut() {
                    seat.want(None);
                }
            });
            shared.untidy.notify_one();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let one = shared.changing.lock().await;
        let is_there = lock(&shared.sources).contains_key(&name);
        if is_there || !used(&shared.config()).any(|(used, _)| *used == name) {
            return;
        }
        let verdict = shared.begin(&name, None);
        drop(one);
        if let Ok(Verdict::Faulty(faults)) = verdict.await {
            shared.fail(faults);
        }
    };
    begun.boxed()
}

/// Whether no two relations share an object of a target.
fn approve(shared: &Arc<Shared>, config: &Arc<Config>, source: &str, tables: &[Table]) -> Approval {
    // What doesn't fit a rule is shown by the lane that it concerns.
    let (views, _) = views(config, source, tables);
    let (shared, config) = (Arc::clone(shared), Arc::clone(config));
    let name = source.to_owned();
    let asked = async move {
        let registry = shared.registry();
        let mut claims = shared.claims.lock().await;
        *claims = claims.of_lanes(|_, source, _| source != name);
        let (errors, _) = claims.ask(&config, &registry, &views).await;
        Faults::unless_empty(errors)
    };
    asked.boxed()
}

/// Opens the source under the config of the moment, and gives its lanes their seats.
async fn open(
    shared: &Arc<Shared>,
    name: &str,
    (status, stop): (&Arc<SourceCell>, &Stop),
    patience: Option<Duration>,
    verdict: &mut Option<oneshot::Sender<Verdict>>,
) -> Result<(), Faults> {
    loop {
        let config = shared.config();
        let Some(source) = config.sources.get(name) else {
            return Err(Error::failed(format!("source \"{name}\" has left the config")).into());
        };
        let approve = |tables: &[Table]| approve(shared, &config, name, tables);
        let away = |error: &SourceError| {
            status.update(|status| status.note(error));
            if let (None, Some(verdict)) = (patience, verdict.take()) {
                let _ = verdict.send(Verdict::Away);
            }
        };
        let named = (name, source);
        let (opened, tables) = Opened::open(&config, named, patience, stop, away, approve).await?;
        let _one = shared.changing.lock().await;
        // It was opened for what the config said when that began.
        if !Arc::ptr_eq(&config, &shared.config()) {
            continue;
        }
        let folder = config.engine.state_dir.join("log").join(name);
        let relations = Arc::<Relations>::default();
        let log = Log::open(LogSetup {
            folder: &folder,
            id: LogId {
                system_id: opened.identity.system_id.clone(),
                timeline: opened.identity.timeline,
                database: opened.identity.database_oid,
                slot: opened.slot.clone(),
            },
            budget: config.engine.memory,
            limit: source.log_limit,
            on_limit: source.on_log_limit,
            redo: source.redo,
            confirmed: opened.confirmed,
            end: opened.identity.wal_lsn,
            relations: Arc::clone(&relations),
        });
        let log = Arc::new(log.map_err(|error| {
            let hint = error.hint();
            Error::failed(format!("source \"{name}\": {error}")).hint(hint)
        })?);
        let kept = log.keep_on(name);
        kept.map_err(|error| Error::failed(format!("start a thread: {error}")))?;
        // What lanes have stored is seen when they begin; until then all is kept.
        let start = log.reach();
        status.update(|status| {
            status.read = log.tail().lsn;
            status.released = opened.confirmed;
            status.fault = None;
        });
        let mut streaming = Streaming {
            opened: Arc::new(opened),
            tables,
            log,
            begin: start.clone(),
            seats: BTreeMap::new(),
            circles: BTreeMap::new(),
            source: source.clone(),
            state_dir: config.engine.state_dir.clone(),
            relations,
            seats_made: 0,
        };
        for (sync_name, sync) in &config.syncs {
            if sync.has_masters() && sync.sources.iter().any(|source| source == name) {
                streaming.place(sync_name, Some(start.clone()));
            }
        }
        let registry = shared.registry();
        for (lane, spec) in lanes(&config) {
            if lane.source == name {
                let wanted = Wanted {
                    tables: streaming.tables_of(&spec),
                    plugin: plugin_for(&registry, &lane, &spec),
                    paused: shared.paused_since(&lane),
                    spec,
                };
                let plugin = wanted.spec.target.plugin.clone();
                let seat = streaming.seat(&lane, &plugin, Some(start.clone()));
                let path = rejected_path(&config.engine.state_dir, &lane.sync, &lane.target);
                // What can't be read is said by the lane.
                let rejected = Book::open(&path).map_or(0, |book| book.entries().len() as u64);
                seat.status.update(|status| status.rejected = rejected);
                seat.want(Some(wanted));
            }
        }
        shared.install(name, streaming);
        return Ok(());
    }
}
