//! What a lane is made of, and what its writers may ask of the engine.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tahr_plugin_api::{
    Role, StreamId, WriteError,
    abi::{Canceller, HostCalls, RemoteWriter},
};
use tahr_postgres_connect::Url;
use tokio::runtime::Handle;

use super::{attend::Attendant, rejected::Place, resync::Resyncs, state::StatusCell};
use crate::{
    config,
    log::{LaneId, Log},
    plugin::Plugin,
    record::Relations,
    shutdown::Stop,
    source::{Past, Table},
};

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
    /// What the source's log descends from.
    pub past: Past,
    /// What is to be copied anew.
    pub resyncs: Arc<Resyncs>,
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
    /// Where it meets those who ask about its rejected rows.
    pub rejected: Arc<Place>,
    /// What it shows of itself.
    pub status: Arc<StatusCell>,
    /// What a verification asks of it.
    pub attendant: Arc<Attendant>,
    /// The wish that the lane ends.
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
