//! The typed config: what [`Config::load`] promises to the rest of the engine.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde_json::{Map, Value};
use tahr_plugin_api::TableName;

use super::{
    masters::{Conflict, Masters},
    pattern::TablePattern,
    redact::redact_url,
};
use crate::source::is_own_table;

/// A whole config file, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[engine]`.
    pub engine: Engine,
    /// `[sources.NAME]`.
    pub sources: BTreeMap<String, Source>,
    /// `[targets.NAME]`.
    pub targets: BTreeMap<String, Target>,
    /// `[syncs.NAME]`; every source and target they name exists.
    pub syncs: BTreeMap<String, Sync>,
    /// The file it was read from, as given.
    pub path: PathBuf,
}

/// Settings of the process as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Part of slot and publication names, so that two engines on one database don't meet.
    pub name: String,
    /// Where segment files and the socket live.
    pub state_dir: PathBuf,
    /// Where plugins are looked for, in order.
    pub plugin_dirs: Vec<PathBuf>,
    /// Budget in bytes of the batches in memory, per source, all lanes together.
    pub memory: u64,
}

impl Engine {
    /// `name` where none is given.
    pub const DEFAULT_NAME: &'static str = "tahr";
    /// `state_dir` where none is given, beside the config file.
    pub const DEFAULT_STATE_DIR: &'static str = "tahr-state";
    /// `memory` where none is given.
    pub const DEFAULT_MEMORY: u64 = 64 << 20;
}

/// A database to copy from.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is; holds the password, so `Debug` shows it without.
    pub url: String,
    /// A publication that a DBA made, in the place of tahr's own.
    pub publication: Option<String>,
    /// A replication slot that a DBA made, in the place of tahr's own.
    pub slot: Option<String>,
    /// How far the slot stays behind what the targets have stored, so that a target that lost
    /// its last moments is replayed rather than copied again.
    pub redo: Duration,
    /// How long creating the slot may wait for open transactions of the source.
    pub slot_timeout: Duration,
    /// The largest row, in bytes, that the stream accepts.
    pub max_row_bytes: u64,
    /// How many bytes of segment files the log may have.
    pub log_limit: u64,
    /// What to do where it has as many.
    pub on_log_limit: OnLogLimit,
}

/// What to do where a log is as large as it may be, since a lane lags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLogLimit {
    /// What comes next stays in the source's WAL for that lane.
    #[default]
    Hold,
    /// The lane is parked, and nothing is kept for it any more.
    Park,
}

impl Source {
    /// `redo` where none is given.
    pub const DEFAULT_REDO: Duration = Duration::from_secs(10);
    /// `slot_timeout` where none is given.
    pub const DEFAULT_SLOT_TIMEOUT: Duration = Duration::from_secs(60);
    /// `max_row_bytes` where none is given.
    pub const DEFAULT_MAX_ROW_BYTES: u64 = 64 << 20;
    /// `log_limit` where none is given.
    pub const DEFAULT_LOG_LIMIT: u64 = 10 << 30;
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("url", &redact_url(&self.url))
            .field("publication", &self.publication)
            .field("slot", &self.slot)
            .field("redo", &self.redo)
            .field("slot_timeout", &self.slot_timeout)
            .field("max_row_bytes", &self.max_row_bytes)
            .field("log_limit", &self.log_limit)
            .field("on_log_limit", &self.on_log_limit)
            .finish()
    }
}

/// A database to write to.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The plugin that writes to it.
    pub plugin: String,
    /// The plugin's options; the plugin checks them. Any may be secret, so `Debug` shows the
    /// names alone.
    pub options: Map<String, Value>,
    /// What the plugin's file must hash to, in lowercase hexadecimal digits.
    pub sha256: Option<String>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("plugin", &self.plugin)
            .field("options", &self.options.keys().collect::<Vec<_>>())
            .field("sha256", &self.sha256)
            .finish()
    }
}

