//! A grip on a running engine: what it does, and what a person wants of it.
//!
//! [`Control::pause`] and [`Control::resume`] note the wish in the state folder first, so that it
//! outlives the engine, then say in each seat what is wanted, and ask the circle of a sync that has
//! several sources. They answer once that is so, or say what takes longer. `kick` has a file of its
//! own beside this one. The control socket calls them, one task for each command.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    Changed, Outcome, Part, Report, Shared, lock,
    plan::{LaneName, lanes_of},
    seat::{Seat, Wanted},
};
use crate::{
    Error,
    config::{self, Config},
    lane::State,
    log::Log,
    masters::{self, MemberState},
};

/// How long an answer waits for lanes that finish what they are in.
const PATIENCE: Duration = Duration::from_secs(15);

/// A grip on a running engine; clones are the same.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
}

impl Control {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        let shared = Arc::clone(shared);
        Self { shared }
    }

    /// What the engine is doing.
    #[must_use]
    pub fn report(&self) -> Report {
        self.shared.report()
    }

    /// Pauses `part`, until it is resumed.
    ///
    /// # Errors
    ///
    /// The config doesn't have it, or the state folder can't be written. Then nothing has changed.
    pub async fn pause(&self, part: &Part) -> Result<Changed, Error> {
        self.change(part, true).await
    }

    /// Ends the pause of `part`, and tries again what is parked in it.
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    pub async fn resume(&self, part: &Part) -> Result<Changed, Error> {
        self.change(part, false).await
    }

    async fn change(&self, part: &Part, pauses: bool) -> Result<Changed, Error> {
        let shared = &self.shared;
        let one = shared.changing.lock().await;
        let config = shared.config();
        part.check(&config)?;
        let before = lock(&shared.pauses).clone();
        let mut after = before.clone();
        match pauses {
            true => after.pause(part, SystemTime::now()),
            false => after.resume(part),
        }
        if after != before {
            after.save(&config.engine.state_dir)?;
            lock(&shared.pauses).clone_from(&after);
        }
        let mut changed = Changed::default();
        let names = lanes_of(&config, Some(part));
        for name in &names {
            let was_paused = before.lane(&name.sync, &name.target).is_some();
            let outcome = shared.want_paused(name, was_paused, shared.paused_since(name));
            if outcome == Outcome::WasRunning {
                let state = shared.with_seat(name, |seat| seat.status.get().state);
                changed
                    .doing
                    .insert(name.to_string(), state.unwrap_or_default());
            }
            changed.lanes.push((name.to_string(), outcome));
        }
        let handle = lock(&shared.masters).get(&part.sync).cloned();
        let circle = handle.filter(|_| part.target.is_none());
        if let Some(circle) = &circle {
            let outcome = tell(circle, pauses);
            changed.rounds.push((part.sync.clone(), outcome));
        }
        shared.untidy.notify_one();
        drop(one);
        self.settle(&names, circle.filter(|_| pauses), &mut changed)
            .await;
        Ok(changed)
    }

    /// Waits until the seats of `names` are as they are wanted, and `circle` rests.
    async fn settle(
        &self,
        names: &[LaneName],
        circle: Option<masters::Handle>,
        changed: &mut Changed,
    ) {
        let deadline = Instant::now() + PATIENCE;
        let is_busy = |name: &&LaneName| {
            let seat = |seat: &mut Seat| seat.is_ending() || seat.is_vacant();
            self.shared.with_seat(name, seat).unwrap_or(false)
        };
        let has_rounds = || {
            let state = circle.as_ref().map(|circle| circle.status().state);
            matches!(
                state,
                Some(masters::State::Meeting | masters::State::Running)
            )
        };
        while has_rounds() || names.iter().any(|name| is_busy(&name)) {
            if Instant::now() > deadline || self.shared.stop.is_stopping() {
                let busy = names.iter().filter(is_busy);
                let busy = busy.map(|name| format!("lane {name} still finishes its batch"));
                changed.notes.extend(busy);
                if has_rounds() {
                    let note = "a round is still under way; no other follows it";
                    changed.notes.push(note.to_owned());
                }
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Asks a circle to pause, or to go on.
fn tell(circle: &masters::Handle, pauses: bool) -> Outcome {
    let was_paused = circle.is_paused();
    if pauses {
        circle.pause();
        return match was_paused {
            true => Outcome::WasPaused,
            false => Outcome::Paused,
        };
    }
    let status = circle.status();
    circle.resume();
    let has_stopped = matches!(
        status.state,
        masters::State::Paused | masters::State::Parked
    );
    let mut members = status.members.iter();
    if was_paused {
        Outcome::Resumed
    } else if has_stopped || members.any(|member| member.state == MemberState::Parked) {
        Outcome::TriedAgain
    } else {
        Outcome::WasRunning
    }
}

impl Shared {
    /// Since when a person wants the lane `name` paused.
    pub(super) fn paused_since(&self, name: &LaneName) -> Option<SystemTime> {
        lock(&self.pauses).lane(&name.sync, &name.target)
    }

    /// Has a handle for each sync of `config` that has several sources, paused where a person wants
    /// that, and for no other.
    pub(super) fn convene(&self, config: &Config) {
        let pauses = lock(&self.pauses);
        let mut masters = lock(&self.masters);
        let has_masters = |name: &String| {
            config
                .syncs
                .get(name)
                .is_some_and(config::Sync::has_masters)
        };
        masters.retain(|name, _| has_masters(name));
        for name in config.syncs.keys().filter(|name| has_masters(name)) {
            masters.entry(name.clone()).or_insert_with(|| {
                let handle = masters::Handle::new(name);
                if let Some(since) = pauses.rounds(name) {
                    handle.pause();
                    handle.update(|status| status.paused_since = Some(since));
                }
                handle
            });
        }
        let handle = |name: &str| masters.get(name).cloned();
        lock(&self.circles).want(config, |name| {
            handle(name).unwrap_or_else(|| masters::Handle::new(name))
        });
    }

    /// Forgets pauses of what `config` doesn't have; says which.
    pub(super) fn forget_pauses(&self, config: &Config) -> Vec<String> {
        let mut pauses = lock(&self.pauses);
        let before = pauses.clone();
        let mut notes = pauses.retain(config);
        if *pauses != before
            && let Err(error) = pauses.save(&config.engine.state_dir)
        {
            notes.push(error.to_string());
        }
        notes
    }

    /// Does something with the seat of the lane `name`, where its source is open.
    pub(super) fn with_seat<T>(
        &self,
        name: &LaneName,
        work: impl FnOnce(&mut Seat) -> T,
    ) -> Option<T> {
        self.with_seat_and_log(name, |seat, _| work(seat))
    }

    /// As [`with_seat`](Self::with_seat), with the source's log.
    pub(super) fn with_seat_and_log<T>(
        &self,
        name: &LaneName,
        work: impl FnOnce(&mut Seat, &Log) -> T,
    ) -> Option<T> {
        let worked = self.with_source(&name.source, |streaming| {
            let seat = streaming.seats.get_mut(name)?;
            Some(work(seat, &streaming.log))
        });
        worked.flatten()
    }

    /// Says in the seat of the lane `name` that it is wanted paused, since `paused`, or not. One that
    /// is wanted, was not paused and is parked, begins anew. Where the source isn't open yet, its seats
    /// will be made by what is noted.
    fn want_paused(
        &self,
        name: &LaneName,
        was_paused: bool,
        paused: Option<SystemTime>,
    ) -> Outcome {
        let is_parked = |seat: &mut Seat| {
            let is_there = seat.wanted().is_some_and(|wanted| wanted.plugin.is_ok());
            is_there && seat.status.get().state == State::Parked
        };
        let outcome = match (was_paused, paused.is_some()) {
            (true, true) => return Outcome::WasPaused,
            (false, true) => Outcome::Paused,
            (true, false) => Outcome::Resumed,
            (false, false) if self.with_seat(name, is_parked) == Some(true) => Outcome::TriedAgain,
            (false, false) => return Outcome::WasRunning,
        };
        self.with_seat(name, |seat| {
            if let Some(wanted) = seat.wanted() {
                let wanted = Wanted::clone(wanted);
                seat.want(Some(Wanted { paused, ..wanted }));
            }
        });
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_that_stopped_by_itself_is_tried_again() {
        let circle = masters::Handle::new("shop");
        assert_eq!(tell(&circle, false), Outcome::WasRunning);
        assert_eq!(tell(&circle, true), Outcome::Paused);
        assert_eq!(tell(&circle, true), Outcome::WasPaused);
        circle.show_paused(masters::BY_PERSON);
        assert_eq!(tell(&circle, false), Outcome::Resumed);
        circle.show_paused("rule \"abort\" of table public.t");
        assert_eq!(tell(&circle, false), Outcome::TriedAgain);
        circle.show_resumed(masters::State::Running);
        circle.update(|status| {
            status.members.push(masters::Member {
                state: MemberState::Parked,
                ..masters::Member::default()
            });
        });
        assert_eq!(tell(&circle, false), Outcome::TriedAgain);
        assert_eq!(circle.wishes().resumes, 4);
    }
}
