//! What a changed config asks of the syncs whose sources replicate to each other.

use std::collections::BTreeMap;

use tahr_plugin_api::TableName;

use super::{Step, changed};
use crate::config::{Config, Conflict, Sync};

/// What becomes of the syncs of several sources.
pub(super) fn steps(old: &Config, new: &Config) -> BTreeMap<String, Step> {
    let of = |config: &'_ Config| -> BTreeMap<String, Sync> {
        let syncs = config.syncs.iter().filter(|(_, sync)| sync.has_masters());
        let syncs = syncs.map(|(name, sync)| (name.clone(), sync.clone()));
        syncs.collect()
    };
    let mut after = of(new);
    let mut steps = BTreeMap::new();
    for (name, before) in of(old) {
        let step = match after.remove(&name) {
            None => Step::Stop,
            Some(now) => match differences(&before, &now) {
                keys if keys.is_empty() => Step::Keep,
                keys => Step::Restart(keys),
            },
        };
        steps.insert(name, step);
    }
    steps.extend(after.into_keys().map(|name| (name, Step::Start)));
    steps
}

/// The keys under which the sources of `b` replicate to each other in another way. What the targets
/// follow is the lanes' matter.
fn differences(a: &Sync, b: &Sync) -> Vec<&'static str> {
    let of_tables = |sync: &Sync| -> Vec<(TableName, Conflict)> {
        let rules = sync.tables_rules.iter();
        let rules = rules.filter_map(|(name, rule)| Some((name.clone(), rule.conflict.clone()?)));
        rules.collect()
    };
    let (from, to) = (&a.masters, &b.masters);
    changed(&[
        ("sources", a.sources == b.sources),
        ("tables", a.tables == b.tables),
        ("conflict", from.conflict == to.conflict),
        ("conflict of tables", of_tables(a) == of_tables(b)),
        (
            "trigger_effects",
            from.trigger_effects == to.trigger_effects,
        ),
        ("initial", from.initial == to.initial),
        ("sequences", from.sequences == to.sequences),
    ])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Plan, lanes, tests::BASE, used};
    use super::*;

    type Steps = Vec<(String, Step)>;

    /// The steps of syncs of several sources, and of lanes that don't stay.
    fn masters(more: &str, edits: &[(&str, &str)]) -> (Steps, Steps) {
        let text = format!("{BASE}\n[sources.two]\nurl = \"postgres://h/two\"\n{more}");
        let text = text.replace("[\"shop\"]", "[\"shop\", \"two\"]");
        let config = |text: &str| Config::parse(Path::new("tahr.toml"), text, &|_| None).unwrap();
        let mut changed = text.clone();
        for (old, new) in edits {
            assert!(changed.contains(old), "{old}");
            changed = changed.replace(old, new);
        }
        let plan = Plan::between(&config(&text), &config(&changed)).unwrap();
        let lanes = plan.lanes.into_iter();
        let lanes = lanes.filter(|(_, step)| *step != Step::Keep);
        (
            plan.circles.into_iter().collect(),
            lanes
                .map(|(name, step)| (format!("{name} from {}", name.source), step))
                .collect(),
        )
    }

    #[test]
    fn targets_of_several_sources_follow_one_of_them() {
        let text = BASE.replace("[\"shop\"]", "[\"shop\", \"two\"]");
        let text = format!("{text}\n[sources.two]\nurl = \"postgres://h/two\"");
        let config = Config::parse(Path::new("tahr.toml"), &text, &|_| None).unwrap();
        let names: Vec<_> = lanes(&config).into_keys().collect();
        assert_eq!(names.len(), 2);
        assert!(names.iter().all(|name| name.source == "shop"));
        assert_eq!(used(&config).count(), 2, "both are read");

        let (circles, lanes) = masters("", &[("tables =", "targets_follow = \"two\"\ntables =")]);
        assert_eq!(circles, [("shop".to_owned(), Step::Keep)]);
        let expected = [
            ("shop/cache from shop".to_owned(), Step::Stop),
            ("shop/cache from two".to_owned(), Step::Start),
            ("shop/copy from shop".to_owned(), Step::Stop),
            ("shop/copy from two".to_owned(), Step::Start),
        ];
        assert_eq!(lanes, expected);
    }

    #[test]
    fn how_sources_replicate_to_each_other_is_no_matter_of_the_lanes() {
        let rule = "[syncs.shop.table.t]\nconflict = \"skip\"";
        let restart = |keys: &[&'static str]| [("shop".to_owned(), Step::Restart(keys.to_vec()))];
        for (old, new, keys) in [
            ("tables =", "conflict = \"abort\"\ntables =", "conflict"),
            ("tables =", "initial = \"merge\"\ntables =", "initial"),
            ("tables =", "sequences = \"max\"\ntables =", "sequences"),
            (
                "tables =",
                "trigger_effects = \"local\"\ntables =",
                "trigger_effects",
            ),
            ("\"skip\"", "\"latest\"", "conflict of tables"),
            (
                "\"shop\", \"two\"",
                "\"shop\", \"two\", \"three\"",
                "sources",
            ),
        ] {
            let three = format!("{rule}\n[sources.three]\nurl = \"postgres://h/three\"");
            let (circles, lanes) = masters(&three, &[(old, new)]);
            assert_eq!(circles, restart(&[keys]));
            assert_eq!(lanes, [], "{keys}");
        }
        let rename = [("[syncs.shop]", "[syncs.other]")];
        let (circles, _) = masters("", &rename);
        assert_eq!(
            circles,
            [
                ("other".to_owned(), Step::Start),
                ("shop".to_owned(), Step::Stop)
            ]
        );
        let (circles, lanes) = masters("", &[("\"shop\", \"two\"", "\"shop\"")]);
        assert_eq!(circles, [("shop".to_owned(), Step::Stop)]);
        assert_eq!(lanes, [], "the targets follow the source that they did");
    }
}
