//! The verdicts of a round: what each key that was changed shall be.

use super::{
    Candidate, Conflict, Holder, Key, Mutation, Origin, Pause, Quarrel, Rules, Version, Winner,
    case::Verdict,
    judge::{Judge, won},
    sight::Sight,
};

/// What came of judging, beside the verdicts, which stand in their [cases](super::case::Case).
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    pub(super) conflicts: Vec<Conflict>,
    /// Rows that a source shall not be sent again, since a constraint refuses them there.
    pub(super) dropped: Vec<(usize, Key)>,
    pub(super) diverged: Vec<Key>,
}

/// A move whose delete lost: the row at its new key goes too.
struct Loose {
    /// The key that the row moved away from.
    old: Key,
    /// The delete.
    delete: Version,
    /// What won there; none if nobody did.
    winner: Option<Version>,
    /// Its place in the list of conflicts.
    conflict: usize,
}

impl Verdicts {
    /// Judges all that a round's windows show.
    ///
    /// # Errors
    ///
    /// The reason to pause: then nothing of the round happens.
    pub(super) fn new(sight: &mut Sight<'_>) -> Result<Self, Pause> {
        let judge = Judge::new(sight);
        let mut verdicts = Self::default();
        let mut loose = Vec::new();
        let mut quarrels = Vec::new();
        for (place, case) in sight.cases.values_mut().enumerate() {
            match case.claims.as_slice() {
                [] => {}
                [claim] if !case.unseen => case.verdict = Some(Verdict::Only(claim.version)),
                _ => quarrels.push(place),
            }
        }
        // In order of keys, as people read the log.
        quarrels.sort_by(|&a, &b| {
            let key = |place| sight.cases.get_index(place).map(|(key, _)| key);
            key(a).cmp(&key(b))
        });
        for place in quarrels {
            verdicts.judge(sight, &judge, place, &mut loose)?;
        }
        if !sight.rules.breaks(Mutation::LooseMoves) {
            for loose in loose {
                verdicts.withdraw(sight, loose);
            }
        }
        if !sight.rules.breaks(Mutation::RefusedForEver) {
            for (source, key, holder) in std::mem::take(&mut sight.refused) {
                verdicts.part(sight, &judge, source, key, holder)?;
            }
        }
        Ok(verdicts)
    }

    fn judge(
        &mut self,
        sight: &mut Sight<'_>,
        judge: &Judge<'_>,
        place: usize,
        loose: &mut Vec<Loose>,
    ) -> Result<(), Pause> {
        let (rules, entries) = (sight.rules, &sight.state.entries);
        let Some((key, case)) = sight.cases.get_index_mut(place) else {
            return Ok(());
        };
        let mut candidates: Vec<Candidate> =
            case.claims.iter().map(|claim| claim.candidate()).collect();
        let joins = case.unseen && (!case.saw || rules.breaks(Mutation::AlwaysStanding));
        if joins && !rules.breaks(Mutation::NoStanding) {
            // A row of a table that shall be emptied has lost to that truncate, or was judged since.
            let standing = case.entry.or_else(|| entries.get(&key.table_key()));
            candidates.extend(standing.map(|entry| Candidate {
                version: entry.version.clone(),
                previous: None,
                standing: true,
            }));
        }
        let first = &candidates[0].version;
        let differ = |c: &Candidate| c.version.row != first.row || c.version.moved != first.moved;
        if !candidates.iter().any(differ) {
            let index = judge.prefer_equal(key, &candidates);
            let version = candidates.swap_remove(index).version;
            let version = match case.unseen {
                true => spreading(rules, version),
                false => version,
            };
            case.verdict = Some(Verdict::winner(version));
            return Ok(());
        }
        let winner = judge.decide(Quarrel::Key, key, &candidates)?;
        let version = won(&winner, &candidates);
        let version = version.map(|version| spreading(rules, version));
        for (index, candidate) in candidates.iter().enumerate() {
            let delete = &candidate.version;
            if let (Some(to), None) = (&delete.moved, &delete.row)
                && winner != Winner::Candidate(index)
            {
                loose.push(Loose {
                    old: key.clone(),
                    delete: Version {
                        moved: Some(to.clone()),
                        ..delete.clone()
                    },
                    winner: version.clone(),
                    conflict: self.conflicts.len(),
                });
            }
        }
        case.verdict = Some(if let Some(version) = version {
            Verdict::winner(version)
        } else {
            self.diverged.push(key.clone());
            let own = candidates.iter().filter(|candidate| !candidate.standing);
            Verdict::Apart(own.map(|candidate| candidate.version.clone()).collect())
        });
        self.conflicts.push(Conflict {
            quarrel: Quarrel::Key,
            key: key.clone(),
            other: None,
            candidates,
            winner,
            rule: rules.strategy_of(key.table).to_string(),
            withdrawn: Vec::new(),
        });
        Ok(())
    }

