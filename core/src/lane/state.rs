//! What a lane shows of itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::{Lsn, Position};

pub use crate::fault::Fault;
use crate::rfc3339;

/// Where a lane is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Connecting to its target.
    #[default]
    Starting,
    /// Copying tables.
    Copying,
    /// Applying the stream.
    Streaming,
    /// Waiting to try again after a transient error.
    Retrying,
    /// Waiting for a person.
    Parked,
    /// Paused by a person: it keeps its place, and waits for `tahr resume`.
    Paused,
    /// Ended, with the engine.
    Stopped,
}

impl State {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Copying => "copying",
            Self::Streaming => "streaming",
            Self::Retrying => "retrying",
            Self::Parked => "parked",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// How far the copy of tables is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyProgress {
    /// The table being copied.
    pub table: String,
    /// Rows of it so far.
    pub rows: u64,
    /// Rows that the source's statistics expect of it.
    pub expected_rows: u64,
    /// Tables done in this copy.
    pub tables_done: usize,
    /// Tables to do in all.
    pub tables: usize,
}

/// A lane at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the sync.
    pub sync: String,
    /// Name of the source.
    #[serde(default)]
    pub source: String,
    /// Name of the target.
    pub target: String,
    /// Name of the target's plugin.
    pub plugin: String,
    /// See [`State`].
    pub state: State,
    /// The plugin that it waits for, while it is parked for want of it.
    #[serde(default)]
    pub awaits: Option<String>,
    /// The last error: why it retries or is parked; what it recovered from, while it streams.
    pub fault: Option<Fault>,
    /// When it tries again, while it retries; a moment that is over: it is at it.
    #[serde(default, with = "rfc3339::option")]
    pub retry_at: Option<SystemTime>,
    /// Since when a person wants it paused.
    #[serde(default, with = "rfc3339::option")]
    pub paused_since: Option<SystemTime>,
    /// What the target has stored.
    pub stored: Option<Position>,
    /// Everything before it is stored, or was nothing for this lane.
    pub passed: Lsn,
    /// Tables that are to be copied anew, and are not yet.
    #[serde(default)]
    pub resync: BTreeSet<String>,
    /// The copy, while there is one.
    pub copy: Option<CopyProgress>,
    /// Rows copied since the engine started; none where it has copied no table since.
    #[serde(default)]
    pub rows_copied: Option<u64>,
    /// Changes stored since the engine started.
    pub changes: u64,
    /// Transactions stored since the engine started.
    pub transactions: u64,
    /// Since when its source is not read, while it is not: how far the lane is behind it nobody knows.
    #[serde(default, with = "rfc3339::option")]
    pub source_away_since: Option<SystemTime>,
    /// Seconds from the source's commit of the oldest change not stored; 0 for a lane that holds
    /// everything, none where it is not known, since the lane neither streams nor retries, or its
    /// source is away. A lane that begins with the engine counts from there until it has stored its
    /// first changes.
    pub lag_seconds: Option<f64>,
    /// When `lag_seconds` was found; whoever reads it later adds the time since.
    #[serde(skip)]
    pub lag_as_of: Option<SystemTime>,
    /// Bytes of the source's log not stored, as far as it was read.
    pub lag_bytes: u64,
    /// Rows whose changes are set aside, since the target rejects them.
    #[serde(default)]
    pub rejected: u64,
    /// The writer's own counters.
    pub counters: BTreeMap<String, u64>,
}

/// A [`Status`] that the lane's thread changes and others read.
#[derive(Debug, Default)]
pub struct StatusCell(Mutex<Status>);

impl StatusCell {
    /// A lane that is starting.
    #[must_use]
    pub fn new((sync, source, target): (&str, &str, &str), plugin: &str) -> Self {
        Self(Mutex::new(Status {
            sync: sync.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            plugin: plugin.to_owned(),
            ..Status::default()
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of it.
    #[must_use]
    pub fn get(&self) -> Status {
        self.lock().clone()
    }

    /// Changes it.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock());
    }
}
