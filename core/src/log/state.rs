//! What the log holds at one moment: entries, lanes, and the rules of who keeps what.
//!
//! ```text
//! numbers   first on disk ── end of disk     first in memory ── end
//!           │ segment files │     hole     │ newest arenas    │
//! ```
//!
//! Mostly memory begins before the disk ends, and there is no hole. One comes about where memory had to
//! let go of what the disk did not take: the lanes that need that are cut off, and the slot is not
//! told of it. One that has come to the hole has the source read again from there.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use tahr_plugin_api::{Lsn, Position, abi::Arena};

use super::{
    aside::{self, Aside},
    cursor::Cursor,
    disk::{Disk, Place},
    lanes::{Lane, holders},
    room::Quota,
    segment::{Held, Segment},
    store::LaneId,
    turns::Turns,
};

#[derive(Debug)]
pub(super) struct State {
    pub(super) entries: VecDeque<Entry>,
    /// Number of the first of `entries`.
    pub(super) first: u64,
    /// The position before the first of `entries`.
    pub(super) begin: Position,
    pub(super) disk: Disk,
    pub(super) aside: Aside,
    pub(super) quota: Quota,
    pub(super) lanes: BTreeMap<LaneId, Lane>,
    pub(super) turns: Turns,
    /// What the slot was told that it may forget: the log can go back no further.
    pub(super) told: Lsn,
    /// How often it was rewound.
    pub(super) epoch: u64,
    /// Whether what the reader has in hand is from before a rewind.
    pub(super) is_outdated: bool,
    pub(super) tail: Position,
    /// Where the tail was before the log was rewound.
    pub(super) furthest: Lsn,
    /// Bytes in memory.
    pub(super) memory: usize,
    pub(super) budget: usize,
    /// Bytes of all entries there have ever been.
    pub(super) appended: u64,
    pub(super) is_stopped: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// Where a lane stands that has stored all of it.
    pub(super) end: Position,
    /// Bytes of all entries before it.
    pub(super) before: u64,
    pub(super) arena: Arena,
    pub(super) arrived: Instant,
}

/// What lies at a lane's cursor.
#[derive(Debug)]
pub(super) enum Read {
    Memory(Arena),
    Disk(Place),
    /// What lay there is gone for good.
    Gone,
    /// Nothing is kept for the lane any more.
    GivenUp,
    Rewound(Cursor),
    /// The log begins anew for it once another lane's turn is over.
    Later {
        is_woken: bool,
    },
    End {
        is_woken: bool,
    },
}

impl State {
    /// A log that has `disk`, or is empty at `start`.
    pub(super) fn new(budget: usize, start: Position, disk: Disk, quota: Quota) -> Self {
        let told = start.lsn;
        let (first, begin) = match disk.end() {
            Some((number, end)) => (number, end.clone()),
            None => (1, start),
        };
        Self {
            entries: VecDeque::new(),
            first,
            furthest: begin.lsn,
            tail: begin.clone(),
            begin,
            disk,
            aside: Aside::default(),
            quota,
            lanes: BTreeMap::new(),
            turns: Turns::default(),
            told,
            epoch: 0,
            is_outdated: false,
            memory: 0,
            budget,
            appended: 0,
            is_stopped: false,
        }
    }

    /// What is to be removed from disk; dropped by whoever can spare the time.
    pub(super) fn take_garbage(&mut self) -> (Vec<Arc<Segment>>, Vec<aside::Garbage>) {
        (self.disk.take_garbage(), self.aside.take_garbage())
    }

