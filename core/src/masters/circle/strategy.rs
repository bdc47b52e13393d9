//! From a sync's settings to the rules it is judged by.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::trouble::Trouble;
use crate::{
    config::{self, Conflict},
    masters::Tables,
    reconcile::{Rules, SourceId, Strategy},
};

/// The rules of the sync `sync` over `tables`; `names` are those of all sources of the config.
pub(super) fn rules(
    sync: &config::Sync,
    tables: &Arc<Tables>,
    names: &BTreeMap<SourceId, String>,
) -> Result<Rules, Trouble> {
    let mut strategy = |conflict: &Conflict| -> Result<Strategy, Trouble> {
        let position = |name: &String| sync.sources.iter().position(|source| source == name);
        Ok(match conflict {
            Conflict::Latest => Strategy::Latest,
            Conflict::Earliest => Strategy::Earliest,
            Conflict::LatestAllTables => Strategy::LatestAllTables,
            Conflict::Skip => Strategy::Skip,
            Conflict::Abort => Strategy::Abort,
            Conflict::Sources(sources) => {
                Strategy::Sources(sources.iter().filter_map(position).collect())
            }
            Conflict::Lua(path) => {
                let _ = path;
                return Err(Trouble::new("lua", ""));
            }
        })
    };
    let members = sync.sources.iter().map(|name| SourceId::of(name));
    let mut rules = Rules::new(members.collect(), strategy(&sync.masters.conflict)?);
    for table in tables.iter() {
        let own = sync.tables_rules.get(&table.name);
        if let Some(conflict) = own.and_then(|rule| rule.conflict.as_ref()) {
            rules.tables.insert(table.id, strategy(conflict)?);
        }
    }
    rules.trigger_effects = sync.masters.trigger_effects;
    Ok(rules)
}
