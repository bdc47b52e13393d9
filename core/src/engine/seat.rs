//! A lane's place in the engine: what is wanted there, and what there is.
//!
//! Whoever changes the engine says what is *wanted* and returns; [`Seat::clear`] and [`Seat::fill`],
//! called until nothing is left to do, bring what there is to it: a lane that is not wanted, or not
//! like this, is ended after the batch it is in, and only then the one that is wanted starts. So a
//! lane that takes long to end holds up nobody, and two never write for one seat. Where the lane is
//! wanted paused, the seat stays free and keeps its place in the log, which keeps what follows.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::plan::{LaneName, Spec};
use crate::{
    Error,
    lane::{Attendant, Fault, Lane, Resyncs, Setup, State, StatusCell, rejected::Place},
    log::{LaneId, Log},
    plugin::Plugin,
    source::Table,
};

/// How long a lane may finish what it is in before its writer is interrupted.
pub(super) const GRACE: Duration = Duration::from_secs(4);
/// How often a writer is interrupted that goes on.
const AGAIN: Duration = Duration::from_millis(500);

/// The place of one lane.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) name: LaneName,
    /// Its place in the source's log.
    pub(super) id: LaneId,
    pub(super) status: Arc<StatusCell>,
    /// What its lane is to copy anew.
    pub(super) resyncs: Arc<Resyncs>,
    /// Where its lane meets those who ask about rejected rows.
    pub(super) rejected: Arc<Place>,
    pub(super) attendant: Arc<Attendant>,
    /// None where the lane is to go.
    wanted: Option<Arc<Wanted>>,
    taken: Option<Taken>,
    /// What can't start or is paused, and was shown so.
    hindered: Option<Arc<Wanted>>,
}

/// The lane as it is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) spec: Spec,
    pub(super) tables: Vec<Table>,
    /// Or why it can't start.
    pub(super) plugin: Result<Plugin, Hindrance>,
    /// Since when a person wants it paused.
    pub(super) paused: Option<SystemTime>,
}

/// Why a lane can't start.
#[derive(Clone, Debug)]
pub(super) struct Hindrance {
    pub(super) fault: Fault,
    /// Whether it is its plugin, which may still come.
    pub(super) is_plugin: bool,
}

#[derive(Debug)]
struct Taken {
    by: Arc<Wanted>,
    lane: Lane,
    /// Since when it is to end, and when its writer was interrupted.
    ending: Option<(Instant, Option<Instant>)>,
}

impl Hindrance {
    pub(super) fn of(error: &Error, is_plugin: bool) -> Self {
        let fault = Fault {
            message: error.message().to_owned(),
            hint: error.hint_text().unwrap_or_default().to_owned(),
            table: None,
            column: None,
            since: SystemTime::now(),
        };
        Self { fault, is_plugin }
    }
}

impl Seat {
    /// A seat that nobody has taken; its place in the log exists.
    pub(super) fn new(name: LaneName, id: LaneId, plugin: &str, resyncs: Resyncs) -> Self {
        let status = Arc::new(StatusCell::new(
            (&name.sync, &name.source, &name.target),
            plugin,
        ));
        Self {
            name,
            id,
            status,
            resyncs: Arc::new(resyncs),
            rejected: Arc::default(),
            attendant: Arc::default(),
            wanted: None,
            taken: None,
            hindered: None,
        }
    }

    /// The lane as it is wanted; none where it is to go.
    pub(super) fn wanted(&self) -> Option<&Arc<Wanted>> {
        self.wanted.as_ref()
    }

    /// Says what is wanted from now on.
    pub(super) fn want(&mut self, wanted: Option<Wanted>) {
        self.wanted = wanted.map(Arc::new);
    }

    /// Says that the lane is wanted as before, and from the beginning: it is parked, and what parked
    /// it may be mended.
    pub(super) fn begin_again(&mut self) {
        self.wanted = self.wanted.as_deref().cloned().map(Arc::new);
    }

    /// Whether no lane is here.
    pub(super) fn is_free(&self) -> bool {
        self.taken.is_none()
    }

    /// Whether a lane is here that is to end.
    pub(super) fn is_ending(&self) -> bool {
        self.taken.as_ref().is_some_and(|taken| !self.fits(taken))
    }

