//! What is kept of one sync.

use serde::{Deserialize, Serialize};

use crate::reconcile::{Record, State};

/// The sources that a kept state is about, so that it is not taken for one about others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// In the order of the state's members.
    pub members: Vec<Known>,
}

/// A source as it was when the state began: what its cut is a place in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its name in the config.
    pub source: String,
    /// The system identifier of its server.
    pub system_id: String,
    /// The timeline of its server.
    pub timeline: u32,
    /// The OID of its database.
    pub database: u32,
    /// The replication slot that its stream is read from.
    pub slot: String,
}

/// All that is kept of one sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Who its members are.
    pub membership: Membership,
    /// What reconciling remembers.
    pub state: State,
    /// Whether the members' first meeting is done; false while it is still to be finished.
    pub met: bool,
}

/// The same, as it is written: a state may be large, and nobody wants it twice.
#[derive(Debug, Serialize)]
pub(super) struct Whole<'a> {
    pub(super) membership: &'a Membership,
    pub(super) state: &'a State,
    pub(super) met: bool,
}

impl Kept {
    /// Whether its parts are about equally many members.
    pub(super) fn is_sound(&self) -> bool {
        let state = &self.state;
        let lengths = [state.cuts.len(), state.flights.len(), state.parked.len()];
        lengths == [self.membership.members.len(); 3]
    }

    /// Takes a step, unless it names members that there aren't.
    pub(super) fn replay(&mut self, record: &Record) -> bool {
        let named = (record.cuts.iter().map(|(source, _)| source))
            .chain(&record.landed)
            .chain(record.parked.iter().map(|(source, _)| source))
            .chain(record.begun.iter().map(|(source, ..)| source));
        let is_sound = named.max() < Some(&self.state.cuts.len());
        if is_sound {
            self.state.replay(record);
        }
        is_sound
    }
}
