//! Syncs of several sources.

use std::fmt::Write as _;

use tahr_plugin_api::TableName;

use super::*;
use crate::reconcile::TriggerEffects;

const TWO: &str = r#"
[sources.north]
url = "postgres://north/shop"
[sources.south]
url = "postgres://south/shop"

[syncs.shop]
sources = ["north", "south"]
tables = ["public.*"]
"#;

#[track_caller]
fn one_fault_with(more: &str, expected: &str) {
    let shown = faults(&format!("{TWO}{more}"));
    assert_eq!(shown.matches("error: ").count(), 1, "{shown}");
    assert!(shown.contains(expected), "{shown}\nlacks: {expected}");
}

fn sync(more: &str) -> Sync {
    let config = parse(&format!("{TWO}{more}")).unwrap_or_else(|faults| panic!("{faults}"));
    config.syncs["shop"].clone()
}

#[test]
fn several_sources_have_their_documented_defaults_and_need_no_target() {
    let sync = sync("");
    assert!(sync.has_masters() && sync.targets.is_empty());
    assert_eq!(sync.followed(), Some(&"north".to_owned()));
    assert_eq!(
        sync.masters,
        Masters {
            conflict: Conflict::Latest,
            trigger_effects: TriggerEffects::Park,
            initial: Initial::RequireEqual,
            sequences: Sequences::Interleave,
            targets_follow: None,
        }
    );
    let config = parse(&format!("{TWO}targets = []")).unwrap();
    assert!(config.syncs["shop"].targets.is_empty());
    let of = |name| config.masters_of(name).count();
    assert_eq!((of("north"), of("south"), of("west")), (1, 1, 0));
}

#[test]
fn every_key_of_several_sources_can_be_set() {
    let sync = sync(
        r#"
        conflict = ["south", "north"]
        trigger_effects = "local"
        initial = "merge"
        sequences = "max"
        targets = ["cache"]
        targets_follow = "south"
        [syncs.shop.table.t]
        conflict = "abort"
        [syncs.shop.table.u]
        rename = "v"
        [targets.cache]
        plugin = "redis"
        "#,
    );
    assert_eq!(
        sync.masters,
        Masters {
            conflict: Conflict::Sources(vec!["south".into(), "north".into()]),
            trigger_effects: TriggerEffects::Local,
            initial: Initial::Merge,
            sequences: Sequences::Max,
            targets_follow: Some("south".into()),
        }
    );
    assert_eq!(sync.followed(), Some(&"south".to_owned()));
    let rule = |name| &sync.tables_rules[&TableName::new("public", name)].conflict;
    assert_eq!((rule("t"), rule("u")), (&Some(Conflict::Abort), &None));
}

#[test]
fn every_strategy_has_its_word() {
    for (word, expected) in [
        ("latest", Conflict::Latest),
        ("earliest", Conflict::Earliest),
        ("latest_all_tables", Conflict::LatestAllTables),
        ("skip", Conflict::Skip),
        ("abort", Conflict::Abort),
    ] {
        let sync = sync(&format!("conflict = \"{word}\""));
        assert_eq!(sync.masters.conflict, expected);
    }
    for (word, expected) in [
        ("require_equal", Initial::RequireEqual),
        ("first_source", Initial::FirstSource),
    ] {
        let sync = sync(&format!("initial = \"{word}\""));
        assert_eq!(sync.masters.initial, expected);
    }
    for (word, expected) in [
        ("interleave", Sequences::Interleave),
        ("leave", Sequences::Leave),
    ] {
        let sync = sync(&format!("sequences = \"{word}\""));
        assert_eq!(sync.masters.sequences, expected);
    }
    let ignoring = sync("trigger_effects = \"ignore\"");
    assert_eq!(ignoring.masters.trigger_effects, TriggerEffects::Ignore);
}

#[test]
fn tahrs_own_tables_are_in_no_sync() {
    let all = parse(&TWO.replace("public.*", "*.*")).unwrap();
    let sync = &all.syncs["shop"];
    assert!(!sync.selects(&TableName::new("tahr", "checkpoint")));
    assert!(!sync.selects(&TableName::new("tahr", "sequence")));
    assert!(sync.selects(&TableName::new("tahr", "checkpoints")));
}

#[test]
fn keys_of_several_sources_are_refused_in_a_sync_of_one() {
    for key in [
        "conflict = \"latest\"",
        "trigger_effects = \"park\"",
        "initial = \"merge\"",
        "sequences = \"leave\"",
        "targets_follow = \"shop\"",
    ] {
        let name = key.split(' ').next().unwrap();
        one_fault(
            key,
            &format!(
                "syncs.shop.{name}: is for syncs of several sources, and this one has one\nhint: \
                 remove it"
            ),
        );
    }
    one_fault(
        "[syncs.shop.table.t]\nconflict = \"skip\"",
        "syncs.shop.table.t.conflict: is for syncs of several sources",
    );
}

