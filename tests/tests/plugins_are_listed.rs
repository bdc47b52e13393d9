//! `tahr plugins` lists what can be used and says of everything else why not.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use tahr_tests::{Engine, build_folder};

const CONFIG: &str = "[sources.shop]\nurl = \"postgres://nobody@127.0.0.1:1/nothing\"\n\
    [targets.copy]\nplugin = \"sqlite\"\noptions = { path = \"copy.db\" }\n\
    [syncs.shop]\nsources = [\"shop\"]\ntargets = [\"copy\"]\ntables = [\"public.*\"]\n";

/// An engine whose only plugin folder is `plugins` beside its config.
fn engine(config: &str) -> (Engine, PathBuf) {
    let engine = Engine::builder()
        .setting("plugin_dirs = [\"plugins\"]")
        .config(config)
        .build();
    let folder = engine.folder().join("plugins");
    fs::create_dir(&folder).expect("make the plugin folder");
    (engine, folder)
}

fn built(name: &str) -> PathBuf {
    let path = build_folder().join(name);
    assert!(
        path.exists(),
        "{}: run `cargo build --workspace` first",
        path.display()
    );
    path
}

/// A library that is loaded into every Rust program and is no plugin.
fn foreign_library() -> PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").expect("the libraries of this process");
    let mut paths = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    let path = paths.find(|path| path.contains("/libgcc_s.so"));
    path.expect("libgcc_s, which unwinds panics").into()
}

#[test]
fn what_is_no_plugin_costs_one_line_and_the_others_load() {
    let (engine, folder) = engine(CONFIG);
    fs::copy(built("libtahr_sqlite.so"), folder.join("libtahr_sqlite.so")).expect("copy a plugin");
    fs::write(folder.join("libtahr_text.so"), "not a library").expect("write a file");
    fs::copy(foreign_library(), folder.join("libtahr_foreign.so")).expect("copy a library");
    let open = folder.join("libtahr_redis.so");
    fs::copy(built("libtahr_redis.so"), &open).expect("copy a plugin");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).expect("open it to all");

    let listed = engine.tahr(&["plugins"]);
    listed.assert_success();
    let lines: Vec<&str> = listed.stdout.lines().collect();
    let about = |name: &str| -> Vec<&str> {
        lines
            .iter()
            .copied()
            .filter(|line| line.contains(name))
            .collect()
    };
    let [sqlite] = about("libtahr_sqlite.so")[..] else {
        panic!("{}", listed.stdout)
    };
    assert!(sqlite.starts_with("sqlite "), "{sqlite}");
    for (name, why) in [
        ("libtahr_text.so", "can't be loaded"),
        ("libtahr_foreign.so", "is not a tahr plugin"),
        ("libtahr_redis.so: ", "can be written by others"),
    ] {
        let [line] = about(name)[..] else {
            panic!("{name}: {}", listed.stdout)
        };
        assert!(
            line.starts_with("refused: ") && line.contains(why),
            "{line}"
        );
    }
    assert_eq!(about("hint: chmod go-w").len(), 1, "{}", listed.stdout);

    let described = engine.tahr(&["plugins", "describe", "redis"]);
    described.assert_code(2);
    assert!(
        described.stderr.contains("can be written by others"),
        "{}",
        described.stderr
    );
}

#[test]
fn a_missing_plugin_is_named_with_the_folders_searched() {
    let (engine, folder) = engine(CONFIG);
    for command in [&["run", "--once"][..], &["check"]] {
        let finished = engine.tahr(command);
        finished.assert_code(2);
        let expected = [
            "plugin \"sqlite\" is not in any plugin folder",
            &folder.file_name().expect("a name").to_string_lossy(),
            "put libtahr_sqlite.so there, or set `plugin_dirs`",
        ]
        .map(str::to_owned);
        for expected in expected {
            assert!(
                finished.stderr.contains(&expected),
                "{expected}: {}",
                finished.stderr
            );
        }
    }
}

#[test]
fn a_plugin_other_than_the_pinned_one_is_refused() {
    let pin = "0".repeat(64);
    let config = CONFIG.replace(
        "plugin = \"sqlite\"",
        &format!("plugin = \"sqlite\"\nsha256 = \"{pin}\""),
    );
    let (engine, folder) = engine(&config);
    fs::copy(built("libtahr_sqlite.so"), folder.join("libtahr_sqlite.so")).expect("copy a plugin");
    for command in [&["run", "--once"][..], &["check"]] {
        let finished = engine.tahr(command);
        finished.assert_code(2);
        assert!(
            finished.stderr.contains("is not the one that was pinned"),
            "{}",
            finished.stderr
        );
    }
    // Its real hash is in the list, short.
    let listed = engine.tahr(&["plugins"]).stdout;
    let hint = engine.tahr(&["run", "--once"]).stderr;
    let full = hint
        .split("its sha256 is ")
        .nth(1)
        .expect("the hash in the hint");
    assert!(listed.contains(&full[..12]), "{listed}");
}

#[test]
fn describe_shows_every_option_with_its_type_and_default() {
    let (engine, folder) = engine(CONFIG);
    fs::copy(built("libtahr_sqlite.so"), folder.join("libtahr_sqlite.so")).expect("copy a plugin");
    let described = engine.tahr(&["plugins", "describe", "sqlite"]);
    described.assert_success();
    // The columns of the rules are as wide as they need to be.
    let words: Vec<&str> = described.stdout.split_whitespace().collect();
    let shown = words.join(" ");
    for expected in [
        "path: string, required",
        "The database file.",
        "create_tables: boolean, default true",
        "synchronous: \"full\" or \"normal\" or \"off\", default \"full\"",
        "takes tables without a key",
        "real, double precision REAL the number, Infinity included; NaN",
    ] {
        assert!(shown.contains(expected), "{expected}: {}", described.stdout);
    }
    let unknown = engine.tahr(&["plugins", "describe", "sqlit"]);
    unknown.assert_code(2);
    assert!(
        unknown.stderr.contains("did you mean \"sqlite\"?"),
        "{}",
        unknown.stderr
    );
}
