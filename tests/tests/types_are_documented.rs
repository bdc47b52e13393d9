//! `docs/types.md` holds the rules of every plugin, word for word as the plugin itself states them.
//!
//! What stands between `<!-- rules: NAME -->` and `<!-- end -->` is made here; all else in the file
//! is written by people. `make docs` writes it anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tahr::plugin::{Pins, Registry};
use tahr_plugin_api::{Rule, RuleTable};
use tahr_tests::build_folder;

/// The plugins of this repository. Others may lie in the build folder, of tests or of another time.
const OURS: &[&str] = &[
    "postgres", "mysql", "sqlite", "oracle", "mongodb", "redis", "jsonl",
];

/// Has the file written instead of compared.
const WRITE: &str = "TAHR_WRITE_DOCS";

/// What a column of a table shows of a rule.
type Cell = fn(&Rule) -> &str;

const END: &str = "<!-- end -->";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/types.md")
}

fn begin(name: &str) -> String {
    format!("<!-- rules: {name} -->")
}

/// A plugin's tables in Markdown.
fn render(tables: &[RuleTable]) -> String {
    let mut text = String::new();
    for table in tables {
        if !table.setting.is_empty() {
            let _infallible = writeln!(text, "\n**{}**", table.setting);
        }
        let groups = table.groups();
        let mut columns: Vec<(&str, Cell)> = vec![("stored as", |rule| &rule.target)];
        if groups.iter().any(|(_, rule)| !rule.form.is_empty()) {
            columns.push(("form", |rule| &rule.form));
        }
        if groups.iter().any(|(_, rule)| !rule.except.is_empty()) {
            columns.push(("except", |rule| &rule.except));
        }
        let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
        let _infallible = writeln!(
            text,
            "\n| PostgreSQL | {} |\n|---|{}",
            heads.join(" | "),
            "---|".repeat(heads.len())
        );
        for (types, rule) in &groups {
            let types: Vec<String> = types.iter().map(|name| format!("`{name}`")).collect();
            let types = match groups.len() {
                1 => "every type".to_owned(),
                _ => types.join(", "),
            };
            let _infallible = write!(text, "| {types} |");
            for (_, cell) in &columns {
                let _infallible = match cell(rule) {
                    "" => write!(text, " |"),
                    cell => write!(text, " {cell} |"),
                };
            }
            text.push('\n');
        }
    }
    text
}

/// The file with `tables` as the rules of the plugin `name`; none where it has no place for them.
fn with(document: &str, name: &str, tables: &[RuleTable]) -> Option<String> {
    let begin = begin(name);
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(END)?;
    let rules = render(tables);
    Some(format!("{before}{begin}\n{rules}\n{END}{after}"))
}

#[test]
fn the_documentation_of_types_is_what_the_plugins_say() {
    let found = std::fs::read_to_string(file()).expect("read docs/types.md");
    let registry = Registry::scan(&[build_folder()], &Pins::default());
    let mut expected = found.clone();
    for name in OURS {
        let rules = registry.get(name).map(|plugin| &plugin.description.rules);
        match rules {
            Ok(rules) if !rules.is_empty() => {
                expected = with(&expected, name, rules).unwrap_or_else(|| {
                    panic!(
                        "docs/types.md has no place for the rules of {name}; put these lines where \
                         they belong:\n{}\n{END}\nand run `make docs`",
                        begin(name)
                    )
                });
            }
            // A crate that is no plugin yet, or one that has no types.
            _ => assert!(
                !found.contains(&begin(name)),
                "plugin {name} is documented and not built, or it states no rules; run \
                 `cargo build --workspace` first"
            ),
        }
    }
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(file(), &expected).expect("write docs/types.md");
        return;
    }
    let lines = found.lines().zip(expected.lines()).enumerate();
    let mut differing = lines.filter(|(_, (found, expected))| found != expected);
    if let Some((number, (found, expected))) = differing.next() {
        panic!(
            "docs/types.md is stale from line {} on; run `make docs`\n- {found}\n+ {expected}",
            number + 1
        );
    }
    assert_eq!(found, expected, "docs/types.md is stale; run `make docs`");
}

#[test]
fn every_plugin_that_holds_columns_states_its_rules() {
    let registry = Registry::scan(&[build_folder()], &Pins::default());
    for name in ["postgres", "sqlite", "redis"] {
        let plugin = registry
            .get(name)
            .expect("built: run `cargo build --workspace` first");
        assert!(!plugin.description.rules.is_empty(), "{name}");
    }
}

#[test]
fn equal_rules_share_a_row_and_empty_columns_are_left_out() {
    let table = RuleTable {
        setting: "format = \"x\"".to_owned(),
        rules: [("integer", "INT"), ("bigint", "INT"), ("text", "text")]
            .map(|(name, target)| (name.to_owned(), Rule::exact(target)))
            .into(),
    };
    assert_eq!(
        render(&[table]),
        "\n**format = \"x\"**\n\n| PostgreSQL | stored as |\n|---|---|\n\
         | `text` | text |\n| `integer`, `bigint` | INT |\n"
    );
}
