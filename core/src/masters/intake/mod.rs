//! Intake: what a source's log holds, as transactions to be judged.
//!
//! ```text
//! log ── arenas ──▶ plans: which table, where its columns are ──▶ gather: transactions, packed
//!                                                                   │
//!       circle ◀── Seen, in commit order ◀── complete: values that the stream left out
//! ```
//!
//! One [`Intake`] per member, on a thread of its own, is a lane of the source's log: it joins at the
//! cut, reads from there, and the log keeps what it needs until the circle says that it is
//! [stored](crate::log::Log::stored).
//!
//! # Guarantees
//!
//! - Transactions are whole and in commit order, each is sent once, and none behind the cut is left
//!   out: a log that is rewound for another lane is read again up to where the intake was.
//! - A table of another shape than the sources agreed on is never guessed at: the intake says
//!   [`Seen::Reshaped`] and ends.
//! - No row has a value left out. What the stream leaves out (TOAST) is taken from the old row where
//!   that is whole, else read from the source, where it may be newer than the change: then what made
//!   it so comes later in the stream. For the same reason a change whose row is not there any more
//!   is dropped. An apply writes every column, so its rows come whole and are never altered so.
//! - Times are microseconds since 2000-01-01 UTC, by the source's clock.
//!
//! Memory: one arena's transactions, one that goes on over arenas, and what waits in the sink.

mod complete;
mod gather;
mod lookup;
mod plan;
mod reader;
#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use tahr_plugin_api::{Lsn, TableName};
use tahr_postgres_connect::Url;
use tokio::sync::mpsc::Sender;

use self::{complete::Completer, gather::Gatherer, reader::Reader};
use super::Tables;
use crate::{
    lane::Fault,
    log::{LaneId, Log},
    reconcile::Transaction,
    record::Relations,
    shutdown::Stop,
};

/// All that an intake needs.
#[derive(Debug)]
pub struct Setup {
    /// The source's place among the sync's sources.
    pub member: usize,
    /// The source's log.
    pub log: Arc<Log>,
    /// The intake's place in it.
    pub lane: LaneId,
    /// The versions of relations that the log's arenas refer to.
    pub relations: Arc<Relations>,
    /// What the sources agree on.
    pub tables: Arc<Tables>,
    /// The engine's name, as `tahr.checkpoint` has it.
    pub engine: String,
    /// The sync's name, as `tahr.checkpoint` has it.
    pub sync: String,
    /// Transactions that end up to here are judged already.
    pub cut: Lsn,
    /// The source, for values that its stream leaves out.
    pub url: Url,
    /// How tahr calls itself there.
    pub application: String,
    /// The engine's runtime, which sessions run on; with threads of its own.
    pub runtime: tokio::runtime::Handle,
    /// Asks the intake to end. One that waits for the log ends once that tells it too, by
    /// [`Log::dismiss`], [`Log::wake`] or [`Log::stop`], or in a moment.
    pub stop: Stop,
    /// Takes what was seen. While it is full the intake waits, and the log with it.
    pub sink: Sender<Seen>,
}

/// What an intake has seen. After the last two of these it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Whole transactions, in commit order: those of one arena at most.
    Transactions(Vec<Transaction>),
    /// The source was read up to here, and nothing that matters before it is still to come. Said
    /// only when nothing else waits in the sink.
    Reached(Lsn),
    /// A shared table has another shape on this source now. Nothing of it, and nothing behind it, is
    /// sent.
    Reshaped {
        /// The table.
        table: TableName,
        /// What is different, a fragment such as `column "a" is new`.
        message: String,
    },
    /// What lies behind the cut can't be read any more.
    Gap(String),
}

/// A running intake.
#[derive(Debug)]
pub struct Intake {
    hindrance: Hindrance,
    thread: JoinHandle<()>,
}

/// What an intake waits to pass.
type Hindrance = Arc<Mutex<Option<Fault>>>;

impl Intake {
    /// Starts the intake's thread.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub fn spawn(setup: Setup) -> io::Result<Self> {
        let hindrance = Hindrance::default();
        let reader = Reader::new(setup, Arc::clone(&hindrance));
        let thread = std::thread::Builder::new()
            .name(reader.name())
            .spawn(move || reader.run())?;
        Ok(Self { hindrance, thread })
    }

    /// Whether its thread has ended: it was asked to, or it has said why it can't go on.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// What keeps it from going on, while it tries again: the source can't be asked for values that
    /// its stream left out, or the log can't be read.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let hindrance = self.hindrance.lock();
        hindrance.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for its thread to end.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("an intake's thread panicked; this is a bug of tahr");
        }
    }
}
