//! What a changed config asks of a running engine.
//!
//! Pure: two configs in, a plan out. Nothing is looked up and nothing is done here; the tables of a
//! source, which a config only has patterns for, are compared by [`tables_differ`].

mod circles;

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::Part;
use crate::{
    Error, Faults,
    config::{Config, Masters, Source, Sync, TableRule, Target},
    source::Table,
};

/// Which lane it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneName {
    pub(super) sync: String,
    pub(super) target: String,
    pub(super) source: String,
}

impl fmt::Display for LaneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.sync, self.target)
    }
}

/// What the config says of one lane.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spec {
    /// Without the names of the other lanes.
    pub(super) sync: Arc<Sync>,
    pub(super) target: Target,
}

/// What becomes of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Start,
    Stop,
    /// For these keys, which are others now.
    Restart(Vec<&'static str>),
    Keep,
}

/// The difference between two configs.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Every lane of either config.
    pub(super) lanes: BTreeMap<LaneName, Step>,
    /// Every sync of either config whose sources replicate to each other, by name.
    pub(super) circles: BTreeMap<String, Step>,
    /// Sources that no lane had, and ones that no lane has any more.
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
}

/// The lanes of `config`. The targets of a sync of several sources get the changes of one of them.
pub(super) fn lanes(config: &Config) -> BTreeMap<LaneName, Spec> {
    let mut lanes = BTreeMap::new();
    for (sync_name, sync) in &config.syncs {
        let Some(source) = sync.followed() else {
            continue;
        };
        let alone = Arc::new(alone(sync));
        for target_name in &sync.targets {
            let name = LaneName {
                sync: sync_name.clone(),
                target: target_name.clone(),
                source: source.clone(),
            };
            let spec = Spec {
                sync: Arc::clone(&alone),
                target: config.targets[target_name].clone(),
            };
            lanes.insert(name, spec);
        }
    }
    lanes
}

/// The names of the lanes of `config` that belong to `part`; of all, where that is none.
pub(super) fn lanes_of(config: &Config, part: Option<&Part>) -> Vec<LaneName> {
    let is_meant =
        |name: &LaneName| part.is_none_or(|part| part.includes(&name.sync, &name.target));
    lanes(config).into_keys().filter(is_meant).collect()
}

/// What concerns one lane of `sync`: neither the other lanes, nor what the sources do among each
/// other.
fn alone(sync: &Sync) -> Sync {
    let mut alone = Sync {
        sources: Vec::new(),
        targets: Vec::new(),
        masters: Masters::default(),
        ..sync.clone()
    };
    for rule in alone.tables_rules.values_mut() {
        rule.conflict = None;
    }
    // A rule that says nothing more is none.
    alone
        .tables_rules
        .retain(|_, rule| *rule != TableRule::default());
    alone
}

/// The sources of `config` that some sync reads.
pub(super) fn used(config: &Config) -> impl Iterator<Item = (&String, &Source)> {
    config.sources.iter().filter(|(name, _)| {
        let mut syncs = config.syncs.values();
        syncs.any(|sync| sync.sources.contains(name))
    })
}

/// Whether the tables of a lane are others than before.
pub(super) fn tables_differ(before: &[Table], now: &[Table]) -> bool {
    let is_in = |all: &[Table], one: &Table| {
        all.iter().any(|table| {
            (table.relation.oid, &table.relation.source) == (one.relation.oid, &one.relation.source)
        })
    };
    before.len() != now.len() || !before.iter().all(|table| is_in(now, table))
}

impl Plan {
    /// The way from `old` to `new`.
    ///
    /// # Errors
    ///
    /// All that can't change while the engine runs.
    pub(super) fn between(old: &Config, new: &Config) -> Result<Self, Faults> {
        Faults::unless_empty(fixed(old, new))?;
        let (before, mut after) = (lanes(old), lanes(new));
        let mut plan = Self::default();
        for (name, spec) in before {
            let step = match after.remove(&name) {
                None => Step::Stop,
                Some(now) if now == spec => Step::Keep,
                Some(now) => Step::Restart(differences(&spec, &now)),
            };
            plan.lanes.insert(name, step);
        }
        let new_lanes = after.into_keys().map(|name| (name, Step::Start));
        plan.lanes.extend(new_lanes);
        plan.circles = circles::steps(old, new);
        let names = |config| -> Vec<&String> { used(config).map(|(name, _)| name).collect() };
        let (had, has) = (names(old), names(new));
        let without = |all: &[&String], others: &[&String]| -> Vec<String> {
            let rest = all.iter().filter(|name| !others.contains(name));
            rest.map(|name| (*name).clone()).collect()
        };
        plan.added = without(&has, &had);
        plan.removed = without(&had, &has);
        Ok(plan)
    }
}

