//! The state: all that reconciling remembers between rounds, and nothing that is settled.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tahr_plugin_api::Lsn;

use super::{
    Effect, Flight, Key, Version,
    key::{KeyMap, KeySet},
    pairs,
};

/// What is remembered of an unsettled key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The standing winner.
    pub version: Version,
    /// The members that are owed it, a bit each.
    pub owed: u64,
    /// Set by `skip`: those that aren't owed anything need not hold the standing winner.
    pub mixed: bool,
    /// Members that are owed a row of their own instead, which an apply has overwritten.
    pub own: Vec<(usize, Version)>,
}

impl Entry {
    /// Whether member `source` is owed this key.
    #[must_use]
    pub const fn owes(&self, source: usize) -> bool {
        self.owed >> source & 1 == 1
    }

    /// Notes that these members, a bit each, aren't owed it any more.
    pub(super) fn take_from(&mut self, members: u64) {
        self.owed &= !members;
        self.own.retain(|(own, _)| members >> own & 1 == 0);
    }

    /// What member `source` is owed, if it is.
    #[must_use]
    pub fn version_for(&self, source: usize) -> &Version {
        self.own
            .iter()
            .find(|(own, _)| *own == source)
            .map_or(&self.version, |(_, v)| v)
    }
}

/// Why a source takes no part until a person acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parked {
    /// Its triggers changed what was applied. It goes on owing and being owed.
    Effects(Vec<Effect>),
    /// It was owed too much, which is forgotten; it needs a copy of another source.
    Resync,
}

/// Why the sync is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The key in conflict.
    pub key: Key,
    /// What `abort` or custom code said about it.
    pub reason: String,
}

/// All that is remembered between rounds. Stored in full once, and then by
/// [`Record`](super::Record)s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct State {
    /// The number of the last apply.
    pub sequence: u64,
    /// For each member, up to where its stream has been judged. Reading goes on there.
    pub cuts: Vec<Lsn>,
    /// The unsettled keys.
    #[serde(with = "pairs")]
    pub entries: KeyMap<Entry>,
    /// For each member the apply that is on its way.
    pub flights: Vec<Option<Flight>>,
    /// For each member why it takes no part, if so.
    pub parked: Vec<Option<Parked>>,
    /// Why the sync is paused, if so.
    pub paused: Option<Pause>,
    /// The members, a bit each, that may hold other rows than the others, without being owed the
    /// difference: see [`Reconciler::strangers`](super::Reconciler::strangers).
    pub unmet: u64,
    /// For each member the last key of its last apply, when that couldn't take all it is owed.
    pub(super) sent: Vec<Option<Key>>,
    /// For each member the keys it is owed: found in `entries` too, but not as fast.
    #[serde(skip)]
    pub(super) owed: Vec<KeySet>,
}

/// A state as it is stored.
#[derive(Deserialize)]
struct Stored {
    sequence: u64,
    cuts: Vec<Lsn>,
    #[serde(with = "pairs")]
    entries: KeyMap<Entry>,
    flights: Vec<Option<Flight>>,
    parked: Vec<Option<Parked>>,
    paused: Option<Pause>,
    unmet: u64,
    sent: Vec<Option<Key>>,
}

impl From<Stored> for State {
    fn from(stored: Stored) -> Self {
        let Stored {
            sequence,
            cuts,
            entries,
            flights,
            parked,
            paused,
            unmet,
            sent,
        } = stored;
        let owed = (0..cuts.len())
            .map(|i| {
                entries
                    .iter()
                    .filter(|(_, e)| e.owes(i))
                    .map(|(k, _)| k.clone())
                    .collect()
            })
            .collect();
        Self {
            sequence,
            cuts,
            entries,
            flights,
            parked,
            paused,
            unmet,
            sent,
            owed,
        }
    }
}

impl State {
    /// The state of a new sync whose members hold the same rows at these cuts.
    #[must_use]
    pub fn new(cuts: Vec<Lsn>) -> Self {
        let n = cuts.len();
        Self {
            cuts,
            flights: vec![None; n],
            parked: vec![None; n],
            sent: vec![None; n],
            owed: vec![KeySet::default(); n],
            ..Self::default()
        }
    }

