//! What lanes would see of a source, without any of them running.

use std::sync::Arc;

use tahr_plugin_api::Relation;

use super::Routes;
use crate::{Error, config::Config, record::Relations, source::Table};

/// The relations of one lane, renamed and without excluded columns as its writer gets them.
#[derive(Clone, Debug)]
pub struct View {
    /// The lane's sync.
    pub sync: String,
    /// The lane's source.
    pub source: String,
    /// The lane's target.
    pub target: String,
    /// What it sees.
    pub relations: Vec<Relation>,
}

/// The views that the lanes of `config` have of the source `source`, which holds `tables`; and what
/// of the syncs' rules doesn't fit them.
#[must_use]
pub fn views(config: &Config, source: &str, tables: &[Table]) -> (Vec<View>, Vec<Error>) {
    let (mut views, mut errors) = (Vec::new(), Vec::new());
    let relations = Arc::new(Relations::default());
    let syncs = config.syncs.iter();
    for (name, sync) in syncs.filter(|(_, sync)| sync.followed().is_some_and(|has| has == source)) {
        let mut routes = Routes::new(Arc::new(sync.clone()), Arc::clone(&relations));
        let mut seen = Vec::new();
        for table in tables {
            let version = relations.version_of(table.relation.clone()).version;
            match routes.relation(version) {
                Ok(relation) => seen.extend(relation.map(|relation| (*relation).clone())),
                Err(error) => errors.push(
                    Error::usage(format!("sync \"{name}\": {}", error.message)).hint(error.hint),
                ),
            }
        }
        views.extend(sync.targets.iter().map(|target| View {
            sync: name.clone(),
            source: source.to_owned(),
            target: target.clone(),
            relations: seen.clone(),
        }));
    }
    (views, errors)
}
