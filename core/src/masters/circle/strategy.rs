//! From a sync's settings to the rules it is judged by.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use super::trouble::Trouble;
use crate::{
    config::{self, Conflict},
    masters::{Tables, custom::LuaResolver},
    reconcile::{Rules, SourceId, Strategy},
};

/// The rules of the sync `sync` over `tables`; `names` are those of all sources of the config.
pub(super) fn rules(
    sync: &config::Sync,
    tables: &Arc<Tables>,
    names: &BTreeMap<SourceId, String>,
) -> Result<Rules, Trouble> {
    let mut loaded: HashMap<PathBuf, Arc<LuaResolver>> = HashMap::new();
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
                let resolver = match loaded.get(path) {
                    Some(resolver) => Arc::clone(resolver),
                    None => {
                        let (tables, members) = (Arc::clone(tables), sync.sources.clone());
                        let resolver = LuaResolver::load(path, tables, members, names.clone());
                        let resolver = resolver.map_err(|error| Trouble::lasting(&error))?;
                        let resolver = Arc::new(resolver);
                        loaded.insert(path.clone(), Arc::clone(&resolver));
                        resolver
                    }
                };
                Strategy::Custom(resolver)
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
