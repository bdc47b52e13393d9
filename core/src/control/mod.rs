//! The running engine's door: a Unix socket in the state folder, for its owner only.
//!
//! One request per connection, a line of JSON each way. [`Server`] belongs to the engine, the
//! commands use [`ask`]. Beside it lies the lock that keeps two engines from one state folder.

mod client;
mod lock;
mod server;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use client::ask;
pub use lock::StateLock;
pub use server::Server;

use crate::engine::Report;

/// What a command asks of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// What it is doing.
    Status,
    /// To end, as after Ctrl-C.
    Stop,
}

/// What the engine answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Status`].
    Status(Report),
    /// It will be done.
    Accepted,
    /// It was not understood, or can't be done.
    Refused(String),
}

/// Where the socket of the engine in `state_dir` lies.
#[must_use]
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("tahr.sock")
}
