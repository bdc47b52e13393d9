//! Meetings: sources that hold different rows at the beginning, and such that come back.

use std::collections::VecDeque;

use crate::reconcile::{Difference, Held, Precedence};
use tahr_plugin_api::Lsn;

use super::{
    History,
    source::{Content, KEYS, Locks, SLOTS, key_of, row_of},
    writes::Write,
};

/// A meeting under way, as the engine sees it.
#[derive(Debug)]
pub(crate) struct Talks {
    who: Vec<usize>,
    snapshots: Vec<Option<Snapshot>>,
    /// What is still to be fed, once all snapshots are there.
    differences: Option<VecDeque<Difference>>,
}

#[derive(Clone, Debug)]
struct Snapshot {
    cut: Lsn,
    rows: [Option<(Content, Option<i64>)>; SLOTS],
}

impl History {
    /// Gives the sources rows before anybody looks at them: some the same everywhere, some not.
    pub(super) fn populate(&mut self) {
        for source in 0..self.sources.len() {
            self.sources[source].tracks = self.random.percent(70);
        }
        for slot in 0..SLOTS {
            if slot % KEYS >= self.settings.keys || slot / KEYS >= self.settings.tables {
                continue;
            }
            match self.random.below(3) {
                0 => {}
                1 => {
                    let all = 0..self.sources.len();
                    self.hold(slot, all.collect());
                }
                _ => {
                    for source in 0..self.sources.len() {
                        if self.random.percent(60) {
                            self.hold(slot, vec![source]);
                        }
                    }
                }
            }
            let rows = self.sources.iter().map(|source| source.rows[slot]);
            let first = self.sources[0].rows[slot];
            if rows.into_iter().any(|row| row != first) {
                self.unequal[slot] = Some(first);
            }
        }
        self.initial = self.writes.0.len();
    }

    /// Gives a row to some sources, where it fits.
    fn hold(&mut self, slot: usize, holders: Vec<usize>) {
        let time = self.tick(holders[0]);
        let claim = match self.settings.unique {
            true => self.random.below(4) as u32,
            false => 0,
        };
        let content = (time as Content) << 2 & 0x3FFF_FFFC | claim;
        let fits = |&holder: &usize| self.sources[holder].fits(slot, content, &Locks::default());
        let holders: Vec<usize> = holders.into_iter().filter(fits).collect();
        if holders.is_empty() {
            return;
        }
        for holder in holders {
            let source = &mut self.sources[holder];
            (source.rows[slot], source.times[slot]) = (content, time);
            source.last[slot] = Some(self.writes.0.len());
        }
        self.writes.0.push(Write {
            slot,
            time,
            content,
            parent: None,
        });
    }

    /// Lets members that were parked for a resync come back, with whatever they hold.
    pub(super) fn come_back(&mut self, engine: usize) {
        let engine = &mut self.engines[engine];
        for member in 0..engine.members.len() {
            let end = self.sources[engine.members[member]].log.len();
            if let Ok(record) = engine.reconciler.rejoin(member, Lsn(end as u64))
                && !record.is_empty()
            {
                engine.stored.replay(&record);
                engine.fed[member] = end;
                return;
            }
        }
    }

    /// Whatever is next to do for members that have not met.
    pub(super) fn talk(&mut self, engine: usize, reachable: &[bool], resting: bool) {
        let (random, settings) = (&mut self.random, self.settings);
        let engine = &mut self.engines[engine];
        let strangers = engine.reconciler.strangers();
        if strangers.is_empty() {
            return;
        }
        if !engine.reconciler.is_meeting() {
            engine.talks = None;
        }
        let mut lucky = |chance| resting || random.percent(chance);
        let Some(talks) = &mut engine.talks else {
            if !lucky(50) {
                return;
            }
            let others = engine.stored.parked.iter().enumerate();
            let others = others.filter(|(member, parked)| {
                *parked != &Some(crate::reconcile::Parked::Resync) && !strangers.contains(member)
            });
            let (who, precedence) = match others.count() {
                0 => (strangers, settings.meet.unwrap_or(Precedence::First)),
                _ => {
                    let guides = engine.reconciler.guides();
                    let Some(&guide) = guides.first() else { return };
                    let guide = *guides.get(random.below(3)).unwrap_or(&guide);
                    assert_eq!(strangers.len(), 1, "one comes back at a time");
                    (vec![guide, strangers[0]], Precedence::First)
                }
            };
            engine.reconciler.begin_meeting(&who, precedence);
            engine.talks = Some(Talks {
                snapshots: vec![None; who.len()],
                who,
                differences: None,
            });
            return;
        };
        for (place, &member) in talks.who.iter().enumerate() {
            if talks.snapshots[place].is_none() && reachable[member] && lucky(60) {
                let source = &self.sources[engine.members[member]];
                let held = |slot: usize| {
                    let row = (source.rows[slot] != 0).then_some(source.rows[slot])?;
                    Some((row, source.tracks.then_some(source.times[slot])))
                };
                talks.snapshots[place] = Some(Snapshot {
                    cut: Lsn(source.log.len() as u64),
                    rows: std::array::from_fn(held),
                });
            }
        }
        if talks.differences.is_none() {
            let Some(snapshots) = talks.snapshots.iter().cloned().collect::<Option<Vec<_>>>()
            else {
                return;
            };
            let cuts: Vec<Lsn> = snapshots.iter().map(|snapshot| snapshot.cut).collect();
            engine.reconciler.snapshots_at(&cuts);
            talks.differences = Some(compare(&snapshots));
        }
        let Some(differences) = &mut talks.differences else {
            return;
        };
        // With a limit no more than one, and only when nothing is owed: it might be for everybody.
        let owed = (0..engine.members.len()).map(|member| engine.reconciler.state().owed(member));
        let most = match settings.limit {
            Some(_) if owed.sum::<usize>() > 0 || engine.reconciler.waiting() > 0 => 0,
            Some(_) => 1,
            None if resting => SLOTS,
            None => random.below(4),
        };
        let next: Vec<Difference> = differences.drain(..most.min(differences.len())).collect();
        let fed = differences.is_empty() && next.is_empty();
        engine.reconciler.meet(next);
        if fed && let Some(record) = engine.reconciler.end_meeting() {
            if random.percent(settings.crash) {
                return engine.crash();
            }
            engine.stored.replay(&record);
            engine.talks = None;
        }
    }
}

/// The keys in which snapshots differ.
fn compare(snapshots: &[Snapshot]) -> VecDeque<Difference> {
    let row = |snapshot: &Snapshot, slot: usize| snapshot.rows[slot].map(|(row, _)| row);
    let differs = |slot: &usize| {
        let first = row(&snapshots[0], *slot);
        snapshots
            .iter()
            .any(|snapshot| row(snapshot, *slot) != first)
    };
    let difference = |slot: usize| {
        let held = |snapshot: &Snapshot| {
            let (row, time) = snapshot.rows[slot]?;
            let row = row_of(row);
            Some(Held { row, time })
        };
        Difference {
            key: key_of(slot),
            rows: snapshots.iter().map(held).collect(),
        }
    };
    (0..SLOTS).filter(differs).map(difference).collect()
}
