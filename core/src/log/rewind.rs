//! A log that begins anew: further back, for a lane whose target went back; where the disk ends, for
//! one that comes to a hole; in front of what can't be read. Lanes take turns (`turns`).

use std::{sync::Arc, time::Instant};

use tahr_plugin_api::Position;

use super::{
    cursor::Cursor,
    segment::{Held, Segment},
    state::{Read, State},
    store::LaneId,
};

impl State {
    /// Lets the log begin further back for `id`, which stands at `wanted`, at once or when its turn comes;
    /// false where the slot has let go of that.
    pub(super) fn rewind_for(&mut self, id: LaneId, wanted: &Position, now: Instant) -> bool {
        if Position::at(self.told) <= *wanted && !self.has_turn(id, now) {
            return true;
        }
        let is_done = self.rewind(wanted);
        if is_done {
            self.turns.begun(id, self.begin.clone());
        }
        is_done
    }

    /// What `id` finds that comes to the entry `number`, which memory had to let go of, and the slot
    /// did not.
    pub(super) fn regain(&mut self, id: LaneId, number: u64, now: Instant) -> Read {
        let Some(stored) = self.lanes.get(&id).map(|lane| lane.stored.clone()) else {
            return Read::Gone;
        };
        let is_at_end = self.disk.end().is_some_and(|(next, _)| next == number);
        // What was there for it before may be there still: then nobody else has to go back yet.
        if !is_at_end && let Some(cursor) = self.cursor_at(&stored) {
            return self.goes_on_at(id, cursor);
        }
        if !self.has_turn(id, now) {
            return self.later(id);
        }
        if is_at_end {
            if self.rewind_to_disk() {
                self.turns.begun(id, self.begin.clone());
                return self.reposition(id, now);
            }
            // Nobody needs what is on disk, or told would not lie behind it.
            self.disk.clear();
        }
        if self.rewind(&stored) {
            self.turns.begun(id, self.begin.clone());
            return self.reposition(id, now);
        }
        self.turns.settled(id);
        Read::Gone
    }

    /// Where `id` goes on after a rewind.
    pub(super) fn reposition(&mut self, id: LaneId, now: Instant) -> Read {
        let Some(lane) = self.lanes.get(&id) else {
            return Read::Gone;
        };
        // What it reads is on disk, and still there.
        if lane.read.epoch == self.epoch {
            return Read::Rewound(lane.read);
        }
        let stored = lane.stored.clone();
        if let Some(cursor) = self.cursor_at(&stored) {
            return self.goes_on_at(id, cursor);
        }
        if !self.has_turn(id, now) {
            return self.later(id);
        }
        if self.rewind(&stored) {
            self.turns.begun(id, self.begin.clone());
        }
        match self.cursor_at(&stored) {
            Some(cursor) => self.goes_on_at(id, cursor),
            None => {
                self.turns.settled(id);
                Read::Gone
            }
        }
    }

    fn goes_on_at(&mut self, id: LaneId, cursor: Cursor) -> Read {
        let begin = &self.begin;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.read = cursor;
            lane.is_cut_off &= lane.stored < *begin;
        }
        Read::Rewound(cursor)
    }

    /// Whether the log may begin anew for `id`, as no other lane has its turn.
    fn has_turn(&mut self, id: LaneId, now: Instant) -> bool {
        let lanes = &self.lanes;
        self.turns.ask(id, |id, begun_at| {
            lanes.get(&id).is_none_or(|lane| {
                let is_through = begun_at.is_some_and(|begun_at| lane.stored > *begun_at);
                is_through || !lane.is_reading() || lane.is_away(now)
            })
        })
    }

    /// `id` has to wait until the log begins anew for it, and holds up nobody meanwhile.
    fn later(&mut self, id: LaneId) -> Read {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.is_cut_off = true;
        }
        self.release();
        Read::Later { is_woken: false }
    }

    /// Lets the log begin further back, so that a lane that stands at `wanted` can be served; false
    /// where the slot has let go of that.
    pub(super) fn rewind(&mut self, wanted: &Position) -> bool {
        let is_on_disk = self.disk.begin().is_some_and(|(_, begin)| wanted >= begin);
        if is_on_disk && self.rewind_to_disk() {
            return true;
        }
        let start = Position::at(self.told);
        if *wanted < start {
            return false;
        }
        self.disk.clear();
        self.begin_anew(self.next(), start);
        true
    }

    /// Where the source is to be read from.
    pub(super) fn start(&mut self) -> Position {
        let told = Position::at(self.told);
        // Lanes that were further than a log that began anew have let the slot go past it meanwhile. What
        // is missing then nobody needs; but a target that goes back must not be given what follows it.
        if self.tail < told {
            self.disk.clear();
            self.begin_anew(self.next(), told);
        }
        self.is_outdated = false;
        self.tail.clone()
    }

    /// Lets memory begin where the disk ends, if the slot still holds that.
    pub(super) fn rewind_to_disk(&mut self) -> bool {
        match self.disk.end() {
            Some((next, end)) if Position::at(self.told) <= *end => {
                let end = end.clone();
                self.begin_anew(next, end);
                true
            }
            _ => false,
        }
    }

    /// Goes on without what can't be read of `segment`, of which `good` can be; whether the source
    /// is read again from there. None where that was seen to already.
    pub(super) fn damaged(&mut self, segment: &Arc<Segment>, good: Option<Held>) -> Option<bool> {
        let told = Position::at(self.told);
        let begin = self.disk.begin_of(segment)?.1;
        let is_cut = self.disk.damaged(segment, good, &told)?;
        if !is_cut {
            return Some(false);
        }
        if !self.rewind_to_disk() {
            self.begin_anew(self.next(), begin);
        }
        Some(true)
    }

    fn begin_anew(&mut self, number: u64, start: Position) {
        self.entries.clear();
        self.memory = 0;
        self.first = number;
        let (before, first) = (self.epoch, self.disk.begin().map(|(first, _)| first));
        let reach = self.disk.begin().map_or(&start, |(_, begin)| begin);
        self.epoch += 1;
        for lane in self.lanes.values_mut() {
            // The slot has to keep what one needs that stands before that, until it comes.
            lane.is_cut_off &= lane.stored < *reach;
            let stays = |first| (first..=number).contains(&lane.read.number);
            if lane.read.epoch == before && first.is_some_and(stays) {
                lane.read.epoch = self.epoch;
            }
        }
        self.furthest = self.furthest();
        (self.begin, self.tail) = (start.clone(), start);
        self.is_outdated = true;
    }
}
