//! The running engine's door: a Unix socket in the state folder, for its owner only.
//!
//! One request per connection, a line of JSON each way. [`Server`] belongs to the engine, the
//! commands use [`ask`]. Beside it lies the lock that keeps two engines from one state folder.

mod client;
mod lock;
mod past;
mod server;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use client::ask;
pub use lock::StateLock;
pub use server::Server;

use crate::{
    Error, ErrorKind, Faults,
    engine::{Reloaded, Report},
    masters::chronicle::{Entry, Question, RoundEntry},
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

/// Where the socket of the engine in `state_dir` lies.
#[must_use]
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("tahr.sock")
}
