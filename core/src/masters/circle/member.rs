//! A member of a circle as the judge sees it: its eyes, its hands, and how it is.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use tahr_plugin_api::{Lsn, Position};
use tokio::sync::mpsc;

use super::{Present, Setup, trouble::Trouble};
use crate::{
    lane::Fault,
    masters::{
        Tables,
        apply::{self, Applier},
        intake::{self, Intake, Seen},
    },
    shutdown::Stop,
};

/// Batches that wait between an intake and the judge.
const WAITING: usize = 8;

/// One member while an attempt lasts.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) source: String,
    /// None while it is away since the engine's start.
    pub(super) present: Option<Present>,
    pub(super) applier: Option<Applier>,
    intake: Option<Intake>,
    seen: Option<mpsc::Receiver<Seen>>,
    /// Whether it can be written to.
    pub(super) is_ready: bool,
    pub(super) fault: Option<Fault>,
    /// The triggers of the tables that it was parked for.
    pub(super) triggers: Vec<String>,
    /// Everything before it was read.
    pub(super) reached: Lsn,
    /// When a bare advance of its cut was stored last.
    pub(super) advanced: Instant,
    /// Since when it is owed something.
    pub(super) owed_since: Option<Instant>,
    pub(super) rows_in: u64,
    pub(super) rows_out: u64,
    /// How far its clock is ahead of the engine's.
    pub(super) skew_ms: Option<i64>,
    stop: Stop,
}

impl Member {
    pub(super) fn new(source: &str, present: Option<Present>, stop: &Stop) -> Self {
        let fault = present.is_none().then(|| Fault {
            message: format!("source \"{source}\" is not open yet"),
            hint: String::new(),
            table: None,
            column: None,
            since: SystemTime::now(),
        });
        Self {
            source: source.to_owned(),
            present,
            applier: None,
            intake: None,
            seen: None,
            is_ready: false,
            fault,
            triggers: Vec::new(),
            reached: Lsn::ZERO,
            advanced: Instant::now(),
            owed_since: None,
            rows_in: 0,
            rows_out: 0,
            skew_ms: None,
            stop: stop.child(),
        }
    }

    /// Where its log begins.
    pub(super) fn begins(&self) -> Lsn {
        let present = self.present.as_ref();
        present.map_or(Lsn::ZERO, |present| present.log.reach().lsn)
    }

    /// Begins to write to it.
    pub(super) fn hire(
        &mut self,
        member: usize,
        setup: &Setup,
        tables: &Arc<Tables>,
        events: &mpsc::UnboundedSender<apply::Event>,
    ) {
        let Some(present) = &self.present else { return };
        self.applier = Some(Applier::spawn(apply::Setup {
            member,
            source: self.source.clone(),
            url: present.opened.url.clone(),
            application: present.opened.application.clone(),
            engine: setup.engine.clone(),
            sync: setup.name.clone(),
            tables: Arc::clone(tables),
            runtime: setup.runtime.clone(),
            stop: self.stop.clone(),
            events: events.clone(),
        }));
    }

    /// Begins to read it from `cut`.
    pub(super) fn listen(
        &mut self,
        member: usize,
        setup: &Setup,
        tables: &Arc<Tables>,
        cut: Lsn,
    ) -> Result<(), Trouble> {
        let Some(present) = &self.present else {
            return Ok(());
        };
        self.reached = cut;
        let (sink, seen) = mpsc::channel(WAITING);
        let intake = Intake::spawn(intake::Setup {
            member,
            log: Arc::clone(&present.log),
            lane: present.lane,
            relations: Arc::clone(&present.relations),
            tables: Arc::clone(tables),
            engine: setup.engine.clone(),
            sync: setup.name.clone(),
            cut,
            url: present.opened.url.clone(),
            application: present.opened.application.clone(),
            runtime: setup.runtime.clone(),
            stop: self.stop.clone(),
            sink,
        });
        let intake = intake.map_err(|error| {
            Trouble::new(format!("start a thread: {error}"), String::new()).passing()
        })?;
        (self.intake, self.seen) = (Some(intake), Some(seen));
        Ok(())
    }

    /// What was read of it, if something waits.
    pub(super) fn seen(&mut self) -> Option<&mut mpsc::Receiver<Seen>> {
        self.seen.as_mut()
    }

    /// Has its intake say at once how far it is.
    pub(super) fn wake(&self) {
        if let Some(present) = &self.present {
            present.log.wake(present.lane);
        }
    }

    /// Notes that everything up to `lsn` is stored, so that the slot may let go of it.
    pub(super) fn stored(&self, lsn: Lsn) {
        if let Some(present) = &self.present {
            present.log.stored(present.lane, Position::at(lsn));
        }
    }

    /// Asks its intake and its applier to end.
    pub(super) fn dismiss(&mut self) {
        self.stop.stop();
        // An intake that waits for room is let go.
        self.seen = None;
        if let Some(present) = &self.present {
            present.log.dismiss(present.lane);
        }
    }

    /// Waits for its intake and its applier to end.
    pub(super) async fn leave(mut self) {
        self.dismiss();
        if let Some(applier) = self.applier.take() {
            applier.stop().await;
        }
        while self
            .intake
            .as_ref()
            .is_some_and(|intake| !intake.is_finished())
        {
            // Again and again: it may be joining the log just now.
            if let Some(present) = &self.present {
                present.log.dismiss(present.lane);
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        if let Some(intake) = self.intake.take() {
            intake.join();
        }
    }
}
