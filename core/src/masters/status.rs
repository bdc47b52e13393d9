//! What a sync of several sources shows of itself.
//!
//! Written by its circle through [`Handle::update`](super::Handle::update), read by `tahr status`,
//! `tahr ping` and `tahr kick --wait`. Keys may be named in it, by table and column; values never.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tahr_plugin_api::Lsn;

use super::meeting::Progress;
use crate::{lane::Fault, rfc3339};

/// What [`Status::paused_by`] says of a pause that a person asked for.
pub const BY_PERSON: &str = "person";

/// Where a circle is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Reading its state, waiting for sources.
    #[default]
    Starting,
    /// Comparing what the sources held before.
    Meeting,
    /// Holding rounds.
    Running,
    /// Waiting for `tahr resume`: see [`Status::paused_by`].
    Paused,
    /// Waiting for a person to mend something: see [`Status::fault`].
    Parked,
}

impl State {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Meeting => "meeting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Parked => "parked",
        }
    }
}

/// A sync of several sources at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the sync.
    pub sync: String,
    /// See [`State`].
    pub state: State,
    /// [`BY_PERSON`], or why it paused itself: rule and table, never a row's values.
    pub paused_by: Option<String>,
    /// Since when it is paused.
    #[serde(with = "rfc3339::option")]
    pub paused_since: Option<SystemTime>,
    /// The last error.
    pub fault: Option<Fault>,
    /// How far the sources are compared, while they meet.
    pub meeting: Option<Progress>,
    /// Number of the last round.
    pub round: u64,
    /// The last round that moved anything.
    pub last_round: Option<Round>,
    /// Conflicts since the engine started.
    pub conflicts: u64,
    /// Conflicts since the sync began.
    pub conflicts_in_all: u64,
    /// Sequence of the last apply.
    pub sequence: u64,
    /// Its sources, in the config's order.
    pub members: Vec<Member>,
}

/// A round as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// When it ended.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    /// How long it took, in seconds.
    pub took: f64,
    /// Rows taken from the sources.
    pub rows_in: u64,
    /// Rows given to the sources, each counted once for each of them.
    pub rows_out: u64,
    /// Conflicts in it.
    pub conflicts: u64,
}

/// What a circle does with one of its sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// It can't be reached; it is tried on.
    #[default]
    Away,
    /// Its changes are read.
    Reading,
    /// And rows are being written to it.
    Applying,
    /// Waiting for a person.
    Parked,
}

impl MemberState {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Reading => "reading",
            Self::Applying => "applying",
            Self::Parked => "parked",
        }
    }
}

/// One source of a circle at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Name of the source.
    pub source: String,
    /// See [`MemberState`].
    pub state: MemberState,
    /// Its last error.
    pub fault: Option<Fault>,
    /// Everything that it committed before was taken into a round, durably.
    pub cut: Lsn,
    /// Keys that it is owed.
    pub owed: u64,
    /// Rows that are on their way to it.
    pub in_flight: u64,
    /// Rows taken from it since the engine started.
    pub rows_in: u64,
    /// Rows written to it since the engine started.
    pub rows_out: u64,
    /// Age of the oldest change that is not everywhere: made here and not taken or not given to all,
    /// or made elsewhere and not written here. None while that is not known, 0 for none.
    pub lag_seconds: Option<f64>,
    /// How far its clock is ahead of the engine's.
    pub skew_ms: Option<i64>,
}

impl Member {
    /// Whether what it committed before `mark` has been taken, and nothing is on its way to it.
    #[must_use]
    pub fn has_settled(&self, mark: Lsn) -> bool {
        self.cut >= mark && self.owed == 0 && self.in_flight == 0
    }
}
