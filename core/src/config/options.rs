//! A target's options, held against what its plugin says that it takes.
//!
//! What the plugin itself makes of their values it says when it is asked; but a key or word that it
//! doesn't know is found here, with its line, together with the file's other faults.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;
use tahr_plugin_api::did_you_mean;
use toml::de::DeValue;

use super::{document::Section, model::Target, node::Node};

/// The JSON Schemas of plugins' options, by plugin, given where plugins are looked for and the targets
/// that use them. A plugin that isn't there has none.
pub(crate) type Schemas<'s> =
    &'s dyn Fn(&[PathBuf], &BTreeMap<String, Target>) -> BTreeMap<String, Value>;

/// Whether every hash of a plugin could be read: without it none is to be loaded.
pub(super) fn pins_are_read(root: &Section<'_>, targets: &BTreeMap<String, Target>) -> bool {
    let sections = root.get("targets").and_then(table);
    let mut sections = sections.iter().flat_map(Section::nodes);
    sections.all(|(name, node)| {
        let has_pin = table(node).is_some_and(|section| section.get("sha256").is_some());
        let pin = targets.get(&name).and_then(|target| target.sha256.as_ref());
        !has_pin || pin.is_some()
    })
}

/// Records each option of a target that its plugin doesn't know.
pub(super) fn check(root: &Section<'_>, schemas: &BTreeMap<String, Value>) {
    let targets = root.get("targets").into_iter().filter_map(table);
    for target in targets.flat_map(|targets| targets.nodes().collect::<Vec<_>>()) {
        let Some(target) = table(target.1) else {
            continue;
        };
        let plugin = target.get("plugin");
        let plugin = plugin.as_ref().and_then(|node| node.value.as_str());
        let judged = plugin.and_then(|name| Some((name, schemas.get(name)?)));
        if let (Some((plugin, schema)), Some(options)) =
            (judged, target.get("options").and_then(table))
        {
            Judge { plugin, schema }.section(&options, "", schema);
        }
    }
}

/// The node as a section, if it is one: that it isn't has been recorded.
fn table(node: Node<'_>) -> Option<Section<'_>> {
    node.value.as_table()?;
    node.section()
}

struct Judge<'s> {
    plugin: &'s str,
    /// That of all options.
    schema: &'s Value,
}

impl<'s> Judge<'s> {
    /// `within`: what the names of these options begin with.
    fn section(&self, options: &Section<'_>, within: &str, schema: &'s Value) {
        let schema = self.resolve(schema);
        let Some(known) = schema["properties"].as_object() else {
            return;
        };
        let is_closed = schema["additionalProperties"] == Value::Bool(false);
        for (key, node) in options.nodes() {
            let Some(option) = known.get(&key) else {
                if is_closed {
                    let names = known.keys().map(String::as_str);
                    let hint = did_you_mean(&key, names.clone()).unwrap_or_else(|| {
                        format!("its options: {}", names.collect::<Vec<_>>().join(", "))
                    });
                    let plugin = self.plugin;
                    let message = format!("plugin {plugin:?} has no option \"{within}{key}\"");
                    options.document.fault(node.at, message, Some(hint));
                }
                continue;
            };
            match node.value {
                DeValue::Table(_) => {
                    if let Some(inner) = node.section() {
                        self.section(&inner, &format!("{within}{key}."), option);
                    }
                }
                // What a variable holds is the plugin's to judge: it may be secret.
                DeValue::String(word) if !word.contains('$') => self.word(&node, word, option),
                _ => {}
            }
        }
    }

    fn word(&self, node: &Node<'_>, given: &str, option: &'s Value) {
        let Some(known) = words(self.resolve(option)) else {
            return;
        };
        if !known.contains(&given) {
            let hint = did_you_mean(given, known.iter().copied());
            let known: Vec<_> = known.iter().map(|word| format!("{word:?}")).collect();
            let (known, found) = (known.join(" or "), node.found());
            let message = format!("{}: expected {known}, found {found}", node.path);
            node.document.fault(node.at, message, hint);
        }
    }

    /// What `schema` refers to; of a choice between one thing and nothing, that thing.
    fn resolve(&self, mut schema: &'s Value) -> &'s Value {
        // References don't go in circles; if some do, this ends all the same.
        for _ in 0..8 {
            if let Some(path) = schema["$ref"].as_str() {
                let referred = self.schema.pointer(path.trim_start_matches('#'));
                schema = referred.unwrap_or(&Value::Null);
                continue;
            }
            let choices = schema["anyOf"].as_array().into_iter().flatten();
            let mut choices = choices.filter(|choice| choice["type"] != "null");
            match (choices.next(), choices.next()) {
                (Some(only), None) => schema = only,
                _ => break,
            }
        }
        schema
    }
}

/// The words that `schema` allows, if it allows nothing but words.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(list) = schema["enum"].as_array() {
        let words = list.iter().filter(|word| !word.is_null());
        return words.map(Value::as_str).collect();
    }
    if let Some(word) = schema["const"].as_str() {
        return Some(vec![word]);
    }
    let choices = schema["oneOf"].as_array()?.iter().map(words);
    Some(choices.collect::<Option<Vec<_>>>()?.concat())
}
