//! What a source shows of itself, to `tahr status` and to the engine.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::Lsn;

use super::{Outlook, Present, SourceError};
use crate::{fault::Fault, log::LogUsage, rfc3339};

/// What a source shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Name of the source.
    pub source: String,
    /// Whether its stream is open.
    pub is_streaming: bool,
    /// Since when it is not.
    #[serde(default, with = "rfc3339::option")]
    pub away_since: Option<SystemTime>,
    /// Why not, or why it was not last time; as the last attempt to open it found.
    pub fault: Option<Fault>,
    /// How far the source was read.
    pub read: Lsn,
    /// What the slot was told that tahr needs no more.
    pub released: Lsn,
    /// Where the source says its log ends.
    pub end: Lsn,
    /// What is known of what was not read yet.
    #[serde(default)]
    pub present: Present,
    /// What its log holds.
    #[serde(default)]
    pub log: LogUsage,
    /// What it keeps for the slot; none before the first look.
    #[serde(default)]
    pub slot: Option<Outlook>,
}

impl SourceStatus {
    /// Notes why it is not streaming.
    pub fn note(&mut self, error: &SourceError) {
        self.is_streaming = false;
        self.away_since.get_or_insert_with(SystemTime::now);
        self.fault = Some(Fault::new(&error.message, &error.hint));
    }

    /// Notes that its log ended at `end`, as an answer to a question of `asked`.
    pub(super) fn answered(&mut self, end: Lsn, asked: SystemTime) {
        self.end = self.end.max(end);
        self.present.answered(end, asked);
    }

    /// Notes that it is streaming.
    pub(super) fn streams(&mut self) {
        self.is_streaming = true;
        self.away_since = None;
    }
}

/// A [`SourceStatus`] that the reader changes and others read.
#[derive(Debug, Default)]
pub struct SourceCell {
    status: Mutex<SourceStatus>,
    failure: Mutex<Option<SourceError>>,
}

impl SourceCell {
    /// A source that is not streaming yet.
    #[must_use]
    pub fn new(source: &str) -> Self {
        let status = SourceStatus {
            source: source.to_owned(),
            away_since: Some(SystemTime::now()),
            ..SourceStatus::default()
        };
        Self {
            status: Mutex::new(status),
            failure: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, SourceStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of it.
    #[must_use]
    pub fn get(&self) -> SourceStatus {
        self.lock().clone()
    }

    /// Changes it.
    pub fn update(&self, change: impl FnOnce(&mut SourceStatus)) {
        change(&mut self.lock());
    }

    /// Notes why its reader has ended.
    pub(super) fn fail(&self, error: SourceError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Why its reader has ended, once it has.
    #[must_use]
    pub fn take_failure(&self) -> Option<SourceError> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}
