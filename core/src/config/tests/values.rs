//! What a faultless file becomes.

use std::{path::Path, time::Duration};

use serde_json::json;
use tahr_plugin_api::TableName;

use super::*;

#[test]
fn everything_left_out_has_its_documented_default() {
    let config = parse(SMALLEST).unwrap();
    assert_eq!(
        config.engine,
        Engine {
            name: "tahr".into(),
            state_dir: "etc/tahr-state".into(),
            plugin_dirs: vec![
                "/opt/tahr/bin".into(),
                "/opt/tahr/bin/../lib/tahr/plugins".into()
            ],
            memory: 64 << 20,
        }
    );
    assert_eq!(
        config.sources["shop"],
        Source {
            url: "postgres://tahr:secret-pw@db1/shop".into(),
            publication: None,
            slot: None,
            redo: Duration::from_secs(10),
            slot_timeout: Duration::from_secs(60),
            max_row_bytes: 64 << 20,
            log_limit: 10 << 30,
            on_log_limit: OnLogLimit::Hold,
        }
    );
    let target = Target {
        plugin: "redis".into(),
        options: serde_json::Map::new(),
        sha256: None,
    };
    assert_eq!(config.targets["cache"], target);
    let sync = &config.syncs["shop"];
    assert_eq!(
        (&sync.sources[..], &sync.targets[..]),
        (&["shop".into()][..], &["cache".into()][..])
    );
    assert_eq!(
        (sync.max_batch_rows, sync.max_batch_bytes),
        (10_000, 4 << 20)
    );
    assert_eq!((sync.max_delay, sync.copy_workers), (Duration::ZERO, 2));
    assert_eq!((sync.existing, sync.on_gap), (Existing::Refuse, None));
    assert_eq!(
        (sync.on_rejected, sync.rejected_limit),
        (OnRejected::Park, 1000)
    );
    assert!(sync.tables_rules.is_empty());
    assert!(sync.selects(&TableName::new("public", "t")));
    assert!(!sync.selects(&TableName::new("public", "audit_1")));
    assert_eq!(config.path, Path::new("etc/tahr.toml"));
}

#[test]
fn every_key_can_be_set() {
    let config = parse(
        r#"
        [engine]
        name = "night"
        state_dir = "/var/lib/tahr"
        plugin_dirs = ["plugins", "/opt/plugins"]
        memory = "1GiB"

        [sources.a]
        url = "postgres://a"
        publication = "Their Publication"
        slot = "their_slot"
        redo = "1m"
        slot_timeout = 5
        max_row_bytes = 1_048_576
        log_limit = "2GiB"
        on_log_limit = "park"
        capture = "wal"

        [targets.b]
        plugin = "sqlite"
        options = { path = "${PW}", deep = { list = [1, -2.5, true, "$$"], day = 2024-01-31 }, none = "" }
        sha256 = "0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789"

        [syncs.s]
        sources = ["a"]
        targets = ["b"]
        tables = ["*.*"]
        max_batch_rows = 1
        max_batch_bytes = "64KiB"
        max_delay_ms = 250
        copy_workers = 0x8
        existing = "replace"
        on_gap = "resync"
        on_rejected = "set_aside"
        rejected_limit = 5

        [syncs.s.table."sales.orders"]
        rename = "orders_copy"
        exclude = ["note"]

        [syncs.s.table.customers]
        rename = 'crm."The Clients"'
        "#,
    )
    .unwrap();
    assert_eq!(config.engine.name, "night");
    assert_eq!(config.engine.state_dir, Path::new("/var/lib/tahr"));
    assert_eq!(
        config.engine.plugin_dirs,
        [Path::new("etc/plugins"), Path::new("/opt/plugins")]
    );
    assert_eq!(config.engine.memory, 1 << 30);
    let source = &config.sources["a"];
    assert_eq!(source.publication.as_deref(), Some("Their Publication"));
    assert_eq!(source.slot.as_deref(), Some("their_slot"));
    assert_eq!(
        (source.redo, source.slot_timeout),
        (Duration::from_secs(60), Duration::from_secs(5))
    );
    assert_eq!(source.max_row_bytes, 1 << 20);
    assert_eq!(
        (source.log_limit, source.on_log_limit),
        (2 << 30, OnLogLimit::Park)
    );
    let target = &config.targets["b"];
    assert!(
        target.sha256.as_deref().unwrap().contains("abcdefabcdef"),
        "in lower case"
    );
    assert_eq!(
        serde_json::Value::Object(target.options.clone()),
        json!({
            "path": "p$w\"\nname = \"injected\"",
            "deep": { "list": [1, -2.5, true, "$"], "day": "2024-01-31" },
            "none": "",
        })
    );
    let sync = &config.syncs["s"];
    assert_eq!((sync.max_batch_rows, sync.max_batch_bytes), (1, 64 << 10));
    assert_eq!(
        (sync.max_delay, sync.copy_workers),
        (Duration::from_millis(250), 8)
    );
    assert_eq!(
        (sync.existing, sync.on_gap),
        (Existing::Replace, Some(OnGap::Resync))
    );
    assert_eq!(
        (sync.on_rejected, sync.rejected_limit),
        (OnRejected::SetAside, 5)
    );
    assert_eq!(
        sync.tables_rules[&TableName::new("sales", "orders")],
        TableRule {
            conflict: None,
            rename: Some(TableName::new("sales", "orders_copy")),
            exclude: vec!["note".into()],
        },
        "a bare new name keeps the schema"
    );
    assert_eq!(
        sync.tables_rules[&TableName::new("public", "customers")].rename,
        Some(TableName::new("crm", "The Clients"))
    );
}

#[test]
fn the_example_in_the_documentation_is_a_config() {
    let docs = include_str!("../../../../docs/config.md");
    let example = docs
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let lookup = |name: &str| (name == "PG_PASSWORD").then(|| "pw".to_owned());
    let config = Config::parse(Path::new("tahr.toml"), example, &lookup).unwrap();
    assert_eq!(config.syncs.len(), 1);
}

#[test]
fn every_key_is_in_the_documentation() {
    let docs = include_str!("../../../../docs/config.md");
    // The known keys as the faults list them: what the check knows, a person can look up.
    let text = "[engine]\nqqq = 1\n[sources.a]\nqqq = 1\n[targets.b]\nqqq = 1\n[syncs.c]\nqqq = 1\n\
                [syncs.c.table.t]\nqqq = 1\n";
    let shown = faults(text);
    let lists: Vec<_> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("hint: known keys: "))
        .collect();
    assert_eq!(lists.len(), 5, "{shown}");
    for key in lists
        .iter()
        .flat_map(|list| list.split(", "))
        .filter(|key| *key != "table")
    {
        assert!(
            docs.contains(&format!("| `{key}` |")),
            "docs/config.md lacks {key}"
        );
    }
}
