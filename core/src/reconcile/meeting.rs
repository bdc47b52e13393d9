//! A meeting: members that may hold different rows are compared and made equal, while changes go on.
//!
//! Everything else in reconciling rests on this: members hold the same rows at their cuts, except
//! for what is remembered as owed. That is not so when the sources of a sync meet for the first
//! time, nor of one that comes back after it was parked for a resync. Those are *strangers*, and it
//! is remembered who is one. A meeting compares a snapshot of each, key by key, and settles the
//! [`Difference`]s as a round settles changes: what wins is owed to those who hold something else.
//!
//! Meanwhile the streams are read and judged as always. So two snapshots may differ in a key for a
//! reason that is being looked after already: a change that one of them has and the other hasn't, or
//! something owed that one of them has got since. Two rules keep these apart:
//!
//! - *A key that was touched is left alone*: one that anybody was owed when the meeting began, that
//!   a stream showed changed since, or that was judged since, alone or with its table. Every change
//!   makes all who don't hold it owed it, whatever they held before.
//! - *Nothing is settled before the streams have been read as far as the snapshots reach.* Else a
//!   change that is in a snapshot and not yet seen would be taken for an old difference, and lose to
//!   a row that it had replaced.
//!
//! So a meeting begins, and only then the snapshots are taken. Nothing of it is stored but who is a
//! stranger: after a crash it begins anew, with new snapshots. When a member is parked meanwhile,
//! what its stream had shown and nobody had judged is lost, and with it the reason to leave those
//! keys alone: the meeting is void, and begins anew without that member.
//!
//! # Memory
//!
//! A meeting remembers some 30 bytes of each key touched, by its hash.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::Lsn;

