//! `tahr plugins`: what was found in the plugin folders, and what each of it can be told and does.

mod abilities;
mod options;
mod rules;

use std::path::PathBuf;

use tahr_plugin_api::abi::ABI_VERSION;

use super::{Output, output::table};
use crate::{
    Faults, cli,
    config::{Config, default_plugin_dirs},
    plugin::{Pins, Plugin, Registry},
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
    let registry = Registry::scan(&folders, &pins.and_others());
    match &options.command {
        None => list(&registry, &folders, output),
        Some(cli::PluginsCommand::Describe { name }) => {
            describe(registry.get(name)?, output);
        }
    }
    Ok(())
}

fn list(registry: &Registry, folders: &[PathBuf], output: &mut Output) {
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
    for error in registry.errors() {
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
    section(
        "abilities",
        abilities::lines(&description.capabilities),
        output,
    );
    let schema = serde_json::to_value(&description.options).unwrap_or_default();
    section("options", options::lines(&schema), output);
    for rules in &description.rules {
        section(&rules::title(rules), rules::lines(rules), output);
    }
}

fn section(title: &str, lines: Vec<String>, output: &mut Output) {
    output.line("");
    output.line(title);
    for line in lines {
        output.line(format!("  {line}"));
    }
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
