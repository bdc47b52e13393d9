//! `[syncs.NAME]` and its tables' rules.

use std::{collections::BTreeMap, time::Duration};

use tahr_plugin_api::{TableName, did_you_mean};

use super::{
    document::Section,
    masters::Conflict,
    masters_keys,
    model::{Existing, OnGap, OnRejected, Sync, TableRule},
    node::Node,
    pattern::{TablePattern, parse_table_name},
};

/// The longest `max_delay_ms`, an hour; more is surely a mistake.
const DELAY_LIMIT: u32 = 3_600_000;

/// The most sources that one sync may have.
const SOURCES_LIMIT: usize = 64;

const KEYS: [&str; 12] = [
    "sources",
    "targets",
    "tables",
    "table",
    "max_batch_rows",
    "max_batch_bytes",
    "max_delay_ms",
    "copy_workers",
    "existing",
    "on_gap",
    "on_rejected",
    "rejected_limit",
];

/// One sync; `sources` and `targets` are the names that the file declares.
pub(super) fn sync(section: &Section<'_>, sources: &[String], targets: &[String]) -> Option<Sync> {
    section.allow(&[&KEYS[..], &masters_keys::KEYS].concat(), &[]);
    let patterns = patterns(section);
    let sources = references(section, "sources", "source", sources);
    if let (Some(names), Some(node)) = (&sources, section.get("sources"))
        && names.len() > SOURCES_LIMIT
    {
        node.fault_hint(
            format!(
                "names {} sources, and a sync has at most {SOURCES_LIMIT}",
                names.len()
            ),
            "divide them into syncs that share one source each, as the branches of a tree",
        );
    }
    let rules = rules(section, patterns.as_deref(), sources.as_deref());
    // Several sources have each other.
    let is_optional = sources.as_ref().is_some_and(|names| names.len() > 1);
    let targets = match section.get("targets") {
        None if is_optional => Some(Vec::new()),
        Some(node) if is_optional && is_empty(&node) => Some(Vec::new()),
        _ => references(section, "targets", "target", targets),
    };
    let count = targets.as_ref().map_or(1, Vec::len);
    let masters = masters_keys::masters(section, sources.as_deref(), count);
    let number = |key, default, range| {
        section
            .get(key)
            .map_or(Some(default), |node: Node<'_>| node.number(range))
    };
    let max_batch_rows = number(
        "max_batch_rows",
        Sync::DEFAULT_MAX_BATCH_ROWS,
        1..10_000_001,
    );
    let max_delay_ms = number("max_delay_ms", 0, 0..DELAY_LIMIT + 1);
    let copy_workers = number("copy_workers", Sync::DEFAULT_COPY_WORKERS, 1..65);
    let max_batch_bytes = section
        .get("max_batch_bytes")
        .map_or(Some(Sync::DEFAULT_MAX_BATCH_BYTES), |node| {
            node.size(1 << 10)
        });
    let existing = section
        .get("existing")
        .map_or(Some(Existing::default()), |node| {
            node.choice(&[("refuse", Existing::Refuse), ("replace", Existing::Replace)])
        });
    let on_gap = section
        .get("on_gap")
        .and_then(|node| node.choice(&[("park", OnGap::Park), ("resync", OnGap::Resync)]));
    let on_rejected = section
        .get("on_rejected")
        .map_or(Some(OnRejected::default()), |node| {
            node.choice(&[
                ("park", OnRejected::Park),
                ("set_aside", OnRejected::SetAside),
            ])
        });
    let rejected_limit = number("rejected_limit", Sync::DEFAULT_REJECTED_LIMIT, 1..1_000_001);
    Some(Sync {
        sources: sources?,
        targets: targets?,
        tables: patterns?,
        tables_rules: rules,
        max_batch_rows: max_batch_rows?,
        max_batch_bytes: max_batch_bytes?,
        max_delay: Duration::from_millis(max_delay_ms?.into()),
        copy_workers: copy_workers?,
        existing: existing?,
        on_gap,
        on_rejected: on_rejected?,
        rejected_limit: rejected_limit?,
        masters: masters?,
    })
}

/// The names under `key`, each of which must be declared, and once.
fn references(
    section: &Section<'_>,
    key: &str,
    what: &str,
    declared: &[String],
) -> Option<Vec<String>> {
    let example = format!(
        "{key} = [\"{}\"]",
        declared.first().map_or("name", String::as_str)
    );
    let node = section.require(key, &example)?;
    if is_empty(&node) {
        node.fault_hint(format!("names no {what}"), example);
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    for (name, item) in node.texts(&format!("{what} names"))? {
        if !declared.contains(&name) {
            // Without any section there is one fault, and it is the file's.
            if declared.is_empty() {
                names.push(name);
                continue;
            }
            let hint = did_you_mean(&name, declared.iter().map(String::as_str));
            let hint =
                hint.or_else(|| Some(format!("the file has these {key}: {}", declared.join(", "))));
            let raw = item.value.as_str().unwrap_or_default();
            let message = format!("{}: unknown {what} {raw:?}", item.path);
            item.document.fault(item.at, message, hint);
        } else if names.contains(&name) {
            item.fault(format!("names {what} \"{name}\" twice"));
        }
        names.push(name);
    }
    Some(names)
}

fn is_empty(node: &Node<'_>) -> bool {
    node.value.as_array().is_some_and(|array| array.is_empty())
}

fn patterns(section: &Section<'_>) -> Option<Vec<TablePattern>> {
    let example = "tables = [\"public.*\", \"!public.audit_*\"]";
    let node = section.require("tables", example)?;
    let mut faulty = false;
    let mut patterns = Vec::new();
    let items = node.items("table patterns")?;
    for item in &items {
        match item.text().map(|text| TablePattern::parse(&text)) {
            Some(Ok(pattern)) => patterns.push(pattern),
            Some(Err(fault)) => {
                item.fault(format!("{} {fault}", item.found()));
                faulty = true;
            }
            None => faulty = true,
        }
    }
    if faulty {
        return None;
    }
    if patterns.iter().all(TablePattern::excludes) {
        let message = if patterns.is_empty() {
            "names no table"
        } else {
            "only excludes tables"
        };
        node.fault_hint(message, example);
        return None;
    }
    Some(patterns)
}

/// `[syncs.NAME.table.TABLE]`; `patterns` and `sources` are the sync's, if they are without fault.
fn rules(
    section: &Section<'_>,
    patterns: Option<&[TablePattern]>,
    sources: Option<&[String]>,
) -> BTreeMap<TableName, TableRule> {
    let mut rules = BTreeMap::new();
    let mut renamed: BTreeMap<TableName, TableName> = BTreeMap::new();
    for (key, rule) in section.named("table") {
        let fault = |message: String, hint: Option<&str>| {
            section
                .document
                .fault(rule.at, message, hint.map(str::to_owned));
        };
        let read = self::rule(&rule, sources);
        let name = match parse_table_name(&key) {
            Ok((schema, table)) => TableName::new(schema.unwrap_or("public".to_owned()), table),
            Err(error) => {
                let hint = "[syncs.NAME.table.\"public.customers\"]";
                fault(
                    format!("[{}]: table name {key:?} {error}", rule.path),
                    Some(hint),
                );
                continue;
            }
        };
        if patterns.is_some_and(|patterns| !TablePattern::select(patterns, &name)) {
            fault(
                format!(
                    "[{}]: {}.tables does not include {name}",
                    rule.path, section.path
                ),
                Some("add the table there, or remove this section"),
            );
        }
        let rename = read.rename.map(|(schema, table)| {
            TableName::new(schema.unwrap_or_else(|| name.schema.clone()), table)
        });
        if let Some(other) = rename
            .as_ref()
            .and_then(|target| renamed.insert(target.clone(), name.clone()))
            && other != name
        {
            fault(
                format!("[{}]: {other} has the same new name", rule.path),
                None,
            );
        }
        if rules
            .insert(
                name.clone(),
                TableRule {
                    rename,
                    exclude: read.exclude,
                    conflict: read.conflict,
                },
            )
            .is_some()
        {
            fault(format!("[{}]: {name} has two sections", rule.path), None);
        }
    }
    rules
}

/// A rule before the table's own name is known.
struct ReadRule {
    rename: Option<(Option<String>, String)>,
    exclude: Vec<String>,
    conflict: Option<Conflict>,
}

fn rule(section: &Section<'_>, sources: Option<&[String]>) -> ReadRule {
    section.allow(
        &["rename", "exclude", "conflict"],
        &[(
            "where",
            "remove it: rows can't be filtered yet, columns can with \"exclude\"",
        )],
    );
    let rename = section.get("rename").and_then(|node| {
        parse_table_name(&node.text()?)
            .map_err(|error| node.fault(format!("{} {error}", node.found())))
            .ok()
    });
    let exclude = section
        .get("exclude")
        .and_then(|node| node.texts("column names"));
    let exclude = exclude
        .unwrap_or_default()
        .into_iter()
        .map(|(column, _)| column)
        .collect();
    ReadRule {
        rename,
        exclude,
        conflict: masters_keys::of_table(section, sources),
    }
}
