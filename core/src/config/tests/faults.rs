//! What a person reads of a file's faults.

use std::{collections::BTreeMap, path::PathBuf};

use super::*;

#[test]
fn three_mistakes_are_named_at_once_in_the_order_of_the_file() {
    let shown = faults(
        r#"
[sources.shop]
url = "postgres://db1/shop"
redo = "ten seconds"

[targets.cache]
plugin = "redis"

[syncs.shop]
sources = ["shop"]
targets = ["cashe"]
tabels = ["public.*"]
tables = ["public.*"]
"#,
    );
    assert_eq!(
        shown,
        r#"error: etc/tahr.toml:4: sources.shop.redo: expected a duration such as "10s" or "1h", found the string "ten seconds"

error: etc/tahr.toml:11: syncs.shop.targets[0]: unknown target "cashe"
hint: did you mean "cache"?

error: etc/tahr.toml:12: unknown key "tabels" in [syncs.shop]
hint: did you mean "tables"?
"#
    );
}

#[test]
fn unknown_keys_name_the_nearest_or_all() {
    one_fault("[engin]", "did you mean \"engine\"?");
    one_fault(
        "[engine]\nMemroy = 1",
        "unknown key \"Memroy\" in [engine]\nhint: did you mean \"memory\"?",
    );
    one_fault("batch_rows = 5", "did you mean \"max_batch_rows\"?");
    one_fault("qqq = 5", "hint: known keys: sources, targets, tables");
    one_fault(
        "[syncs.shop.table.t]\nrenam = \"x\"",
        "in [syncs.shop.table.t]\nhint: did you mean \"rename\"?",
    );
    one_fault_where(
        "plugin =",
        "plugin = \"redis\"\nplugn =",
        "did you mean \"plugin\"?",
    );
    one_fault_where("url =", "url = \"x\"\nurll =", "did you mean \"url\"?");
}

#[test]
fn keys_that_are_not_built_yet_say_so() {
    one_fault(
        "[engine]\nlisten = \"127.0.0.1:7171\"",
        "key \"listen\" in [engine] is not built yet",
    );
    one_fault(
        "[syncs.shop.table.t]\nwhere = \"a\"",
        "key \"where\" in [syncs.shop.table.t] is not built yet",
    );
    one_fault_where(
        "[targets.",
        "capture = \"trigger\"\n[targets.",
        "capture by triggers is not built yet",
    );
    one_fault_where(
        "[targets.",
        "capture = \"wall\"\n[targets.",
        "expected \"wal\", found the string \"wall\"",
    );
}

#[test]
fn wrong_types_say_what_was_expected_and_found() {
    for (more, expected) in [
        (
            "copy_workers = \"2\"",
            "expected a whole number from 1 to 64, found the string \"2\"",
        ),
        (
            "copy_workers = 0",
            "expected a whole number from 1 to 64, found the number 0",
        ),
        (
            "copy_workers = 65",
            "expected a whole number from 1 to 64, found the number 65",
        ),
        ("max_batch_rows = 1.5", "found the number 1.5"),
        ("max_batch_rows = -1", "found the number -1"),
        (
            "max_batch_rows = 99999999999",
            "found the number 99999999999",
        ),
        (
            "max_delay_ms = \"1s\"",
            "syncs.shop.max_delay_ms: expected a whole number",
        ),
        (
            "max_batch_bytes = true",
            "expected a size such as \"64MiB\", found true",
        ),
        ("max_batch_bytes = \"4M\"", "found the string \"4M\""),
        ("max_batch_bytes = -4", "found the number -4"),
        (
            "max_batch_bytes = 5",
            "is 5 bytes, but must be at least 1024",
        ),
        (
            "existing = \"replce\"",
            "expected \"refuse\" or \"replace\", found the string \"replce\"\nhint: did you mean \"replace\"?",
        ),
        (
            "on_rejected = \"skip\"",
            "expected \"park\" or \"set_aside\", found the string \"skip\"",
        ),
        (
            "on_gap = 1",
            "syncs.shop.on_gap: expected a string, found the number 1",
        ),
        (
            "[engine]\nplugin_dirs = \"plugins\"",
            "expected a list of folders, [\"…\"], found the string \"plugins\"",
        ),
        (
            "[engine]\nplugin_dirs = [\"a\", 2]",
            "engine.plugin_dirs[1]: expected a string, found the number 2",
        ),
        ("[engine]\nmemory = 2024-01-01", "found a date"),
        ("[engine]\nmemory = []", "found a list"),
        (
            "[targets.cache.options]\nx = inf",
            "targets.cache.options.x: is not a finite number",
        ),
        (
            "[targets.cache.options]\nx = 9223372036854775808",
            "beyond 64 bits",
        ),
    ] {
        one_fault(more, expected);
    }
    one_fault_where(
        "[targets.cache]\nplugin = \"redis\"",
        "[targets]\ncache = \"redis\"",
        "targets.cache: expected a section, found the string \"redis\"\nhint: name it: [targets.NAME]",
    );
}

