//! The writing to disk: in the background for lanes that lag, and for want of memory.

use std::{
    io,
    sync::{Arc, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use tahr_plugin_api::failpoint;

use super::{
    recover,
    scribe::Job,
    segment::{Segment, is_damage},
    state::State,
    store::Log,
};

/// How often the keeper looks.
const LOOKS_EVERY: Duration = Duration::from_millis(100);

impl Log {
    /// Writes what lanes that lag still need to disk while it is used, in a thread named after
    /// `source`.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub fn keep_on(self: &Arc<Self>, source: &str) -> io::Result<()> {
        let log = Arc::downgrade(self);
        let thread = thread::Builder::new().name(format!("log {source}"));
        let keeper = thread.spawn(move || {
            while let Some(log) = Weak::upgrade(&log).filter(|log| !log.is_stopped()) {
                log.keep(Instant::now());
                drop(log);
                thread::sleep(LOOKS_EVERY);
            }
        })?;
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
        Ok(())
    }

    /// Whether its folder may still be written to in the background; not for long after it was stopped.
    /// Until then nobody else may open that.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        keeper.as_ref().is_some_and(|keeper| !keeper.is_finished())
    }

    /// Writes what lanes that lag need as of `now`, and syncs it.
    pub(super) fn keep(&self, now: Instant) {
        while self.write(|state| state.backlog(now)) && !self.is_stopped() {}
        self.sync();
        self.change(|state| state.release_disk(now));
        // A source that waits for room looks again whether lanes still come.
        self.room.notify_one();
    }

    /// Writes some of what memory has no room for.
    pub(super) fn spill(&self, now: Instant) {
        self.write(|state| state.overflow(now));
    }

    /// Writes the job that `choose` finds; whether it did.
    fn write(&self, choose: impl FnOnce(&mut State) -> Option<Job>) -> bool {
        let mut scribe = self.scribe.lock().unwrap_or_else(PoisonError::into_inner);
        let (job, garbage) = {
            let mut state = self.lock();
            (choose(&mut state), state.take_garbage())
        };
        // Before anything is written, so that there is room for it.
        drop(garbage);
        let Some(job) = job else {
            return false;
        };
        let (pieces, result) = scribe.write(&job);
        failpoint::pass("log.written");
        let is_fine = result.is_ok();
        let mut state = self.lock();
        let is_whole = state.adopt(job.epoch, pieces, result, Instant::now());
        drop(state);
        failpoint::pass("log.adopted");
        if !is_whole {
            scribe.close();
        }
        self.room.notify_one();
        is_whole && is_fine
    }

    /// Syncs what was written, without holding up who writes more.
    fn sync(&self) {
        let mut scribe = self.scribe.lock().unwrap_or_else(PoisonError::into_inner);
        let unsynced = scribe.unsynced();
        let (end, epoch) = {
            let state = self.lock();
            let end = state.disk.end().map(|(_, end)| end.clone());
            (end, state.epoch)
        };
        drop(scribe);
        if unsynced.is_empty() {
            return;
        }
        failpoint::pass("log.unsynced");
        let synced = unsynced.sync();
        failpoint::pass("log.synced");
        let mut state = self.lock();
        match (synced, end) {
            (Ok(()), Some(end)) if epoch == state.epoch => state.disk.synced(&end),
            (Ok(()), _) => {}
            (Err(error), _) => {
                state.disk.unsure();
                let why = format!("log of the source can't be synced: {error}");
                state.quota.refuse(&why, Instant::now());
            }
        }
    }

    /// After `segment` could not be read: the log begins anew in front of what is damaged where the
    /// slot still holds that; otherwise it begins behind it, and who needs it has a gap. False where it
    /// is whole when it is read again, or nobody can tell.
    pub(super) fn damaged(&self, segment: &Arc<Segment>, first: u64, error: &io::Error) -> bool {
        let mut scribe = self.scribe.lock().unwrap_or_else(PoisonError::into_inner);
        let held = {
            let state = self.lock();
            let place = state.disk.place(first);
            let is_there = place.is_some_and(|place| Arc::ptr_eq(&place.segment, segment));
            is_there.then(|| state.disk.begin_of(segment)).flatten()
        };
        // Another lane has found it already.
        let Some((first, begin, next)) = held else {
            return true;
        };
        let good = match recover::read(segment, first, &begin) {
            Ok(good) if good.next >= next => return false,
            Ok(good) => Some(good),
            Err(error) if is_damage(&error) => None,
            Err(_) => return false,
        };
        let cut_to = good.as_ref().map(|good| good.bytes);
        let mut state = self.lock();
        // What comes next goes to a new file.
        scribe.close();
        let Some(is_cut) = state.damaged(segment, good) else {
            return true;
        };
        let is_used = state.disk.begin_of(segment).is_some();
        drop(state);
        let path = match (is_used, cut_to) {
            (true, Some(bytes)) => {
                if let Err(error) = recover::cut(segment.path(), bytes) {
                    tracing::warn!(%error, "a damaged segment file can't be cut");
                }
                segment.path().to_owned()
            }
            _ => {
                let path = segment.set_aside();
                let mut state = self.lock();
                state.aside.add(path.clone());
                // It may be longer than what was used of it.
                state.make_room(0);
                path
            }
        };
        let told = match is_cut {
            true => "the source is read again from the slot",
            false => "lanes that need it have a gap, and say what to do",
        };
        tracing::error!(file = %path.display(), %error,
            "a segment file of the log is damaged; {told}");
        self.arrived.notify_all();
        self.room.notify_one();
        true
    }
}
