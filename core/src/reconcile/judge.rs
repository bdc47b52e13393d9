//! The judge: one quarrel in, one verdict out.

use std::cmp::Reverse;

use super::{
    Answer, Candidate, Key, Mutation, Origin, Pause, Quarrel, Row, Rules, Strategy, Version,
    Winner, sight::Sight,
};

/// Decides conflicts of one round by the sync's rules.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    rules: &'a Rules,
    /// The time of each member's latest change in the round, of all tables.
    newest: Vec<Option<i64>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(sight: &Sight<'a>) -> Self {
        let mut newest = vec![None; sight.taking.len()];
        for claim in sight.cases.values().flat_map(|case| &case.claims) {
            let newest = &mut newest[claim.version.from];
            *newest = (*newest).max(Some(claim.version.origin.time));
        }
        Self {
            rules: sight.rules,
            newest,
        }
    }

    /// A judge of rows that were there before: no member has changed anything.
    pub(super) fn of_meeting(rules: &'a Rules) -> Self {
        let newest = vec![None; rules.members.len()];
        Self { rules, newest }
    }

    /// Decides between candidates that differ.
    pub(super) fn decide(
        &self,
        quarrel: Quarrel,
        key: &Key,
        candidates: &[Candidate],
    ) -> Result<Winner, Pause> {
        let pause = |reason: String| Pause {
            key: key.clone(),
            reason,
        };
        match self.rules.strategy_of(key.table) {
            Strategy::Skip => Ok(Winner::Nobody),
            Strategy::Abort => Err(pause(
                "strategy `abort`: sources changed the same row".into(),
            )),
            Strategy::Custom(resolver) => match resolver.resolve(quarrel, key, candidates) {
                Ok(Answer::Winner(index)) if index < candidates.len() => {
                    Ok(Winner::Candidate(index))
                }
                Ok(Answer::Winner(index)) => {
                    let count = candidates.len();
                    Err(pause(format!(
                        "custom code chose candidate {index} of {count}"
                    )))
                }
                Ok(Answer::Merged(_)) if quarrel == Quarrel::Unique => Err(pause(
                    "custom code merged two rows that a unique constraint keeps apart".into(),
                )),
                Ok(Answer::Merged(row)) => Ok(Winner::Merged(row)),
                Ok(Answer::Skip) => Ok(Winner::Nobody),
                Err(error) => Err(pause(error)),
            },
            strategy => Ok(Winner::Candidate(self.prefer(strategy, candidates))),
        }
    }

    /// The candidate to take of several that are equal, for its time and source.
    pub(super) fn prefer_equal(&self, key: &Key, candidates: &[Candidate]) -> usize {
        self.prefer(self.rules.strategy_of(key.table), candidates)
    }

    /// The index of the best candidate; what has no order of its own takes the latest.
    fn prefer(&self, strategy: &Strategy, candidates: &[Candidate]) -> usize {
        let versions = || {
            candidates
                .iter()
                .map(|candidate| &candidate.version)
                .enumerate()
        };
        // The first of equal ones wins: members come in the config's order, and the standing
        // winner after them.
        let best = match strategy {
            Strategy::Earliest => versions()
                .min_by_key(|(_, v)| (v.origin.time, v.from))
                .map(|(index, _)| index),
            Strategy::Sources(listed) => {
                let rank = |v: &Version| listed.iter().position(|&s| s == v.from).unwrap_or(64);
                versions()
                    .min_by_key(|(_, v)| (rank(v), v.from, Reverse(v.origin.time)))
                    .map(|(index, _)| index)
            }
            Strategy::LatestAllTables => versions()
                .max_by_key(|(_, v)| {
                    (
                        self.newest[v.from].unwrap_or(v.origin.time),
                        Reverse(v.from),
                        v.origin.time,
                    )
                })
                .map(|(index, _)| index),
            _ if self.rules.breaks(Mutation::WrongWay) => versions()
                .min_by_key(|(_, v)| (v.origin.time, v.from))
                .map(|(index, _)| index),
            _ => versions()
                .max_by_key(|(_, v)| (v.origin.time, Reverse(v.from)))
                .map(|(index, _)| index),
        };
        best.unwrap_or(0)
    }
}

/// What a key shall be everywhere, if somebody won.
pub(super) fn won(winner: &Winner, candidates: &[Candidate]) -> Option<Version> {
    match winner {
        Winner::Candidate(index) => Some(candidates[*index].version.clone()),
        Winner::Merged(row) => merged(candidates, row.clone()),
        Winner::Nobody | Winner::Later => None,
    }
}

/// The version that custom code made of several: as late as the latest of them, and not yet known
/// to anybody.
fn merged(candidates: &[Candidate], row: Option<Row>) -> Option<Version> {
    let versions = || candidates.iter().map(|candidate| &candidate.version);
    let latest = versions().max_by_key(|version| version.origin.time)?;
    Some(Version {
        row,
        from: latest.from,
        origin: Origin {
            path: Vec::new(),
            ..latest.origin.clone()
        },
        moved: None,
        hops: versions().map(|version| version.hops).max().unwrap_or(0),
    })
}
