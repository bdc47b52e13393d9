//! The keys of `[syncs.NAME]` that are for several sources, read into [`Masters`].

use tahr_plugin_api::did_you_mean;
use toml::de::DeValue;

use super::{
    document::Section,
    masters::{Conflict, Initial, Masters, Sequences},
    node::Node,
};
use crate::reconcile::TriggerEffects;

/// The keys of a sync that are for several sources.
pub(super) const KEYS: [&str; 5] = [
    "conflict",
    "trigger_effects",
    "initial",
    "sequences",
    "targets_follow",
];

const CONFLICTS: [(&str, Conflict); 5] = [
    ("latest", Conflict::Latest),
    ("earliest", Conflict::Earliest),
    ("latest_all_tables", Conflict::LatestAllTables),
    ("skip", Conflict::Skip),
    ("abort", Conflict::Abort),
];

/// The settings of a sync of `sources`, which has `targets` targets; none of a faulty one. With one
/// source each of these keys is a fault: nothing would come of it.
pub(super) fn masters(
    section: &Section<'_>,
    sources: Option<&[String]>,
    targets: usize,
) -> Option<Masters> {
    if sources.is_some_and(|sources| sources.len() < 2) {
        KEYS.iter().for_each(|key| refuse(section, key));
        return Some(Masters::default());
    }
    let or = |node: Option<Node<'_>>| {
        node.map_or(Some(Conflict::default()), |node| conflict(&node, sources))
    };
    let strategy = or(section.get("conflict"));
    let trigger_effects = choice(
        section,
        "trigger_effects",
        &[
            ("park", TriggerEffects::Park),
            ("local", TriggerEffects::Local),
            ("ignore", TriggerEffects::Ignore),
        ],
    );
    let initial = choice(
        section,
        "initial",
        &[
            ("require_equal", Initial::RequireEqual),
            ("first_source", Initial::FirstSource),
            ("merge", Initial::Merge),
        ],
    );
    let sequences = choice(
        section,
        "sequences",
        &[
            ("interleave", Sequences::Interleave),
            ("max", Sequences::Max),
            ("leave", Sequences::Leave),
        ],
    );
    let targets_follow = section
        .get("targets_follow")
        .map(|node| followed(&node, sources, targets));
    Some(Masters {
        conflict: strategy?,
        trigger_effects: trigger_effects?,
        initial: initial?,
        sequences: sequences?,
        targets_follow: match targets_follow {
            Some(name) => Some(name?),
            None => None,
        },
    })
}

/// `conflict` of a table of a sync of `sources`.
pub(super) fn of_table(section: &Section<'_>, sources: Option<&[String]>) -> Option<Conflict> {
    if sources.is_some_and(|sources| sources.len() < 2) {
        refuse(section, "conflict");
        return None;
    }
    conflict(&section.get("conflict")?, sources)
}

fn refuse(section: &Section<'_>, key: &str) {
    if let Some(node) = section.get(key) {
        node.fault_hint(
            "is for syncs of several sources, and this one has one",
            "remove it, or name the sources that replicate to each other: sources = [\"a\", \"b\"]",
        );
    }
}

fn choice<T: Copy + Default>(section: &Section<'_>, key: &str, choices: &[(&str, T)]) -> Option<T> {
    let node = section.get(key);
    node.map_or_else(|| Some(T::default()), |node| node.choice(choices))
}

/// A strategy: a word, a list of sources, or a file of Lua.
fn conflict(node: &Node<'_>, sources: Option<&[String]>) -> Option<Conflict> {
    match node.value {
        DeValue::String(_) => word(node, sources),
        DeValue::Array(_) => order(node, sources),
        DeValue::Table(_) => lua(node),
        _ => node.wrong_type(
            "a strategy such as \"latest\", a list of sources, or { lua = \"file.lua\" }",
        ),
    }
}

fn word(node: &Node<'_>, sources: Option<&[String]>) -> Option<Conflict> {
    let text = node.text()?;
    if let Some((_, found)) = CONFLICTS.into_iter().find(|(word, _)| *word == text) {
        return Some(found);
    }
    let words = CONFLICTS.map(|(word, _)| word);
    let is_source = sources.is_some_and(|sources| sources.contains(&text));
    let hint = if is_source {
        format!("to prefer a source: conflict = [\"{text}\"]")
    } else if text.to_lowercase().contains("lua") {
        "for a file of Lua: conflict = { lua = \"file.lua\" }".to_owned()
    } else {
        did_you_mean(&text, words)
            .unwrap_or_else(|| format!("the strategies: {}", words.join(", ")))
    };
    node.fault_hint(format!("unknown strategy, {}", node.found()), hint);
    None
}

/// Sources in order of preference, each of which takes part, and once.
fn order(node: &Node<'_>, sources: Option<&[String]>) -> Option<Conflict> {
    let mut names: Vec<String> = Vec::new();
    for (name, item) in node.texts("source names")? {
        if let Some(sources) = sources
            && !sources.contains(&name)
        {
            unknown_source(&item, &name, sources);
        } else if names.contains(&name) {
            item.fault(format!("names source \"{name}\" twice"));
        }
        names.push(name);
    }
    if names.is_empty() {
        node.fault_hint(
            "names no source",
            "list sources in order of preference, or: conflict = \"latest\"",
        );
        return None;
    }
    Some(Conflict::Sources(names))
}

fn unknown_source(node: &Node<'_>, name: &str, sources: &[String]) {
    let hint = did_you_mean(name, sources.iter().map(String::as_str))
        .unwrap_or_else(|| format!("its sources: {}", sources.join(", ")));
    let raw = node.value.as_str().unwrap_or_default();
    node.fault_hint(format!("{raw:?} is no source of this sync"), hint);
}

/// `{ lua = "file.lua" }`.
fn lua(node: &Node<'_>) -> Option<Conflict> {
    let section = node.section()?;
    section.allow(&["lua"], &[]);
    let node = section.require("lua", "conflict = { lua = \"file.lua\" }")?;
    let name = node.text()?;
    let path = node.document.folder().join(name);
    let shown = path.display();
    let hint = "the path is absolute or relative to the config file";
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(found) if found.is_file() => Some(Conflict::Lua(path)),
        Ok(_) => {
            node.fault_hint(format!("{shown} is no file"), hint);
            None
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            node.fault_hint(format!("file {shown} does not exist"), hint);
            None
        }
        Err(error) => {
            node.fault_hint(
                format!("file {shown} is not readable: {error}"),
                "the engine's user must be able to read it",
            );
            None
        }
    }
}

fn followed(node: &Node<'_>, sources: Option<&[String]>, targets: usize) -> Option<String> {
    let name = node.text()?;
    if let Some(sources) = sources
        && !sources.contains(&name)
    {
        unknown_source(node, &name, sources);
    } else if targets == 0 {
        node.fault_hint(
            "says whose changes the targets get, and the sync has no targets",
            "remove it, or name targets: targets = [\"copy\"]",
        );
    }
    Some(name)
}
