//! The lane that is verified, as the engine knows it.

use std::{collections::HashSet, fmt, sync::Arc};

use tahr_plugin_api::{Lsn, StreamId};
use tahr_postgres_connect::Url;
use tokio::runtime::Handle;

use super::Key;
use crate::{
    config,
    lane::{Attendant, State, StatusCell, rejected::Place},
    log::{LaneId, Log},
    plugin::Plugin,
    record::Relations,
    source::Table,
};

/// A lane, and what is needed to look at both of its ends.
pub struct Subject {
    /// `sync/target`.
    pub lane: String,
    /// The sync's rules.
    pub sync: Arc<config::Sync>,
    /// The writer's plugin.
    pub plugin: Plugin,
    /// The target's options.
    pub options: serde_json::Value,
    /// Which stream it is.
    pub stream: StreamId,
    /// The source's tables that the sync selects.
    pub tables: Vec<Table>,
    /// Where the source is.
    pub url: Url,
    /// How tahr calls itself there.
    pub application: String,
    /// The source's relations.
    pub relations: Arc<Relations>,
    /// The source's log, and the lane's place in it.
    pub log: Arc<Log>,
    /// See `log`.
    pub id: LaneId,
    /// What the lane shows of itself.
    pub status: Arc<StatusCell>,
    /// What the lane can be asked.
    pub attendant: Arc<Attendant>,
    /// Where the rows are that the lane has set aside.
    pub rejected: Arc<Place>,
    /// Where the source's sessions run.
    pub runtime: Handle,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("lane", &self.lane)
            .finish_non_exhaustive()
    }
}

impl Subject {
    /// Whether the lane has stored everything before `mark`; or why it will not come to that.
    pub(super) fn has_passed(&self, mark: Lsn) -> Result<bool, String> {
        let status = self.status.get();
        let fault = status.fault.as_ref().map(|fault| fault.message.as_str());
        match (status.state, fault) {
            (State::Streaming, _) if status.passed >= mark => Ok(true),
            (State::Parked, Some(fault)) => Err(format!("the lane is parked: {fault}")),
            (State::Parked | State::Paused | State::Stopped, _) => {
                Err(format!("the lane is {}", status.state.as_str()))
            }
            _ => {
                // A lane that has nothing to do looks where its source stands only now and then.
                self.log.wake(self.id);
                Ok(false)
            }
        }
    }

    /// Keys of the table `oid` whose rows the lane has set aside.
    pub(super) fn set_aside(&self, oid: u32) -> HashSet<Key> {
        let entries = self.rejected.shown_of(oid);
        let keys = entries.iter().flat_map(|entry| entry.keys());
        keys.map(Key::from_texts).collect()
    }

    /// How far the lane is, for telling whether it gets on.
    pub(super) fn passed(&self) -> (Lsn, u64) {
        let status = self.status.get();
        (status.passed, status.rows_copied)
    }
}
