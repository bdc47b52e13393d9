//! What the log holds at one moment: entries, lanes, and the rules of who keeps what.

use std::collections::{BTreeMap, VecDeque};

use tahr_plugin_api::{Lsn, Position, abi::Arena};

use super::{cursor::Cursor, segment::Place, store::LaneId};

#[derive(Debug)]
pub(super) struct State {
    entries: VecDeque<Entry>,
    /// Number of the first of `entries`.
    first: u64,
    /// Number of the first entry in memory: those before it are all on disk.
    resident: u64,
    lanes: BTreeMap<LaneId, Lane>,
    /// Nothing between `reach` and `tail` is missing from the entries.
    pub(super) reach: Position,
    /// What the slot was told that it may forget: the log can go back no further.
    pub(super) told: Lsn,
    /// Number of the first entry since the log was rewound last: cursors from before lie below.
    rewound_at: u64,
    /// Whether what the reader has in hand is from before a rewind.
    pub(super) is_outdated: bool,
    pub(super) tail: Position,
    /// Where the tail was before the log was rewound.
    furthest: Lsn,
    /// Bytes in memory.
    pub(super) memory: usize,
    budget: usize,
    /// Bytes of all entries there have ever been.
    appended: u64,
    /// Entries written to disk so far.
    pub(super) spills: u64,
    pub(super) is_stopped: bool,
}

#[derive(Debug)]
struct Entry {
    /// Where a lane stands that has stored all of it.
    end: Position,
    /// Bytes of all entries before it.
    before: u64,
    kept: Kept,
}

/// Where an entry's arena is.
#[derive(Clone, Debug)]
pub(super) enum Kept {
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
    is_parked: bool,
    /// Whether it is to end, though what it has not stored is kept.
    is_dismissed: bool,
}

/// What lies at a lane's cursor.
#[derive(Debug)]
pub(super) enum Read {
    Found(Kept),
    Released,
    Rewound(Cursor),
    End { is_woken: bool },
}

/// Whether another arena may come in.
#[derive(Debug)]
pub(super) enum Room {
    Enough,
    /// Once this entry is on disk, ask again.
    Spill(u64, Arena),
    /// Ask again when a lane has read or stored something.
    None,
}

