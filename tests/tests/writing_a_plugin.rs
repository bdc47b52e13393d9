//! `docs/writing-a-plugin.md`, followed to the letter: what it shows builds outside of this
//! repository, is found, and replicates. (Its conformance test is that of `plugins/jsonl`, which runs
//! there.)

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tahr_tests::{Engine, Postgres, Run};

const GUIDE: &str = include_str!("../../docs/writing-a-plugin.md");

/// The guide's block of the file `path`.
fn block(path: &str) -> &'static str {
    let shown = GUIDE.split_once(&format!("**`{path}`**\n\n```"));
    let rest = shown
        .unwrap_or_else(|| panic!("the guide shows no {path}"))
        .1;
    let (_language, rest) = rest.split_once('\n').expect("a block");
    rest.split_once("```\n").expect("the end of a block").0
}

fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the repository").to_owned()
}

/// The guide's crate, in a folder of its own.
fn write_crate() -> PathBuf {
    let folder = Run::current().make_folder("crate");
    for path in ["Cargo.toml", "src/lib.rs", "tests/conformance.rs"] {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("make a folder");
        fs::write(file, block(path)).expect("write a file of the guide");
    }
    // As the guide says for a checkout; and a lock file, since nothing is fetched here.
    let repository = repository();
    let plugin_api = repository.join("plugin-api");
    let patch = format!(
        "{}\n[patch.crates-io]\ntahr-plugin-api = {{ path = '{}' }}\n",
        block("Cargo.toml"),
        plugin_api.display()
    );
    fs::write(folder.join("Cargo.toml"), patch).expect("write the manifest");
    fs::copy(repository.join("Cargo.lock"), folder.join("Cargo.lock")).expect("copy the lock file");
    folder
}

/// Builds the crate; returns the plugin. Its dependencies stay in the build folder: the first time
/// takes about 20 seconds, and the next ones a few.
fn build(folder: &Path) -> PathBuf {
    let test = std::env::current_exe().expect("path of the test executable");
    let target = test.ancestors().nth(3).expect("the build folder");
    let target = target.join("guide");
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(["build", "--offline"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env_remove("RUSTFLAGS")
        .output()
        .expect("run cargo");
    assert!(
        output.status.success(),
        "cargo build: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    target.join("debug").join("libtahr_jsonl.so")
}

/// The lines that count, each as its operation, its ID and its price.
fn lines(folder: &Path) -> Vec<String> {
    let state = fs::read_to_string(folder.join("s.src.state")).expect("the state");
    let bytes: usize = state
        .lines()
        .next()
        .and_then(|line| line.parse().ok())
        .expect("a number");
    let lines = fs::read(folder.join("s.src.jsonl")).expect("the lines");
    let text = String::from_utf8(lines[..bytes].to_vec()).expect("UTF-8");
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let op = line["op"].as_str().unwrap_or_default();
        format!("{op} {} {}", line["key"]["id"], line["new"]["name"])
    };
    text.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_makes_a_plugin_that_is_found_and_replicates() {
    let source = Postgres::shared().database().await;
    source
        .execute(
            "CREATE TABLE items (id int PRIMARY KEY, name text);
             INSERT INTO items VALUES (1, 'nut'), (2, 'bolt')",
        )
        .await;
    let (engine_part, target) = block("tahr.toml")
        .split_once("[targets.")
        .expect("a target");
    let setting = engine_part.trim_start_matches("[engine]").trim();
    let config = format!(
        "[sources.src]\nurl = '{}'\n[targets.{target}\
         [syncs.s]\nsources = ['src']\ntargets = ['lines']\ntables = ['public.*']\n",
        source.url()
    );
    let engine = Engine::builder().setting(setting).config(config).build();
    let plugins = engine.folder().join("plugins");
    let mut folder = fs::DirBuilder::new();
    folder
        .mode(0o755)
        .create(&plugins)
        .expect("make the plugin folder");
    let lines_folder = engine.folder().join("lines");
    fs::create_dir(&lines_folder).expect("make the target's folder");

    let written = write_crate();
    let plugin = build(&written);
    fs::copy(plugin, plugins.join("libtahr_jsonl.so")).expect("copy the plugin");

    let listed = engine.tahr(&["plugins"]);
    listed.assert_success();
    assert!(listed.stdout.contains("\njsonl "), "{}", listed.stdout);
    let described = engine.tahr(&["plugins", "describe", "jsonl"]);
    described.assert_success();
    for expected in [
        "folder: string, required",
        "The folder for the files.",
        "\\x and hexadecimal",
    ] {
        assert!(
            described.stdout.contains(expected),
            "{expected}: {}",
            described.stdout
        );
    }
    let sha256 = described
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("sha256  "));
    let sha256 = sha256.expect("the SHA-256");
    assert_eq!(sha256.len(), 64, "{sha256}");
    let pin = format!("plugin  = \"jsonl\"\nsha256 = \"{sha256}\"\n");
    engine.write_config(&engine.config().replace("plugin  = \"jsonl\"\n", &pin));

    engine.run_once();
    let copied = lines(&lines_folder);
    assert_eq!(copied[0], "truncate null null");
    let mut rows = copied[1..].to_vec();
    rows.sort();
    assert_eq!(rows, ["insert 1 \"nut\"", "insert 2 \"bolt\""]);
    source
        .execute(
            "UPDATE items SET name = 'wing nut' WHERE id = 1;
             DELETE FROM items WHERE id = 2;
             INSERT INTO items VALUES (3, NULL)",
        )
        .await;
    engine.run_once();
    assert_eq!(
        lines(&lines_folder)[3..],
        ["update 1 \"wing nut\"", "delete 2 null", "insert 3 null"]
    );
    engine.tahr(&["drop", "--yes"]);
}
