//! What goes to disk, and what happens where neither memory nor disk has room.

use std::{
    io,
    time::{Duration, Instant, SystemTime},
};

use tahr_plugin_api::Position;

use super::{
    disk::Disk,
    lanes::{Lane, holders},
    scribe::{Job, Piece},
    state::{Entry, State},
};
use crate::config::OnLogLimit;

/// A lane lags once it needs what another has stored for so long.
const LAGS_AFTER: Duration = Duration::from_secs(1);
/// The position of a lane that is stuck moves on after so much of the source's log.
const BARE_EVERY: u64 = 1 << 20;
/// Bytes of arenas that are written at once.
const JOB_BYTES: usize = 4 << 20;
/// How long a disk that refused is left alone.
const DISK_RESTS: Duration = Duration::from_secs(1);

/// More than how far the source was read takes on disk.
const BARE_BYTES: u64 = 64;

/// How often a refusal is told.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Whether another arena may come in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// Once more is on disk, ask again.
    Spill,
    /// Ask again when a lane has read or stored something, or after a while.
    None,
}

/// How much disk the log may use, and why it uses no more just now.
#[derive(Debug)]
pub(super) struct Quota {
    /// Bytes of segment files.
    pub(super) limit: u64,
    pub(super) on_limit: OnLogLimit,
    /// How long a segment stays that every lane has dealt with.
    pub(super) redo: Duration,
    /// Why nothing was written last, since when.
    pub(super) fault: Option<(String, SystemTime)>,
    /// When the disk is to be tried again.
    rests_until: Option<Instant>,
    /// When a refusal was told last.
    said: Option<Instant>,
    /// Entries written so far.
    pub(super) spills: u64,
}

impl Quota {
    pub(super) fn new(limit: u64, on_limit: OnLogLimit, redo: Duration) -> Self {
        Self {
            limit,
            on_limit,
            redo,
            fault: None,
            rests_until: None,
            said: None,
            spills: 0,
        }
    }

    pub(super) fn refuse(&mut self, why: &str, now: Instant) {
        let is_known = self.fault.as_ref().is_some_and(|(known, _)| known == why);
        if !is_known {
            self.fault = Some((why.to_owned(), SystemTime::now()));
        }
        let is_said = self.said.is_some_and(|at| now < at + SAID_EVERY);
        if !is_known && !is_said {
            self.said = Some(now);
            tracing::warn!("{why}; what targets lack that lag stays in the source's WAL");
        }
        self.rests_until = Some(now + DISK_RESTS);
    }

    /// The disk may be tried again at once.
    #[cfg(test)]
    pub(super) fn retry(&mut self) {
        self.rests_until = None;
    }

    /// Whether the disk may be tried.
    fn is_open(&self, now: Instant) -> bool {
        self.rests_until.is_none_or(|until| now >= until)
    }
}

impl State {
    /// Whether `size` bytes more may come in.
    ///
    /// Nobody is helped by spilling what nobody has read, nor while the lane that leads still has
    /// half a budget before it in memory: then the source waits. Spilling begins where that lane
    /// would starve otherwise, as the others lag, or as none can store the open transaction yet.
    pub(super) fn room_for(&mut self, size: usize, now: Instant) -> Room {
        loop {
            let is_free = self.is_stopped || self.memory == 0 || self.memory + size <= self.budget;
            if is_free || holders(&self.lanes).next().is_none() {
                return Room::Enough;
            }
            let on_disk = self.disk.end().map_or(0, |(next, _)| next);
            if self.first < on_disk {
                self.forget_first();
                continue;
            }
            if !self.is_starving() {
                return Room::None;
            }
            // What is kept for a target that may lose its last moments must not hold up the others.
            if self.has_hole() && self.disk.is_done() {
                self.disk.clear();
            }
            if self.quota.is_open(now) && !self.has_hole() {
                return Room::Spill;
            }
            if !self.cut_off(now) {
                return Room::None;
            }
        }
    }

