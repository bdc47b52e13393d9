//! What a person asks of a circle, and where it shows itself.
//!
//! The engine keeps one for each sync of several sources, from before its circle is there until
//! after it has ended: so a pause that was asked for before is found by the circle when it begins.
//! [`Handle::pause`], [`resume`](Handle::resume) and [`kick`](Handle::kick) are called by the engine
//! and return at once; the circle waits for [`changed`](Handle::changed), does what is asked, and
//! says so by [`update`](Handle::update).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::sync::watch;

use super::status::{BY_PERSON, State, Status};

/// Both ends of the same wishes and the same status; clones are the same.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wishes: watch::Sender<Wishes>,
    status: Mutex<Status>,
}

/// What was asked for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Whether a person wants no rounds.
    pub is_paused: bool,
    /// How often it was asked to go on: what the circle paused or parked by itself before the last
    /// of them is to be tried again.
    pub resumes: u64,
    /// How often it was asked to look and to try at once: where its sources stand, and whatever
    /// waits for a next attempt.
    pub kicks: u64,
}

impl Handle {
    /// The handle of the sync `sync`, whose circle is starting.
    #[must_use]
    pub fn new(sync: &str) -> Self {
        let status = Status {
            sync: sync.to_owned(),
            ..Status::default()
        };
        Self(Arc::new(Inner {
            wishes: watch::Sender::default(),
            status: Mutex::new(status),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for no more rounds after the one that is under way; flights that have begun end.
    pub fn pause(&self) {
        self.0.wishes.send_modify(|wishes| wishes.is_paused = true);
    }

    /// Asks to go on: after a pause, and with what the circle paused or parked by itself.
    pub fn resume(&self) {
        self.0.wishes.send_modify(|wishes| {
            wishes.is_paused = false;
            wishes.resumes += 1;
        });
    }

    /// Asks to look where the sources stand, and to try at once whatever waits. It may come often:
    /// `tahr kick --wait` repeats it until all is settled.
    pub fn kick(&self) {
        self.0.wishes.send_modify(|wishes| wishes.kicks += 1);
    }

    /// What it shows. Of a wish to pause that the circle has not come to, the reason already.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = self.lock().clone();
        if self.is_paused() {
            status.paused_by.get_or_insert_with(|| BY_PERSON.to_owned());
        }
        status
    }

    /// Whether a person wants no rounds.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.wishes.borrow().is_paused
    }

    /// All wishes so far.
    #[must_use]
    pub fn wishes(&self) -> Wishes {
        *self.0.wishes.borrow()
    }

    /// Completes when the wishes are others than `seen`, at once if they are already; returns them.
    /// It may be dropped and called again: no wish is lost.
    pub async fn changed(&self, seen: Wishes) -> Wishes {
        let mut wishes = self.0.wishes.subscribe();
        // The sender lives as long as `self`.
        let now = wishes.wait_for(|now| *now != seen).await;
        now.map_or(seen, |now| *now)
    }

    /// Changes what it shows.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock());
    }

    /// Shows the circle as paused for `reason`, which is [`BY_PERSON`] or its own.
    pub fn show_paused(&self, reason: &str) {
        self.update(|status| {
            if status.state != State::Paused || status.paused_by.as_deref() != Some(reason) {
                status.paused_since = Some(SystemTime::now());
            }
            status.state = State::Paused;
            status.paused_by = Some(reason.to_owned());
        });
    }

    /// Shows that the circle goes on, in `state`.
    pub fn show_resumed(&self, state: State) {
        self.update(|status| {
            status.state = state;
            (status.paused_by, status.paused_since) = (None, None);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_wish_that_was_uttered_before_anybody_listened_is_found() {
        let handle = Handle::new("shop");
        let seen = handle.wishes();
        assert!(handle.changed(seen).now_or_never().is_none());
        handle.pause();
        handle.pause();
        handle.kick();
        let now = handle.changed(seen).now_or_never().expect("a wish");
        assert!(now.is_paused && now.kicks == 1 && now.resumes == 0);
        assert!(handle.changed(now).now_or_never().is_none());
        handle.resume();
        let now = handle.changed(now).now_or_never().expect("a wish");
        assert!(!now.is_paused && now.resumes == 1);
    }

    #[test]
    fn a_pause_is_shown_with_its_reason_and_since_when() {
        let handle = Handle::new("shop");
        handle.pause();
        assert_eq!(handle.status().paused_by.as_deref(), Some(BY_PERSON));
        handle.show_paused(BY_PERSON);
        let since = handle.status().paused_since;
        handle.show_paused(BY_PERSON);
        assert!(since.is_some() && handle.status().paused_since == since);
        handle.resume();
        handle.show_resumed(State::Running);
        let status = handle.status();
        assert_eq!(
            (status.state, status.paused_by, status.paused_since),
            (State::Running, None, None)
        );
    }
}