#[test]
fn a_misspelt_word_names_the_nearest() {
    for (more, expected) in [
        (
            "conflict = \"lastest\"",
            "syncs.shop.conflict: unknown strategy, the string \"lastest\"\nhint: did you mean \"latest\"?",
        ),
        (
            "[syncs.shop.table.t]\nconflict = \"earlyest\"",
            "syncs.shop.table.t.conflict: unknown strategy, the string \"earlyest\"\nhint: did you mean \"earliest\"?",
        ),
        (
            "conflict = \"qqqqqq\"",
            "hint: the strategies: latest, earliest, latest_all_tables, skip, abort",
        ),
        (
            "conflict = \"north\"",
            "hint: to prefer a source: conflict = [\"north\"]",
        ),
        (
            "conflict = \"rules.lua\"",
            "hint: for a file of Lua: conflict = { lua = \"file.lua\" }",
        ),
        (
            "conflict = 5",
            "expected a strategy such as \"latest\", a list of sources, or { lua = \"file.lua\" }, \
             found the number 5",
        ),
        (
            "trigger_effects = \"prak\"",
            "expected \"park\" or \"local\" or \"ignore\", found the string \"prak\"\nhint: did you mean \"park\"?",
        ),
        (
            "initial = \"first\"",
            "expected \"require_equal\" or \"first_source\" or \"merge\", found the string \"first\"",
        ),
        (
            "sequences = \"interleaved\"",
            "did you mean \"interleave\"?",
        ),
        ("conflcit = \"latest\"", "did you mean \"conflict\"?"),
    ] {
        one_fault_with(more, expected);
    }
}

#[test]
fn a_strategy_names_sources_of_its_sync() {
    for (more, expected) in [
        (
            "conflict = [\"nroth\", \"south\"]",
            "syncs.shop.conflict[0]: \"nroth\" is no source of this sync\nhint: did you mean \"north\"?",
        ),
        ("conflict = [\"qq\"]", "hint: its sources: north, south"),
        (
            "[syncs.shop.table.t]\nconflict = [\"west\"]\n[sources.west]\nurl = \"x\"",
            "syncs.shop.table.t.conflict[0]: \"west\" is no source of this sync",
        ),
        (
            "conflict = [\"north\", \"north\"]",
            "syncs.shop.conflict[1]: names source \"north\" twice",
        ),
        ("conflict = []", "syncs.shop.conflict: names no source"),
        (
            "targets = [\"c\"]\ntargets_follow = \"sooth\"\n[targets.c]\nplugin = \"redis\"",
            "syncs.shop.targets_follow: \"sooth\" is no source of this sync\nhint: did you mean \"south\"?",
        ),
        (
            "targets_follow = \"north\"",
            "syncs.shop.targets_follow: says whose changes the targets get, and the sync has no targets",
        ),
    ] {
        one_fault_with(more, expected);
    }
}

#[test]
fn a_file_of_lua_is_beside_the_config_and_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tahr.toml");
    let parse = |more: &str| {
        let text = format!("{TWO}{more}");
        Config::parse(&path, &text, &|_| None)
    };
    std::fs::write(folder.path().join("rules.lua"), "").unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let config = parse("conflict = { lua = \"rules.lua\" }").unwrap();
    assert_eq!(
        config.syncs["shop"].masters.conflict,
        Conflict::Lua(folder.path().join("rules.lua"))
    );
    for (value, expected) in [
        (
            "{ lua = \"rule.lua\" }",
            "rule.lua does not exist\nhint: the path is absolute or",
        ),
        ("{ lua = \"folder\" }", "folder is no file"),
        ("{ lau = \"rules.lua\" }", "did you mean \"lua\"?"),
        (
            "{}",
            "lacks the key \"lua\"\nhint: conflict = { lua = \"file.lua\" }",
        ),
        (
            "{ lua = 5 }",
            "syncs.shop.conflict.lua: expected a string, found the number 5",
        ),
    ] {
        let shown = parse(&format!("conflict = {value}")).unwrap_err().render();
        assert!(shown.contains(expected), "{shown}\nlacks: {expected}");
    }
}

#[test]
fn sixty_four_sources_are_the_most() {
    let text = |count: usize| {
        let mut text = String::from("[syncs.s]\ntables = [\"*\"]\nsources = [");
        (0..count).for_each(|n| write!(text, "\"s{n}\", ").unwrap());
        text.push_str("]\n");
        (0..count).for_each(|n| write!(text, "[sources.s{n}]\nurl = \"x\"\n").unwrap());
        text
    };
    assert_eq!(parse(&text(64)).unwrap().syncs["s"].sources.len(), 64);
    let shown = faults(&text(65));
    assert_eq!(shown.matches("error: ").count(), 1, "{shown}");
    assert!(
        shown.contains("syncs.s.sources: names 65 sources, and a sync has at most 64"),
        "{shown}"
    );
}

#[test]
fn a_sync_of_one_source_needs_targets_even_beside_one_of_several() {
    let shown = faults(&format!(
        "{TWO}[syncs.one]\nsources = [\"north\"]\ntables = [\"t\"]\n"
    ));
    assert!(
        shown.contains("[syncs.one] lacks the key \"targets\""),
        "{shown}"
    );
    assert!(shown.contains("no [targets.NAME] section"), "{shown}");
}