#[test]
fn names_follow_the_rule_that_the_error_states() {
    let rule = "names are 1 to 24 characters of a-z, 0-9 and _";
    one_fault("[engine]\nname = \"Tahr\"", rule);
    one_fault("[engine]\nname = \"\"", "engine.name: is empty");
    one_fault("[sources.Shop-2]\nurl = \"x\"", rule);
    one_fault(
        "[sources.Shop-2]\nurl = \"x\"",
        "source name \"Shop-2\" is not allowed",
    );
    one_fault("[sources.Shop-2]\nurl = \"x\"", "hint: [sources.shop_2]");
    one_fault("[targets.aaaaaaaaaaaaaaaaaaaaaaaaa]\nplugin = \"x\"", rule);
    parse_with("[targets.aaaaaaaaaaaaaaaaaaaaaaaa]\nplugin = \"x\"").unwrap();
}

#[test]
fn a_sync_needs_sources_targets_and_tables_that_exist() {
    one_fault_where(
        "targets = [\"cache\"]\n",
        "",
        "etc/tahr.toml:8: [syncs.shop] lacks the key \"targets\"\nhint: targets = [\"cache\"]",
    );
    one_fault_where(
        "targets = [\"cache\"]",
        "targets = []",
        "syncs.shop.targets: names no target",
    );
    one_fault_where(
        "targets = [\"cache\"]",
        "targets = [\"cache\", \"cache\"]",
        "names target \"cache\" twice",
    );
    one_fault_where(
        "sources = [\"shop\"]",
        "sources = [\"qqqqqq\"]",
        "hint: the file has these sources: shop",
    );
    one_fault_where("tables = ", "# ", "lacks the key \"tables\"");
    one_fault_where("\"public.*\", ", "", "only excludes tables");
    one_fault_where("\"public.*\", \"!public.audit_*\"", "", "names no table");
    one_fault_where(
        "public.*",
        "a.b.c",
        "syncs.shop.tables[0]: the string \"a.b.c\" has more than one dot",
    );
    one_fault_where("url = ", "# ", "[sources.shop] lacks the key \"url\"");
    one_fault_where(
        "plugin = ",
        "# ",
        "[targets.cache] lacks the key \"plugin\"",
    );
}

#[test]
fn a_rule_names_one_table_of_the_sync() {
    one_fault(
        "[syncs.shop.table.\"sales.t\"]",
        "syncs.shop.tables does not include sales.t",
    );
    one_fault(
        "[syncs.shop.table.audit_1]",
        "syncs.shop.tables does not include public.audit_1",
    );
    one_fault(
        "[syncs.shop.table.\"t*\"]",
        "has a wildcard, but must name one table",
    );
    one_fault(
        "[syncs.shop.table.t]\n[syncs.shop.table.\"public.t\"]",
        "public.t has two sections",
    );
    one_fault(
        "[syncs.shop.table]\na = {rename = \"c\"}\nb = {rename = \"c\"}",
        "has the same new name",
    );
    one_fault(
        "[syncs.shop.table]\na = {rename = \"c.*\"}",
        "syncs.shop.table.a.rename: the string \"c.*\" has a wildcard",
    );
}

#[test]
fn a_section_in_fault_does_not_make_its_references_faulty() {
    one_fault_where(
        "plugin = \"redis\"",
        "plugin = 5",
        "targets.cache.plugin: expected a string",
    );
}

