//! From what is stored to the next trouble, again and again.

use std::{cell::LazyCell, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use super::{
    Present, Setup,
    judge::{Ended, Judge},
    memory::has_met,
    trouble::Trouble,
};
use crate::masters::{MemberState, State, Tables};

/// How long a circle that met before waits for members that are still away when the engine starts,
/// so that one which is only slower doesn't make it begin twice.
const GATHERING: Duration = Duration::from_secs(3);
/// The first wait after a trouble that may go by itself, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The circle's thread.
pub(super) fn run(setup: Setup, arrived: mpsc::UnboundedReceiver<(usize, Present)>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(Rounds::new(setup, arrived).run()),
        Err(error) => tracing::error!(%error, "a sync can't start its runtime"),
    }
}

/// Attempt after attempt.
struct Rounds {
    setup: Setup,
    arrived: mpsc::UnboundedReceiver<(usize, Present)>,
    present: Vec<Option<Present>>,
}

impl Rounds {
    fn new(setup: Setup, arrived: mpsc::UnboundedReceiver<(usize, Present)>) -> Self {
        let present = vec![None; setup.sync.sources.len()];
        Self {
            setup,
            arrived,
            present,
        }
    }

    async fn run(mut self) {
        let mut wait = WAIT.0;
        let begun = Instant::now();
        while !self.setup.stop.is_stopping() {
            self.gather(begun).await;
            if self.setup.stop.is_stopping() {
                break;
            }
            let started = Instant::now();
            let ended = self.attempt().await;
            if started.elapsed() > WAIT.1 * 3 {
                wait = WAIT.0;
            }
            match ended {
                Ok(Ended::Stopped) => break,
                Ok(Ended::Arrived) => {}
                Err(trouble) if trouble.is_transient => {
                    tracing::warn!(sync = %self.setup.name, hint = trouble.fault.hint,
                        retry_in = ?wait, "{}", trouble.fault.message);
                    self.setup
                        .handle
                        .update(|status| status.fault = Some(trouble.fault));
                    self.sleep(wait).await;
                    wait = (wait * 2).min(WAIT.1);
                }
                Err(trouble) => self.park(trouble).await,
            }
        }
    }

    /// Waits for members until an attempt makes sense.
    async fn gather(&mut self, begun: Instant) {
        // Reads the whole state, so it is asked only where somebody is missing.
        let has_met = LazyCell::new(|| has_met(&self.setup.folder));
        loop {
            while let Ok((member, present)) = self.arrived.try_recv() {
                self.present[member] = Some(present);
            }
            let missing: Vec<&str> = (self.present.iter().zip(&self.setup.sync.sources))
                .filter(|(present, _)| present.is_none())
                .map(|(_, name)| name.as_str())
                .collect();
            let some = missing.len() < self.present.len();
            let is_over = some && begun.elapsed() >= GATHERING && *has_met;
            if missing.is_empty() || is_over || self.setup.stop.is_stopping() {
                return;
            }
            let waits = Trouble::new(format!("waits for source {}", missing.join(", ")), "");
            self.setup
                .handle
                .update(|status| status.fault = Some(waits.fault));
            tokio::select! {
                () = self.setup.stop.asked() => return,
                arrival = self.arrived.recv() => {
                    if let Some((member, present)) = arrival {
                        self.present[member] = Some(present);
                    }
                }
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
        }
    }

    async fn attempt(&mut self) -> Result<Ended, Trouble> {
        self.setup.handle.update(|status| {
            status.state = State::Starting;
            status.fault = None;
        });
        let here: Vec<_> = (self.setup.sync.sources.iter().zip(&self.present))
            .map(|(name, present)| {
                let tables = present.as_ref().map(|present| present.tables.clone());
                (name.clone(), tables)
            })
            .collect();
        let tables = Tables::agree_among(&here).map_err(|errors| Trouble::of_all(&errors))?;
        let tables = Arc::new(tables);
        let mut judge = Judge::new(&self.setup, &tables, &self.present)?;
        let ended = match judge.begin().await {
            Ok(()) => judge.judge(&mut self.arrived, &mut self.present).await,
            Err(trouble) => Err(trouble),
        };
        judge.end().await;
        ended
    }

    /// Waits before the next attempt, or until somebody wants it now.
    async fn sleep(&self, wait: Duration) {
        let handle = &self.setup.handle;
        tokio::select! {
            () = self.setup.stop.asked() => {}
            _ = handle.changed(handle.wishes()) => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// Shows why it can't go on, and waits for a person.
    async fn park(&self, trouble: Trouble) {
        let handle = &self.setup.handle;
        tracing::error!(sync = %self.setup.name, hint = trouble.fault.hint,
            "sync is parked: {}", trouble.fault.message);
        handle.update(|status| {
            status.state = State::Parked;
            status.fault = Some(trouble.fault);
            // Nobody reads its sources meanwhile. Those that nothing is wrong with are not away.
            for member in &mut status.members {
                if member.fault.is_none() {
                    member.state = MemberState::Parked;
                }
                member.lag_seconds = None;
            }
        });
        let begun = handle.wishes();
        let mut wishes = begun;
        while wishes.resumes == begun.resumes {
            tokio::select! {
                () = self.setup.stop.asked() => return,
                now = handle.changed(wishes) => wishes = now,
            }
        }
        handle.update(|status| status.fault = None);
    }
}
