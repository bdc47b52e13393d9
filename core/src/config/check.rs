//! The file's sections, checked and turned into the model; [`sync`] does the syncs.

use std::{collections::BTreeMap, path::PathBuf};

use tahr_plugin_api::nearest;

use super::{
    document::Section,
    model::{Config, Engine, OnLogLimit, Source, Target},
    node::Node,
    options::{self, Schemas},
    sync, toml_value,
};

/// The longest name of an engine, source, target or sync: `tahr_<engine>_<source>` has to fit
/// PostgreSQL's 63 bytes, with room for a suffix.
pub(crate) const NAME_LIMIT: usize = 24;
/// PostgreSQL's limit of a name.
const IDENTIFIER_LIMIT: usize = 63;

const SECTIONS: &[&str] = &["engine", "sources", "targets", "syncs"];

/// The config; `None` only where faults were recorded.
pub(super) fn config(
    root: Section<'_>,
    plugin_dirs: Vec<PathBuf>,
    schemas: Option<Schemas<'_>>,
) -> Option<Config> {
    root.allow(SECTIONS, &[]);
    let engine = root.get("engine");
    let engine = match engine {
        Some(node) => node
            .section()
            .and_then(|section| self::engine(&section, plugin_dirs)),
        None => Some(default_engine(&root, plugin_dirs)),
    };
    // Syncs may refer to a section that is itself faulty; that is no fault of theirs.
    let (source_names, target_names) = (root.names("sources"), root.names("targets"));
    let sources = each(&root, "sources", "source", source);
    let targets = each(&root, "targets", "target", target);
    let are_pinned = options::pins_are_read(&root, &targets);
    if let (Some(schemas), Some(engine), true) = (schemas, &engine, are_pinned) {
        options::check(&root, &schemas(&engine.plugin_dirs, &targets));
    }
    let syncs = each(&root, "syncs", "sync", |section| {
        sync::sync(section, &source_names, &target_names)
    });
    for (key, example) in [
        (
            "sources",
            "[sources.shop]\nurl = \"postgres://user@host/shop\"",
        ),
        ("targets", "[targets.cache]\nplugin = \"redis\""),
        (
            "syncs",
            "[syncs.shop]\nsources = [\"shop\"]\ntargets = [\"cache\"]\ntables = [\"public.*\"]",
        ),
    ] {
        // Where the section is misspelt or no table, that is the fault, and is recorded already.
        let is_recorded = root.get(key).is_some_and(|node| !node.value.is_table())
            || root.nodes().any(|(name, _)| {
                name != key && nearest(&name, SECTIONS.iter().copied()) == Some(key)
            });
        // Sources that have each other need no target.
        let is_optional = key == "targets" && has_masters_only(&root);
        if !is_recorded && !is_optional && root.names(key).is_empty() {
            root.document
                .fault_of_file(format!("no [{key}.NAME] section"), Some(example.into()));
        }
    }
    let path = root.document.path().to_owned();
    Some(Config {
        engine: engine?,
        sources,
        targets,
        syncs,
        path,
    })
}

/// Whether every sync of the file has several sources.
fn has_masters_only(root: &Section<'_>) -> bool {
    let syncs = root.get("syncs").and_then(|node| node.value.as_table());
    let has_several = |sync: &toml::de::DeValue<'_>| {
        let sources = sync.as_table().and_then(|sync| sync.get("sources"));
        let sources = sources.and_then(|sources| sources.get_ref().as_array());
        sources.is_some_and(|sources| sources.len() > 1)
    };
    syncs.is_some_and(|syncs| {
        !syncs.is_empty() && syncs.values().all(|sync| has_several(sync.get_ref()))
    })
}

/// The sections below `key`, their names checked.
fn each<T>(
    root: &Section<'_>,
    key: &str,
    what: &str,
    read: impl Fn(&Section<'_>) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut found = BTreeMap::new();
    for (name, section) in root.named(key) {
        if let Err(allowed) = check_name(&name) {
            let message = format!("{what} name {name:?} is not allowed: {allowed}");
            root.document
                .fault(section.at, message, name_hint(&name, key));
        }
        if let Some(value) = read(&section) {
            found.insert(name, value);
        }
    }
    found
}

fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if (1..=NAME_LIMIT).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(format!(
        "names are 1 to {NAME_LIMIT} characters of a-z, 0-9 and _"
    ))
}

fn name_hint(name: &str, key: &str) -> Option<String> {
    let near: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(NAME_LIMIT)
        .collect();
    (!near.is_empty()).then(|| format!("[{key}.{near}]"))
}

fn default_engine(root: &Section<'_>, plugin_dirs: Vec<PathBuf>) -> Engine {
    Engine {
        name: Engine::DEFAULT_NAME.to_owned(),
        state_dir: root.document.folder().join(Engine::DEFAULT_STATE_DIR),
        plugin_dirs,
        memory: Engine::DEFAULT_MEMORY,
    }
}

