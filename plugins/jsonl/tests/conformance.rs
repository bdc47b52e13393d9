//! The conformance suite on real files.

mod folder;

use folder::Folder;
use serde_json::{Value, json};
use tahr_jsonl::JsonLines;
use tahr_plugin_api::{
    Column, Relation, Simple,
    testing::{Row, Subject, conformance},
};

struct Files(Folder);

impl Subject for Files {
    fn fresh(&mut self) -> Value {
        self.0.next();
        json!({ "folder": self.0.path() })
    }

    fn rows(&mut self, relation: &Relation) -> Vec<Row> {
        self.0.rows(relation)
    }

    fn reads_back(&self, column: &Column, value: &str) -> Option<String> {
        // The documented rule.
        Some(match column.type_name.as_str() {
            "json" => value.replace('\n', " "),
            _ => value.to_owned(),
        })
    }

    fn has_bookkeeping(&mut self) -> bool {
        self.0.file("state").exists() || self.0.file("new").exists()
    }
}

#[test]
fn a_folder_of_lines_keeps_every_promise_of_a_writer() {
    let report = conformance::run::<Simple<JsonLines>>(&mut Files(Folder::new()));
    let skipped = report.skipped.iter().map(|(case, _)| case.as_str());
    assert_eq!(
        skipped.collect::<Vec<_>>(),
        [
            // Nothing in a file could refuse a line.
            "an error in the middle stores nothing",
            "the lane goes on after an error",
            "an error in a part stores nothing of it",
            // Nor are there rows of others, or loaders.
            "a fresh copy refuses rows of others",
            "a copy runs beside the stream",
        ]
    );
}

#[test]
fn the_documentation_of_the_plugin_api_and_the_guide_show_this_very_plugin() {
    let plugin = include_str!("../src/lib.rs");
    assert_eq!(
        include_str!("../../../plugin-api/doc/jsonl.rs"),
        plugin,
        "cp plugins/jsonl/src/lib.rs plugin-api/doc/jsonl.rs"
    );
    let guide = include_str!("../../../docs/writing-a-plugin.md");
    assert!(
        guide.contains(&format!("```rust\n{plugin}```")),
        "docs/writing-a-plugin.md shows another plugin"
    );
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let lines = plugin.lines().filter(is_code).count();
    assert!(lines < 100, "{lines} lines are too many to be read at once");
}
