//! Syncs that form a ring.
//!
//! A change goes from sync to sync where they have a source in common, which is fine as long as it
//! has one way to each source: the syncs of a table form a tree. In a ring it would come by two ways
//! and meet itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tahr_plugin_api::TableName;

use crate::{Error, config::Config};

/// A way around: each sync with the source by which it is left, which the next one has too.
type Ring<'a> = Vec<(&'a str, &'a str)>;

/// An error for each ring that the sync `name` is part of with some of its `tables`. Syncs of other
/// tables may have the same sources.
#[must_use]
pub fn rings(config: &Config, name: &str, tables: &BTreeSet<TableName>) -> Vec<Error> {
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for table in tables {
        for ring in of_table(config, name, table) {
            if seen.insert(ring.clone()) {
                errors.push(describe(&ring, table));
            }
        }
    }
    errors
}

/// The shortest ring for each pair of the sync's sources that are connected without it, too.
fn of_table<'a>(config: &'a Config, name: &'a str, table: &TableName) -> BTreeSet<Ring<'a>> {
    let syncs = config.syncs.iter();
    let syncs = syncs.filter(|(_, sync)| sync.has_masters() && sync.selects(table));
    let mut others: BTreeMap<&str, &[String]> = syncs
        .map(|(name, sync)| (name.as_str(), sync.sources.as_slice()))
        .collect();
    let Some(sources) = others.remove(name) else {
        return BTreeSet::new();
    };
    let mut rings = BTreeSet::new();
    for (place, from) in sources.iter().enumerate() {
        for to in &sources[place + 1..] {
            if let Some(way) = shortest(&others, from, to) {
                rings.insert(normal(name, from, way));
            }
        }
    }
    rings
}

/// The shortest way between two sources: each sync with the source that it is left by.
fn shortest<'a>(
    syncs: &BTreeMap<&'a str, &'a [String]>,
    from: &'a str,
    to: &'a str,
) -> Option<Ring<'a>> {
    let mut came: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(source) = next.pop_front() {
        if source == to {
            break;
        }
        for (&sync, sources) in syncs {
            if !sources.iter().any(|has| has == source) {
                continue;
            }
            for reached in sources.iter().map(String::as_str) {
                if reached != from && !came.contains_key(reached) {
                    came.insert(reached, (sync, source));
                    next.push_back(reached);
                }
            }
        }
    }
    let mut way = Vec::new();
    let mut at = to;
    while at != from {
        let (sync, before) = *came.get(at)?;
        way.push((sync, at));
        at = before;
    }
    way.reverse();
    Some(way)
}

/// The ring that `name` closes, which is left by `from`; told from the sync that is first by name,
/// so that every sync of it tells the same.
fn normal<'a>(name: &'a str, from: &'a str, way: Ring<'a>) -> Ring<'a> {
    let mut ring = vec![(name, from)];
    ring.extend(way);
    let turn = |mut ring: Ring<'a>| {
        let first = (0..ring.len()).min_by_key(|&place| ring[place]);
        ring.rotate_left(first.unwrap_or(0));
        ring
    };
    // The other way around each sync is left by the source that it was entered by.
    let count = ring.len();
    let back = (0..count).rev();
    let back = back.map(|place| (ring[place].0, ring[(place + count - 1) % count].1));
    let back = turn(back.collect());
    turn(ring).min(back)
}

fn describe(ring: &Ring<'_>, table: &TableName) -> Error {
    let count = ring.len();
    let steps = (0..count).map(|place| {
        let (sync, to) = ring[place];
        let from = ring[(place + count - 1) % count].1;
        format!("{from} ⇄ {to} (sync \"{sync}\")")
    });
    let steps: Vec<_> = steps.collect();
    let mut sources: Vec<String> = ring
        .iter()
        .map(|(_, source)| format!("\"{source}\""))
        .collect();
    sources.sort();
    let mut syncs: Vec<String> = ring.iter().map(|(sync, _)| format!("\"{sync}\"")).collect();
    syncs.sort();
    Error::usage(format!(
        "syncs {} form a ring, in which changes of {table} would meet themselves: {}",
        syncs.join(", "),
        steps.join(", ")
    ))
    .hint(format!(
        "put them into one sync: sources = [{}]",
        sources.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, path::Path};

    use super::*;

    /// The rings that any of these syncs names, each with its sources and tables.
    fn of(syncs: &[(&str, &[&str], &str)]) -> Vec<String> {
        let mut text = String::new();
        let names: BTreeSet<_> = syncs.iter().flat_map(|(_, sources, _)| *sources).collect();
        for name in names {
            let _ = write!(text, "[sources.{name}]\nurl = \"x\"\n");
        }
        for (name, sources, tables) in syncs {
            let _ = write!(
                text,
                "[syncs.{name}]\nsources = {sources:?}\ntables = [\"{tables}\"]\n"
            );
        }
        let config = Config::parse(Path::new("tahr.toml"), &text, &|_| None);
        let config = config.unwrap_or_else(|faults| panic!("{faults}"));
        let tables = ["t", "u"].map(|name| TableName::new("public", name));
        let mut found = BTreeSet::new();
        for (name, sync) in &config.syncs {
            let tables = tables.iter().filter(|table| sync.selects(table)).cloned();
            let errors = rings(&config, name, &tables.collect());
            found.extend(
                errors
                    .iter()
                    .map(|error| format!("{error}: {}", error.hint_text().unwrap_or_default())),
            );
        }
        found.into_iter().collect()
    }

    #[test]
    fn a_tree_of_syncs_is_fine() {
        let tree: [(&str, &[&str], &str); 3] = [
            ("one", &["a", "b", "c"], "*"),
            ("two", &["c", "d"], "*"),
            ("three", &["a", "e", "f"], "*"),
        ];
        assert!(of(&tree).is_empty());
    }

    #[test]
    fn three_syncs_around_are_one_ring_whoever_tells_it() {
        let found = of(&[
            ("ab", &["a", "b"], "*"),
            ("bc", &["b", "c"], "*"),
            ("ca", &["c", "a"], "t"),
        ]);
        assert_eq!(
            found,
            [
                "syncs \"ab\", \"bc\", \"ca\" form a ring, in which changes of public.t would meet \
              themselves: b ⇄ a (sync \"ab\"), a ⇄ c (sync \"ca\"), c ⇄ b (sync \"bc\"): put them \
              into one sync: sources = [\"a\", \"b\", \"c\"]"
            ]
        );
    }

    #[test]
    fn two_syncs_of_two_sources_are_a_ring_where_they_share_a_table() {
        let found = of(&[("x", &["a", "b"], "t"), ("y", &["a", "b"], "*")]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("syncs \"x\", \"y\" form a ring, in which changes of public.t"),
            "{found:?}"
        );
        assert!(of(&[("x", &["a", "b"], "t"), ("y", &["a", "b"], "u")]).is_empty());
    }

    #[test]
    fn a_ring_of_four_with_a_tail_names_the_four() {
        let found = of(&[
            ("ab", &["a", "b"], "*"),
            ("bc", &["b", "c", "tail"], "*"),
            ("cd", &["c", "d"], "*"),
            ("da", &["d", "a"], "*"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(!found[0].contains("tail"), "{found:?}");
    }
}
