//! Differences between members who meet, and what becomes of them.

use serde::{Deserialize, Serialize};

use super::{
    Candidate, Conflict, Key, Mutation, Origin, Pause, Quarrel, Row, Rules, Version, Winner,
    case::Verdict,
    judge::{Judge, won},
    meeting::Meeting,
    sight::Sight,
    verdicts::Verdicts,
};

/// Who is right where members hold different rows when they meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precedence {
    /// The first of those who meet: what it has, the others get, and what it lacks they lose.
    First,
    /// All: rows that only some have, the others get; rows that differ are a conflict, which the
    /// table's strategy decides.
    Merge,
}

/// A row that a member held at its snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The row.
    pub row: Row,
    /// When it was committed, where the source tracks that; else it counts as the oldest.
    pub time: Option<i64>,
}

/// A key that those who meet hold differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key; never a whole table.
    pub key: Key,
    /// What each holds, in the order of those who meet; none where there is no such row.
    pub rows: Vec<Option<Held>>,
}

impl Verdicts {
    /// Settles the differences that wait, when that is possible now.
    ///
    /// # Errors
    ///
    /// The reason to pause: then nothing of the round happens, and they go on waiting.
    pub(super) fn meet(&mut self, sight: &mut Sight<'_>, meeting: &Meeting) -> Result<bool, Pause> {
        if !meeting.is_ready() && !sight.rules.breaks(Mutation::MeetUnread) {
            return Ok(false);
        }
        let judge = Judge::of_meeting(sight.rules);
        for difference in &meeting.waiting {
            let key = &difference.key;
            let case = sight.cases.get(key);
            let verdict = case.and_then(|case| case.verdict.as_ref());
            let judged = verdict.map(|verdict| 1 << verdict.from());
            let touched = match judged {
                _ if sight.rules.breaks(Mutation::MeetTouched) => None,
                None => meeting.touched(key),
                judged => judged,
            };
            if meeting.is_emptied(key) && !sight.rules.breaks(Mutation::MeetTouched) {
                continue;
            }
            match touched {
                Some(by) => self.overtaken(sight.rules, meeting, difference, by),
                None => self.differ(sight, &judge, meeting, difference)?,
            }
        }
        Ok(true)
    }

    /// A difference that a later change has settled. Where that came from somebody who hadn't the
    /// row, it has replaced one that nobody will see again.
    fn overtaken(&mut self, rules: &Rules, meeting: &Meeting, difference: &Difference, by: u64) {
        if meeting.precedence == Precedence::First {
            return;
        }
        let candidates = meeting.candidates(rules, difference);
        let has = |candidate: &Candidate| by >> candidate.version.from & 1 == 1;
        let known = |lost: &Candidate| {
            let mut changed = candidates.iter().filter(|candidate| has(candidate));
            changed.any(|candidate| candidate.version.row == lost.version.row)
        };
        if candidates
            .iter()
            .all(|candidate| has(candidate) || known(candidate))
        {
            return;
        }
        self.conflicts.push(Conflict {
            quarrel: Quarrel::Key,
            key: difference.key.clone(),
            other: None,
            candidates,
            winner: Winner::Later,
            rule: "later".to_owned(),
            withdrawn: Vec::new(),
        });
    }

    fn differ(
        &mut self,
        sight: &mut Sight<'_>,
        judge: &Judge<'_>,
        meeting: &Meeting,
        difference: &Difference,
    ) -> Result<(), Pause> {
        let Difference { key, rows } = difference;
        let version = match meeting.precedence {
            Precedence::First => match (rows.first(), meeting.who.first()) {
                (Some(held), Some(&first)) => found(sight.rules, first, held.as_ref()),
                _ => return Ok(()),
            },
            Precedence::Merge => {
                let mut candidates = meeting.candidates(sight.rules, difference);
                let Some(first) = candidates.first() else {
                    return Ok(());
                };
                if candidates
                    .iter()
                    .all(|c| c.version.row == first.version.row)
                {
                    let index = judge.prefer_equal(key, &candidates);
                    candidates.swap_remove(index).version
                } else {
                    let winner = judge.decide(Quarrel::Key, key, &candidates)?;
                    let version = won(&winner, &candidates);
                    self.conflicts.push(Conflict {
                        quarrel: Quarrel::Key,
                        key: key.clone(),
                        other: None,
                        candidates,
                        winner,
                        rule: sight.rules.strategy_of(key.table).to_string(),
                        withdrawn: Vec::new(),
                    });
                    let Some(version) = version else {
                        self.diverged.push(key.clone());
                        return Ok(());
                    };
                    version
                }
            }
        };
        let others = meeting.who.iter().zip(rows);
        let others =
            others.filter(|(_, held)| held.as_ref().map(|held| &held.row) != version.row.as_ref());
        let owed = others.fold(0, |owed, (&member, _)| owed | 1 << member);
        if owed != 0 {
            sight.case(key).verdict = Some(Verdict::Met(Box::new(version), owed));
        }
        Ok(())
    }
}

impl Meeting {
    /// The rows that were found.
    fn candidates(&self, rules: &Rules, difference: &Difference) -> Vec<Candidate> {
        let held = self.who.iter().zip(&difference.rows);
        let held = held.filter_map(|(&member, held)| Some((member, held.as_ref()?)));
        held.map(|(from, held)| Candidate {
            version: found(rules, from, Some(held)),
            previous: None,
            standing: false,
        })
        .collect()
    }
}

/// What member `from` held, as a version.
fn found(rules: &Rules, from: usize, held: Option<&Held>) -> Version {
    Version {
        row: held.map(|held| held.row.clone()),
        from,
        origin: Origin {
            source: rules.members[from],
            time: held.and_then(|held| held.time).unwrap_or(i64::MIN),
            path: Vec::new(),
        },
        moved: None,
        hops: 0,
    }
}