    /// Whether the lane that leads has read the oldest entry and has less than half a budget before
    /// it.
    fn is_starving(&self) -> bool {
        let lead = self.lead();
        let behind_lead = self.entry(lead).map(|entry| entry.before);
        let unread = self.appended - behind_lead.unwrap_or(self.appended);
        self.first < lead && unread <= self.budget as u64 / 2
    }

    /// The entry that the lane which leads reads next; 0 where none reads.
    fn lead(&self) -> u64 {
        let reading = holders(&self.lanes).filter(|lane| lane.is_reading() && !lane.is_cut_off);
        let reads = reading.map(|lane| match lane.read.epoch == self.epoch {
            true => lane.read.number,
            false => 0,
        });
        reads.max().unwrap_or(0)
    }

    /// Lets go of the oldest entry in memory, though it isn't on disk, if all that need it lag
    /// behind or don't come: the slot keeps it for them. Whether it did.
    fn cut_off(&mut self, now: Instant) -> bool {
        let (first, epoch) = (self.first, self.epoch);
        let Some(end) = self.entry(first).map(|entry| entry.end.clone()) else {
            return false;
        };
        let is_beyond = |lane: &Lane| {
            let has_read = lane.read.epoch == epoch && lane.read.number > first;
            lane.stored >= end || (lane.is_reading() && has_read)
        };
        let is_behind = |lane: &Lane| {
            let lags = lane.read.epoch == epoch && lane.read.number < first;
            lane.is_cut_off || lags || !lane.is_reading() || lane.is_away(now)
        };
        if !holders(&self.lanes).all(|lane| is_beyond(lane) || is_behind(lane)) {
            return false;
        }
        for lane in self.lanes.values_mut() {
            lane.is_cut_off |= !is_beyond(lane);
        }
        self.forget_first();
        true
    }

    /// Whether a lane lags: it needs what another has dealt with a while ago.
    fn lags(&self, lane: &Lane, lead: &Position, now: Instant) -> bool {
        let needs_from = lane.needs_from();
        if lane.is_cut_off {
            return false;
        }
        if *needs_from < self.begin {
            return !self.disk.is_empty();
        }
        let index = self
            .entries
            .partition_point(|entry| entry.end <= *needs_from);
        self.entries.get(index).is_some_and(|entry| {
            entry.end <= *lead && now.saturating_duration_since(entry.arrived) >= LAGS_AFTER
        })
    }

    /// What is to be written now, as lanes lag: what others have dealt with, or how far the source
    /// was read.
    pub(super) fn backlog(&mut self, now: Instant) -> Option<Job> {
        if self.has_hole() || !self.quota.is_open(now) || self.is_outdated {
            return None;
        }
        let lead = holders(&self.lanes).map(Lane::needs_from).max()?.clone();
        let next = self.next_on_disk();
        let is_behind = holders(&self.lanes).any(|lane| self.lags(lane, &lead, now));
        let is_due = self.entry(next).is_some_and(|entry| entry.end <= lead);
        match (is_behind && is_due, next == self.next()) {
            (true, _) => self.job(|_, entry| entry.end <= lead, now),
            (false, true) => self.bare(now),
            (false, false) => None,
        }
    }

    /// What is to be written now for want of memory.
    pub(super) fn overflow(&mut self, now: Instant) -> Option<Job> {
        match self.has_hole() || !self.quota.is_open(now) {
            true => None,
            false => {
                let lead = self.lead();
                self.job(|number, _| number < lead, now)
            }
        }
    }

    /// The entry that is to be written next.
    fn next_on_disk(&self) -> u64 {
        self.disk.end().map_or(self.first, |(next, _)| next)
    }

    /// The position before that.
    fn end_on_disk(&self) -> Position {
        self.disk
            .end()
            .map_or_else(|| self.begin.clone(), |(_, end)| end.clone())
    }

    /// Whether there is room for `bytes` more on disk; what was set aside makes way for it.
    pub(super) fn make_room(&mut self, bytes: u64) -> bool {
        let most = self.quota.limit.saturating_sub(self.disk.bytes());
        let left = most.checked_sub(bytes);
        self.aside.shrink_to(left.unwrap_or(most));
        left.is_some()
    }

