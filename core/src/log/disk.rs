//! What of the log lies in segment files: entries that follow each other without a gap.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tahr_plugin_api::Position;

use super::{
    scribe::Piece,
    segment::{Held, Mark, Segment},
};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Disk {
    segments: VecDeque<Held>,
    /// Up to where it was synced.
    synced: Position,
    /// Whether syncing failed: then nobody knows what is on disk until all of it has gone.
    is_unsure: bool,
    /// Segments that nobody needs; kept for whoever can spare the time to remove them.
    garbage: Vec<Arc<Segment>>,
}

/// Where an entry lies on disk.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) segment: Arc<Segment>,
    pub(super) number: u64,
    /// From where its segment can be read.
    pub(super) mark: Mark,
}

impl Disk {
    pub(super) fn found(segments: VecDeque<Held>) -> Self {
        let synced = segments.back().map(|last| last.end.clone());
        Self {
            segments,
            synced: synced.unwrap_or_default(),
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Its first entry, and the position before that.
    pub(super) fn begin(&self) -> Option<(u64, &Position)> {
        let first = self.segments.front()?;
        Some((first.first(), first.begin()))
    }

    /// The number behind its last entry, and where a lane stands that has stored all of it.
    pub(super) fn end(&self) -> Option<(u64, &Position)> {
        let last = self.segments.back()?;
        Some((last.next, &last.end))
    }

    /// Bytes of its files.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|held| held.bytes).sum()
    }

    /// Where a lane that has stored `position` may stand as far as the slot is concerned.
    pub(super) fn covers<'a>(&'a self, position: &'a Position) -> &'a Position {
        match self.begin() {
            Some((_, begin)) if position >= begin => position.max(&self.synced),
            _ => position,
        }
    }

    /// Where the entry `number` lies.
    pub(super) fn place(&self, number: u64) -> Option<Place> {
        let behind = self.segments.partition_point(|held| held.next <= number);
        let held = self.segments.get(behind)?;
        (held.first() <= number).then(|| Place {
            segment: Arc::clone(&held.segment),
            number,
            mark: held.mark_of(number).clone(),
        })
    }

    /// The first entry of `segment`, the position before it and the number behind its last entry, where
    /// it is part of this.
    pub(super) fn begin_of(&self, segment: &Arc<Segment>) -> Option<(u64, Position, u64)> {
        let mut all = self.segments.iter();
        let held = all.find(|held| Arc::ptr_eq(&held.segment, segment))?;
        Some((held.first(), held.begin().clone(), held.next))
    }

    /// The entry from which a lane reads that stands at `position`; none where it needs none of it.
    pub(super) fn number_at(&self, position: &Position) -> Option<u64> {
        let behind = self.segments.partition_point(|held| held.end <= *position);
        Some(self.segments.get(behind)?.number_at(position))
    }

    /// Takes over what was written, while it follows what there is; whether all of it did.
    /// `next` is the entry that an empty one may begin with.
    pub(super) fn adopt(&mut self, pieces: Vec<Piece>, next: u64) -> bool {
        let mut fits = true;
        for piece in pieces {
            let Some(&(first, ..)) = piece.records.first() else {
                continue;
            };
            let expected = self.end().map_or(next, |(number, _)| number);
            let last = self.segments.back();
            let is_last = last.is_some_and(|held| Arc::ptr_eq(&held.segment, &piece.segment));
            fits &= first == expected && (piece.is_new || is_last);
            if !fits {
                if piece.is_new {
                    piece.segment.discard();
                }
                continue;
            }
            if piece.is_new {
                if self.segments.is_empty() {
                    self.synced = piece.begin.clone();
                }
                let begin = match self.end() {
                    Some((_, end)) => end.clone(),
                    None => piece.begin,
                };
                self.segments
                    .push_back(Held::new(piece.segment, first, begin));
            }
            if let Some(held) = self.segments.back_mut() {
                for (number, is_bare, end, bytes) in piece.records {
                    held.add(number, is_bare, end, bytes);
                }
                held.done_since = None;
            }
        }
        fits
    }

    /// Makes no use of what was written.
    pub(super) fn refuse(pieces: &[Piece]) -> bool {
        let new = pieces.iter().filter(|piece| piece.is_new);
        new.for_each(|piece| piece.segment.discard());
        pieces.is_empty()
    }

    /// Notes that all up to `end` is synced.
    pub(super) fn synced(&mut self, end: &Position) {
        if let (Some(last), false) = (self.segments.back(), self.is_unsure) {
            let end = end.min(&last.end);
            if self.synced < *end {
                self.synced.clone_from(end);
            }
        }
    }

    /// Notes that syncing failed.
    pub(super) fn unsure(&mut self) {
        self.is_unsure = true;
    }

    /// Lets go of its first segments once nobody has needed them for `redo`; `is_needed` says who is
    /// needed as of `now`.
    pub(super) fn release(
        &mut self,
        is_needed: impl Fn(&Held) -> bool,
        (now, redo): (Instant, Duration),
    ) {
        let mut old = 0;
        let mut is_done = true;
        for held in &mut self.segments {
            is_done &= !is_needed(held);
            if !is_done {
                held.done_since = None;
                continue;
            }
            let since = *held.done_since.get_or_insert(now);
            old += usize::from(now.saturating_duration_since(since) >= redo);
        }
        self.let_go(old);
    }

    /// Whether nobody needs anything of it.
    pub(super) fn is_done(&self) -> bool {
        let mut all = self.segments.iter();
        all.all(|held| held.done_since.is_some())
    }

    /// Lets go of the segments that nobody needs any more, however short that is; whether there were any.
    pub(super) fn let_go_of_done(&mut self) -> bool {
        let all = self.segments.iter();
        let done = all.take_while(|held| held.done_since.is_some()).count();
        self.let_go(done);
        done > 0
    }

    fn let_go(&mut self, count: usize) {
        let gone = self.segments.drain(..count).collect::<Vec<_>>();
        self.discard(gone.into_iter());
    }

    /// Lets go of everything.
    pub(super) fn clear(&mut self) {
        let gone = std::mem::take(&mut self.segments);
        self.discard(gone.into_iter());
    }

    fn discard(&mut self, gone: impl Iterator<Item = Held>) {
        for held in gone {
            held.segment.discard();
            self.garbage.push(held.segment);
        }
        if self.segments.is_empty() {
            self.is_unsure = false;
        }
    }

    /// Cuts it in front of what can't be read of `segment`, of which `good` can be, unless that is
    /// none; or lets go of all up to and with that, where `told` says that the slot has let go of
    /// what is damaged. Returns whether it was cut, or none where it isn't part of it.
    pub(super) fn damaged(
        &mut self,
        segment: &Arc<Segment>,
        good: Option<Held>,
        told: &Position,
    ) -> Option<bool> {
        let mut all = self.segments.iter();
        let index = all.position(|held| Arc::ptr_eq(&held.segment, segment))?;
        let begin = self.segments[index].begin().clone();
        let good = good.filter(|good| good.next < self.segments[index].next);
        let is_cut = match good {
            _ if *told <= begin => {
                let gone = self.segments.split_off(index).split_off(1);
                self.discard(gone.into_iter());
                true
            }
            Some(good) if *told <= good.end => {
                let gone = self.segments.split_off(index).split_off(1);
                self.discard(gone.into_iter());
                self.segments.push_back(good);
                true
            }
            _ => {
                let rest = self.segments.split_off(index + 1);
                let mut gone = std::mem::replace(&mut self.segments, rest);
                gone.pop_back();
                self.discard(gone.into_iter());
                false
            }
        };
        if let Some((_, end)) = self.end() {
            let end = end.clone();
            self.synced = std::mem::take(&mut self.synced).min(end);
        }
        Some(is_cut)
    }

    /// What is to be removed; dropped by whoever can spare the time.
    pub(super) fn take_garbage(&mut self) -> Vec<Arc<Segment>> {
        std::mem::take(&mut self.garbage)
    }
}
