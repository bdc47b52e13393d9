//! What a person means by `SYNC` or `SYNC/TARGET`.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::did_you_mean;

use crate::{Error, config::Config};

/// A sync, or the lane of a sync into one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The sync.
    pub sync: String,
    /// The target of the one lane that is meant.
    pub target: Option<String>,
}

impl Part {
    /// All of the sync `name`.
    pub fn of_sync(name: impl Into<String>) -> Self {
        Self {
            sync: name.into(),
            target: None,
        }
    }

    /// Whether `config` has it.
    ///
    /// # Errors
    ///
    /// It has not; says what it has.
    pub fn check(&self, config: &Config) -> Result<(), Error> {
        let unknown = |what: String, name: &str, known: Vec<&String>| {
            let hint = did_you_mean(name, known.iter().map(|known| known.as_str()));
            let known: Vec<_> = known.into_iter().map(String::as_str).collect();
            Error::usage(what)
                .hint(hint.unwrap_or_else(|| format!("there is: {}", known.join(", "))))
        };
        let Some(sync) = config.syncs.get(&self.sync) else {
            let known = config.syncs.keys().collect();
            let what = format!("the config has no sync \"{}\"", self.sync);
            return Err(unknown(what, &self.sync, known));
        };
        match &self.target {
            Some(target) if !sync.targets.contains(target) => {
                let what = format!("sync \"{}\" has no target \"{target}\"", self.sync);
                Err(unknown(what, target, sync.targets.iter().collect()))
            }
            _ => Ok(()),
        }
    }

    /// Whether the lane of `sync` into `target` belongs to it.
    #[must_use]
    pub fn includes(&self, sync: &str, target: &str) -> bool {
        self.sync == sync && self.target.as_ref().is_none_or(|only| only == target)
    }
}

impl FromStr for Part {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (sync, target) = match text.split_once('/') {
            Some((sync, target)) => (sync, Some(target.to_owned())),
            None => (text, None),
        };
        Ok(Self {
            sync: sync.to_owned(),
            target,
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => write!(f, "{}/{target}", self.sync),
            None => f.write_str(&self.sync),
        }
    }
}