    fn fits(&self, taken: &Taken) -> bool {
        let wanted = self.wanted.as_ref();
        wanted.is_some_and(|wanted| Arc::ptr_eq(wanted, &taken.by))
    }

    /// Ends the lane that is here and is not wanted like this; whether none such is left.
    pub(super) fn clear(&mut self, log: &Log) -> bool {
        if !self.is_ending() {
            return true;
        }
        let Some(taken) = &mut self.taken else {
            return true;
        };
        let now = Instant::now();
        let (since, interrupted) = taken.ending.get_or_insert((now, None));
        if !taken.lane.is_finished() {
            taken.lane.stop();
            // Again and again: it may be joining the log just now.
            log.dismiss(self.id);
            let is_due = now.duration_since(*since) > GRACE
                && interrupted.is_none_or(|last| now.duration_since(last) > AGAIN);
            if is_due {
                taken.lane.cancel();
                *interrupted = Some(now);
            }
            return false;
        }
        if let Some(taken) = self.taken.take() {
            taken.lane.join();
        }
        true
    }

    /// Lets the wanted lane begin, whose parts `setup` makes; or shows that it is paused, or why it
    /// can't.
    pub(super) fn fill(&mut self, log: &Log, setup: impl FnOnce(&Self, &Wanted, Plugin) -> Setup) {
        let Some(wanted) = self.wanted.as_ref().map(Arc::clone) else {
            return;
        };
        if let Some(since) = wanted.paused {
            // Its place in the log holds what follows, as that of a lane which is slow does.
            self.status.update(|status| {
                status.plugin.clone_from(&wanted.spec.target.plugin);
                status.state = State::Paused;
                status.paused_since = Some(since);
                status.copy = None;
                status.awaits = None;
            });
            tracing::info!(lane = %self.name, "lane is paused");
            self.hindered = Some(wanted);
            return;
        }
        let hindrance = match &wanted.plugin {
            Ok(plugin) => {
                self.status.update(|status| {
                    status.plugin.clone_from(&wanted.spec.target.plugin);
                    status.state = State::Starting;
                    status.fault = None;
                    status.awaits = None;
                    status.paused_since = None;
                });
                match Lane::spawn(setup(self, &wanted, plugin.clone())) {
                    Ok(lane) => {
                        self.taken = Some(Taken {
                            by: wanted,
                            lane,
                            ending: None,
                        });
                        return;
                    }
                    Err(error) => Hindrance::of(
                        &Error::failed(format!("start a lane's thread: {error}")),
                        false,
                    ),
                }
            }
            Err(hindrance) => hindrance.clone(),
        };
        self.hindered = Some(Arc::clone(&wanted));
        // The slot keeps what it will need, the log doesn't.
        log.park(self.id);
        let name = &self.name;
        self.status.update(|status| {
            let is_news =
                status.fault.as_ref().map(|fault| &fault.message) != Some(&hindrance.fault.message);
            if is_news || status.state != State::Parked {
                let Fault { message, hint, .. } = &hindrance.fault;
                tracing::error!(lane = %name, hint, "lane is parked: {message}");
                status.fault = Some(hindrance.fault.clone());
            }
            status.plugin.clone_from(&wanted.spec.target.plugin);
            status.state = State::Parked;
            status.copy = None;
            status.paused_since = None;
            status.awaits = hindrance
                .is_plugin
                .then(|| wanted.spec.target.plugin.clone());
        });
    }

    /// Whether a lane should be here and is not, unless it was shown already that it can't start.
    pub(super) fn is_vacant(&self) -> bool {
        let Some(wanted) = &self.wanted else {
            return false;
        };
        let is_known = |hindered: &Arc<Wanted>| Arc::ptr_eq(wanted, hindered);
        self.is_free() && !self.hindered.as_ref().is_some_and(is_known)
    }

    /// Lets a lane that waits for something look and try again at once.
    pub(super) fn rouse(&self, log: &Log) {
        if let Some(taken) = &self.taken {
            taken.lane.rouse();
        }
        log.wake(self.id);
    }

    /// Gives the lane away.
    pub(super) fn take(&mut self) -> Option<Lane> {
        self.taken.take().map(|taken| taken.lane)
    }
}