fn engine(section: &Section<'_>, plugin_dirs: Vec<PathBuf>) -> Option<Engine> {
    section.allow(
        &["name", "state_dir", "plugin_dirs", "memory"],
        &[(
            "listen",
            "remove it: `tahr status` shows what the engine does",
        )],
    );
    let mut engine = default_engine(section, plugin_dirs);
    let folder = section.document.folder();
    if let Some(node) = section.get("name") {
        engine.name = node.text()?;
        if let Err(allowed) = check_name(&engine.name) {
            node.fault(format!("{} is not allowed: {allowed}", node.found()));
        }
    }
    if let Some(path) = section.get("state_dir").and_then(|node| node.text()) {
        engine.state_dir = folder.join(path);
    }
    if let Some(paths) = section
        .get("plugin_dirs")
        .and_then(|node| node.texts("folders"))
    {
        engine.plugin_dirs = paths
            .into_iter()
            .map(|(path, _)| folder.join(path))
            .collect();
    }
    if let Some(memory) = section.get("memory").and_then(|node| node.size(1 << 20)) {
        engine.memory = memory;
    }
    Some(engine)
}

fn source(section: &Section<'_>) -> Option<Source> {
    section.allow(
        &[
            "url",
            "publication",
            "slot",
            "redo",
            "slot_timeout",
            "max_row_bytes",
            "log_limit",
            "on_log_limit",
            "capture",
        ],
        &[],
    );
    if let Some(node) = section.get("capture") {
        match node.text().as_deref() {
            Some("trigger") => node.fault_hint(
                "capture by triggers is not built yet",
                "set wal_level = logical on the source and remove this key",
            ),
            Some("wal") | None => {}
            Some(_) => node.fault(format!("expected \"wal\", found {}", node.found())),
        }
    }
    let or = |key, default| {
        section
            .get(key)
            .map_or(Some(default), |node: Node<'_>| node.duration())
    };
    let redo = or("redo", Source::DEFAULT_REDO);
    let slot_timeout = or("slot_timeout", Source::DEFAULT_SLOT_TIMEOUT);
    let max_row_bytes = section
        .get("max_row_bytes")
        .map_or(Some(Source::DEFAULT_MAX_ROW_BYTES), |node| {
            node.size(8 << 10)
        });
    let log_limit = section
        .get("log_limit")
        .map_or(Some(Source::DEFAULT_LOG_LIMIT), |node| node.size(1 << 20));
    let on_log_limit = section
        .get("on_log_limit")
        .map_or(Some(OnLogLimit::Hold), |node| {
            node.choice(&[("hold", OnLogLimit::Hold), ("park", OnLogLimit::Park)])
        });
    let publication = section.get("publication").and_then(|node| {
        let name = node.text()?;
        if name.len() > IDENTIFIER_LIMIT {
            node.fault(format!(
                "is longer than PostgreSQL's {IDENTIFIER_LIMIT} bytes"
            ));
        }
        Some(name)
    });
    let slot = section.get("slot").and_then(|node| {
        let name = node.text()?;
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.len() > IDENTIFIER_LIMIT || !name.chars().all(allowed) {
            node.fault(format!(
                "{} is no slot name: 1 to {IDENTIFIER_LIMIT} characters of a-z, 0-9 and _",
                node.found()
            ));
        }
        Some(name)
    });
    let url = section
        .require("url", "url = \"postgres://user:${PASSWORD}@host/database\"")
        .and_then(|node| node.text());
    Some(Source {
        url: url?,
        publication,
        slot,
        redo: redo?,
        slot_timeout: slot_timeout?,
        max_row_bytes: max_row_bytes?,
        log_limit: log_limit?,
        on_log_limit: on_log_limit?,
    })
}

fn target(section: &Section<'_>) -> Option<Target> {
    section.allow(&["plugin", "options", "sha256"], &[]);
    let plugin = section
        .require(
            "plugin",
            "plugin = \"redis\"\n`tahr plugins` lists the plugins there are",
        )
        .and_then(|node| {
            let name = node.text()?;
            let allowed =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
            if !name.chars().all(allowed) {
                node.fault_hint(
                    format!("{} is no plugin name", node.found()),
                    "give its name, such as \"redis\"; engine.plugin_dirs says where files are",
                );
            }
            Some(name)
        });
    let options = section.get("options").and_then(|node| node.section());
    let options = options
        .map(|section| toml_value::options(&section))
        .unwrap_or_default();
    let sha256 = section.get("sha256").and_then(|node| {
        let digits = node.text()?.to_ascii_lowercase();
        if digits.len() != 64 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            node.fault_hint(
                format!("expected 64 hexadecimal digits, found {}", node.found()),
                "sha256sum libtahr_NAME.so",
            );
        }
        Some(digits)
    });
    Some(Target {
        plugin: plugin?,
        options,
        sha256,
    })
}
