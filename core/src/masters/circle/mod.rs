//! A circle: the sources of one sync, and the one who judges between them.
//!
//! Each sync of several sources has a thread of its own, the judge, which holds the
//! [`Reconciler`](crate::reconcile::Reconciler) and does in turn: take in what the intakes have read,
//! judge it ([round](crate::reconcile::Round)), store that, and give the appliers what is to be
//! written. Nothing waits for a batch to fill: a round begins as soon as there is nothing more to
//! take in, so rounds are small when little happens and grow with the load.
//!
//! An *attempt* goes from what is stored to the next trouble; after it all begins anew from what is
//! stored, as after a crash. What only a person can mend ends the attempt, is shown, and waits for
//! [`resume`](super::Handle::resume).
//!
//! The engine makes a circle with [`Circle::spawn`] and tells it of each source that is open, by
//! [`Circle::arrive`]. The first meeting needs all of them; later those that are here go on
//! among themselves.

mod acts;
mod asking;
mod attempt;
mod books;
mod clocks;
mod drawing;
mod first;
mod gathering;
mod judge;
mod member;
mod memory;
mod senses;
mod show;
mod strategy;
mod trouble;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::sync::mpsc;

use super::Handle;
use crate::{
    config,
    log::{LaneId, Log},
    reconcile::SourceId,
    record::Relations,
    shutdown::Stop,
    source::{Opened, Table},
};

/// What a circle is made of.
#[derive(Debug)]
pub struct Setup {
    /// The engine's name.
    pub engine: String,
    /// The sync's name.
    pub name: String,
    /// Its settings.
    pub sync: Arc<config::Sync>,
    /// The names of all sources of the config: changes may come from any.
    pub names: BTreeMap<SourceId, String>,
    /// For each member whether it is a member of further syncs of several sources.
    pub further: Vec<bool>,
    /// Where its state is kept.
    pub folder: PathBuf,
    /// What people ask of it, and where it shows itself.
    pub handle: Handle,
    /// Where its appliers run.
    pub runtime: tokio::runtime::Handle,
    /// The wish that it ends.
    pub stop: Stop,
}

/// A member that is open.
#[derive(Clone, Debug)]
pub struct Present {
    /// The source.
    pub opened: Arc<Opened>,
    /// Its tables that the sync selects.
    pub tables: Vec<Table>,
    /// Its log.
    pub log: Arc<Log>,
    /// The circle's place in it.
    pub lane: LaneId,
    /// Its relations.
    pub relations: Arc<Relations>,
    /// How long a snapshot may take.
    pub slot_timeout: Duration,
}

/// A running circle.
#[derive(Debug)]
pub struct Circle {
    /// What people ask of it, and where it shows itself.
    pub handle: Handle,
    stop: Stop,
    arrivals: mpsc::UnboundedSender<(usize, Present)>,
    thread: JoinHandle<()>,
}

impl Circle {
    /// Starts the circle's thread.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub fn spawn(setup: Setup) -> std::io::Result<Self> {
        let (handle, stop) = (setup.handle.clone(), setup.stop.clone());
        let (arrivals, arrived) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name(format!("sync {}", setup.name))
            .spawn(move || attempt::run(setup, arrived))?;
        Ok(Self {
            handle,
            stop,
            arrivals,
            thread,
        })
    }

    /// Tells it that the member at this place of the sync's sources is open.
    pub fn arrive(&self, member: usize, present: Present) {
        // One that has ended needs nobody.
        let _ = self.arrivals.send((member, present));
    }

    /// Asks it to end after what it is in.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Whether its thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its thread to end.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a sync's thread panicked; this is a bug of tahr");
        }
    }
}
