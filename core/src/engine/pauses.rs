//! What a person has paused: kept in the state folder, so that it outlives the engine.
//!
//! A whole sync, which includes targets that it gets later, or single lanes; a lane can be resumed
//! out of a sync that is paused as a whole. Changed by [`Control`](super::Control), looked up by
//! whoever says what is wanted of a lane or of a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::Part;
use crate::{Error, config::Config, state_file};

/// All pauses of an engine, by sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pauses(BTreeMap<String, OfSync>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSync {
    /// Since when all of it is paused.
    #[serde(default)]
    whole: Option<SystemTime>,
    /// Targets whose lanes go on nevertheless.
    #[serde(default)]
    except: BTreeSet<String>,
    /// Targets whose lanes are paused by themselves.
    #[serde(default)]
    targets: BTreeMap<String, SystemTime>,
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("paused.json")
}

impl Pauses {
    /// The pauses that an engine in `state_dir` left.
    ///
    /// # Errors
    ///
    /// The file can't be read: what was paused must not start unasked.
    pub fn load(state_dir: &Path) -> Result<Self, Error> {
        let path = path(state_dir);
        let bytes = state_file::if_there(fs_err::read(&path))
            .map_err(|error| Error::failed("read what is paused").caused_by(error))?;
        let Some(bytes) = bytes else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::failed(format!("read what is paused: {}", path.display()))
                .caused_by(error)
                .hint(format!(
                    "to start with nothing paused: rm '{}'",
                    path.display()
                ))
        })
    }

    /// Writes the file anew, whole or not at all, for its owner only; where nothing is paused there
    /// is none.
    ///
    /// # Errors
    ///
    /// The state folder can't be written; then the old file is still there.
    pub fn save(&self, state_dir: &Path) -> Result<(), Error> {
        let path = path(state_dir);
        let noted = match self.0.is_empty() {
            true => state_file::remove(&path),
            false => self.write(&path),
        };
        noted.map_err(|error| {
            Error::failed(format!("note what is paused: {}", path.display())).caused_by(error)
        })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let json = serde_json::to_vec_pretty(self)?;
        state_file::replace(path, &json, || {})
    }

    /// Pauses `part` as of `now`; what is paused already stays so, since when it is.
    pub fn pause(&mut self, part: &Part, now: SystemTime) {
        let of_sync = self.0.entry(part.sync.clone()).or_default();
        match &part.target {
            None => {
                of_sync.whole.get_or_insert(now);
                of_sync.except.clear();
            }
            Some(target) if !of_sync.has(target) => {
                of_sync.targets.insert(target.clone(), now);
            }
            Some(_) => {}
        }
    }

    /// Ends the pause of `part`; with a sync that of all its lanes.
    pub fn resume(&mut self, part: &Part) {
        let Some(of_sync) = self.0.get_mut(&part.sync) else {
            return;
        };
        match &part.target {
            None => *of_sync = OfSync::default(),
            Some(target) => {
                of_sync.targets.remove(target);
                if of_sync.whole.is_some() {
                    of_sync.except.insert(target.clone());
                }
            }
        }
        if *of_sync == OfSync::default() {
            self.0.remove(&part.sync);
        }
    }

    /// Since when the lane of `sync` into `target` is paused.
    #[must_use]
    pub fn lane(&self, sync: &str, target: &str) -> Option<SystemTime> {
        self.0.get(sync)?.lane(target)
    }

    /// Since when the sources of `sync` don't replicate to each other.
    #[must_use]
    pub fn rounds(&self, sync: &str) -> Option<SystemTime> {
        self.0.get(sync)?.whole
    }

    /// Forgets what `config` doesn't have any more; says what that is.
    pub fn retain(&mut self, config: &Config) -> Vec<String> {
        let mut notes = Vec::new();
        self.0.retain(|name, of_sync| {
            let Some(sync) = config.syncs.get(name) else {
                notes.push(format!(
                    "sync \"{name}\" was paused and is not in the config any more: its pause is forgotten"
                ));
                return false;
            };
            of_sync.except.retain(|target| sync.targets.contains(target));
            of_sync.targets.retain(|target, _| {
                let stays = sync.targets.contains(target);
                if !stays {
                    notes.push(format!(
                        "lane {name}/{target} was paused and is not in the config any more: \
                         its pause is forgotten"
                    ));
                }
                stays
            });
            *of_sync != OfSync::default()
        });
        notes
    }
}