/// Everything that is other than it was and can't be while the engine runs.
fn fixed(old: &Config, new: &Config) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut fix = |section: &str, keys: Vec<&str>| {
        errors.extend(keys.into_iter().map(|key| {
            Error::usage(format!(
                "{}: \"{key}\" in [{section}] needs a restart",
                new.path.display()
            ))
            .hint("put it back, or: `tahr stop`, then `tahr run`")
        }));
    };
    let engine = [
        ("name", old.engine.name == new.engine.name),
        ("state_dir", old.engine.state_dir == new.engine.state_dir),
        ("memory", old.engine.memory == new.engine.memory),
    ];
    fix("engine", changed(&engine));
    for (name, now) in used(new) {
        let Some((_, before)) = used(old).find(|(old_name, _)| *old_name == name) else {
            continue;
        };
        let keys = [
            ("url", before.url == now.url),
            ("publication", before.publication == now.publication),
            ("slot", before.slot == now.slot),
            ("redo", before.redo == now.redo),
            ("slot_timeout", before.slot_timeout == now.slot_timeout),
            ("max_row_bytes", before.max_row_bytes == now.max_row_bytes),
        ];
        fix(&format!("sources.{name}"), changed(&keys));
    }
    errors
}

/// The keys under which `now` differs.
fn differences(before: &Spec, now: &Spec) -> Vec<&'static str> {
    let (a, b) = (&before.sync, &now.sync);
    let (from, to) = (&before.target, &now.target);
    changed(&[
        ("plugin", from.plugin == to.plugin),
        ("options", from.options == to.options),
        ("sha256", from.sha256 == to.sha256),
        ("tables", a.tables == b.tables),
        ("table rules", a.tables_rules == b.tables_rules),
        ("max_batch_rows", a.max_batch_rows == b.max_batch_rows),
        ("max_batch_bytes", a.max_batch_bytes == b.max_batch_bytes),
        ("max_delay_ms", a.max_delay == b.max_delay),
        ("copy_workers", a.copy_workers == b.copy_workers),
        ("existing", a.existing == b.existing),
        ("on_gap", a.on_gap == b.on_gap),
        ("on_rejected", a.on_rejected == b.on_rejected),
        ("rejected_limit", a.rejected_limit == b.rejected_limit),
    ])
}

