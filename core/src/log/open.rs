//! How a log is opened.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use tahr_plugin_api::{Lsn, Position};
use tokio::sync::Notify;

use super::{
    aside::Aside,
    disk::Disk,
    error::LogError,
    ledger::{Ledger, LogId},
    recover::{Present, recover},
    room::Quota,
    scribe::Scribe,
    segment::SEGMENT_BYTES,
    state::State,
    store::Log,
};
use crate::{config::OnLogLimit, record::Relations};

/// What a log is made of.
#[derive(Debug)]
pub struct LogSetup<'a> {
    /// Where segment files are.
    pub folder: &'a Path,
    /// Which stream it is of.
    pub id: LogId,
    /// Bytes of arenas in memory.
    pub budget: u64,
    /// Bytes of segment files.
    pub limit: u64,
    /// What to do where that is reached.
    pub on_limit: OnLogLimit,
    /// How long what every lane has stored stays on disk, for a target that loses its last moments.
    pub redo: Duration,
    /// What the slot was told last.
    pub confirmed: Lsn,
    /// Where the source writes WAL.
    pub end: Lsn,
    /// The source's relations; those that the log refers to are added.
    pub relations: Arc<Relations>,
}

impl Log {
    /// The log that an earlier run left in the folder, where it is of this stream and leads to where
    /// the slot begins; otherwise an empty one that begins there.
    ///
    /// # Errors
    ///
    /// The folder can't be read.
    pub fn open(setup: LogSetup<'_>) -> Result<Self, LogError> {
        let ledger = Ledger::new(setup.folder, setup.id);
        let source = Present {
            confirmed: setup.confirmed,
            end: setup.end,
        };
        let found = recover(&ledger, &setup.relations, source)?;
        let aside = Aside::find(setup.folder)?;
        if aside.count() > 0 {
            tracing::info!(folder = %setup.folder.display(), bytes = aside.bytes(),
                "the log's folder has files that were set aside, which are of no use any more");
        }
        let most = SEGMENT_BYTES.min((setup.limit / 8).max(64 << 10));
        let mut scribe = Scribe::new(ledger, setup.relations, found.noted, found.made, most);
        if let Some(last) = found.segments.back() {
            scribe.go_on(last)?;
        }
        let budget = usize::try_from(setup.budget).unwrap_or(usize::MAX);
        let start = Position::at(setup.confirmed);
        let quota = Quota::new(setup.limit, setup.on_limit, setup.redo);
        let mut state = State::new(budget, start, Disk::found(found.segments), quota);
        state.aside = aside;
        state.make_room(0);
        drop(state.take_garbage());
        Ok(Self {
            state: Mutex::new(state),
            scribe: Mutex::new(scribe),
            readers: Mutex::default(),
            arrived: Condvar::new(),
            room: Notify::new(),
            keeper: Mutex::default(),
            #[cfg(test)]
            fails: false.into(),
            #[cfg(test)]
            mistakes: false.into(),
        })
    }

    /// An empty log of no stream in particular that begins at `start`, in an empty `folder`.
    ///
    /// # Errors
    ///
    /// The folder can't be read.
    pub fn new(folder: &Path, budget: u64, start: Position) -> Result<Self, LogError> {
        Self::open(LogSetup {
            folder,
            id: LogId::default(),
            budget,
            limit: u64::MAX,
            on_limit: OnLogLimit::Hold,
            redo: Duration::ZERO,
            confirmed: start.lsn,
            end: Lsn(u64::MAX),
            relations: Arc::default(),
        })
    }
}