impl State {
    pub(super) fn new(budget: usize, start: Position) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            resident: 0,
            lanes: BTreeMap::new(),
            reach: start.clone(),
            told: start.lsn,
            rewound_at: 0,
            is_outdated: false,
            furthest: start.lsn,
            tail: start,
            memory: 0,
            budget,
            appended: 0,
            spills: 0,
            is_stopped: false,
        }
    }

    pub(super) fn join(&mut self, id: LaneId, stored: Position) -> Cursor {
        let covered = self.entries.partition_point(|entry| entry.end <= stored);
        let read = Cursor(self.first + covered as u64);
        // A wish that the lane return, uttered while it was joining again, isn't lost.
        let is_woken = self.lanes.get(&id).is_some_and(|lane| lane.is_woken);
        self.lanes.insert(
            id,
            Lane {
                stored,
                read,
                is_woken,
                is_parked: false,
                is_dismissed: false,
            },
        );
        self.release();
        read
    }

    /// Adds a lane that needs nothing of what was read so far. Where the source was read into a
    /// transaction, it begins before that.
    pub(super) fn join_at_tail(&mut self, id: LaneId) -> Position {
        let position = Position::at(self.tail.lsn);
        self.join(id, position.clone());
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

    pub(super) fn stored(&mut self, id: LaneId, position: Position) {
        if let Some(lane) = self.lanes.get_mut(&id)
            && position > lane.stored
        {
            lane.stored = position;
            self.release();
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

    pub(super) fn frontier(&self) -> Option<Position> {
        self.lanes.values().map(|lane| &lane.stored).min().cloned()
    }

    pub(super) fn advance(&mut self, end_lsn: Lsn) {
        if end_lsn > self.tail.lsn && !self.tail.is_inside() && !self.is_outdated {
            self.tail = Position::at(end_lsn);
        }
    }

    /// What `id` finds at `cursor`; none for a lane that doesn't read.
    pub(super) fn read(&mut self, id: LaneId, cursor: Cursor) -> Option<Read> {
        let lane = self
            .lanes
            .get_mut(&id)
            .filter(|lane| !lane.is_parked && !lane.is_dismissed)?;
        let is_woken = std::mem::take(&mut lane.is_woken);
        let Some(index) = cursor.0.checked_sub(self.first) else {
            // A reading lane has kept all since then.
            return Some(match self.first == self.rewound_at {
                true => Read::Rewound(Cursor(self.first)),
                false => Read::Released,
            });
        };
        let entry = usize::try_from(index)
            .ok()
            .and_then(|index| self.entries.get(index));
        let Some(entry) = entry else {
            return Some(Read::End { is_woken });
        };
        lane.read = lane.read.max(cursor.next());
        Some(Read::Found(entry.kept.clone()))
    }

    /// Whether `size` bytes more may come in.
    ///
    /// Nobody is helped by spilling what nobody has read, nor while the lane that leads still has
    /// half a budget before it in memory: then the source waits. Spilling begins where that lane
    /// would starve otherwise, as the others lag, or as none can store the open transaction yet.
    pub(super) fn room_for(&self, size: usize) -> Room {
        if self.is_stopped || self.memory == 0 || self.memory + size <= self.budget {
            return Room::Enough;
        }
        let Some(lead) = self.reading().map(|lane| lane.read).max() else {
            return Room::Enough;
        };
        let behind_lead = lead.0.checked_sub(self.first).and_then(|index| {
            self.entries
                .get(usize::try_from(index).ok()?)
                .map(|entry| entry.before)
        });
        let unread = self.appended - behind_lead.unwrap_or(self.appended);
        let oldest = usize::try_from(self.resident - self.first).unwrap_or(usize::MAX);
        match self.entries.get(oldest).map(|entry| &entry.kept) {
            Some(Kept::Memory(arena))
                if self.resident < lead.0 && unread <= self.budget as u64 / 2 =>
            {
                Room::Spill(self.resident, arena.clone())
            }
            _ => Room::None,
        }
    }

    /// Notes that entry `number` lies at `place` now.
    pub(super) fn spilled(&mut self, number: u64, place: Place) {
        self.spills += 1;
        // It may have been let go meanwhile.
        let entry = number
            .checked_sub(self.first)
            .and_then(|index| self.entries.get_mut(usize::try_from(index).ok()?));
        if let Some(entry) = entry
            && let Kept::Memory(arena) = &entry.kept
        {
            self.memory -= arena.size();
            entry.kept = Kept::Disk(place);
            self.resident = number + 1;
        }
    }

    pub(super) fn push(&mut self, arena: Arena) {
        let end = arena.position_after(arena.transactions().len() - 1);
        self.tail = end.clone();
        self.memory += arena.size();
        let before = self.appended;
        self.appended += arena.size() as u64;
        self.entries.push_back(Entry {
            end,
            before,
            kept: Kept::Memory(arena),
        });
        // Without a lane that reads, nobody needs it.
        self.release();
    }

    /// Empties the log and lets it begin where the slot still does, if that is not behind `wanted`.
    pub(super) fn rewind(&mut self, wanted: &Position) -> bool {
        let start = Position::at(self.told);
        if *wanted < start {
            return false;
        }
        // One number is left out, so that a cursor at the end is one from before, too.
        self.first += self.entries.len() as u64 + 1;
        self.entries.clear();
        (self.resident, self.rewound_at) = (self.first, self.first);
        self.memory = 0;
        for lane in self.lanes.values_mut() {
            lane.read = Cursor(self.first);
        }
        self.furthest = self.furthest();
        (self.reach, self.tail) = (start.clone(), start);
        self.is_outdated = true;
        true
    }

    fn reading(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.values().filter(|lane| !lane.is_parked)
    }

    /// Lets go of the entries that every reading lane has stored. One that a lane has still to
    /// read stays even then, so no cursor is ever left behind.
    fn release(&mut self) {
        while let Some(entry) = self.entries.front() {
            let is_done = |lane: &Lane| lane.stored >= entry.end && lane.read.0 > self.first;
            if !self.reading().all(is_done) {
                break;
            }
            let Some(Entry { end, kept, .. }) = self.entries.pop_front() else {
                break;
            };
            if let Kept::Memory(arena) = kept {
                self.memory -= arena.size();
            }
            self.first += 1;
            self.resident = self.resident.max(self.first);
            self.reach = end;
        }
    }
}
