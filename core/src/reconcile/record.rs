//! A record: what one step changed in the state, to be stored in one piece.

use serde::{Deserialize, Serialize};
use tahr_plugin_api::Lsn;

use super::{Entry, Key, Parked, Pause, State};

/// What one step changed. Stored before anything of the step is acted on; a state and the records
/// after it, replayed in order, are the state that made them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Members whose cut moved.
    pub cuts: Vec<(usize, Lsn)>,
    /// Keys with what is remembered of them now.
    pub entries: Vec<(Key, Option<Entry>)>,
    /// Members whose marker was seen: nothing is on its way there any more.
    pub landed: Vec<usize>,
    /// Members parked, or parked no longer.
    pub parked: Vec<(usize, Option<Parked>)>,
    /// Applies begun after all of that: the member, the apply's number, and how many of the keys it
    /// is owed, from the first on.
    pub begun: Vec<(usize, u64, usize)>,
    /// Set when the sync was paused or resumed.
    pub paused: Option<Option<Pause>>,
    /// Set when members met, or came back: see [`State::unmet`].
    pub unmet: Option<u64>,
}

impl Record {
    /// Whether the step changed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl State {
    /// Takes the step that a record tells of.
    pub fn replay(&mut self, record: &Record) {
        for &(source, cut) in &record.cuts {
            self.cuts[source] = cut;
        }
        for (key, entry) in &record.entries {
            self.set(key, entry.clone());
        }
        for &source in &record.landed {
            self.flights[source] = None;
        }
        for (source, parked) in &record.parked {
            self.parked[*source].clone_from(parked);
            if *parked == Some(Parked::Resync) {
                self.forget(*source);
            }
        }
        for &(source, sequence, count) in &record.begun {
            self.begin(source, sequence, count);
        }
        if let Some(paused) = &record.paused {
            self.paused.clone_from(paused);
        }
        self.unmet = record.unmet.unwrap_or(self.unmet);
    }
}
