//! `tahr plugins`: what was found in the plugin folders, and what each can be told.

use std::path::PathBuf;

use serde_json::{Map, Value};
use tahr_plugin_api::abi::ABI_VERSION;

use super::{Output, output::table};
use crate::{
    Faults, cli,
    config::{Config, default_plugin_dirs},
    plugin::{Pins, Plugin, PluginError, Registry, Scanner},
};

/// Digits of a file's SHA-256 that tell it from others.
const SHORT: usize = 12;

/// Lists the plugins, or describes one. Without a config file the default folders are searched: a
/// plugin is looked at before the config is written.
pub(super) fn plugins(
    cli: &cli::Cli,
    options: &cli::Plugins,
    output: &mut Output,
) -> Result<(), Faults> {
    let (folders, pins) = match cli.config.exists() {
        true => {
            let config = Config::load(&cli.config)?;
            (config.engine.plugin_dirs.clone(), Pins::of(&config))
        }
        false => (default_plugin_dirs(), Pins::default()),
    };
    let mut scanner = Scanner::default();
    let refused = scanner.scan(&folders, &pins.and_others(), false).errors;
    let registry = scanner.registry();
    match &options.command {
        None => list(&registry, &refused, &folders, output),
        Some(cli::PluginsCommand::Describe { name }) => {
            describe(registry.get(name)?, output);
        }
    }
    Ok(())
}

fn list(registry: &Registry, refused: &[PluginError], folders: &[PathBuf], output: &mut Output) {
    let mut rows = vec![["name", "version", "abi", "sha256", "file"].map(str::to_owned)];
    rows.extend(registry.iter().map(|plugin| {
        [
            plugin.description.name.clone(),
            plugin.description.version.clone(),
            ABI_VERSION.to_string(),
            plugin.sha256.chars().take(SHORT).collect(),
            plugin.path.display().to_string(),
        ]
    }));
    if rows.len() > 1 {
        table(&rows).into_iter().for_each(|line| output.line(line));
    } else {
        output.line("no plugin found");
    }
    let folders: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    output.line(format!("searched: {}", folders.join(", ")));
    for error in refused {
        output.line(format!("refused: {error}"));
        if let Some(hint) = &error.hint {
            output.line(format!("  hint: {hint}"));
        }
    }
}

fn describe(plugin: &Plugin, output: &mut Output) {
    let description = &plugin.description;
    output.line(format!("{} {}", description.name, description.version));
    if !description.summary.is_empty() {
        output.line(&description.summary);
    }
    output.line("");
    output.line(format!("file    {}", plugin.path.display()));
    output.line(format!("sha256  {}", plugin.sha256));
    output.line(format!("abi     {ABI_VERSION}"));
    output.line("");
    output.line("abilities");
    for line in abilities(&description.capabilities) {
        output.line(format!("  {line}"));
    }
    output.line("");
    output.line("options");
    let schema = serde_json::to_value(&description.options).unwrap_or_default();
    for line in options(&schema) {
        output.line(if line.is_empty() {
            line
        } else {
            format!("  {line}")
        });
    }
}

fn abilities(can: &tahr_plugin_api::Capabilities) -> Vec<String> {
    let either = |is: bool, yes: &str, no: &str| if is { yes } else { no }.to_owned();
    let mut lines = vec![
        either(
            can.transactions,
            "a source transaction arrives whole, however large",
            "no transactions: a large source transaction arrives in parts",
        ),
        either(
            can.partial_update,
            "updates single columns of a row",
            "always writes whole rows: large values that an update left alone must be sent too \
             (REPLICA IDENTITY FULL)",
        ),
        either(
            can.keyless,
            "takes tables without a key",
            "takes only tables with a key",
        ),
        either(
            can.transactional_ddl,
            "creates and alters tables inside a transaction",
            "creates and alters tables outside of transactions",
        ),
        match can.loaders {
            0 | 1 => "copies a table with one writer".to_owned(),
            loaders => format!("copies a table with up to {loaders} writers side by side"),
        },
    ];
    if let Some(rows) = can.max_transaction_rows {
        lines.push(format!("takes up to {rows} rows in one transaction"));
    }
    if can.read_back {
        lines.push("can be compared with the source".to_owned());
    }
    if can.refills {
        lines.push("is a cache: emptied, it is filled again (on_gap = \"resync\")".to_owned());
    }
    lines
}