use super::{
    Candidate, Change, Conflict, Key, Mutation, Op, Origin, Parked, Pause, Quarrel, Reconciler,
    Record, Row, Rules, State, TableId, Version, Winner,
    judge::{Judge, merged},
    sight::Sight,
    verdicts::{Verdict, Verdicts},
    window::Window,
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

/// A meeting under way.
#[derive(Debug)]
pub(super) struct Meeting {
    who: Vec<usize>,
    precedence: Precedence,
    /// The cuts of their snapshots, once those are taken.
    cuts: Option<Vec<Lsn>>,
    /// How far each member's stream has been read.
    read: Vec<Lsn>,
    /// Hashes of keys that were touched, and the members that did, a bit each.
    touched: HashMap<u64, u64>,
    /// Tables that were emptied.
    emptied: BTreeSet<TableId>,
    waiting: Vec<Difference>,
}

/// Everybody: touched before the meeting began.
const ALL: u64 = u64::MAX;

fn hash(key: &Key) -> u64 {
    let row = key.row.as_ref().map_or(&[][..], AsRef::as_ref);
    xxhash_rust::xxh3::xxh3_64_with_seed(row, u64::from(key.table.0))
}

impl Meeting {
    fn new(who: &[usize], precedence: Precedence, state: &State, windows: &[Window]) -> Self {
        let mut meeting = Self {
            who: who.to_vec(),
            precedence,
            cuts: None,
            read: state.cuts.clone(),
            touched: HashMap::new(),
            emptied: BTreeSet::new(),
            waiting: Vec::new(),
        };
        for (key, entry) in &state.entries {
            if !key.is_whole() {
                meeting.touched.insert(hash(key), ALL);
            } else if who.iter().any(|&member| entry.owes(member)) {
                // Who isn't owed it has emptied its table, or came back from a copy that had.
                meeting.emptied.insert(key.table);
            }
        }
        for (source, window) in windows.iter().enumerate() {
            for segment in window.segments() {
                meeting.emptied.extend(segment.wiped.keys());
                for key in segment.last.keys() {
                    meeting.touch(key, source);
                }
            }
            meeting.read_to(source, window.end.unwrap_or_default());
        }
        meeting
    }

    fn touch(&mut self, key: &Key, source: usize) {
        *self.touched.entry(hash(key)).or_default() |= 1 << source;
    }

    /// Takes note of a change in a source's stream that isn't an apply's.
    pub(super) fn observe(&mut self, source: usize, change: &Change) {
        match &change.op {
            Op::Truncate => _ = self.emptied.insert(change.key.table),
            Op::Move { to, .. } => {
                self.touch(&change.key, source);
                self.touch(to, source);
            }
            Op::Put(_) | Op::Delete => self.touch(&change.key, source),
        }
    }

    pub(super) fn read_to(&mut self, source: usize, end: Lsn) {
        self.read[source] = self.read[source].max(end);
    }

    /// Whether the streams show all that the snapshots hold.
    fn is_ready(&self) -> bool {
        self.cuts.as_ref().is_some_and(|cuts| {
            let mut pairs = self.who.iter().zip(cuts);
            pairs.all(|(&member, cut)| self.read[member] >= *cut)
        })
    }

    /// Takes note of what a round has judged; the differences that waited are among it.
    pub(super) fn judged(&mut self, verdicts: &Verdicts, is_ready: bool) {
        for (key, verdict) in &verdicts.keys {
            if key.is_whole() {
                self.emptied.insert(key.table);
            } else {
                self.touch(key, verdict.from());
            }
        }
        if is_ready {
            self.waiting.clear();
        }
    }
}

impl Verdict {
    /// The member whose change it is, or one of them.
    fn from(&self) -> usize {
        match self {
            Self::Winner(version) | Self::Met(version, _) => version.from,
            Self::Apart(versions) => versions.first().map_or(0, |version| version.from),
        }
    }
}

impl Verdicts {
    /// Settles the differences that wait, when that is possible now.
    ///
    /// # Errors
    ///
    /// The reason to pause: then nothing of the round happens, and they go on waiting.
    pub(super) fn meet(&mut self, sight: &Sight<'_>, meeting: &Meeting) -> Result<bool, Pause> {
        if !meeting.is_ready() && !sight.rules.breaks(Mutation::MeetUnread) {
            return Ok(false);
        }
        let judge = Judge::of_meeting(sight.rules);
        for difference in &meeting.waiting {
            let key = &difference.key;
            let judged = self.keys.get(key).map(|verdict| 1 << verdict.from());
            let touched = match judged {
                _ if sight.rules.breaks(Mutation::MeetTouched) => None,
                None => meeting.touched.get(&hash(key)).copied(),
                judged => judged,
            };
            if meeting.emptied.contains(&key.table) && !sight.rules.breaks(Mutation::MeetTouched) {
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
        sight: &Sight<'_>,
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
                    let version = match &winner {
                        Winner::Candidate(index) => Some(candidates[*index].version.clone()),
                        Winner::Merged(row) => merged(&candidates, row.clone()),
                        Winner::Nobody | Winner::Later => None,
                    };
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
            self.keys.insert(key.clone(), Verdict::Met(version, owed));
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

impl Reconciler {
    /// The members that may hold other rows than the others, parked ones excepted: as long as there
    /// are any, a meeting is due. They are all members here, at their first meeting, or one that
    /// [came back](Self::rejoin), which is to meet one of its [guides](Self::guides).
    #[must_use]
    pub fn strangers(&self) -> Vec<usize> {
        let members = 0..self.state.cuts.len();
        members
            .filter(|&member| self.state.unmet >> member & 1 == 1 && !self.is_gone(member))
            .collect()
    }

    /// The members whose rows are right for one that comes back: no strangers, not parked, and none
    /// of their tables will yet be emptied.
    #[must_use]
    pub fn guides(&self) -> Vec<usize> {
        let whole = self.state.entries.iter().filter(|(key, _)| key.is_whole());
        let emptying = whole.fold(0, |owed, (_, entry)| owed | entry.owed);
        let emptying = if self.rules.breaks(Mutation::AnyGuide) {
            0
        } else {
            emptying
        };
        let not = emptying | self.state.unmet;
        let members = 0..self.state.cuts.len();
        members
            .filter(|&member| not >> member & 1 == 0 && self.state.parked[member].is_none())
            .collect()
    }

    /// Begins a meeting, before the snapshots of those who meet are taken: from now on touched keys
    /// are noted. A stranger that came back is second, after its guide, and the first is right. One
    /// that was under way is forgotten.
    pub fn begin_meeting(&mut self, who: &[usize], precedence: Precedence) {
        self.meeting = Some(Meeting::new(who, precedence, &self.state, &self.windows));
    }

    /// Tells where the snapshots of those who meet were taken: transactions that end before are in
    /// them.
    pub fn snapshots_at(&mut self, cuts: &[Lsn]) {
        if let Some(meeting) = &mut self.meeting {
            meeting.cuts = Some(cuts.to_vec());
        }
    }

    /// Tells that a source's stream holds nothing before `end` that was not observed. Differences
    /// wait for that, and a source where nobody writes doesn't show it by itself.
    pub fn read_to(&mut self, source: usize, end: Lsn) {
        if let Some(meeting) = &mut self.meeting {
            meeting.read_to(source, end);
        }
    }

    /// Takes in differences between the snapshots, each key once. They are settled by the next
    /// [`round`](Self::round), as soon as all streams have been read that far; until then they
    /// [wait](Self::waiting). Whoever feeds them sees to it that not too much is owed at a time.
    pub fn meet(&mut self, differences: Vec<Difference>) {
        if let Some(meeting) = &mut self.meeting {
            meeting.waiting.extend(differences);
        }
    }

    /// How many differences wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.meeting
            .as_ref()
            .map_or(0, |meeting| meeting.waiting.len())
    }

    /// Whether a meeting is under way. Not any more when a member was parked for a resync: then it
    /// has to begin anew.
    #[must_use]
    pub const fn is_meeting(&self) -> bool {
        self.meeting.is_some()
    }

    /// Ends the meeting, once all differences were fed: those who met are no strangers any more.
    /// None when there is no meeting, or differences still wait.
    pub fn end_meeting(&mut self) -> Option<Record> {
        let meeting = self.meeting.take_if(|meeting| meeting.waiting.is_empty())?;
        let met = meeting.who.iter().fold(0, |met, member| met | 1 << member);
        Some(self.step(Record {
            unmet: Some(self.state.unmet & !met),
            ..Record::default()
        }))
    }

    pub(super) fn is_gone(&self, member: usize) -> bool {
        self.state.parked[member] == Some(Parked::Resync)
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
