//! Which files the config lets be loaded.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::PluginError;
use crate::config::{Config, Target};

/// The hashes that targets have pinned. A file is judged by them before it is loaded.
///
/// What plugin a file holds is known only once it is loaded; until then its name says it:
/// `libtahr_NAME.so`, or `libtahr_NAME-VERSION.so`. Where every target has a pin, a file that none
/// of them names is not loaded at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// By plugin: hashes, each with the target that pinned it.
    by_plugin: BTreeMap<String, BTreeMap<String, String>>,
    only_pinned: bool,
}

impl Pins {
    /// The pins of `config`.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self::of_targets(&config.targets)
    }

    /// The pins of `targets`.
    pub(crate) fn of_targets(targets: &BTreeMap<String, Target>) -> Self {
        let mut pins = Self {
            only_pinned: !targets.is_empty(),
            ..Self::default()
        };
        for (name, target) in targets {
            match &target.sha256 {
                Some(sha256) => {
                    let plugin = pins.by_plugin.entry(target.plugin.clone()).or_default();
                    plugin.insert(sha256.to_ascii_lowercase(), name.clone());
                }
                None => pins.only_pinned = false,
            }
        }
        pins
    }

    /// The same pins, for looking at plugins that no target uses yet.
    #[must_use]
    pub fn and_others(self) -> Self {
        Self {
            only_pinned: false,
            ..self
        }
    }

    /// Whether the file at `path`, which hashes to `sha256`, may be loaded.
    pub(super) fn allow(&self, path: &Path, sha256: &str) -> Result<(), PluginError> {
        let mut all = self.by_plugin.values();
        if all.any(|plugin| plugin.contains_key(sha256)) {
            return Ok(());
        }
        let refuse = |message: String| {
            Err(PluginError::new(path, message).hint(format!("its sha256 is {sha256}")))
        };
        match self.by_plugin.get(plugin_of(path)) {
            Some(plugin) => {
                let targets: BTreeSet<_> = plugin.values().map(String::as_str).collect();
                refuse(format!(
                    "is not the one that was pinned by target {}; it was not loaded",
                    Vec::from_iter(targets).join(", ")
                ))
            }
            None if self.only_pinned => refuse(
                "is none of those that the targets have pinned; it was not loaded".to_owned(),
            ),
            None => Ok(()),
        }
    }
}

/// The plugin that the file at `path` should hold by its name.
pub(super) fn plugin_of(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default().strip_prefix("libtahr_");
    let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    name.unwrap_or_default()
        .split(end)
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(targets: &[(&str, Option<&str>)]) -> Pins {
        let mut text = "[sources.s]\nurl = \"postgres://h/d\"\n".to_owned();
        let mut names = Vec::new();
        for (index, (plugin, pin)) in targets.iter().enumerate() {
            text.push_str(&format!("[targets.t{index}]\nplugin = \"{plugin}\"\n"));
            if let Some(pin) = pin {
                text.push_str(&format!("sha256 = \"{}\"\n", pin.repeat(64)));
            }
            names.push(format!("\"t{index}\""));
        }
        text.push_str(&format!(
            "[syncs.s]\nsources = [\"s\"]\ntargets = [{}]\ntables = [\"*\"]\n",
            names.join(", ")
        ));
        Pins::of(&Config::parse(Path::new("tahr.toml"), &text, &|_| None).unwrap())
    }

    fn allows(pins: &Pins, file: &str, digit: &str) -> bool {
        pins.allow(Path::new(file), &digit.repeat(64)).is_ok()
    }

    #[test]
    fn a_pinned_plugin_is_loaded_from_no_other_file_of_its_name() {
        let pins = pins(&[("redis", Some("A")), ("sqlite", None)]);
        assert!(allows(&pins, "/p/libtahr_redis.so", "a"));
        assert!(allows(&pins, "/p/libtahr_other.so", "a"));
        for other in ["/p/libtahr_redis.so", "/p/libtahr_redis-2.so"] {
            let error = pins.allow(Path::new(other), &"b".repeat(64)).unwrap_err();
            assert!(error.message.contains("pinned by target t0"), "{error}");
            assert!(error.hint.is_some_and(|hint| hint.contains("bbbb")));
        }
        assert!(allows(&pins, "/p/libtahr_sqlite.so", "b"));
        assert!(allows(&pins, "/p/libtahr_redis_cluster.so", "b"));
    }

    #[test]
    fn where_all_are_pinned_no_other_file_is_loaded() {
        let pins = pins(&[("redis", Some("a")), ("sqlite", Some("b"))]);
        assert!(allows(&pins, "/p/libtahr_redis.so", "a"));
        assert!(!allows(&pins, "/p/libtahr_jsonl.so", "c"));
        assert!(allows(&pins.and_others(), "/p/libtahr_jsonl.so", "c"));
    }
}