/// The options of a JSON Schema, those that must be given first.
fn options(schema: &Value) -> Vec<String> {
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut lines = Vec::new();
    let is_required = |name: &String| required.contains(&name.as_str());
    let (first, then): (Vec<_>, Vec<_>) =
        properties.iter().partition(|(name, _)| is_required(name));
    for (name, option) in first.into_iter().chain(then) {
        let default = match &option["default"] {
            _ if is_required(name) => "required".to_owned(),
            Value::Null => "optional".to_owned(),
            default => format!("default {default}"),
        };
        lines.push(format!("{name}: {}, {default}", kind(schema, option)));
        let text = option["description"].as_str().unwrap_or_default();
        let unwrapped = text
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "));
        for paragraph in unwrapped.filter(|paragraph| !paragraph.is_empty()) {
            lines.extend(wrap(&paragraph, 90).map(|line| format!("    {line}")));
        }
    }
    if lines.is_empty() {
        lines.push("none".to_owned());
    }
    lines
}

/// What an option's values are, in a word or as the list of them.
fn kind(schema: &Value, option: &Value) -> String {
    if let Some(path) = option["$ref"].as_str() {
        let referred = schema.pointer(path.trim_start_matches('#'));
        return referred.map_or_else(|| "value".to_owned(), |referred| kind(schema, referred));
    }
    if let Value::Array(values) = &option["enum"] {
        return join(values.iter().map(Value::to_string));
    }
    if !option["const"].is_null() {
        return option["const"].to_string();
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        if let Value::Array(choices) = &option[several] {
            return join(choices.iter().map(|choice| kind(schema, choice)));
        }
    }
    match &option["type"] {
        Value::Array(types) => join(types.iter().map(|name| type_name(name, option))),
        name => type_name(name, option),
    }
}

fn type_name(name: &Value, option: &Value) -> String {
    match (name.as_str(), &option["items"]) {
        (Some("array"), items) if !items.is_null() => {
            format!("list of {}", items["type"].as_str().unwrap_or("value"))
        }
        (Some("object"), _) => "table".to_owned(),
        (Some(name), _) => name.to_owned(),
        (None, _) => "value".to_owned(),
    }
}

/// The choices; that an option may be absent is no choice.
fn join(choices: impl Iterator<Item = String>) -> String {
    let choices: Vec<_> = choices.filter(|choice| choice != "null").collect();
    choices.join(" or ")
}

/// Lines of at most `width` characters, broken at blanks.
fn wrap(text: &str, width: usize) -> impl Iterator<Item = String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::options;

    #[test]
    fn options_show_type_default_and_meaning_and_required_ones_come_first() {
        let schema = json!({
            "properties": {
                "format": { "description": "What a row\nbecomes.", "$ref": "#/$defs/Format", "default": "hash" },
                "ttl": { "anyOf": [{ "$ref": "#/$defs/Span" }, { "type": "null" }] },
                "url": { "type": "string", "description": "Where it is." },
                "wait": { "type": ["integer", "null"], "default": null },
            },
            "required": ["url"],
            "$defs": {
                "Format": { "oneOf": [{ "const": "hash" }, { "const": "json" }] },
                "Span": { "type": "string" },
            },
        });
        assert_eq!(
            options(&schema),
            [
                "url: string, required",
                "    Where it is.",
                "format: \"hash\" or \"json\", default \"hash\"",
                "    What a row becomes.",
                "ttl: string, optional",
                "wait: integer, optional",
            ]
        );
        assert_eq!(options(&json!({ "type": "object" })), ["none"]);
    }
}