    /// Takes back the new row of a move whose delete lost, however often it moved on, unless
    /// somebody has changed it since.
    fn withdraw(&mut self, sight: &mut Sight<'_>, loose: Loose) {
        let Loose {
            mut old,
            mut delete,
            winner,
            conflict,
        } = loose;
        // A row that moves in a circle ends where it began.
        for _ in 0..64 {
            let Some(to) = delete.moved.clone() else {
                return;
            };
            let Some(there) = version(sight, &to) else {
                return;
            };
            if there.from != delete.from {
                return;
            }
            let there = there.clone();
            if there.is_row() {
                let same = there.moved.as_ref() == Some(&old) && there.origin == delete.origin;
                if !same {
                    return;
                }
                self.conflicts[conflict].withdrawn.push(to.clone());
                let verdict = match winner {
                    Some(winner) => Verdict::winner(winner.tombstone()),
                    None => {
                        self.diverged.push(to.clone());
                        Verdict::Apart(vec![there])
                    }
                };
                sight.case(&to).verdict = Some(verdict);
                return;
            }
            (old, delete) = (to, there);
        }
    }

    /// Decides between a row that a constraint refused and the one in its way: the loser's key is
    /// deleted everywhere.
    fn part(
        &mut self,
        sight: &mut Sight<'_>,
        judge: &Judge<'_>,
        source: usize,
        key: Key,
        holder: Holder,
    ) -> Result<(), Pause> {
        let flight = sight.state.flights[source].as_ref();
        let sent = flight.and_then(|flight| flight.get(&key));
        let judged = |key: &Key| sight.cases.get(key)?.verdict.as_ref();
        let owed = || {
            let entry = sight.state.entries.get(&key)?;
            Some(entry.version_for(source))
        };
        let refused = judged(&key).and_then(Verdict::version).or_else(owed);
        let Some(refused) = refused.filter(|version| version.is_row()) else {
            return Ok(());
        };
        // Another row than was refused: it may fit.
        if sent.is_none_or(|sent| sent.row != refused.row) || holder.key == key {
            return Ok(());
        }
        let known = match judged(&holder.key) {
            Some(verdict) => verdict.version(),
            // After `skip` it may be the source's own that is in the way, of which nothing is known
            // where it will stay.
            None => {
                let entry = sight.state.entries.get(&holder.key);
                let known = entry.filter(|entry| !entry.mixed || entry.owes(source));
                known.map(|entry| entry.version_for(source))
            }
        };
        // The row in the way will be another one.
        if known.is_some_and(|known| known.row.as_ref() != Some(&holder.row)) {
            return Ok(());
        }
        let origin = Origin {
            source: sight.rules.members[source],
            time: holder.time.unwrap_or(i64::MIN),
            path: Vec::new(),
        };
        let found = || Version {
            row: Some(holder.row),
            from: source,
            origin,
            moved: None,
            hops: 0,
        };
        let in_its_way = known.cloned().unwrap_or_else(found);
        let candidate = |version: Version| Candidate {
            version,
            previous: None,
            standing: false,
        };
        let candidates = vec![candidate(refused.clone()), candidate(in_its_way)];
        let winner = judge.decide(Quarrel::Unique, &key, &candidates)?;
        match winner {
            Winner::Candidate(index) => {
                let loser = if index == 0 { &holder.key } else { &key };
                let tombstone = candidates[index].version.tombstone();
                sight.case(loser).verdict = Some(Verdict::winner(tombstone));
            }
            Winner::Nobody | Winner::Merged(_) | Winner::Later => {
                self.dropped.push((source, key.clone()));
                self.diverged.extend([key.clone(), holder.key.clone()]);
            }
        }
        self.conflicts.push(Conflict {
            quarrel: Quarrel::Unique,
            rule: sight.rules.strategy_of(key.table).to_string(),
            key,
            other: Some(holder.key),
            candidates,
            winner,
            withdrawn: Vec::new(),
        });
        Ok(())
    }
}

/// What a key shall be, or is as far as that is remembered.
fn version<'a>(sight: &'a Sight<'_>, key: &Key) -> Option<&'a Version> {
    let case = sight.cases.get(key);
    match case.and_then(|case| case.verdict.as_ref()) {
        Some(verdict) => verdict.version(),
        None => sight.state.entries.get(key).map(|entry| &entry.version),
    }
}

/// A winner that has to reach everybody, those on its path too: other syncs may have carried what
/// it won against to where it has been before.
fn spreading(rules: &Rules, mut version: Version) -> Version {
    if !rules.breaks(Mutation::PathKept) {
        version.origin.path.clear();
    }
    version
}
