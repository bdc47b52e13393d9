//! The plugins that were found, by name.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tahr_plugin_api::{Description, abi::WriterModule_Ref};

use super::file::{self, PluginError};

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

/// The plugins of the configured folders.
#[derive(Debug, Default)]
pub struct Registry {
    plugins: BTreeMap<String, Plugin>,
    folders: Vec<PathBuf>,
}

impl Registry {
    /// Loads what is in `folders`; of two plugins of one name the one in the earlier folder. All
    /// that went wrong is returned beside what did not.
    #[must_use]
    pub fn scan(folders: &[PathBuf]) -> (Self, Vec<PluginError>) {
        let mut registry = Self {
            plugins: BTreeMap::new(),
            folders: folders.to_vec(),
        };
        let mut errors = Vec::new();
        for folder in folders {
            for path in candidates(folder) {
                let safe = file::refuse_writable_by_others(folder);
                match safe.and_then(|()| open(&path)) {
                    Ok(plugin) => {
                        let name = plugin.description.name.clone();
                        registry.plugins.entry(name).or_insert(plugin);
                    }
                    Err(error) => errors.push(error),
                }
            }
        }
        (registry, errors)
    }

    /// The plugin `name`.
    ///
    /// # Errors
    ///
    /// There is none; says where it was looked for, what there is, and which name is near.
    pub fn get(&self, name: &str) -> Result<&Plugin, crate::Error> {
        self.plugins.get(name).ok_or_else(|| {
            let folders: Vec<_> = self
                .folders
                .iter()
                .map(|folder| folder.display().to_string())
                .collect();
            let names: Vec<_> = self.plugins.keys().map(String::as_str).collect();
            let nearest = names
                .iter()
                .find(|known| strsim::jaro_winkler(known, name) > 0.8);
            let hint = match nearest {
                Some(nearest) => format!("did you mean \"{nearest}\"?"),
                None if names.is_empty() => {
                    format!("put libtahr_{name}.so there, or set `plugin_dirs` under [engine]")
                }
                None => format!("there are: {}", names.join(", ")),
            };
            crate::Error::usage(format!(
                "plugin \"{name}\" is not in any plugin folder (searched {})",
                folders.join(", ")
            ))
            .hint(hint)
        })
    }

    /// All plugins, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.values()
    }
}

/// Files in `folder` that are named as plugins are; a folder that isn't there holds none.
fn candidates(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs_err::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            name.starts_with("libtahr_") && name.ends_with(std::env::consts::DLL_SUFFIX)
        })
        .collect();
    paths.sort();
    paths
}

fn open(path: &Path) -> Result<Plugin, PluginError> {
    let module = file::load(path)?;
    let description = module
        .description()
        .map_err(|error| PluginError::new(path, error.to_string()))?;
    let sha256 = file::sha256(path).map_err(|error| PluginError::new(path, error.to_string()))?;
    Ok(Plugin {
        description,
        module,
        path: path.to_owned(),
        sha256,
    })
}