    /// The number behind the last entry.
    pub(super) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn entry(&self, number: u64) -> Option<&Entry> {
        let index = number.checked_sub(self.first)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// Whether entries are missing between disk and memory.
    pub(super) fn has_hole(&self) -> bool {
        self.disk.end().is_some_and(|(next, _)| next < self.first)
    }

    /// Nothing between here and the tail is missing, but for a hole.
    pub(super) fn reach(&self) -> &Position {
        self.disk.begin().map_or(&self.begin, |(_, begin)| begin)
    }

    /// The first entry in memory that a lane needs which stands at `position`.
    fn number_in_memory(&self, position: &Position) -> u64 {
        let covered = self.entries.partition_point(|entry| entry.end <= *position);
        self.first + covered as u64
    }

    /// Where a lane reads that stands at `position`; none where the log doesn't reach that.
    pub(super) fn cursor_at(&self, position: &Position) -> Option<Cursor> {
        if position < self.reach() {
            return None;
        }
        let number = match self.disk.end() {
            Some((next, _)) if *position < self.begin => {
                self.disk.number_at(position).unwrap_or(next)
            }
            _ => self.number_in_memory(position),
        };
        Some(Cursor {
            epoch: self.epoch,
            number,
        })
    }

    pub(super) fn join(&mut self, id: LaneId, stored: Position, now: Instant) -> Cursor {
        let read = self.cursor_at(&stored).unwrap_or(Cursor::NOWHERE);
        let mut lane = Lane::new(stored, read, now);
        lane.is_cut_off = lane.stored < self.begin && self.has_hole();
        if let Some(before) = self.lanes.get(&id) {
            // A wish that the lane return, uttered while it was joining again, isn't lost.
            lane.is_woken = before.is_woken;
            lane.is_on_disk = before.is_on_disk;
        }
        self.lanes.insert(id, lane);
        self.release();
        read
    }

    /// Adds a lane that needs nothing of what was read so far. Where the source was read into a
    /// transaction, it begins before that; where it is read again, behind what the slot was told, which
    /// does not come again.
    pub(super) fn join_at_tail(&mut self, id: LaneId, now: Instant) -> Position {
        let position = Position::at(self.tail.lsn.max(self.told));
        self.join(id, position.clone(), now);
        position
    }

    pub(super) fn dismiss(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.is_dismissed = true;
        }
    }

    pub(super) fn leave(&mut self, id: LaneId) {
        self.lanes.remove(&id);
        self.release();
    }

