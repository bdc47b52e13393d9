//! The lanes of a log: where each stands, and what it keeps.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tahr_plugin_api::Position;

use super::{cursor::Cursor, store::LaneId};

/// A lane that did not come for so long is held up by its target.
pub(super) const STUCK_AFTER: Duration = Duration::from_millis(2500);

/// A lane that makes the source wait, where the disk takes nothing, is cut off if it does not come
/// for so long; one for which the log began anew has had its turn then.
const AWAY_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) stored: Position,
    /// It needs nothing before this, which its target may not have been told yet.
    passed: Position,
    /// Where the lane reads; what lies before it may still be needed until it is stored.
    pub(super) read: Cursor,
    /// When it came to read last.
    pub(super) active: Instant,
    /// Whether it is asked to return from waiting.
    pub(super) is_woken: bool,
    pub(super) is_parked: bool,
    /// Whether it is to end, though what it has not stored is kept.
    pub(super) is_dismissed: bool,
    /// Whether the log had to let go of what follows what is on disk for it: the slot keeps that.
    pub(super) is_cut_off: bool,
    /// Whether the log has grown too large for its sake, so that it keeps nothing any more.
    pub(super) is_given_up: bool,
    /// Whether it has a segment open.
    pub(super) is_on_disk: bool,
}

impl Lane {
    pub(super) fn new(stored: Position, read: Cursor, now: Instant) -> Self {
        Self {
            passed: stored.clone(),
            stored,
            read,
            active: now,
            is_woken: false,
            is_parked: false,
            is_dismissed: false,
            is_cut_off: false,
            is_given_up: false,
            is_on_disk: false,
        }
    }

    /// Whether it may come to read.
    pub(super) fn is_reading(&self) -> bool {
        !self.is_parked && !self.is_dismissed && !self.is_given_up
    }

    /// Whether it does not come, for whatever reason.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        !self.is_reading() || now.saturating_duration_since(self.active) >= STUCK_AFTER
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_away(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.active) >= AWAY_AFTER
    }

    /// It needs nothing before this.
    pub(super) fn needs_from(&self) -> &Position {
        (&self.passed).max(&self.stored)
    }

    pub(super) fn passed(&mut self, position: Position) {
        if position > self.passed {
            self.passed = position;
        }
    }

    /// Whether it has dealt with what ends at `end` and has the number `number`, for good.
    pub(super) fn is_done(&self, number: u64, end: &Position, epoch: u64) -> bool {
        // A cursor from before a rewind is given a new place by what is stored.
        let has_read = self.read.epoch != epoch || self.read.number > number;
        self.stored >= *end && (!self.is_reading() || has_read)
    }

    /// Whether it has a use for a disk with this first entry behind this position. One that was cut off
    /// before the disk begins will have the log begin anew without it.
    pub(super) fn is_served(&self, begin: Option<&(u64, Position)>, epoch: u64) -> bool {
        !self.is_cut_off
            || begin.is_none_or(|(first, begin)| {
                let reads = self.read.epoch == epoch && self.read.number >= *first;
                reads || self.stored >= *begin
            })
    }
}

/// The lanes that something is kept for.
pub(super) fn holders(lanes: &BTreeMap<LaneId, Lane>) -> impl Iterator<Item = &Lane> {
    lanes.values().filter(|lane| !lane.is_given_up)
}
