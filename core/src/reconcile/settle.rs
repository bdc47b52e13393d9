//! Settling: from verdicts to what each source is owed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Entry, Key, Mutation, Parked, Record, Round, Rules, State, Version,
    sight::Sight,
    verdicts::{Verdict, Verdicts},
};

/// Works out what is owed after a round, key by key, beside a state that it doesn't change.
struct Settling<'a> {
    sight: &'a Sight<'a>,
    reachable: &'a [bool],
    /// Keys with what is remembered of them now.
    entries: BTreeMap<Key, Option<Entry>>,
}

/// Makes a round of its verdicts; its record tells what changes in the state, applies excepted.
pub(super) fn settle(sight: &Sight<'_>, verdicts: Verdicts, reachable: &[bool]) -> Round {
    let mut settling = Settling {
        sight,
        reachable,
        entries: BTreeMap::new(),
    };
    let n = sight.taking.len();
    for (source, arrived) in sight.arrived.iter().enumerate() {
        for key in arrived {
            settling.entry(key, |entry| {
                entry.owed &= !(1 << source);
                entry.own.retain(|(own, _)| *own != source);
            });
        }
    }
    let mut round = Round {
        conflicts: verdicts.conflicts,
        ..Round::default()
    };
    // A table comes before its rows, which depend on who shall empty it.
    for (key, verdict) in verdicts.keys {
        match verdict {
            Verdict::Winner(version) => {
                let owed = (0..n).filter(|&i| settling.owes(i, &key, &version));
                let owed = owed.fold(0, |owed, i| owed | 1 << i);
                let entry = Entry {
                    version: version.clone(),
                    owed,
                    mixed: false,
                    own: Vec::new(),
                };
                settling.entries.insert(key.clone(), Some(entry));
                round.winners.push((key, version));
            }
            Verdict::Met(version, owed) => {
                let entry = Entry {
                    version: version.clone(),
                    owed,
                    mixed: false,
                    own: Vec::new(),
                };
                settling.entries.insert(key.clone(), Some(entry));
                // To all others a row that one lacks who came back is nothing new.
                if sight.state.unmet >> version.from & 1 == 1 {
                    round.winners.push((key, version));
                }
            }
            Verdict::Apart(versions) => settling.apart(&key, versions),
        }
    }
    for (source, key) in verdicts.dropped {
        settling.entry(&key, |entry| {
            entry.owed &= !(1 << source);
            entry.own.retain(|(own, _)| *own != source);
            entry.mixed = true;
        });
    }
    settling.retire();
    round.diverged = verdicts.diverged;
    round.effects.clone_from(&sight.effects);
    round.record = Record {
        entries: settling.entries.into_iter().collect(),
        ..Record::default()
    };
    round
}

