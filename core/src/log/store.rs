//! The entries, the cursors, and who waits for whom.

use std::{
    io,
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tahr_plugin_api::{Lsn, Position, abi::Arena};
use tokio::sync::Notify;

use super::{
    cursor::{Cursor, Next},
    segment::Spiller,
    state::{Kept, Read, Room, State},
};

/// Longer than anyone waits; keeps the clock's arithmetic in range.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Names a lane within its source's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub usize);

/// The log could not keep or give back an arena.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk failed.
    #[error("log of the source: {0}")]
    Disk(#[from] io::Error),
    /// The log was rewound: the source is to be read anew, from [`Log::begin`].
    #[error("log of the source begins anew further back")]
    Rewound,
}

/// The log of one source; see the module's documentation.
#[derive(Debug)]
pub struct Log {
    state: Mutex<State>,
    /// Only [`append`](Self::append) spills, and never while it holds `state`: lanes don't wait
    /// for the disk of another lane's backlog.
    spiller: Mutex<Spiller>,
    /// Lanes wait here for entries.
    arrived: Condvar,
    /// The source's reader waits here for room.
    room: Notify,
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
            state: Mutex::new(State::new(
                usize::try_from(budget).unwrap_or(usize::MAX),
                start,
            )),
            spiller: Mutex::new(Spiller::new(folder)?),
            arrived: Condvar::new(),
            room: Notify::new(),
        })
    }

    /// No code panics while it holds the lock but by a bug, and then the state is still whole:
    /// every change of it is finished before anything that can fail.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a lane that has stored everything up to `stored`, or moves it to there and ends its
    /// being parked; its cursor begins at the oldest entry that has something behind `stored`.
    ///
    /// From here on the log keeps what the lane needs. Whether it still held all of it is to be
    /// asked *afterwards*: it did where `stored` is not before [`reach`](Self::reach).
    pub fn join(&self, lane: LaneId, stored: Position) -> Cursor {
        let cursor = self.lock().join(lane, stored);
        self.room.notify_one();
        cursor
    }

    /// Adds a lane that needs nothing of what was read so far, since all of its tables are still to
    /// be copied; returns where it begins. From here on the log keeps what comes.
    pub fn join_at_tail(&self, lane: LaneId) -> Position {
        let position = self.lock().join_at_tail(lane);
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
        self.lock().leave(lane);
        self.arrived.notify_all();
        self.room.notify_one();
    }

    /// Parks a lane: it reads no more, and no entry is kept on its account. It still holds the
    /// [`frontier`](Self::frontier) back, so the source keeps what it will need.
    pub fn park(&self, lane: LaneId) {
        self.lock().park(lane);
        self.arrived.notify_all();
        self.room.notify_one();
    }

    /// Where the source is to be read from. What was read before and not appended is forgotten.
    pub fn begin(&self) -> Position {
        let mut state = self.lock();
        state.is_outdated = false;
        state.tail.clone()
    }

    /// Lets the log begin further back than it [reaches](Self::reach), so that a lane whose target
    /// went back to `wanted` can be served from the slot; false where the slot was told to forget
    /// that. The source's reader is told by [`LogError::Rewound`], the lanes by [`Next::Rewound`].
    pub fn rewind(&self, wanted: &Position) -> bool {
        let is_done = self.lock().rewind(wanted);
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
        state.told = state.told.max(told.unwrap_or_default());
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
            let room = {
                let state = self.lock();
                if state.is_outdated {
                    return Err(LogError::Rewound);
                }
                state.room_for(arena.size())
            };
            match room {
                Room::Enough => break,
                Room::Spill(number, oldest) => {
                    let mut spiller = self.spiller.lock().unwrap_or_else(PoisonError::into_inner);
                    let place = spiller.write(number, &oldest)?;
                    drop(spiller);
                    self.lock().spilled(number, place);
                }
                Room::None => self.room.notified().await,
            }
        }
        let mut state = self.lock();
        if state.is_outdated {
            return Err(LogError::Rewound);
        }
        state.push(arena);
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

    /// The position before the oldest entry that the log still holds. A lane whose target stands
    /// before it can't be served, unless the log can be [rewound](Self::rewind): there is a gap.
    #[must_use]
    pub fn reach(&self) -> Position {
        self.lock().reach.clone()
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
            let Some(found) = state.read(lane, cursor) else {
                return Ok(Next::Stopped);
            };
            match found {
                Read::Found(kept) => {
                    drop(state);
                    self.room.notify_one();
                    return Ok(Next::Arena(match kept {
                        Kept::Memory(arena) => arena,
                        Kept::Disk(place) => place.read()?,
                    }));
                }
                Read::Rewound(cursor) => return Ok(Next::Rewound(cursor)),
                Read::Released => {
                    let gone = "the entry at a lane's cursor was let go";
                    return Err(io::Error::new(io::ErrorKind::NotFound, gone).into());
                }
                Read::End { is_woken } => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() || is_woken {
                        return Ok(Next::Tail(state.tail.clone()));
                    }
                    let waited = self.arrived.wait_timeout(state, left);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Notes that `lane` has stored everything up to `position`. A lane whose target went back
    /// [`join`](Self::join)s again instead.
    pub fn stored(&self, lane: LaneId, position: Position) {
        self.lock().stored(lane, position);
        self.room.notify_one();
    }

    /// The lowest position that every lane has stored; none without lanes.
    #[must_use]
    pub fn frontier(&self) -> Option<Position> {
        self.lock().frontier()
    }

    /// Bytes in memory, and entries that were written to disk so far.
    #[must_use]
    pub fn usage(&self) -> (usize, u64) {
        let state = self.lock();
        (state.memory, state.spills)
    }

    /// Makes `lane` return from waiting.
    pub fn wake(&self, lane: LaneId) {
        self.lock().wake(lane);
        self.arrived.notify_all();
    }

    /// Ends all waiting, for good.
    pub fn stop(&self) {
        self.lock().is_stopped = true;
        self.arrived.notify_all();
        self.room.notify_one();
    }
}
