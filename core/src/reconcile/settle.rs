//! Settling: from verdicts to what each source is owed.

use std::collections::BTreeSet;

use super::{
    Entry, Key, Mutation, Parked, Record, Round, Rules, State, Version,
    case::{Case, Verdict},
    sight::Sight,
    verdicts::Verdicts,
};

/// Works out what is owed after a round, key by key, beside a state that it doesn't change.
struct Settling<'s, 'a> {
    sight: &'s mut Sight<'a>,
    reachable: &'s [bool],
    /// Members, a bit each, that are owed nothing: they will be copied anew.
    gone: u64,
    /// Keys with what is remembered of them now; a key's case knows its place here.
    entries: Vec<(Key, Option<Entry>)>,
    /// Keys that may be forgotten only together with others.
    tied: BTreeSet<Key>,
}

/// Makes a round of its verdicts; its record tells what changes in the state, applies excepted.
pub(super) fn settle(sight: &mut Sight<'_>, verdicts: Verdicts, reachable: &[bool]) -> Round {
    let mut round = Round {
        conflicts: verdicts.conflicts,
        diverged: verdicts.diverged,
        effects: std::mem::take(&mut sight.effects),
        ..Round::default()
    };
    let gone = sight.state.parked.iter().enumerate();
    let gone = gone.filter(|(_, parked)| **parked == Some(Parked::Resync));
    let mut settling = Settling {
        gone: gone.fold(0, |gone, (member, _)| gone | 1 << member),
        entries: Vec::with_capacity(sight.cases.len()),
        tied: BTreeSet::new(),
        sight,
        reachable,
    };
    let wholes = |(place, key): (usize, &Key)| key.is_whole().then_some(place);
    let keys = settling.sight.cases.keys().enumerate();
    let wholes: Vec<usize> = keys.filter_map(wholes).collect();
    // A table comes before its rows, which depend on who shall empty it.
    for &place in &wholes {
        settling.settle(place, &mut round);
    }
    for place in 0..settling.sight.cases.len() {
        if !wholes.contains(&place) {
            settling.settle(place, &mut round);
        }
    }
    for (source, key) in verdicts.dropped {
        settling.change(&key, |entry| {
            entry.take_from(1 << source);
            entry.mixed = true;
        });
    }
    settling.retire();
    round.record = Record {
        entries: settling.entries,
        ..Record::default()
    };
    round
}

impl Settling<'_, '_> {
    fn settle(&mut self, place: usize, round: &mut Round) {
        let Some((key, case)) = self.sight.cases.get_index_mut(place) else {
            return;
        };
        let (key, verdict) = (key.clone(), case.verdict.take());
        let (version, owed) = match verdict {
            None if case.arrived == 0 => return,
            None => return self.arrive(place),
            Some(Verdict::Apart(versions)) => return self.apart(place, &key, versions),
            Some(Verdict::Met(version, owed)) => {
                // To all others a row that one lacks who came back is nothing new.
                if self.sight.state.unmet >> version.from & 1 == 1 {
                    round.winners.push((key, (*version).clone()));
                }
                (*version, owed)
            }
            Some(Verdict::Only(version)) => {
                round.winners.push((key.clone(), version.clone()));
                (version.clone(), self.owed(place, &key, version))
            }
            Some(Verdict::Winner(version)) => {
                round.winners.push((key.clone(), (*version).clone()));
                let owed = self.owed(place, &key, &version);
                (*version, owed)
            }
        };
        let entry = Entry {
            version,
            owed,
            mixed: false,
            own: Vec::new(),
        };
        self.set(place, Some(entry));
    }

    /// What is remembered of a key now.
    fn now(&self, key: &Key) -> Option<&Entry> {
        match self.sight.cases.get(key).and_then(|case| case.place) {
            Some(place) => self.entries[place].1.as_ref(),
            None => self.sight.state.entries.get(key),
        }
    }

    /// Remembers this of the key whose case is at `place`, from now on.
    fn set(&mut self, place: usize, entry: Option<Entry>) {
        let Some((key, case)) = self.sight.cases.get_index_mut(place) else {
            return;
        };
        let before = case.entry.and_then(|entry| entry.version.moved.as_ref());
        self.tied.extend(before.cloned());
        // What nobody is owed is forgotten; see `retire`.
        let entry = entry.filter(|entry| entry.owed != 0 || entry.version.moved.is_some());
        if entry.as_ref().is_some_and(|entry| entry.owed == 0) {
            self.tied.insert(key.clone());
        }
        match case.place {
            Some(place) => self.entries[place].1 = entry,
            None if entry.is_none() && case.entry.is_none() => {}
            None => {
                case.place = Some(self.entries.len());
                self.entries.push((key.clone(), entry));
            }
        }
    }

    fn change(&mut self, key: &Key, change: impl FnOnce(&mut Entry)) {
        if let Some(mut entry) = self.now(key).cloned() {
            change(&mut entry);
            let place = self.sight.place(key);
            self.set(place, Some(entry));
        }
    }