impl Settling<'_> {
    /// What is remembered of a key now.
    fn now(&self, key: &Key) -> Option<&Entry> {
        match self.entries.get(key) {
            Some(entry) => entry.as_ref(),
            None => self.sight.state.entries.get(key),
        }
    }

    fn entry(&mut self, key: &Key, change: impl FnOnce(&mut Entry)) {
        if let Some(mut entry) = self.now(key).cloned() {
            change(&mut entry);
            self.entries.insert(key.clone(), Some(entry));
        }
    }

    /// Whether a source shall yet empty the table of a row.
    fn will_be_emptied(&self, source: usize, key: &Key) -> bool {
        !key.is_whole()
            && self
                .now(&key.table_key())
                .is_some_and(|entry| entry.owes(source))
    }

    /// Whether a source is owed the winner of a key.
    fn owes(&self, source: usize, key: &Key, best: &Version) -> bool {
        let (sight, rules) = (self.sight, self.sight.rules);
        if matches!(sight.state.parked[source], Some(Parked::Resync))
            || (rules.breaks(Mutation::OwedToReachable) && !self.reachable[source])
        {
            return false;
        }
        let held = sight.held(source, key);
        if key.is_whole() {
            return held != Some(best.mark());
        }
        if rules.breaks(Mutation::OwnIsHeld) && best.from == source {
            return false;
        }
        if self.will_be_emptied(source, key) && !rules.breaks(Mutation::WipeKeepsRows) {
            let emptying = self
                .now(&key.table_key())
                .map(|entry| &entry.version.origin);
            return best.is_row() || emptying != Some(&best.origin);
        }
        match held {
            Some(mark) => mark != best.mark(),
            None if self.passed(source, key, best) => false,
            None if self.was_owed(source, key) => true,
            None => sight.state.entries.get(key).is_none_or(|entry| {
                (entry.mixed && !rules.breaks(Mutation::SkipForgets))
                    || entry.version.mark() != best.mark()
            }),
        }
    }

    /// Whether a change came by a source on its way here: that one had it, and what it made of it
    /// since is in its stream. An apply on its way there may undo that.
    fn passed(&self, source: usize, key: &Key, best: &Version) -> bool {
        let rules = self.sight.rules;
        let flight = self.sight.state.flights[source].as_ref();
        let in_flight = flight.is_some_and(|flight| flight.rows.contains_key(key));
        best.origin.path.contains(&rules.members[source])
            && (!in_flight || self.sight.taking[source])
            && !rules.breaks(Mutation::NoPath)
    }

    /// Whether a source was still owed a key, or the emptying of its table, when the round began.
    fn was_owed(&self, source: usize, key: &Key) -> bool {
        self.sight.owes(key, source) || self.sight.owes(&key.table_key(), source)
    }

    /// Leaves each source what it made of a key: one is owed its own row only where an apply has
    /// overwritten it, or will.
    fn apart(&mut self, key: &Key, versions: Vec<Version>) {
        let Some(first) = versions.first() else {
            return;
        };
        let fresh = || Entry {
            version: first.clone(),
            owed: 0,
            mixed: true,
            own: Vec::new(),
        };
        let mut entry = self.now(key).cloned().unwrap_or_else(fresh);
        entry.mixed = true;
        for version in versions {
            let source = version.from;
            entry.own.retain(|(own, _)| *own != source);
            let holds = self.sight.held(source, key) == Some(version.mark());
            if holds && !self.will_be_emptied(source, key) {
                entry.owed &= !(1 << source);
            } else {
                entry.owed |= 1 << source;
                entry.own.push((source, version));
            }
        }
        self.entries.insert(key.clone(), Some(entry));
    }

    /// Forgets keys that nobody is owed. A row that moved stays as long as the delete of its old
    /// key, with which it might have to go.
    fn retire(&mut self) {
        let mut keys: BTreeSet<Key> = self.entries.keys().cloned().collect();
        let replaced = self
            .entries
            .keys()
            .filter_map(|key| self.sight.state.entries.get(key));
        keys.extend(replaced.filter_map(|entry| entry.version.moved.clone()));
        while let Some(key) = keys.pop_first() {
            let Some(entry) = self.now(&key).filter(|entry| entry.owed == 0) else {
                continue;
            };
            let moved = entry.version.moved.clone();
            let is_row = entry.version.is_row();
            let pinned = moved
                .as_ref()
                .filter(|_| is_row)
                .and_then(|old| self.now(old));
            let pinned = pinned.is_some_and(|delete| {
                !delete.version.is_row() && delete.version.moved.as_ref() == Some(&key)
            });
            if pinned && !self.sight.rules.breaks(Mutation::UnpinnedMoves) {
                // Looked at again once the delete is forgotten, which may come later in this loop.
                continue;
            }
            keys.extend(moved.filter(|_| !is_row));
            self.entries.insert(key, None);
        }
    }
}

impl Round {
    /// Takes the windows' share into the record, and begins the applies of reachable sources with
    /// nothing in flight.
    ///
    /// A row that a constraint refused may need another one to go with it, so after that an apply
    /// takes all that is owed, whatever the limit.
    pub(super) fn begin(
        &mut self,
        rules: &Rules,
        state: &mut State,
        reachable: &[bool],
        refused: &[usize],
    ) {
        for (source, &reachable) in reachable.iter().enumerate() {
            let parked = state.parked[source].is_some();
            let owed = state.owed(source);
            if !parked && owed > rules.limits.owed {
                state.forget(source);
                self.record.parked.push((source, Some(Parked::Resync)));
            } else if !parked && owed > 0 && reachable && state.flights[source].is_none() {
                let limit = if refused.contains(&source) {
                    owed
                } else {
                    rules.limits.rows
                };
                let (sequence, count) = (state.sequence + 1, owed.min(limit));
                state.begin(source, sequence, count);
                self.record.begun.push((source, sequence, count));
            }
        }
    }
}
