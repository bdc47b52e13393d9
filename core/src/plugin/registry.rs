//! The plugins that can be used, by name.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde_json::Value;
use tahr_plugin_api::{Description, abi::WriterModule_Ref};

use super::{Pins, PluginError, Scanner, pins::plugin_of};
use crate::{Error, config::Target};

/// What servers are called, and the plugins for them.
const ALSO_KNOWN_AS: [(&str, &str); 2] = [("mariadb", "mysql"), ("valkey", "redis")];

/// A plugin that can be used.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// What it says of itself.
    pub description: Description,
    /// Its functions.
    pub module: WriterModule_Ref,
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// What one scan found. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    pub(super) plugins: Arc<BTreeMap<String, Plugin>>,
    pub(super) folders: Arc<[PathBuf]>,
    pub(super) errors: Arc<[PluginError]>,
}

impl Registry {
    /// What lies in these folders, looked at once.
    #[must_use]
    pub fn scan(folders: &[PathBuf], pins: &Pins) -> Self {
        let mut scanner = Scanner::default();
        scanner.scan(folders, pins, false);
        scanner.registry()
    }

    /// The plugin `name`.
    ///
    /// # Errors
    ///
    /// There is none. Says that its file was refused, or where it was looked for, what there is, and
    /// which name is near.
    pub fn get(&self, name: &str) -> Result<&Plugin, Error> {
        self.plugins.get(name).ok_or_else(|| self.missing(name))
    }

    /// The plugin of the target `name`, which is the one that was pinned.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), or it is another.
    pub fn of_target(&self, name: &str, target: &Target) -> Result<&Plugin, Error> {
        let plugin = self.get(&target.plugin)?;
        let pin = target.sha256.as_ref();
        if pin.is_some_and(|pin| !pin.eq_ignore_ascii_case(&plugin.sha256)) {
            let path = plugin.path.display();
            return Err(Error::usage(format!(
                "plugin file {path} of target \"{name}\" is not the one that was pinned"
            ))
            .hint(format!("its sha256 is {}", plugin.sha256)));
        }
        Ok(plugin)
    }

    /// All plugins, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.values()
    }

    /// The JSON Schemas of the plugins' options, by name.
    pub(crate) fn option_schemas(&self) -> BTreeMap<String, Value> {
        let plugins = self.plugins.iter();
        plugins
            .map(|(name, plugin)| (name.clone(), plugin.description.options.as_value().clone()))
            .collect()
    }

    /// What went wrong with other files.
    #[must_use]
    pub fn errors(&self) -> &[PluginError] {
        &self.errors
    }

    fn missing(&self, name: &str) -> Error {
        // The file that should have been it, but was refused, is the likely reason.
        if let Some(refused) = self
            .errors
            .iter()
            .find(|error| plugin_of(&error.path) == name)
        {
            let made = Error::usage(refused.to_string());
            return match &refused.hint {
                Some(hint) => made.hint(hint.clone()),
                None => made,
            };
        }
        let folders: Vec<_> = self
            .folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        let names: Vec<_> = self.plugins.keys().map(String::as_str).collect();
        let nearest = names.iter().find(|known| {
            strsim::jaro_winkler(known, name) > 0.8 || ALSO_KNOWN_AS.contains(&(name, known))
        });
        let put = format!("put libtahr_{name}.so there, or set `plugin_dirs` under [engine]");
        let hint = match nearest {
            Some(nearest) => format!("did you mean \"{nearest}\"?"),
            None if names.is_empty() => put,
            None => format!("{put}; there are: {}", names.join(", ")),
        };
        Error::usage(format!(
            "plugin \"{name}\" is not in any plugin folder (searched {})",
            folders.join(", ")
        ))
        .hint(hint)
    }
}
