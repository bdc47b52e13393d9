//! The entries, the cursors, and who waits for whom.

use std::{
    collections::BTreeMap,
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tahr_plugin_api::{Lsn, Position, abi::Arena};
use tokio::sync::Notify;

use super::{
    cursor::{Cursor, Next},
    disk::Place,
    error::LogError,
    room::Room,
    scribe::Scribe,
    segment::{SegmentReader, is_damage},
    state::{Read, State},
    usage::LogUsage,
};

/// Longer than anyone waits; keeps the clock's arithmetic in range.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a lane that waits for its turn looks whether that has come.
const LOOKS_EVERY: Duration = Duration::from_millis(50);

/// Names a lane within its source's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub usize);

/// The log of one source; see the module's documentation.
#[derive(Debug)]
pub struct Log {
    pub(super) state: Mutex<State>,
    /// Held while files are written, and never waited for while `state` is held: lanes don't wait
    /// for the disk of another lane's backlog.
    pub(super) scribe: Mutex<Scribe>,
    /// The segments that lanes are reading.
    pub(super) readers: Mutex<BTreeMap<LaneId, SegmentReader>>,
    /// Lanes wait here for entries.
    pub(super) arrived: Condvar,
    /// The source's reader waits here for room.
    pub(super) room: Notify,
    /// The thread that writes in the background.
    pub(super) keeper: Mutex<Option<JoinHandle<()>>>,
    /// Whether the next read of a file fails in passing.
    #[cfg(test)]
    pub(super) fails: std::sync::atomic::AtomicBool,
    /// Whether a read of a file finds it damaged that is whole.
    #[cfg(test)]
    pub(super) mistakes: std::sync::atomic::AtomicBool,
}

impl Log {
    /// No code panics while it holds the lock but by a bug, and then the state is still whole:
    /// every change of it is finished before anything that can fail.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state; files that nobody needs then are removed without the lock.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let garbage = state.take_garbage();
        drop(state);
        drop(garbage);
        result
    }

    /// Adds a lane that has stored everything up to `stored`, or moves it to there and ends its
    /// being parked; its cursor begins at the oldest entry that has something behind `stored`.
    ///
    /// From here on the log keeps what the lane needs. Whether it still held all of it is to be
    /// asked *afterwards*: it did where `stored` is not before [`reach`](Self::reach).
    pub fn join(&self, lane: LaneId, stored: Position) -> Cursor {
        let cursor = self.change(|state| state.join(lane, stored, Instant::now()));
        self.room.notify_one();
        cursor
    }

    /// Adds a lane that needs nothing of what was read so far, since all of its tables are still to
    /// be copied; returns where it begins. From here on the log keeps what comes.
    pub fn join_at_tail(&self, lane: LaneId) -> Position {
        let position = self.change(|state| state.join_at_tail(lane, Instant::now()));
        self.room.notify_one();
        position
    }

    /// Makes a lane end: it is told that it is stopped until it joins again. What it has not stored
    /// is kept meanwhile.
    pub fn dismiss(&self, lane: LaneId) {
        self.lock().dismiss(lane);
        self.arrived.notify_all();
    }

    /// Removes a lane, which then holds nothing back.
    pub fn leave(&self, lane: LaneId) {
        self.change(|state| state.leave(lane));
        self.close(lane);
        self.arrived.notify_all();
        self.room.notify_one();
    }

    /// Parks a lane: it reads no more. What it has not stored is kept for it, on disk in the end.
    pub fn park(&self, lane: LaneId) {
        self.lock().park(lane);
        self.close(lane);
        self.arrived.notify_all();
        self.room.notify_one();
    }

    /// Keeps nothing more for a lane until it joins again: it will have to begin anew.
    pub fn give_up(&self, lane: LaneId) {
        self.change(|state| state.give_up_lane(lane));
        self.close(lane);
        self.room.notify_one();
    }

    /// Why the log keeps nothing for `lane` any more, if it doesn't.
    #[must_use]
    pub fn has_given_up(&self, lane: LaneId) -> Option<LogError> {
        let state = self.lock();
        let is_given_up = state.lanes.get(&lane).is_some_and(|lane| lane.is_given_up);
        is_given_up.then_some(LogError::GivenUp(state.quota.limit))
    }

    /// Closes what `lane` reads.
    fn close(&self, lane: LaneId) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.remove(&lane);
    }

    /// Where the source is to be read from. What was read before and not appended is forgotten.
    pub fn begin(&self) -> Position {
        self.change(State::start)
    }

    /// Lets the log begin further back than it [reaches](Self::reach), so that `lane`, whose target
    /// went back to `wanted`, can be served from the slot; false where the slot was told to forget
    /// that. Where another lane has its turn, the log does so later, when `lane` comes to read. The
    /// source's reader is told by [`LogError::Rewound`], the lanes by [`Next::Rewound`].
    pub fn rewind(&self, lane: LaneId, wanted: &Position) -> bool {
        let is_done = self.change(|state| state.rewind_for(lane, wanted, Instant::now()));
        if is_done {
            self.arrived.notify_all();
            self.room.notify_one();
        }
        is_done
    }

    /// Whether what the source's reader has in hand is from before a rewind.
    #[must_use]
    pub fn is_rewound(&self) -> bool {
        self.lock().is_outdated
    }

    /// Tells the slot what it may forget, which `decide` makes of the
    /// [`frontier`](Self::frontier), in one step: no rewind comes in between.
    pub fn release(&self, decide: impl FnOnce(Option<Position>) -> Option<Lsn>) -> Option<Lsn> {
        let mut state = self.lock();
        let told = decide(state.frontier());
        state.tell(told.unwrap_or_default());
        // Before the slot is told: the next start must not find segments that it can't go on from.
        let garbage = state.take_garbage();
        drop(state);
        drop(garbage);
        told
    }

    /// Adds an arena; waits while there is no room for it. Without lanes that read, it is not
    /// kept.
    ///
    /// # Errors
    ///
    /// Memory is full and the disk does not take it, or the log was rewound. Nothing is added then.
    pub async fn append(&self, arena: Arena) -> Result<(), LogError> {
        if arena.transactions().is_empty() {
            return Ok(());
        }
        loop {
            let now = Instant::now();
            let room = {
                let mut state = self.lock();
                if state.is_outdated {
                    return Err(LogError::Rewound);
                }
                state.room_for(arena.size(), now)
            };
            match room {
                Room::Enough => break,
                Room::Spill => self.spill(now),
                Room::None => self.room.notified().await,
            }
        }
        let mut state = self.lock();
        if state.is_outdated {
            return Err(LogError::Rewound);
        }
        state.push(arena, Instant::now());
        drop(state);
        self.arrived.notify_all();
        Ok(())
    }

    /// Notes that the source holds nothing before `end_lsn` that isn't in the log. Of no effect
    /// inside a transaction: a lane that came to rest there would miss the rest of it.
    pub fn advance(&self, end_lsn: Lsn) {
        self.lock().advance(end_lsn);
    }

    /// How far the source has been read.
    #[must_use]
    pub fn tail(&self) -> Position {
        self.lock().tail.clone()
    }

    /// How far the source was read at any time; a rewind doesn't make it less.
    #[must_use]
    pub fn furthest(&self) -> Lsn {
        self.lock().furthest()
    }

    /// The position before the oldest entry that the log still holds. A lane whose target stands
    /// before it can't be served, unless the log can be [rewound](Self::rewind): there is a gap.
    #[must_use]
    pub fn reach(&self) -> Position {
        self.lock().reach().clone()
    }

    /// What the slot was told that it may forget: nothing from before it comes again.
    #[must_use]
    pub fn told(&self) -> Lsn {
        self.lock().told
    }

    /// What lies at `cursor`; waits up to `patience` for something to arrive. A lane that has not
    /// joined, or is parked, is told that it is stopped.
    ///
    /// # Errors
    ///
    /// The entry is on disk and can't be read back, or the log let go of it since the cursor is
    /// from before the lane was parked.
    pub fn next(&self, lane: LaneId, cursor: Cursor, patience: Duration) -> Result<Next, LogError> {
        let deadline = Instant::now() + patience.min(LONGEST_WAIT);
        let mut state = self.lock();
        loop {
            if state.is_stopped {
                return Ok(Next::Stopped);
            }
            let Some(found) = state.read(lane, cursor, Instant::now()) else {
                return Ok(Next::Stopped);
            };
            match found {
                Read::Memory(arena) => {
                    let was_on_disk = state.leaves_disk(lane);
                    drop(state);
                    if was_on_disk {
                        self.close(lane);
                    }
                    self.room.notify_one();
                    return Ok(Next::Arena(arena));
                }
                Read::Disk(place) => {
                    drop(state);
                    match self.read(lane, &place) {
                        Ok(arena) => {
                            self.lock().has_read(lane, cursor);
                            self.room.notify_one();
                            return Ok(Next::Arena(arena));
                        }
                        Err(error) => {
                            let is_seen_to = is_damage(&error)
                                && self.damaged(&place.segment, place.number, &error);
                            if !is_seen_to {
                                return Err(error.into());
                            }
                        }
                    }
                    state = self.lock();
                }
                Read::Rewound(cursor) => {
                    drop(state);
                    self.arrived.notify_all();
                    self.room.notify_one();
                    return Ok(Next::Rewound(cursor));
                }
                Read::Gone => return Err(LogError::Gone),
                Read::GivenUp => return Err(LogError::GivenUp(state.quota.limit)),
                found @ (Read::End { is_woken } | Read::Later { is_woken }) => {
                    let is_end = matches!(found, Read::End { .. });
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() || is_woken {
                        return Ok(match is_end {
                            true => Next::Tail(state.tail.clone()),
                            false => Next::Later,
                        });
                    }
                    // Nobody says when a turn is over.
                    let most = if is_end { left } else { left.min(LOOKS_EVERY) };
                    let waited = self.arrived.wait_timeout(state, most);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Reads what lies at `place`.
    fn read(&self, lane: LaneId, place: &Place) -> io::Result<Arena> {
        #[cfg(test)]
        if self.fails.swap(false, std::sync::atomic::Ordering::Relaxed) {
            let error = rustix::io::Errno::MFILE.raw_os_error();
            return Err(io::Error::from_raw_os_error(error));
        }
        #[cfg(test)]
        if self
            .mistakes
            .swap(false, std::sync::atomic::Ordering::Relaxed)
        {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let lock = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let open = lock().remove(&lane);
        let open = open.filter(|open| open.leads_to(&place.segment, place.number, &place.mark));
        let mut reader = match open {
            Some(open) => open,
            None => SegmentReader::open(&place.segment, &place.mark)?,
        };
        let arena = reader.read(place.number)?;
        lock().insert(lane, reader);
        Ok(arena)
    }

    /// Notes that `lane` needs nothing before `position`, though its target was not told so yet; whether
    /// somebody waits until it was: lanes for their turn, or files that are kept for nothing else.
    pub fn passed(&self, lane: LaneId, position: Position) -> bool {
        self.lock().passed(lane, position)
    }

    /// Notes that `lane` has stored everything up to `position`. A lane whose target went back
    /// [`join`](Self::join)s again instead.
    pub fn stored(&self, lane: LaneId, position: Position) {
        self.change(|state| state.stored(lane, position));
        self.room.notify_one();
    }

    /// The lowest position that every lane has stored, or that the synced disk covers for it; none
    /// without lanes.
    #[must_use]
    pub fn frontier(&self) -> Option<Position> {
        self.lock().frontier()
    }

    /// What it holds.
    #[must_use]
    pub fn usage(&self) -> LogUsage {
        self.lock().usage()
    }

    /// Entries that were written to disk so far.
    #[cfg(test)]
    pub(super) fn spills(&self) -> u64 {
        self.lock().quota.spills
    }

    /// Makes `lane` return from waiting.
    pub fn wake(&self, lane: LaneId) {
        self.lock().wake(lane);
        self.arrived.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    /// Ends all waiting, for good.
    pub fn stop(&self) {
        self.lock().is_stopped = true;
        self.arrived.notify_all();
        self.room.notify_one();
    }
}