    /// The state of a new sync whose members may hold any rows at these cuts: they have to meet.
    #[must_use]
    pub fn of_strangers(cuts: Vec<Lsn>) -> Self {
        let unmet = (0..cuts.len()).fold(0, |unmet, member| unmet | 1 << member);
        Self {
            unmet,
            ..Self::new(cuts)
        }
    }

    /// How many keys member `source` is owed.
    #[must_use]
    pub fn owed(&self, source: usize) -> usize {
        self.owed[source].len()
    }

    /// Whether nothing is on its way or owed: all members hold the same rows at their cuts, except
    /// where keys were noted as diverged, or they haven't met.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let gone = self.parked.iter().enumerate();
        let gone = gone.filter(|(_, parked)| **parked == Some(Parked::Resync));
        let gone = gone.fold(0, |gone, (member, _)| gone | 1 << member);
        self.entries.is_empty()
            && self.flights.iter().all(Option::is_none)
            && self.unmet & !gone == 0
    }

    /// Whether `source` is owed `key` itself.
    pub(super) fn owes(&self, key: &Key, source: usize) -> bool {
        self.entries
            .get(key)
            .is_some_and(|entry| entry.owes(source))
    }

    /// Replaces what is remembered of a key.
    pub(super) fn set(&mut self, key: &Key, entry: Option<Entry>) {
        let after = entry.as_ref().map_or(0, |entry| entry.owed);
        let before = match entry {
            Some(entry) => self.entries.insert(key.clone(), entry),
            None => self.entries.swap_remove(key),
        };
        let before = before.map_or(0, |entry| entry.owed);
        if before == after {
            return;
        }
        for (source, owed) in self.owed.iter_mut().enumerate() {
            match (before >> source & 1, after >> source & 1) {
                (0, 1) => _ = owed.insert(key.clone()),
                (1, 0) => _ = owed.swap_remove(key),
                _ => {}
            }
        }
    }

    /// Puts the next `count` keys that `source` is owed into an apply.
    pub(super) fn begin(&mut self, source: usize, sequence: u64, count: usize) {
        let owed = &self.owed[source];
        let mut keys: Vec<&Key> = owed.iter().collect();
        let is_part = count < keys.len();
        if is_part {
            // A key that is left out each time must not hold up those behind it.
            let sent = self.sent[source].as_ref();
            let turn = |a: &&Key, b: &&Key| {
                let later = |key: &Key| sent.is_some_and(|last| key <= last);
                (later(a), a).cmp(&(later(b), b))
            };
            keys.select_nth_unstable_by(count, turn);
            keys.truncate(count);
            let last = keys.iter().copied().max_by(|a, b| turn(a, b));
            self.sent[source] = last.cloned();
        } else {
            self.sent[source] = None;
        }
        // Mostly they came in order: a sort that knows runs is quick then.
        keys.sort();
        let row = |key: &Key| {
            let entry = self.entries.get(key)?;
            Some((key.clone(), entry.version_for(source).clone()))
        };
        let rows = keys.into_iter().filter_map(row).collect();
        self.flights[source] = Some(Flight {
            sequence,
            rows: Arc::new(rows),
        });
        self.sequence = self.sequence.max(sequence);
    }

    /// Forgets what `source` is owed and what is on its way there: it will be copied anew.
    pub(super) fn forget(&mut self, source: usize) {
        for key in std::mem::take(&mut self.owed[source]) {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.take_from(1 << source);
                if entry.owed == 0 {
                    let moved = entry.version.moved.take();
                    self.entries.swap_remove(&key);
                    // The row that moved away stayed because of this key only.
                    if let Some(to) =
                        moved.filter(|to| self.entries.get(to).is_some_and(|e| e.owed == 0))
                    {
                        self.entries.swap_remove(&to);
                    }
                }
            }
        }
        self.flights[source] = None;
        self.parked[source] = Some(Parked::Resync);
    }
}
