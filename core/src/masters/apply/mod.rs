//! Appliers: flights, written to a source.
//!
//! ```text
//! Order ─▶ one transaction: marker, truncates, deletes, rows, notes ─▶ Applied
//!             │ a row is locked or refused
//!             └▶ again, in savepoints: what can't be written is left out, and noted
//! ```
//!
//! One [`Applier`] per source of a sync: a task with one session. A [`Circle`](super) hands it the
//! flight that is on its way, as an [`Order`], and is told by an [`Event`] when it is written.
//!
//! # Guarantees
//!
//! - *One order is one transaction*, whose first change is the sync's row in `tahr.checkpoint`. That
//!   row's number says that an order was written before, so it is written once however often it is
//!   sent.
//! - *One session at a time*: an advisory lock that the session holds says that the one before is
//!   over, and with it whatever it had not committed.
//! - *A locked row delays only itself*: it is waited for shorter than `deadlock_timeout`, and then
//!   left out with the others written. A row that a unique or exclusion constraint refuses is left
//!   out with the row in its way; two rows that change places are no refusal.
//! - *Nothing else is left out*: a row that can't be written for another reason fails the order,
//!   which is tried again until a person has mended it.
//!
//! # Paths
//!
//! `session` is the session; `table` a table as SQL, `catalog` what the source says of it.
//! `work` sorts an order by table; `writer` writes it, few rows one by one and many at once, as
//! the answers of the statements before are still on their way (`pipeline`). `careful` is the way
//! with savepoints, `refused` finds who is in whose way, `search` what else fails. `task` is what
//! runs all of it.

mod careful;
mod catalog;
mod error;
mod pipeline;
mod refused;
mod search;
mod session;
mod table;
mod task;
mod values;
mod work;
mod writer;

use std::sync::Arc;

use tahr_postgres_connect::Url;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use super::Tables;
use crate::{
    lane::Fault,
    reconcile::{Key, Origin, Version},
    shutdown::Stop,
};

/// What an applier is made of.
#[derive(Debug)]
pub struct Setup {
    /// The source's position among those of the sync.
    pub member: usize,
    /// Its name in the config.
    pub source: String,
    /// Where it is.
    pub url: Url,
    /// How tahr calls itself there.
    pub application: String,
    /// The engine's name.
    pub engine: String,
    /// The sync's name.
    pub sync: String,
    /// The sync's tables.
    pub tables: Arc<Tables>,
    /// Where the task runs.
    pub runtime: tokio::runtime::Handle,
    /// The wish to end.
    pub stop: Stop,
    /// Where the events go.
    pub events: mpsc::UnboundedSender<Event>,
}

/// A flight to be written.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its number.
    pub sequence: u64,
    /// What to write, in order of keys.
    pub rows: Arc<Vec<(Key, Version)>>,
    /// Where each row came from; written into the notes, where the source is a member of further
    /// syncs.
    pub origins: Vec<(Key, Origin)>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Event {
    /// The source can be written to.
    Ready {
        /// Which.
        member: usize,
        /// Whether triggers and foreign keys run for what is written: the role may not set
        /// `session_replication_role`.
        fires_triggers: bool,
    },
    /// It can't, and is tried again; what is on its way is not lost.
    Away {
        /// Which.
        member: usize,
        /// Why.
        fault: Fault,
    },
    /// The order is committed, or was found committed. The marker in the stream says the rest.
    Applied {
        /// Which.
        member: usize,
        /// The order's number.
        sequence: u64,
        /// Keys that were written; 0 for an order that was found committed.
        rows: u64,
        /// Keys that were left out.
        left: u64,
        /// Why keys were left out, where a person should know.
        fault: Option<Fault>,
    },
}

/// Writes orders to one source. Ends with its [`Stop`], or when dropped.
#[derive(Debug)]
pub struct Applier {
    orders: mpsc::UnboundedSender<Order>,
    retry: Arc<Notify>,
    stop: Stop,
    task: Option<JoinHandle<()>>,
}

impl Applier {
    /// Starts one; it connects at once.
    #[must_use]
    pub fn spawn(mut setup: Setup) -> Self {
        let (orders, incoming) = mpsc::unbounded_channel();
        let retry = Arc::new(Notify::new());
        let stop = setup.stop.child();
        setup.stop = stop.clone();
        let runtime = setup.runtime.clone();
        let task = task::Task::new(setup, incoming, Arc::clone(&retry));
        Self {
            orders,
            retry,
            stop,
            task: Some(runtime.spawn(task.run())),
        }
    }

    /// Hands over the next order: only after the one before was applied, or the same again.
    pub fn send(&self, order: Order) {
        // Without a task the engine is about to end.
        let _ = self.orders.send(order);
    }

    /// Tries again now what waits to be tried again.
    pub fn retry_now(&self) {
        self.retry.notify_one();
    }

    /// Ends it. An order being written gets a moment to be committed.
    pub async fn stop(mut self) {
        self.stop.stop();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Applier {
    fn drop(&mut self) {
        self.stop.stop();
    }
}