    /// Takes note of members that were owed a key and now hold it.
    fn arrive(&mut self, place: usize) {
        let case = &self.sight.cases[place];
        let Some(entry) = case.entry else { return };
        let is_settled = entry.owed & !case.arrived == 0 && entry.version.moved.is_none();
        let entry = (!is_settled).then(|| {
            let mut entry = entry.clone();
            entry.take_from(case.arrived);
            entry
        });
        self.set(place, entry);
    }

    /// The members that are owed the winner of a key, a bit each.
    fn owed(&self, place: usize, key: &Key, best: &Version) -> u64 {
        let case = &self.sight.cases[place];
        let table = (!key.is_whole()).then(|| key.table_key());
        let emptying = table.as_ref().and_then(|table| self.now(table));
        let members = (0..self.reachable.len()).filter(|member| self.gone >> member & 1 == 0);
        members
            .filter(|&member| self.owes(member, (key, case), emptying, best))
            .fold(0, |owed, member| owed | 1 << member)
    }

    /// Whether a source is owed the winner of a key, whose table may yet have to be emptied.
    fn owes(
        &self,
        source: usize,
        (key, case): (&Key, &Case<'_>),
        emptying: Option<&Entry>,
        best: &Version,
    ) -> bool {
        let (sight, rules) = (&*self.sight, self.sight.rules);
        if rules.breaks(Mutation::OwedToReachable) && !self.reachable[source] {
            return false;
        }
        let held = sight.held(source, key, case);
        if key.is_whole() {
            return held != Some(best.mark());
        }
        if rules.breaks(Mutation::OwnIsHeld) && best.from == source {
            return false;
        }
        if let Some(emptying) = emptying.filter(|entry| entry.owes(source))
            && !rules.breaks(Mutation::WipeKeepsRows)
        {
            return best.is_row()
                || emptying.version.origin != best.origin
                || self.outlives(source, key, best);
        }
        match held {
            Some(mark) => mark != best.mark(),
            None if self.passed(source, key, best) => false,
            None if case.owes(source) || sight.owes(&key.table_key(), source) => true,
            None => case.entry.is_none_or(|entry| {
                (entry.mixed && !rules.breaks(Mutation::SkipForgets))
                    || entry.version.mark() != best.mark()
            }),
        }
    }

    /// Whether an apply on its way to a source empties the table as `best` does, and then writes a
    /// row at the key, which stays.
    fn outlives(&self, source: usize, key: &Key, best: &Version) -> bool {
        let flight = self.sight.state.flights[source].as_ref();
        let flight = flight.filter(|_| !self.sight.taking[source]);
        flight.is_some_and(|flight| {
            let empties = flight.get(&key.table_key());
            empties.is_some_and(|version| version.origin == best.origin)
                && flight.get(key).is_some_and(Version::is_row)
        })
    }

    /// Whether a change came by a source on its way here: that one had it, and what it made of it
    /// since is in its stream. An apply on its way there may undo that.
    fn passed(&self, source: usize, key: &Key, best: &Version) -> bool {
        let rules = self.sight.rules;
        if !best.origin.path.contains(&rules.members[source]) || rules.breaks(Mutation::NoPath) {
            return false;
        }
        let flight = self.sight.state.flights[source].as_ref();
        self.sight.taking[source] || flight.is_none_or(|flight| flight.get(key).is_none())
    }

    /// Leaves each source what it made of a key: one is owed its own row only where an apply has
    /// overwritten it, or will.
    fn apart(&mut self, place: usize, key: &Key, versions: Vec<Version>) {
        let Some(first) = versions.first() else {
            return;
        };
        let case = &self.sight.cases[place];
        let fresh = || Entry {
            version: first.clone(),
            owed: 0,
            mixed: true,
            own: Vec::new(),
        };
        let mut entry = case.entry.cloned().unwrap_or_else(fresh);
        entry.take_from(case.arrived);
        entry.mixed = true;
        let emptying = (!key.is_whole()).then(|| self.now(&key.table_key()));
        let emptied = emptying.flatten().map_or(0, |entry| entry.owed);
        // A move that is taken back may be of a source that is gone since.
        let gone = self.gone;
        for version in versions.into_iter().filter(|v| gone >> v.from & 1 == 0) {
            let source = version.from;
            entry.own.retain(|(own, _)| *own != source);
            let holds = self.sight.held(source, key, case) == Some(version.mark());
            if holds && emptied >> source & 1 == 0 {
                entry.owed &= !(1 << source);
            } else {
                entry.owed |= 1 << source;
                entry.own.push((source, version));
            }
        }
        self.set(place, Some(entry));
    }

    /// Forgets keys of moves that nobody is owed. A row that moved stays as long as the delete of
    /// its old key, with which it might have to go.
    fn retire(&mut self) {
        while let Some(key) = self.tied.pop_first() {
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
            self.tied.extend(moved.filter(|_| !is_row));
            let place = self.sight.place(&key);
            self.set(place, None);
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