/// A named piece of replication: which tables go from where to where, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Names of its sources; several also replicate to each other.
    pub sources: Vec<String>,
    /// Names of its targets; one lane each. Empty only with several sources.
    pub targets: Vec<String>,
    /// Which tables, see [`Sync::selects`].
    pub tables: Vec<TablePattern>,
    /// Rules for single tables, by their name in the source.
    pub tables_rules: BTreeMap<TableName, TableRule>,
    /// How many rows small source transactions may merge to.
    pub max_batch_rows: u32,
    /// How many bytes small source transactions may merge to.
    pub max_batch_bytes: u64,
    /// How long a busy lane may wait for a batch to fill; an idle lane never waits.
    pub max_delay: Duration,
    /// How many tables or parts of tables are copied at the same time.
    pub copy_workers: u32,
    /// What to do with rows that are in a target table before its first copy.
    pub existing: Existing,
    /// What to do about a gap; without one the target's plugin decides.
    pub on_gap: Option<OnGap>,
    /// What to do about a change that a target rejects.
    pub on_rejected: OnRejected,
    /// How many rows a lane sets aside at the most.
    pub rejected_limit: u32,
    /// What counts among several sources.
    pub masters: Masters,
}

impl Config {
    /// The syncs of several sources that the source `name` is in, by name.
    pub fn masters_of(&self, name: &str) -> impl Iterator<Item = (&String, &Sync)> {
        self.syncs.iter().filter(move |(_, sync)| {
            sync.has_masters() && sync.sources.iter().any(|source| source == name)
        })
    }
}

impl Sync {
    /// `max_batch_rows` where none is given.
    pub const DEFAULT_MAX_BATCH_ROWS: u32 = 10_000;
    /// `max_batch_bytes` where none is given.
    pub const DEFAULT_MAX_BATCH_BYTES: u64 = 4 << 20;
    /// `rejected_limit` where none is given.
    pub const DEFAULT_REJECTED_LIMIT: u32 = 1000;
    /// `copy_workers` where none is given.
    pub const DEFAULT_COPY_WORKERS: u32 = 2;

    /// Whether its sources replicate to each other.
    #[must_use]
    pub fn has_masters(&self) -> bool {
        self.sources.len() > 1
    }

    /// The source whose changes its targets get; none without any source.
    #[must_use]
    pub fn followed(&self) -> Option<&String> {
        let named = self.masters.targets_follow.as_ref();
        named.or_else(|| self.sources.first())
    }

    /// Whether its patterns include `table`: they are tried in order, and the last one that
    /// matches decides. tahr's own tables are never included.
    #[must_use]
    pub fn selects(&self, table: &TableName) -> bool {
        TablePattern::select(&self.tables, table) && !is_own_table(table)
    }
}

impl Default for Sync {
    /// A sync of nothing, with the defaults of its settings.
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            targets: Vec::new(),
            tables: Vec::new(),
            tables_rules: BTreeMap::new(),
            max_batch_rows: Self::DEFAULT_MAX_BATCH_ROWS,
            max_batch_bytes: Self::DEFAULT_MAX_BATCH_BYTES,
            max_delay: Duration::ZERO,
            copy_workers: Self::DEFAULT_COPY_WORKERS,
            existing: Existing::default(),
            on_gap: None,
            on_rejected: OnRejected::default(),
            rejected_limit: Self::DEFAULT_REJECTED_LIMIT,
            masters: Masters::default(),
        }
    }
}

/// What to do when a target table already holds rows that tahr did not copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Park the lane and say so; nothing is touched.
    #[default]
    Refuse,
    /// Replace them by the source's rows.
    Replace,
}

/// What to do when a target's checkpoint is out of reach: the changes after it are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGap {
    /// Park the lane until a person decides.
    Park,
    /// Copy its tables again.
    Resync,
}

/// What to do about a change that a target rejects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRejected {
    /// Park the lane until a person decides.
    #[default]
    Park,
    /// Set it aside, and go on with the rest.
    SetAside,
}

/// How a sync treats one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableRule {
    /// Its name in the targets, where another one; a bare name in the config keeps the schema.
    pub rename: Option<TableName>,
    /// Columns that are not copied.
    pub exclude: Vec<String>,
    /// Who wins its conflicts, where not who wins the sync's.
    pub conflict: Option<Conflict>,
}
