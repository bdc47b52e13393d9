//! Who writes which object of a target: two relations that map to one would overwrite each other.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use futures_util::future::join_all;
use tahr_plugin_api::{CheckReport, Relation, TableName, WriteError};

use super::{View, probe};
use crate::{Error, config::Config, plugin::Registry};

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

    /// The claims of the lanes that `stays` is true of, which it is asked by sync, source and target.
    #[must_use]
    pub fn of_lanes(&self, stays: impl Fn(&str, &str, &str) -> bool) -> Self {
        let kept = self.0.iter().filter(|((target, _), claimant)| {
            let Claimant { sync, source, .. } = claimant;
            stays(sync, source, target)
        });
        Self(
            kept.map(|(object, claimant)| (object.clone(), claimant.clone()))
                .collect(),
        )
    }

    /// Like [`add`](Self::add), for all `views`, whose targets are asked. One that can't be asked
    /// just now is taken to spell its objects as the relations are named: it must not keep the others
    /// waiting. Returns what two relations share, and what each target answered.
    pub async fn ask(
        &mut self,
        config: &Config,
        registry: &Registry,
        views: &[View],
    ) -> (Vec<Error>, Vec<Option<Result<CheckReport, WriteError>>>) {
        let asked = views.iter().map(async |view| {
            let target = config.targets.get(&view.target)?;
            let plugin = registry.of_target(&view.target, target).ok()?;
            let relations = view.relations.clone();
            Some(probe((&view.target, target), plugin, relations, PATIENCE).await)
        });
        let answers = join_all(asked).await;
        let mut errors = Vec::new();
        for (view, answer) in views.iter().zip(&answers) {
            let objects = match answer {
                Some(Ok(report)) if report.objects.len() == view.relations.len() => {
                    report.objects.clone()
                }
                _ => named(&view.relations),
            };
            errors.extend(self.add(view, &objects));
        }
        (errors, answers)
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
    fn a_lane_that_is_asked_again_gives_up_its_claims_first() {
        let mut claims = Claims::default();
        let object = ["t".to_owned()];
        assert!(
            claims
                .add(&view("one", "cache", &["a"]), &object)
                .is_empty()
        );
        assert_eq!(claims.add(&view("one", "cache", &["b"]), &object).len(), 1);
        let mut others = claims.of_lanes(|sync, _, _| sync != "one");
        assert!(
            others
                .add(&view("one", "cache", &["b"]), &object)
                .is_empty()
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
