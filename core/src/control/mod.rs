//! The running engine's door: a Unix socket in the state folder, for its owner only.
//!
//! One request per connection, a line of JSON each way; before the answer to one that takes long come
//! lines that say how far it is. [`Server`] belongs to the engine, the
//! commands use [`ask`]. Beside it lies the lock that keeps two engines from one state folder.

mod client;
mod lock;
mod past;
mod server;
mod verify;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::Lsn;

pub use client::{ask, ask_and_hear};
pub use lock::StateLock;
pub use server::Server;

use crate::{
    Error, ErrorKind, Faults,
    engine::{Changed, Kicked, Marks, Missing, Part, Rejected, Reloaded, Report, Resynced},
    lane::rejected::{Choice, Settled},
    masters::chronicle::{Entry, Question, RoundEntry},
    verify::{Progress, Verified, Wanted},
};

/// What a command asks of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// What it is doing.
    Status,
    /// What its sources have quarrelled about.
    Conflicts(Question),
    /// What its rounds have done.
    History(Question),
    /// To end, as after Ctrl-C.
    Stop,
    /// To read its config file again.
    Reload,
    /// To pause a sync or a lane.
    Pause(Part),
    /// To end a pause, and to try again what is parked.
    Resume(Part),
    /// Which rows the lanes of a part, or all, have set aside.
    Rejected(Option<Part>),
    /// To give rows that were set aside to their targets again.
    RetryRejected(Part, Choice),
    /// To forget rows that were set aside.
    DiscardRejected(Part, Choice),
    /// To try at once what waits in a sync.
    Kick(String),
    /// To copy tables anew.
    Resync {
        /// Of which lanes.
        part: Part,
        /// Which, as names or patterns; none: all.
        tables: Vec<String>,
    },
    /// Where the sources of a sync stand.
    Marks {
        /// The sync.
        sync: String,
        /// Only these; none: all.
        sources: BTreeSet<String>,
        /// How long each may take.
        patience: Duration,
    },
    /// What of that which was committed before is not where it belongs.
    Missing {
        /// The sync.
        sync: String,
        /// Where its sources stood.
        marks: BTreeMap<String, Lsn>,
        /// Whether only its targets are asked about.
        lanes: bool,
    },
    /// To compare targets with their sources.
    Verify(Wanted),
}

/// What the engine answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Status`].
    Status(Report),
    /// To [`Request::Conflicts`], the newest last.
    Conflicts(Vec<Entry>),
    /// To [`Request::History`], the newest last.
    History(Vec<RoundEntry>),
    /// It will be done.
    Accepted,
    /// To [`Request::Reload`]: done.
    Reloaded(Reloaded),
    /// To [`Request::Pause`] and [`Request::Resume`]: done.
    Changed(Changed),
    /// To [`Request::Rejected`], by lane.
    Rejected(Vec<Rejected>),
    /// To [`Request::RetryRejected`] and [`Request::DiscardRejected`], by lane.
    Settled(Vec<Settled>),
    /// To [`Request::Kick`]: done.
    Kicked(Kicked),
    /// To [`Request::Resync`], by lane: noted.
    Resynced(Vec<Resynced>),
    /// To [`Request::Marks`].
    Marks(Marks),
    /// To [`Request::Missing`].
    Missing(Vec<Missing>),
    /// To [`Request::Verify`], while it is under way.
    Verifying(Progress),
    /// To [`Request::Verify`]: done.
    Verified(Verified),
    /// It was not done, for all of these faults.
    Faulty(Vec<Told>),
    /// It was not understood, or can't be done.
    Refused(String),
}

/// A fault as the engine tells it to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Which part is to blame.
    pub kind: ErrorKind,
    /// What went wrong, and what caused it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<&Error> for Told {
    fn from(error: &Error) -> Self {
        let mut message = error.message().to_owned();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self {
            kind: error.kind(),
            message,
            hint: error.hint_text().map(str::to_owned),
        }
    }
}

impl From<Told> for Error {
    fn from(told: Told) -> Self {
        let error = Self::new(told.kind, told.message);
        match told.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<Result<Reloaded, Faults>> for Answer {
    fn from(result: Result<Reloaded, Faults>) -> Self {
        match result {
            Ok(done) => Self::Reloaded(done),
            Err(faults) => Self::Faulty(faults.errors().iter().map(Told::from).collect()),
        }
    }
}

impl Answer {
    /// An answer that is `made` of what was done, or of the error.
    fn of<T>(result: Result<T, Error>, made: impl FnOnce(T) -> Self) -> Self {
        match result {
            Ok(done) => made(done),
            Err(error) => Self::Faulty(vec![Told::from(&error)]),
        }
    }

    /// The error of an answer that isn't the one expected.
    #[must_use]
    pub fn into_faults(self) -> Faults {
        let errors = match self {
            Self::Faulty(told) => told.into_iter().map(Error::from).collect(),
            Self::Refused(why) => vec![Error::failed(why)],
            _ => Vec::new(),
        };
        let unexpected = || Error::failed("the engine answered something else").into();
        Faults::unless_empty(errors)
            .err()
            .unwrap_or_else(unexpected)
    }
}

/// Where the socket of the engine in `state_dir` lies.
#[must_use]
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("tahr.sock")
}
