//! One source with its log, its reader and its seats.
//!
//! [`supervise`](super::supervise()) opens it and reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use tahr_plugin_api::Position;
use tokio::{runtime::Handle, task::JoinHandle};

use super::{
    plan::{LaneName, Spec},
    seat::{Hindrance, Seat},
};
use crate::{
    Error,
    config::{Config, Source, Sync},
    lane::{Resyncs, Setup, stream_id},
    log::{LaneId, Log, LogId, LogSetup},
    masters::circle::Present,
    plugin::{Plugin, Registry},
    record::Relations,
    shutdown::Stop,
    source::{Opened, Reader, SourceCell, Table},
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

impl Streaming {
    /// The source `name`, which was `opened` with `tables`, and its log; nobody reads it yet.
    ///
    /// # Errors
    ///
    /// The log can't be opened, or has no thread.
    pub(super) fn new(
        config: &Config,
        (name, source): (&str, &Source),
        opened: Opened,
        tables: Vec<Table>,
    ) -> Result<Self, Error> {
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
        Ok(Self {
            opened: Arc::new(opened),
            tables,
            begin: log.reach(),
            log,
            seats: BTreeMap::new(),
            circles: BTreeMap::new(),
            source: source.clone(),
            state_dir: config.engine.state_dir.clone(),
            relations,
            seats_made: 0,
        })
    }

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
    pub(super) fn place(&mut self, name: &str, stored: Option<Position>) -> LaneId {
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

    pub(super) fn reader(&self, status: &Arc<SourceCell>, stop: Stop) -> Reader {
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
) -> Result<Plugin, Hindrance> {
    let plugin = registry.of_target(&name.target, &spec.target).cloned();
    plugin.map_err(|error| Hindrance::of(&error, true))
}