    pub(super) fn park(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.is_parked = true;
            self.release();
        }
    }

    pub(super) fn give_up_lane(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.is_given_up = true;
            self.release();
        }
    }

    /// Notes that `id` reads memory; whether it has a segment open.
    pub(super) fn leaves_disk(&mut self, id: LaneId) -> bool {
        let lane = self.lanes.get_mut(&id);
        lane.is_some_and(|lane| std::mem::take(&mut lane.is_on_disk))
    }

    /// Notes that `id` needs nothing before `position`; whether somebody waits until it has stored so:
    /// lanes for their turn, or files that are kept for nothing else.
    pub(super) fn passed(&mut self, id: LaneId, position: Position) -> bool {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return false;
        };
        lane.passed(position);
        let stored = lane.stored.clone();
        let frees_files = self.disk.end().is_some_and(|(_, end)| {
            stored < *end && holders(&self.lanes).all(|lane| lane.needs_from() >= end)
        });
        frees_files || self.turns.wait_for(id, &stored)
    }

    pub(super) fn stored(&mut self, id: LaneId, position: Position) {
        if let Some(lane) = self.lanes.get_mut(&id)
            && position > lane.stored
        {
            lane.stored = position;
            self.release();
        }
    }

    /// Notes that `id` has what lies at `cursor`, unless the log was rewound meanwhile. Not before:
    /// where reading fails, or comes too late, it is to read that again.
    pub(super) fn has_read(&mut self, id: LaneId, cursor: Cursor) {
        let epoch = self.epoch;
        if let Some(lane) = self.lanes.get_mut(&id)
            && cursor.epoch == epoch
        {
            lane.read = match lane.read.epoch == epoch {
                true => lane.read.max(cursor.next()),
                false => cursor.next(),
            };
        }
    }

    pub(super) fn wake(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.is_woken = true;
        }
    }

    /// How far the source was read at any time.
    pub(super) fn furthest(&self) -> Lsn {
        self.furthest.max(self.tail.lsn)
    }

    /// The lowest position that every lane has stored, or that the synced disk covers. Where something
    /// is kept for none of the lanes, the source keeps nothing for them either.
    pub(super) fn frontier(&self) -> Option<Position> {
        let covered = holders(&self.lanes).map(|lane| self.disk.covers(&lane.stored));
        let lowest = covered.min().cloned();
        lowest.or_else(|| (!self.lanes.is_empty()).then(|| self.tail.clone()))
    }

    /// Notes that the slot is told to forget what lies before `told`.
    pub(super) fn tell(&mut self, told: Lsn) {
        self.told = self.told.max(told);
        let is_behind = |(_, end): (u64, &Position)| *end < Position::at(told);
        // From there on nobody can read on.
        if self.has_hole() && self.disk.end().is_some_and(is_behind) {
            self.disk.clear();
        }
    }

    pub(super) fn advance(&mut self, end_lsn: Lsn) {
        if end_lsn > self.tail.lsn && !self.tail.is_inside() && !self.is_outdated {
            self.tail = Position::at(end_lsn);
        }
    }

    /// What `id` finds at `cursor`; none for a lane that doesn't read.
    pub(super) fn read(&mut self, id: LaneId, cursor: Cursor, now: Instant) -> Option<Read> {
        let lane = self.lanes.get_mut(&id)?;
        if lane.is_given_up && !lane.is_dismissed {
            return Some(Read::GivenUp);
        }
        if !lane.is_reading() {
            return None;
        }
        lane.active = now;
        let is_woken = std::mem::take(&mut lane.is_woken);
        let found = match cursor.epoch == self.epoch {
            true => self.found_at(id, cursor, now),
            false => self.reposition(id, now),
        };
        Some(match found {
            Read::End { .. } => Read::End { is_woken },
            Read::Later { .. } => Read::Later { is_woken },
            found => found,
        })
    }

    fn found_at(&mut self, id: LaneId, cursor: Cursor, now: Instant) -> Read {
        let number = cursor.number;
        if number >= self.first {
            self.turns.settled(id);
            let Some(entry) = self.entry(number) else {
                return Read::End { is_woken: false };
            };
            let arena = entry.arena.clone();
            self.has_read(id, cursor);
            return Read::Memory(arena);
        }
        if let Some(place) = self.disk.place(number) {
            self.turns.settled(id);
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.is_on_disk = true;
            }
            return Read::Disk(place);
        }
        self.regain(id, number, now)
    }

    pub(super) fn push(&mut self, arena: Arena, now: Instant) {
        let end = arena.position_after(arena.transactions().len() - 1);
        self.tail = end.clone();
        self.memory += arena.size();
        let before = self.appended;
        self.appended += arena.size() as u64;
        self.entries.push_back(Entry {
            end,
            before,
            arena,
            arrived: now,
        });
        // Without a lane that needs it, it isn't kept.
        self.release();
    }

    /// Lets go of the segments that nobody has needed for `redo` as of `now`.
    pub(super) fn release_disk(&mut self, now: Instant) {
        let Some((first, begin)) = self.disk.begin() else {
            return;
        };
        let (begin, epoch) = ((first, begin.clone()), self.epoch);
        let lanes = &self.lanes;
        let is_needed = |held: &Held| {
            let last = held.next.saturating_sub(1);
            let mut served = holders(lanes).filter(|lane| lane.is_served(Some(&begin), epoch));
            served.any(|lane| !lane.is_done(last, &held.end, epoch))
        };
        self.disk.release(is_needed, (now, self.quota.redo));
    }

    /// Lets go of the entries that every lane has stored, on disk a while later. One that a lane has still
    /// to read stays even then, so no cursor is ever left behind.
    pub(super) fn release(&mut self) {
        if !self.disk.is_empty() {
            self.release_disk(Instant::now());
        }
        let epoch = self.epoch;
        while let Some(entry) = self.entries.front() {
            let is_done =
                |lane: &Lane| lane.is_cut_off || lane.is_done(self.first, &entry.end, epoch);
            if !holders(&self.lanes).all(is_done) {
                break;
            }
            self.forget_first();
        }
    }

    /// Takes the oldest entry out of memory.
    pub(super) fn forget_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.memory -= entry.arena.size();
            self.first += 1;
            self.begin = entry.end;
        }
    }
}
