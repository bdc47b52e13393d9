//! A log that begins anew: further back, for a lane whose target went back; where the disk ends, for
//! one that comes to a hole; in front of what can't be read.

use std::sync::Arc;

use tahr_plugin_api::Position;

use super::{
    segment::{Held, Segment},
    state::State,
};

impl State {
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
