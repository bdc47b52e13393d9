//! The lane that is verified, as the engine knows it.

use std::{collections::HashSet, fmt, path::PathBuf, sync::Arc};

use tahr_plugin_api::{Lsn, Relation, StreamId};
use tahr_postgres_connect::Url;
use tokio::runtime::Handle;

use super::Key;
use crate::{
    config,
    lane::{Attendant, Shapes, State, StatusCell, rejected::Place},
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
    /// Where the lane notes what its tables looked like, for its target.
    pub state_dir: PathBuf,
    /// See `state_dir`.
    pub target: String,
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

    /// The columns of `relation` that the target can't have yet, since no change has come since they
    /// were added; or why the table can't be compared until one comes.
    pub(super) fn new_columns(&self, relation: &Relation) -> Result<Vec<String>, String> {
        let shapes = Shapes::load(&self.state_dir, &self.stream.sync, &self.target);
        let has_columns = self.plugin.description.capabilities.columns;
        let new = shapes.new_columns(relation, has_columns);
        let key = relation.key();
        let is_key = |name: &String| {
            let place = relation.position_of(name);
            place.is_some_and(|place| key.contains(&place))
        };
        match new {
            Ok(new) if new.iter().any(is_key) => Err(format!("the key of {} changed", relation.source)),
            new => new,
        }
        .map_err(|reason| {
            format!(
                "{reason}, and the lane comes to that with the table's next change; to have it come \
                 at once: tahr resync {} {}",
                self.lane, relation.source
            )
        })
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
        (status.passed, status.rows_copied.unwrap_or(0))
    }
}
