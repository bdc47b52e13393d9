//! What a reload answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::{LaneName, Plan, Step};
use crate::{
    config::Config,
    source::{object_name, owner},
};

/// What a reload has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Lanes that are new, or whose plugin is here now.
    pub started: Vec<String>,
    /// Lanes that are no more.
    pub stopped: Vec<String>,
    /// Lanes that began anew, each with what is other now.
    pub restarted: Vec<(String, Vec<String>)>,
    /// How many lanes were not touched.
    pub unchanged: usize,
    /// Syncs of several sources that replicate to each other in another way now, each with what
    /// became of it.
    #[serde(default)]
    pub masters: Vec<(String, String)>,
    /// Plugins that were found anew.
    pub plugins: Vec<String>,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

impl Reloaded {
    /// As a person reads it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(
            self.plugins
                .iter()
                .map(|plugin| format!("found plugin {plugin}")),
        );
        lines.extend(
            self.started
                .iter()
                .map(|lane| format!("started lane {lane}")),
        );
        lines.extend(
            self.restarted
                .iter()
                .map(|(lane, changes)| format!("restarted lane {lane}: {}", changes.join(", "))),
        );
        lines.extend(
            self.stopped
                .iter()
                .map(|lane| format!("stopped lane {lane}")),
        );
        let s = if self.unchanged == 1 { "" } else { "s" };
        lines.push(format!("{} lane{s} unchanged", self.unchanged));
        let masters = self.masters.iter();
        lines.extend(masters.map(|(sync, what)| format!("sources of sync {sync}: {what}")));
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines
    }

    /// Adds what was done, lane by lane.
    pub(super) fn tell(
        &mut self,
        old: &Config,
        plan: Plan,
        mut moves: BTreeMap<LaneName, Vec<String>>,
    ) {
        for (name, step) in plan.lanes {
            let lane = name.to_string();
            match step {
                Step::Keep => self.unchanged += 1,
                Step::Start => self.started.push(lane),
                Step::Restart(keys) => {
                    let mut changes: Vec<_> =
                        keys.iter().map(|key| format!("{key} changed")).collect();
                    changes.extend(moves.remove(&name).unwrap_or_default());
                    self.restarted.push((lane, changes));
                }
                Step::Stop => {
                    self.notes.push(format!(
                        "target \"{}\" keeps its rows, and tahr's bookkeeping of sync \"{}\" until \
                     `tahr drop {}` under a config that names them",
                        name.target, name.sync, name.sync
                    ));
                    self.stopped.push(lane);
                }
            }
        }
        for (name, step) in plan.circles {
            let what = match step {
                Step::Keep => continue,
                Step::Start => "replicate to each other from now on".to_owned(),
                Step::Stop => "replicate to each other no more".to_owned(),
                Step::Restart(keys) => format!("{} changed", keys.join(", ")),
            };
            self.masters.push((name, what));
        }
        for name in plan.removed {
            let source = old.sources.get(&name);
            let own = object_name(&owner(old, &name)).unwrap_or_default();
            let slot = source.and_then(|source| source.slot.clone()).unwrap_or(own);
            self.notes.push(format!(
            "source \"{name}\" is not read any more, and its slot keeps WAL there until `tahr drop` \
             under a config that names it, or: SELECT pg_drop_replication_slot('{slot}');"
        ));
        }
    }
}
