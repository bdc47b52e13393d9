//! Looking through the plugin folders, once or again and again.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Pins, Plugin, PluginError, Registry,
    elf::is_cut_short,
    file::{load, refuse_writable_by_others, sha256},
};

/// What a scan brought that the one before had not.
#[derive(Debug, Default)]
pub struct News {
    /// Plugins that can be used now.
    pub found: Vec<Plugin>,
    /// What went wrong with other files.
    pub errors: Vec<PluginError>,
}

/// Loads plugins, and remembers what it has looked at.
#[derive(Debug, Default)]
pub struct Scanner {
    files: BTreeMap<PathBuf, Known>,
    plugins: Arc<BTreeMap<String, Plugin>>,
    registry: Registry,
}

/// A file of a plugin folder.
#[derive(Debug)]
struct Known {
    /// As it was at the last scan.
    seen: Print,
    judged: Option<(Print, Judgement)>,
}

/// By what a file is known again without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Clone, Debug)]
enum Judgement {
    /// Loaded with this content; an error where it has another one now.
    Loaded(String, Option<PluginError>),
    Refused(PluginError),
    /// Refused for a pin, which may be another one next time.
    Unpinned(String),
    /// The same bytes as a plugin that was loaded from elsewhere.
    Twin,
}

impl Print {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs_err::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Scanner {
    /// Loads what is in `folders` and `pins` allow; of two plugins of one name the one in the earlier
    /// folder. With `settled_only` a file is left alone until two scans have seen it the same: it may
    /// still be written.
    pub fn scan(&mut self, folders: &[PathBuf], pins: &Pins, settled_only: bool) -> News {
        let mut found = Vec::new();
        let mut errors = Vec::new();
        let mut paths = Vec::new();
        for folder in folders {
            let safe = refuse_writable_by_others(folder);
            for path in candidates(folder) {
                let result = match &safe {
                    Ok(()) => self.look(&path, pins, settled_only, &mut found),
                    Err(error) => Err(error.clone()),
                };
                errors.extend(result.err());
                paths.push(path);
            }
        }
        // A file that comes back is looked at again; what was loaded from it stays.
        self.files.retain(|path, known| {
            paths.contains(path) || matches!(known.judged, Some((_, Judgement::Loaded(..))))
        });
        let news = News {
            found,
            errors: errors
                .iter()
                .filter(|error| !self.registry.errors.contains(error))
                .cloned()
                .collect(),
        };
        self.registry = Registry {
            plugins: Arc::clone(&self.plugins),
            folders: folders.into(),
            errors: errors.into(),
        };
        news
    }

    /// What the last scan left.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    fn look(
        &mut self,
        path: &Path,
        pins: &Pins,
        settled_only: bool,
        found: &mut Vec<Plugin>,
    ) -> Result<(), PluginError> {
        let failed = |error: io::Error| PluginError::new(path, error.to_string());
        let now = Print::of(path).map_err(failed)?;
        let (judged, is_settled) = match self.files.entry(path.to_owned()) {
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                let is_settled = known.seen == now;
                known.seen = now;
                (known.judged.clone(), is_settled)
            }
            Entry::Vacant(entry) => {
                entry.insert(Known {
                    seen: now,
                    judged: None,
                });
                (None, false)
            }
        };
        let judgement = match judged {
            Some((then, judgement)) if then == now => match judgement {
                Judgement::Unpinned(sha256) => self.judge(path, Some(sha256), pins, found),
                known => known,
            },
            Some((_, Judgement::Loaded(_, error))) if settled_only && !is_settled => {
                return error.map_or(Ok(()), Err);
            }
            _ if settled_only && !is_settled => return Ok(()),
            Some((_, Judgement::Loaded(loaded, _))) => {
                let is_same = sha256(path).map_err(failed)? == loaded;
                Judgement::Loaded(loaded, (!is_same).then(|| has_changed(path)))
            }
            _ => self.judge(path, None, pins, found),
        };
        let result = match &judgement {
            Judgement::Loaded(_, Some(error)) | Judgement::Refused(error) => Err(error.clone()),
            Judgement::Unpinned(sha256) => pins.allow(path, sha256),
            Judgement::Loaded(_, None) | Judgement::Twin => Ok(()),
        };
        if let Some(known) = self.files.get_mut(path) {
            known.judged = Some((now, judgement));
        }
        result
    }

    /// Loads a file, unless something speaks against it.
    fn judge(
        &mut self,
        path: &Path,
        hashed: Option<String>,
        pins: &Pins,
        found: &mut Vec<Plugin>,
    ) -> Judgement {
        match self.admit(path, hashed, pins) {
            Ok((judgement, plugin)) => {
                found.extend(plugin);
                judgement
            }
            Err(error) => Judgement::Refused(error),
        }
    }

    fn admit(
        &mut self,
        path: &Path,
        hashed: Option<String>,
        pins: &Pins,
    ) -> Result<(Judgement, Option<Plugin>), PluginError> {
        let failed = |error: io::Error| PluginError::new(path, error.to_string());
        refuse_writable_by_others(path)?;
        if is_cut_short(path).map_err(failed)? {
            return Err(PluginError::new(
                path,
                "is not complete: it ends before what its headers announce",
            )
            .hint("wait until it is copied; copy it under another name and `mv` it into place"));
        }
        let sha256 = match hashed {
            Some(sha256) => sha256,
            None => sha256(path).map_err(failed)?,
        };
        if pins.allow(path, &sha256).is_err() {
            return Ok((Judgement::Unpinned(sha256), None));
        }
        if self.plugins.values().any(|other| other.sha256 == sha256) {
            return Ok((Judgement::Twin, None));
        }
        let module = load(path)?;
        let description = module
            .description()
            .map_err(|error| PluginError::new(path, error.to_string()))?;
        let name = description.name.clone();
        if let Some(other) = self.plugins.get(&name) {
            let other = other.path.display();
            return Err(PluginError::new(
                path,
                format!("holds plugin \"{name}\" as well, which was loaded from {other} and stays"),
            )
            .hint("remove one of the two, and restart tahr where that is the one in use"));
        }
        let plugin = Plugin {
            description,
            module,
            path: path.to_owned(),
            sha256: sha256.clone(),
        };
        Arc::make_mut(&mut self.plugins).insert(name, plugin.clone());
        Ok((Judgement::Loaded(sha256, None), Some(plugin)))
    }
}

fn has_changed(path: &Path) -> PluginError {
    PluginError::new(
        path,
        "has changed since it was loaded, and the old one is in use",
    )
    .hint("a loaded library can't be replaced: `tahr stop`, then `tahr run`, to use the new one")
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
