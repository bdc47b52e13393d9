//! The verdicts of a round: what each key that was changed shall be.

use std::collections::BTreeMap;

use super::{
    Candidate, Conflict, Holder, Key, Mutation, Origin, Pause, Quarrel, Rules, Version, Winner,
    judge::{Judge, merged},
    sight::{Contest, Sight},
};

/// What a key shall be.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// This, everywhere.
    Winner(Version),
    /// This, which these members are owed, a bit each: what one of those who meet held.
    Met(Version, u64),
    /// For each source that changed it, what it made of it.
    Apart(Vec<Version>),
}

/// What all keys of a round shall be.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    pub(super) keys: BTreeMap<Key, Verdict>,
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
        for (key, contest) in std::mem::take(&mut sight.contests) {
            verdicts.judge(sight, &judge, key, contest, &mut loose)?;
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
        sight: &Sight<'_>,
        judge: &Judge<'_>,
        key: Key,
        contest: Contest,
        loose: &mut Vec<Loose>,
    ) -> Result<(), Pause> {
        let Contest {
            mut candidates,
            saw,
            unseen,
        } = contest;
        let joins = unseen && (!saw || sight.rules.breaks(Mutation::AlwaysStanding));
        if joins && !sight.rules.breaks(Mutation::NoStanding) {
            let entries = &sight.state.entries;
            // A row of a table that shall be emptied has lost to that truncate, or was judged since.
            let standing = entries.get(&key).or_else(|| entries.get(&key.table_key()));
            candidates.extend(standing.map(|entry| Candidate {
                version: entry.version.clone(),
                previous: None,
                standing: true,
            }));
        }
        let first = &candidates[0].version;
        let differ = |c: &Candidate| c.version.row != first.row || c.version.moved != first.moved;
        if !candidates.iter().any(differ) {
            let index = judge.prefer_equal(&key, &candidates);
            let version = candidates.swap_remove(index).version;
            let version = if unseen {
                spreading(sight.rules, version)
            } else {
                version
            };
            self.keys.insert(key, Verdict::Winner(version));
            return Ok(());
        }
        let winner = judge.decide(Quarrel::Key, &key, &candidates)?;
        let verdict = match &winner {
            Winner::Candidate(index) => Some(candidates[*index].version.clone()),
            Winner::Merged(row) => merged(&candidates, row.clone()),
            Winner::Nobody | Winner::Later => None,
        };
        let verdict = verdict.map(|version| spreading(sight.rules, version));
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
                    winner: verdict.clone(),
                    conflict: self.conflicts.len(),
                });
            }
        }
        let apart = || {
            candidates
                .iter()
                .filter(|c| !c.standing)
                .map(|c| c.version.clone())
                .collect()
        };
        let verdict = verdict.map_or_else(|| Verdict::Apart(apart()), Verdict::Winner);
        if matches!(verdict, Verdict::Apart(_)) {
            self.diverged.push(key.clone());
        }
        self.keys.insert(key.clone(), verdict);
        let rule = sight.rules.strategy_of(key.table).to_string();
        let (quarrel, other, withdrawn) = (Quarrel::Key, None, Vec::new());
        self.conflicts.push(Conflict {
            quarrel,
            key,
            other,
            candidates,
            winner,
            rule,
            withdrawn,
        });
        Ok(())
    }

    /// What a key shall be, or is as far as that is remembered.
    fn version<'a>(&'a self, sight: &'a Sight<'_>, key: &Key) -> Option<&'a Version> {
        match self.keys.get(key) {
            Some(Verdict::Winner(version) | Verdict::Met(version, _)) => Some(version),
            Some(Verdict::Apart(_)) => None,
            None => sight.state.entries.get(key).map(|entry| &entry.version),
        }
    }

    /// Takes back the new row of a move whose delete lost, however often it moved on, unless
    /// somebody has changed it since.
    fn withdraw(&mut self, sight: &Sight<'_>, loose: Loose) {
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
            let Some(there) = self.version(sight, &to) else {
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
                    Some(winner) => Verdict::Winner(winner.tombstone()),
                    None => {
                        self.diverged.push(to.clone());
                        Verdict::Apart(vec![there])
                    }
                };
                self.keys.insert(to, verdict);
                return;
            }
            (old, delete) = (to, there);
        }
    }

    /// Decides between a row that a constraint refused and the one in its way: the loser's key is
    /// deleted everywhere.
    fn part(
        &mut self,
        sight: &Sight<'_>,
        judge: &Judge<'_>,
        source: usize,
        key: Key,
        holder: Holder,
    ) -> Result<(), Pause> {
        let sent = sight.state.flights[source]
            .as_ref()
            .and_then(|flight| flight.rows.get(&key));
        let decided = self
            .keys
            .contains_key(&key)
            .then(|| self.version(sight, &key))
            .flatten();
        let owed = || {
            sight
                .state
                .entries
                .get(&key)
                .map(|entry| entry.version_for(source))
        };
        let Some(refused) = decided.or_else(owed).filter(|version| version.is_row()) else {
            return Ok(());
        };
        // Another row than was refused: it may fit.
        if sent.is_none_or(|sent| sent.row != refused.row) || holder.key == key {
            return Ok(());
        }
        let known = match self.keys.contains_key(&holder.key) {
            true => self.version(sight, &holder.key),
            // With `skip` it may be the source's own that is in the way.
            false => {
                let entry = sight.state.entries.get(&holder.key);
                entry.map(|entry| entry.version_for(source))
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
                self.keys.insert(loser.clone(), Verdict::Winner(tombstone));
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

/// A winner that has to reach everybody, those on its path too: other syncs may have carried what
/// it won against to where it has been before.
fn spreading(rules: &Rules, mut version: Version) -> Version {
    if !rules.breaks(Mutation::PathKept) {
        version.origin.path.clear();
    }
    version
}