impl OfSync {
    fn lane(&self, target: &str) -> Option<SystemTime> {
        let alone = self.targets.get(target).copied();
        alone.or_else(|| self.whole.filter(|_| !self.except.contains(target)))
    }

    fn has(&self, target: &str) -> bool {
        self.lane(target).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn part(text: &str) -> Part {
        text.parse().unwrap()
    }

    #[test]
    fn a_lane_is_paused_by_itself_or_with_its_sync() {
        let (mut pauses, now) = (Pauses::default(), SystemTime::now());
        pauses.pause(&part("shop/cache"), now);
        assert!(pauses.lane("shop", "cache").is_some() && pauses.lane("shop", "copy").is_none());
        assert!(pauses.rounds("shop").is_none());
        pauses.pause(&part("shop"), now);
        assert!(pauses.lane("shop", "copy").is_some() && pauses.rounds("shop").is_some());
        assert!(
            pauses.lane("shop", "a later one").is_some() && pauses.lane("other", "copy").is_none()
        );
        pauses.resume(&part("shop"));
        assert_eq!(pauses, Pauses::default());
    }

    #[test]
    fn a_lane_can_go_on_while_the_rest_of_its_sync_is_paused() {
        let (mut pauses, now) = (Pauses::default(), SystemTime::now());
        pauses.pause(&part("shop"), now);
        pauses.resume(&part("shop/cache"));
        assert!(pauses.lane("shop", "cache").is_none() && pauses.lane("shop", "copy").is_some());
        pauses.pause(&part("shop/cache"), now);
        assert!(pauses.lane("shop", "cache").is_some());
        pauses.resume(&part("shop/cache"));
        assert!(pauses.lane("shop", "cache").is_none());
        pauses.pause(&part("shop"), now);
        assert!(pauses.lane("shop", "cache").is_some());
    }

    #[test]
    fn what_was_saved_is_loaded_and_is_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Pauses::load(folder.path()).unwrap(), Pauses::default());
        let mut pauses = Pauses::default();
        pauses.pause(&part("shop"), SystemTime::now());
        pauses.resume(&part("shop/copy"));
        pauses.pause(&part("other/cache"), SystemTime::now());
        pauses.save(folder.path()).unwrap();
        assert_eq!(Pauses::load(folder.path()).unwrap(), pauses);
        let mode = path(folder.path()).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs_err::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        Pauses::default().save(folder.path()).unwrap();
        Pauses::default().save(folder.path()).unwrap();
        assert!(!path(folder.path()).exists());
        fs_err::write(path(folder.path()), "{").unwrap();
        let error = Pauses::load(folder.path()).unwrap_err();
        assert!(error.hint_text().is_some_and(|hint| hint.contains("rm '")));
    }

    #[test]
    fn what_has_left_the_config_is_forgotten_with_a_note() {
        let text = "
            [sources.a]
            url = \"postgres://h/a\"
            [targets.copy]
            plugin = \"sqlite\"
            [syncs.shop]
            sources = [\"a\"]
            targets = [\"copy\"]
            tables = [\"t\"]";
        let config = Config::parse(Path::new("tahr.toml"), text, &|_| None).unwrap();
        let (mut pauses, now) = (Pauses::default(), SystemTime::now());
        pauses.pause(&part("shop/copy"), now);
        let kept = pauses.clone();
        pauses.pause(&part("shop/cache"), now);
        pauses.pause(&part("gone"), now);
        let notes = pauses.retain(&config);
        assert!(
            notes[0].contains("sync \"gone\"") && notes[1].contains("lane shop/cache"),
            "{notes:?}"
        );
        assert_eq!(pauses, kept);
        assert!(pauses.retain(&config).is_empty());
    }
}