fn changed<'k>(keys: &[(&'k str, bool)]) -> Vec<&'k str> {
    let others = keys.iter().filter(|(_, is_same)| !is_same);
    others.map(|(key, _)| *key).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;

    pub(super) const BASE: &str = "
        [sources.shop]
        url = \"postgres://h/shop\"
        [targets.cache]
        plugin = \"redis\"
        [targets.copy]
        plugin = \"sqlite\"
        options = { path = \"a.db\" }
        [syncs.shop]
        sources = [\"shop\"]
        targets = [\"cache\", \"copy\"]
        tables = [\"public.*\"]
    ";

    fn plan(edits: &[(&str, &str)]) -> Result<Plan, Faults> {
        let config = |text: &str| Config::parse(Path::new("tahr.toml"), text, &|_| None).unwrap();
        let mut text = BASE.to_owned();
        for (old, new) in edits {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        Plan::between(&config(BASE), &config(&text))
    }

    /// The lanes that don't stay as they are.
    fn steps(edits: &[(&str, &str)]) -> Vec<(String, Step)> {
        let steps = plan(edits).unwrap().lanes.into_iter();
        let steps = steps.filter(|(_, step)| *step != Step::Keep);
        steps.map(|(name, step)| (name.to_string(), step)).collect()
    }

    #[test]
    fn the_same_config_keeps_every_lane() {
        assert_eq!(steps(&[]), []);
        let plan = plan(&[("[targets.copy]", "# a comment\n[targets.copy]")]).unwrap();
        assert_eq!(plan.lanes.len(), 2);
        assert!(plan.added.is_empty() && plan.removed.is_empty());
    }

    #[test]
    fn the_lanes_of_a_part_are_its_own() {
        let config = Config::parse(Path::new("tahr.toml"), BASE, &|_| None).unwrap();
        let names = |part: Option<&str>| -> Vec<String> {
            let part = part.map(|part| part.parse().unwrap());
            let names = lanes_of(&config, part.as_ref()).into_iter();
            names.map(|name| name.to_string()).collect()
        };
        assert_eq!(names(None), ["shop/cache", "shop/copy"]);
        assert_eq!(names(Some("shop")), names(None));
        assert_eq!(names(Some("shop/copy")), ["shop/copy"]);
        assert!(names(Some("other/copy")).is_empty());
    }

    #[test]
    fn a_target_that_comes_or_goes_concerns_its_lane_alone() {
        let new = "[targets.new]\nplugin = \"sqlite\"\n[syncs.shop]";
        let edits = [
            ("[syncs.shop]", new),
            ("\"cache\", \"copy\"", "\"cache\", \"copy\", \"new\""),
        ];
        assert_eq!(steps(&edits), [("shop/new".to_owned(), Step::Start)]);
        assert_eq!(
            steps(&[("\"cache\", \"copy\"", "\"copy\"")]),
            [("shop/cache".to_owned(), Step::Stop)]
        );
    }

    #[test]
    fn an_option_concerns_its_targets_lanes_and_a_rule_all_lanes_of_its_sync() {
        assert_eq!(
            steps(&[("a.db", "b.db")]),
            [("shop/copy".to_owned(), Step::Restart(vec!["options"]))]
        );
        let restart = || Step::Restart(vec!["tables", "on_gap"]);
        assert_eq!(
            steps(&[("[\"public.*\"]", "[\"t\"]\non_gap = \"resync\"")]),
            [
                ("shop/cache".to_owned(), restart()),
                ("shop/copy".to_owned(), restart())
            ]
        );
    }

    #[test]
    fn a_renamed_sync_is_another_one_and_a_new_source_is_opened() {
        let edits = [
            ("[sources.shop]", "[sources.other]"),
            ("sources = [\"shop\"]", "sources = [\"other\"]"),
        ];
        let plan = plan(&edits).unwrap();
        assert_eq!(
            (plan.added.as_slice(), plan.removed.as_slice()),
            (&["other".to_owned()][..], &["shop".to_owned()][..])
        );
        let steps: Vec<_> = plan.lanes.into_values().collect();
        assert_eq!(
            steps,
            [Step::Start, Step::Stop, Step::Start, Step::Stop],
            "by sync, target and source"
        );
    }

    #[test]
    fn what_needs_a_restart_is_all_named_and_refuses_the_whole() {
        let faults = plan(&[
            ("h/shop\"", "elsewhere/shop\"\nredo = \"1h\""),
            (
                "[sources.shop]",
                "[engine]\nmemory = \"1GiB\"\n[sources.shop]",
            ),
            ("\"cache\", \"copy\"", "\"copy\""),
        ])
        .unwrap_err();
        let messages: Vec<_> = faults.errors().iter().map(Error::message).collect();
        assert_eq!(
            messages,
            [
                "tahr.toml: \"memory\" in [engine] needs a restart",
                "tahr.toml: \"url\" in [sources.shop] needs a restart",
                "tahr.toml: \"redo\" in [sources.shop] needs a restart",
            ]
        );
        assert!(
            !faults.render().contains("elsewhere"),
            "a url may hold a password"
        );
    }

    #[test]
    fn tables_are_told_apart_by_name_and_oid() {
        let table = |oid, name: &str| {
            let mut table = crate::source::Table::default();
            table.relation.oid = oid;
            table.relation.source = tahr_plugin_api::TableName::new("public", name);
            table
        };
        let (a, b) = (table(1, "a"), table(2, "b"));
        assert!(!tables_differ(
            &[a.clone(), b.clone()],
            &[b.clone(), a.clone()]
        ));
        assert!(tables_differ(std::slice::from_ref(&a), &[a.clone(), b]));
        assert!(
            tables_differ(std::slice::from_ref(&a), &[table(3, "a")]),
            "made anew"
        );
        assert!(tables_differ(&[a], &[table(1, "renamed")]));
    }
}
