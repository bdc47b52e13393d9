//! The documentation shows this very plugin.

const PLUGIN: &str = include_str!("../src/lib.rs");
const GUIDE: &str = include_str!("../../../docs/writing-a-plugin.md");

#[test]
fn the_documentation_of_the_plugin_api_shows_this_plugin() {
    let shown = include_str!("../../../plugin-api/doc/jsonl.rs");
    let copy = "cp plugins/jsonl/src/lib.rs plugin-api/doc/jsonl.rs";
    assert!(shown == PLUGIN, "{copy}");
}

#[test]
fn the_guide_shows_this_plugin_and_its_test() {
    for (path, text) in [
        ("src/lib.rs", PLUGIN),
        ("tests/conformance.rs", include_str!("conformance.rs")),
    ] {
        let shown = format!("**`{path}`**\n\n```rust\n{text}```\n");
        assert!(
            GUIDE.contains(&shown),
            "docs/writing-a-plugin.md has another {path}"
        );
    }
}

#[test]
fn the_plugin_stays_below_a_hundred_lines_of_code() {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let lines = PLUGIN.lines().filter(is_code).count();
    assert!(lines < 100, "{lines} lines");
}
