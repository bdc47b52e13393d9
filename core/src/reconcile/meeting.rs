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

use tahr_plugin_api::Lsn;

use super::{
    Change, Difference, Key, Mutation, Op, Parked, Precedence, Reconciler, Record, State, TableId,
    sight::Sight, window::Window,
};

/// A meeting under way.
#[derive(Debug)]
pub(super) struct Meeting {
    pub(super) who: Vec<usize>,
    pub(super) precedence: Precedence,
    /// The cuts of their snapshots, once those are taken.
    cuts: Option<Vec<Lsn>>,
    /// How far each member's stream has been read.
    read: Vec<Lsn>,
    /// Hashes of keys that were touched, and the members that did, a bit each.
    touched: HashMap<u64, u64>,
    /// Tables that were emptied.
    emptied: BTreeSet<TableId>,
    /// What was fed and not settled yet.
    pub(super) waiting: Vec<Difference>,
}

/// Everybody: touched before the meeting began.
const ALL: u64 = u64::MAX;

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
                meeting.touched.insert(key.hash(), ALL);
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
        *self.touched.entry(key.hash()).or_default() |= 1 << source;
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
    pub(super) fn is_ready(&self) -> bool {
        self.cuts.as_ref().is_some_and(|cuts| {
            let mut pairs = self.who.iter().zip(cuts);
            pairs.all(|(&member, cut)| self.read[member] >= *cut)
        })
    }

    /// The members that have touched a key, a bit each, if any have.
    pub(super) fn touched(&self, key: &Key) -> Option<u64> {
        self.touched.get(&key.hash()).copied()
    }

    /// Whether the key's table was emptied.
    pub(super) fn is_emptied(&self, key: &Key) -> bool {
        self.emptied.contains(&key.table)
    }

    /// Takes note of what a round has judged; the differences that waited are among it.
    pub(super) fn judged(&mut self, sight: &Sight<'_>, is_ready: bool) {
        for (key, case) in &sight.cases {
            let Some(verdict) = &case.verdict else {
                continue;
            };
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