    fn job(&mut self, is_due: impl Fn(u64, &Entry) -> bool, now: Instant) -> Option<Job> {
        loop {
            let number = self.next_on_disk();
            let (mut entries, mut bytes) = (Vec::new(), 0);
            for index in number - self.first.min(number).. {
                let entry = usize::try_from(index)
                    .ok()
                    .and_then(|index| self.entries.get(index));
                let Some(entry) = entry.filter(|entry| is_due(self.first + index, entry)) else {
                    break;
                };
                if !entries.is_empty() && bytes + entry.arena.size() > JOB_BYTES {
                    break;
                }
                bytes += entry.arena.size();
                entries.push((entry.end.clone(), entry.arena.clone()));
            }
            if entries.is_empty() {
                return None;
            }
            if self.make_room(bytes as u64) {
                return Some(Job {
                    epoch: self.epoch,
                    number,
                    begin: self.end_on_disk(),
                    entries,
                    bare: None,
                });
            }
            if self.disk.let_go_of_done() {
                continue;
            }
            if self.quota.on_limit == OnLogLimit::Hold || !self.give_up() {
                let why = format!(
                    "log of the source is as large as `log_limit` allows ({} MiB)",
                    self.quota.limit >> 20
                );
                self.quota.refuse(&why, now);
                return None;
            }
        }
    }

    /// How far the source was read, where a lane is stuck and nothing else is to be written.
    fn bare(&mut self, now: Instant) -> Option<Job> {
        let end = self.end_on_disk();
        let behind = |position: &Position| self.tail.lsn.bytes_since(position.lsn) >= BARE_EVERY;
        let is_stuck = |lane: &Lane| {
            let is_served = lane.stored >= *self.reach() && !lane.is_cut_off;
            lane.is_stuck(now) && is_served && behind(self.disk.covers(&lane.stored))
        };
        let is_due = !self.tail.is_inside() && behind(&end) && holders(&self.lanes).any(is_stuck);
        (is_due && self.make_room(BARE_BYTES)).then(|| Job {
            epoch: self.epoch,
            number: self.next_on_disk(),
            begin: end,
            entries: Vec::new(),
            bare: Some(self.tail.clone()),
        })
    }

    /// Gives up the lane for whose sake the log is largest; whether there was one.
    fn give_up(&mut self) -> bool {
        let Some((_, end)) = self.disk.end() else {
            return false;
        };
        let end = end.clone();
        let begin = self.disk.begin();
        let begin = begin.map(|(first, begin)| (first, begin.clone()));
        let epoch = self.epoch;
        let Some(lead) = holders(&self.lanes).map(Lane::needs_from).max().cloned() else {
            return false;
        };
        let lags = |lane: &Lane| {
            let is_behind = lane.stored < end && *lane.needs_from() < lead;
            is_behind && lane.is_served(begin.as_ref(), epoch)
        };
        let lagging = self.lanes.values_mut();
        let lagging = lagging.filter(|lane| !lane.is_given_up && lags(lane));
        let Some(last) = lagging.min_by(|a, b| a.stored.cmp(&b.stored)) else {
            return false;
        };
        last.is_given_up = true;
        self.release();
        true
    }

    /// Takes over what was written of a job; whether all of it is part of the log.
    pub(super) fn adopt(
        &mut self,
        epoch: u64,
        pieces: Vec<Piece>,
        result: io::Result<()>,
        now: Instant,
    ) -> bool {
        let is_current = epoch == self.epoch;
        let before = self.next_on_disk();
        let next = self.first;
        let is_whole = match is_current {
            true => self.disk.adopt(pieces, next),
            false => Disk::refuse(&pieces),
        };
        self.quota.spills += self.next_on_disk().saturating_sub(before);
        match result {
            Ok(()) => {
                self.quota.fault = None;
                self.quota.rests_until = None;
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::StorageFull {
                    self.aside.let_go_of_oldest();
                }
                let why = format!("log of the source can't be written to disk: {error}");
                self.quota.refuse(&why, now);
            }
        }
        is_whole
    }
}
