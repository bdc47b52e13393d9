//! Who writes which object of a target: two relations that map to one would overwrite each other.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use futures_util::future::join_all;
use tahr_plugin_api::{Relation, TableName};

use super::{View, probe, views};
use crate::{Error, Faults, config::Config, plugin::Registry, source::Table};

/// How long the start of the engine waits for a target to say how it spells its objects.
const PATIENCE: Duration = Duration::from_secs(5);

/// The relation that each object of each target belongs to.
#[derive(Debug, Default)]
pub struct Claims(BTreeMap<(String, String), Claimant>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Claimant {
    sync: String,
    source: String,
    table: TableName,
}

impl Claims {
    /// Gives the target's `objects`, one for each relation of `view`, to these relations. Returns an
    /// error for each that belongs to another one.
    #[must_use]
    pub fn add(&mut self, view: &View, objects: &[String]) -> Vec<Error> {
        let mut errors = Vec::new();
        for (relation, object) in view.relations.iter().zip(objects) {
            let new = Claimant {
                sync: view.sync.clone(),
                source: view.source.clone(),
                table: relation.source.clone(),
            };
            match self.0.entry((view.target.clone(), object.clone())) {
                Entry::Vacant(entry) => drop(entry.insert(new)),
                Entry::Occupied(entry) if *entry.get() == new => {}
                Entry::Occupied(entry) => {
                    errors.push(collision(entry.get(), &new, &view.target, object));
                }
            }
        }
        errors
    }

    /// Like [`add`](Self::add), for all that the lanes of `config` see of the source `source`, which
    /// holds `tables`. A target that can't be asked just now is taken to spell its objects as the
    /// relations are named: it must not keep the others waiting.
    ///
    /// # Errors
    ///
    /// All that map to one.
    pub async fn take(
        &mut self,
        config: &Config,
        registry: &Registry,
        source: &str,
        tables: &[Table],
    ) -> Result<(), Faults> {
        // What doesn't fit a rule is shown by the lane that it concerns.
        let (views, _) = views(config, source, tables);
        let asked = views.iter().map(async |view| {
            let target = &config.targets[&view.target];
            let plugin = registry.get(&target.plugin).ok()?;
            let relations = view.relations.clone();
            let report = probe((&view.target, target), plugin, relations, PATIENCE)
                .await
                .ok()?;
            (report.objects.len() == view.relations.len()).then_some(report.objects)
        });
        let mut errors = Vec::new();
        for (view, objects) in views.iter().zip(join_all(asked).await) {
            errors.extend(self.add(view, &objects.unwrap_or_else(|| named(&view.relations))));
        }
        Faults::unless_empty(errors)
    }
}

/// The objects as the relations are named.
fn named(relations: &[Relation]) -> Vec<String> {
    relations
        .iter()
        .map(|relation| relation.target.to_string())
        .collect()
}

fn collision(old: &Claimant, new: &Claimant, target: &str, object: &str) -> Error {
    let (old_table, new_table, sync) = (&old.table, &new.table, &new.sync);
    let both = if old.sync == new.sync {
        format!("tables {old_table} and {new_table} of sync \"{sync}\"")
    } else {
        format!(
            "table {old_table} of sync \"{}\" and {new_table} of sync \"{sync}\"",
            old.sync
        )
    };
    let hint = if old_table == new_table && old.source == new.source {
        format!("remove {new_table} from `tables` of one of the two syncs")
    } else {
        format!(
            "give one another name:\n[syncs.{sync}.table.\"{new_table}\"]\nrename = \"another_name\""
        )
    };
    Error::usage(format!(
        "{both} map to one object of target \"{target}\": {object}"
    ))
    .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(sync: &str, target: &str, tables: &[&str]) -> View {
        let relation = |table: &&str| Relation {
            source: TableName::new("public", *table),
            ..Relation::default()
        };
        View {
            sync: sync.to_owned(),
            source: "shop".to_owned(),
            target: target.to_owned(),
            relations: tables.iter().map(relation).collect(),
        }
    }

    #[test]
    fn two_relations_of_one_object_are_both_named() {
        let objects = ["t".to_owned(), "t".to_owned()];
        let errors = Claims::default().add(&view("one", "cache", &["a", "b"]), &objects);
        let [error] = errors.as_slice() else {
            panic!("{errors:?}")
        };
        assert_eq!(
            error.message(),
            "tables public.a and public.b of sync \"one\" map to one object of target \"cache\": t"
        );
    }

    #[test]
    fn two_syncs_collide_in_one_target_only() {
        let mut claims = Claims::default();
        let object = ["t".to_owned()];
        assert!(
            claims
                .add(&view("one", "cache", &["a"]), &object)
                .is_empty()
        );
        assert!(
            claims
                .add(&view("one", "cache", &["a"]), &object)
                .is_empty()
        );
        assert!(claims.add(&view("two", "copy", &["a"]), &object).is_empty());
        let errors = claims.add(&view("two", "cache", &["a"]), &object);
        let [error] = errors.as_slice() else {
            panic!("{errors:?}")
        };
        assert!(
            error
                .message()
                .contains("sync \"one\" and public.a of sync \"two\""),
            "{error}"
        );
    }
}
