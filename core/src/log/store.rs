//! The entries, the cursors, and who waits for whom.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tahr_plugin_api::{Lsn, Position, abi::Arena};
use tokio::sync::Notify;

use super::{
    cursor::{Cursor, Next},
    segment::{Place, Spiller},
};

/// Names a lane within its source's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub usize);

/// The log could not keep or give back an arena.
#[derive(Debug, thiserror::Error)]
#[error("log of the source: {0}")]
pub struct LogError(#[from] io::Error);

/// The log of one source; see the module's documentation.
#[derive(Debug)]
pub struct Log {
    state: Mutex<State>,
    /// Lanes wait here for entries.
    arrived: Condvar,
    /// The source's reader waits here for room.
    room: Notify,
}

#[derive(Debug)]
struct State {
    entries: VecDeque<Entry>,
    /// Number of the first of `entries`.
    first: u64,
    lanes: BTreeMap<LaneId, Lane>,
    /// Nothing before it is missing from the log.
    tail: Position,
    memory: usize,
    budget: usize,
    spiller: Spiller,
    spilled: u64,
    is_stopped: bool,
}

#[derive(Debug)]
struct Entry {
    /// Where a lane stands that has stored all of it.
    end: Position,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Memory(Arena),
    Disk(Place),
}

#[derive(Debug)]
struct Lane {
    stored: Position,
    /// Where the lane reads; what lies before it may still be needed until it is stored.
    read: Cursor,
    /// Whether it is asked to return from waiting.
    is_woken: bool,
}

impl Log {
    /// An empty log that begins at `start`, keeps up to `budget` bytes in memory and the rest in
    /// `folder`.
    ///
    /// # Errors
    ///
    /// The folder can't be made or cleaned.
    pub fn new(folder: &Path, budget: u64, start: Position) -> Result<Self, LogError> {
        Ok(Self {
            state: Mutex::new(State {
                entries: VecDeque::new(),
                first: 0,
                lanes: BTreeMap::new(),
                tail: start,
                memory: 0,
                budget: usize::try_from(budget).unwrap_or(usize::MAX),
                spiller: Spiller::new(folder)?,
                spilled: 0,
                is_stopped: false,
            }),
            arrived: Condvar::new(),
            room: Notify::new(),
        })
    }

    /// No code panics while it holds the lock but by a bug, and then the state is still whole:
    /// every change of it is finished before anything that can fail.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a lane that has stored everything up to `stored`, or moves it back to there; its
    /// cursor begins at the oldest entry.
    pub fn join(&self, lane: LaneId, stored: Position) -> Cursor {
        let mut state = self.lock();
        let read = Cursor(state.first);
        state.lanes.insert(lane, Lane { stored, read, is_woken: false });
        read
    }

    /// Removes a lane, which then holds nothing back.
    pub fn leave(&self, lane: LaneId) {
        let mut state = self.lock();
        state.lanes.remove(&lane);
        state.release();
        self.room.notify_one();
    }

    /// t
    pub fn park(&self, _lane: LaneId) {}
    /// t
    pub fn reach(&self) -> Position { Position::default() }
    /// Adds an arena; waits while there is no room for it.
    ///
    /// # Errors
    ///
    /// Memory is full and the disk does not take it. Nothing is added then.
    pub async fn append(&self, arena: Arena) -> Result<(), LogError> {
        while !self.make_room(&arena)? {
            self.room.notified().await;
        }
        let mut state = self.lock();
        let last = arena.transactions().len().saturating_sub(1);
        let end = arena.position_after(last);
        state.memory += arena.size();
        state.tail = end.clone();
        state.entries.push_back(Entry { end, kept: Kept::Memory(arena) });
        drop(state);
        self.arrived.notify_all();
        Ok(())
    }

    /// Whether `arena` may come in now. Spills what only lagging lanes need.
    fn make_room(&self, arena: &Arena) -> Result<bool, LogError> {
        let mut state = self.lock();
        state.release();
        if state.is_stopped || state.memory + arena.size() <= state.budget {
            return Ok(true);
        }
        let is_open = state.tail.is_inside();
        let lead = state.lanes.values().map(|lane| lane.read).max();
        let mut index = 0;
        while state.memory + arena.size() > state.budget && index < state.entries.len() {
            let number = state.first + index as u64;
            // Nobody is ahead of this one: spilling it would only make room for more of the same.
            if !is_open && lead.is_none_or(|lead| Cursor(number) >= lead) {
                return Ok(state.memory == 0);
            }
            state.spill(index)?;
            index += 1;
        }
        Ok(true)
    }

    /// Notes that the source holds nothing before `end_lsn` that isn't in the log.
    pub fn advance(&self, end_lsn: Lsn) {
        let mut state = self.lock();
        if Position::at(end_lsn) > state.tail && !state.tail.is_inside() {
            state.tail = Position::at(end_lsn);
            drop(state);
            self.arrived.notify_all();
        }
    }

    /// How far the source has been read.
    #[must_use]
    pub fn tail(&self) -> Position {
        self.lock().tail.clone()
    }

    /// What lies at `cursor`; waits up to `patience` for something to arrive.
    ///
    /// # Errors
    ///
    /// The entry is on disk and can't be read back.
    pub fn next(&self, lane: LaneId, cursor: Cursor, patience: Duration) -> Result<Next, LogError> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if state.is_stopped {
                return Ok(Next::Stopped);
            }
            let index = usize::try_from(cursor.0.saturating_sub(state.first)).unwrap_or(usize::MAX);
            let found = state.entries.get(index).map(|entry| match &entry.kept {
                Kept::Memory(arena) => Ok(arena.clone()),
                Kept::Disk(place) => Err(place.clone()),
            });
            let is_woken = match state.lanes.get_mut(&lane) {
                Some(lane) => {
                    if found.is_some() {
                        lane.read = lane.read.max(cursor.next());
                    }
                    std::mem::take(&mut lane.is_woken)
                }
                None => return Ok(Next::Stopped),
            };
            match found {
                Some(Ok(arena)) => {
                    self.room.notify_one();
                    return Ok(Next::Arena(arena));
                }
                Some(Err(place)) => {
                    drop(state);
                    self.room.notify_one();
                    return Ok(Next::Arena(place.read()?));
                }
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || is_woken {
                return Ok(Next::Tail(state.tail.clone()));
            }
            let waited = self.arrived.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Notes that `lane` has stored everything up to `position`.
    pub fn stored(&self, lane: LaneId, position: Position) {
        let mut state = self.lock();
        if let Some(lane) = state.lanes.get_mut(&lane) {
            lane.stored = position;
        }
        state.release();
        drop(state);
        self.room.notify_one();
    }

    /// The lowest position that every lane has stored; none without lanes.
    #[must_use]
    pub fn frontier(&self) -> Option<Position> {
        self.lock().lanes.values().map(|lane| lane.stored.clone()).min()
    }

    /// Bytes in memory, and entries that were written to disk so far.
    #[must_use]
    pub fn usage(&self) -> (usize, u64) {
        let state = self.lock();
        (state.memory, state.spilled)
    }

    /// Makes `lane` return from waiting.
    pub fn wake(&self, lane: LaneId) {
        if let Some(lane) = self.lock().lanes.get_mut(&lane) {
            lane.is_woken = true;
        }
        self.arrived.notify_all();
    }

    /// Ends all waiting, for good.
    pub fn stop(&self) {
        self.lock().is_stopped = true;
        self.arrived.notify_all();
        self.room.notify_one();
    }
}

impl State {
    /// Lets go of the entries that every lane has stored.
    fn release(&mut self) {
        while let Some(entry) = self.entries.front() {
            if !self.lanes.values().all(|lane| lane.stored >= entry.end) {
                break;
            }
            if let Some(Entry { kept: Kept::Memory(arena), .. }) = self.entries.pop_front() {
                self.memory -= arena.size();
            }
            self.first += 1;
        }
    }

    fn spill(&mut self, index: usize) -> Result<(), LogError> {
        let number = self.first + index as u64;
        if let Some(entry) = self.entries.get_mut(index)
            && let Kept::Memory(arena) = &entry.kept
        {
            let size = arena.size();
            entry.kept = Kept::Disk(self.spiller.write(number, arena)?);
            self.memory -= size;
            self.spilled += 1;
        }
        Ok(())
    }
}