#[test]
fn an_empty_file_says_what_it_lacks() {
    for empty in [
        "",
        "# nothing\n",
        "sources = {}\ntargets = {}\nsyncs = {}\n",
    ] {
        let shown = faults(empty);
        assert_eq!(shown.matches("error: ").count(), 3, "{shown}");
        assert!(
            shown.contains("hint: [sources.shop]\n      url = "),
            "{shown}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Config::load(&folder.path().join("tahr.toml")).unwrap_err();
    assert_eq!(faults.exit_code(), exit_code::USAGE);
    assert!(
        faults.render().contains("tahr init postgres://"),
        "{}",
        faults.render()
    );
    std::fs::write(folder.path().join("bytes.toml"), b"\xff\xfe").unwrap();
    let faults = Config::load(&folder.path().join("bytes.toml")).unwrap_err();
    assert!(
        faults.render().contains("is not UTF-8 text"),
        "{}",
        faults.render()
    );
}

#[test]
fn a_misspelt_section_is_one_fault_not_many() {
    one_fault_where(
        "[sources.shop]",
        "[source.shop]",
        "did you mean \"sources\"?",
    );
    one_fault_where("[syncs.shop]", "[sync.shop]", "unknown key \"sync\"");
}

#[test]
fn a_section_without_a_name_says_so() {
    one_fault("[syncs]\nmax_batch_rows = 5", "hint: name it: [syncs.NAME]");
}

#[test]
fn options_that_the_plugin_does_not_know_come_with_the_other_faults_and_their_lines() {
    let schema = serde_json::json!({
        "properties": {
            "url": { "type": "string" },
            "format": { "$ref": "#/$defs/Format" },
            "retry": { "anyOf": [{ "$ref": "#/$defs/Retry" }, { "type": "null" }] },
        },
        "additionalProperties": false,
        "$defs": {
            "Format": { "oneOf": [{ "const": "hash" }, { "enum": ["json", "string"] }] },
            "Retry": { "properties": { "times": {} }, "additionalProperties": false },
        },
    });
    let schemas = |folders: &[PathBuf], targets: &BTreeMap<String, Target>| {
        assert_eq!(folders, [Path::new("etc/plugins")]);
        assert_eq!(targets["cache"].plugin, "redis");
        BTreeMap::from([("redis".to_owned(), schema.clone())])
    };
    let judge = |text: &str| {
        let path = Path::new("etc/tahr.toml");
        Config::parse_with(path, text, &variables, None, Some(&schemas))
    };
    let options = "\
[engine]
plugin_dirs = [\"plugins\"]
[targets.cache.options]
ulr = \"x\"
format = \"hsh\"
retry = { time = 3 }
";
    let text = format!("{SMALLEST}copy_worker = 2\n{options}");
    let shown = judge(&text).unwrap_err().render();
    assert_eq!(
        shown,
        "error: etc/tahr.toml:12: unknown key \"copy_worker\" in [syncs.shop]\n\
         hint: did you mean \"copy_workers\"?\n\n\
         error: etc/tahr.toml:16: plugin \"redis\" has no option \"ulr\"\n\
         hint: did you mean \"url\"?\n\n\
         error: etc/tahr.toml:17: targets.cache.options.format: expected \"hash\" or \"json\" or \
         \"string\", found the string \"hsh\"\nhint: did you mean \"hash\"?\n\n\
         error: etc/tahr.toml:18: plugin \"redis\" has no option \"retry.time\"\n\
         hint: did you mean \"times\"?\n"
    );
    let right = options
        .replace("ulr", "url")
        .replace("\"hsh\"", "\"${EMPTY}\"")
        .replace("time ", "times ");
    judge(&format!("{SMALLEST}{right}")).unwrap();
    // Another target's pin can't be read, so no plugin is loaded.
    let unread = format!("{SMALLEST}{options}[targets.other]\nplugin = \"x\"\nsha256 = 5\n");
    let shown = judge(&unread).unwrap_err().render();
    assert!(!shown.contains("has no option"), "{shown}");
}

/// The faults of a broken file: line and column, message.
fn broken(text: &str) -> Vec<String> {
    let shown = faults(text);
    let lines = shown
        .lines()
        .filter_map(|line| line.strip_prefix("error: etc/tahr.toml:"));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_bracket_that_is_not_closed_is_one_fault_where_it_is() {
    let text = "\
[sources.shop]
url = \"postgres://db1/shop\"

[targets.cache]
plugin  = \"redis\"
options = { url = \"redis://h\", ttl = \"1h\"

[targets.copy]
plugin  = \"sqlite\"
options = { path = \"shop.db\" }

[syncs.shop]
sources = [\"shop\"]
targets = [\"cache\", \"copy\"]
tables  = [
    \"public.*\",
]
";
    let one = "6:42: not TOML: unclosed inline table, expected `}`";
    assert_eq!(broken(text), [one]);
    let two = text.replace("\"copy\"]", "\"copy\"");
    let second = "15:1: not TOML: missing comma between array elements, expected `,`";
    assert_eq!(broken(&two), [one, second]);
    let other = text.replace("[targets.copy]", "[targets.copy]\nsha256");
    let second = "9:7: not TOML: key with no value, expected `=`";
    assert_eq!(broken(&other), [one, second]);
    for (open, fault) in [
        ("*\",\n]", "16:"),
        ("[\"shop\"]", "14:"),
        ("[syncs.shop]", "12:"),
    ] {
        let text = text.replace("\"1h\"", "\"1h\" }");
        let text = text.replacen(open, &open[..open.len() - 1], 1);
        let found = broken(&text);
        assert!(found.len() == 1 && found[0].starts_with(fault), "{found:?}");
    }
}

#[test]
fn faults_of_a_broken_file_that_have_nothing_to_do_with_each_other_are_all_shown() {
    let text = "\
note = '''
[not a header
'''
[engine]
name x
memory x

[syncs.shop]
sources = [\"shop\"]
[engine]
memory = = 5
";
    let lines: Vec<_> = broken(text)
        .iter()
        .map(|fault| fault.split(':').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(lines, ["5", "6", "11"]);
    let twice = broken("[sources.shop]\nurl = \"x\"\n[sources.shop]\nurl = \"y\"\n");
    assert_eq!(twice, ["3:10: not TOML: duplicate key"]);
}
