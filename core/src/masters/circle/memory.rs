//! What a circle remembers: its state, and which sources it is the state of.

use std::{collections::BTreeMap, path::Path};

use tahr_plugin_api::Lsn;

use super::{Present, Setup, trouble::Trouble};
use crate::{
    masters::store::{Kept, Known, Membership, Store},
    reconcile::{Record, State},
};

/// Whether the sync's sources have met: what is kept in `folder` is of use.
pub(super) fn has_met(folder: &Path) -> bool {
    matches!(Store::open(folder), Ok((_, Some(kept))) if kept.met)
}

/// The store of a circle, and what goes with the state.
#[derive(Debug)]
pub(super) struct Memory {
    store: Store,
    membership: Membership,
    met: bool,
}

/// A member that is not what it was, why, and whether it is only new.
pub(super) type Changed = (usize, String, bool);

/// What was kept, as it concerns the members of now.
#[derive(Debug)]
pub(super) enum Recalled {
    /// Nothing that counts.
    Nothing,
    /// The state, and members that are not what they were, with why.
    State(Box<State>, Vec<Changed>),
}

impl Memory {
    /// Opens it.
    pub(super) fn open(
        setup: &Setup,
        present: &[Option<Present>],
    ) -> Result<(Self, Recalled), Trouble> {
        let (store, kept) = Store::open(&setup.folder).map_err(|error| Trouble::lasting(&error))?;
        let before: BTreeMap<&str, &Known> = kept
            .iter()
            .flat_map(|kept| &kept.membership.members)
            .map(|known| (known.source.as_str(), known))
            .collect();
        let members = setup
            .sync
            .sources
            .iter()
            .zip(present)
            .map(
                |(name, present)| match (present, before.get(name.as_str())) {
                    (Some(present), _) => known(name, present),
                    (None, Some(&known)) => known.clone(),
                    (None, None) => Known {
                        source: name.clone(),
                        system_id: String::new(),
                        timeline: 0,
                        database: 0,
                        slot: String::new(),
                    },
                },
            );
        let membership = Membership {
            members: members.collect(),
        };
        let mut memory = Self {
            store,
            membership,
            met: false,
        };
        let Some(kept) = kept else {
            return Ok((memory, Recalled::Nothing));
        };
        if !kept.met {
            return Ok((memory, Recalled::Nothing));
        }
        memory.met = true;
        let (state, changed) = memory.fit(kept)?;
        Ok((memory, Recalled::State(Box::new(state), changed)))
    }

    /// The state as one of the members of now.
    fn fit(&self, kept: Kept) -> Result<(State, Vec<Changed>), Trouble> {
        let old = &kept.membership.members;
        let names = |members: &[Known]| -> Vec<String> {
            members.iter().map(|known| known.source.clone()).collect()
        };
        let now = &self.membership.members;
        let mut changed = Vec::new();
        let mut state = kept.state;
        if names(old) != names(now) {
            if !state.is_at_rest() {
                return Err(Trouble::new(
                    format!(
                        "the sources were {} when the engine ran last, and some are still owed changes",
                        names(old).join(", ")
                    ),
                    "put the old list of sources back, `tahr run`, `tahr kick SYNC --wait 60`, and \
                     change the list then",
                ));
            }
            let cut = |known: &Known| {
                let place = old.iter().position(|before| before.source == known.source);
                place.map(|place| state.cuts[place])
            };
            let cuts: Vec<Option<Lsn>> = now.iter().map(cut).collect();
            let mut fitted = State::new(cuts.iter().map(|cut| cut.unwrap_or_default()).collect());
            fitted.sequence = state.sequence;
            state = fitted;
            for (place, _) in cuts.iter().enumerate().filter(|(_, cut)| cut.is_none()) {
                changed.push((place, "it is new in this sync".to_owned(), true));
            }
        }
        for (place, known) in now.iter().enumerate() {
            let Some(before) = old.iter().find(|before| before.source == known.source) else {
                continue;
            };
            if before != known {
                let what = match () {
                    () if before.system_id != known.system_id
                        || before.database != known.database =>
                    {
                        "it is another database than before"
                    }
                    () if before.timeline != known.timeline => "it was restored or promoted",
                    () => "it is read through another slot than before",
                };
                changed.push((place, what.to_owned(), false));
            }
        }
        Ok((state, changed))
    }

    pub(super) const fn has_met(&self) -> bool {
        self.met
    }

    /// Stores a whole state.
    pub(super) fn begin(&mut self, state: &State, met: bool) -> Result<(), Trouble> {
        self.met = met;
        self.store
            .begin_with(&self.membership, state, met)
            .map_err(|error| Trouble::of_store(&error))
    }

    /// Stores one step.
    pub(super) fn append(&mut self, record: &Record, state: &State) -> Result<(), Trouble> {
        self.store
            .append(record)
            .map_err(|error| Trouble::of_store(&error))?;
        if self.store.is_long() {
            self.begin(state, self.met)?;
        }
        Ok(())
    }

    /// Takes note of one step, which is stored with the next, or by [`sync`](Self::sync).
    pub(super) fn note(&mut self, record: &Record) -> Result<(), Trouble> {
        let noted = self.store.note(record);
        noted.map_err(|error| Trouble::of_store(&error))
    }

    /// Stores what was noted.
    pub(super) fn sync(&mut self) -> Result<(), Trouble> {
        self.store.sync().map_err(|error| Trouble::of_store(&error))
    }
}

/// Which source it is.
fn known(name: &str, present: &Present) -> Known {
    let identity = &present.opened.identity;
    Known {
        source: name.to_owned(),
        system_id: identity.system_id.clone(),
        timeline: identity.timeline,
        database: identity.database_oid,
        slot: present.opened.slot.clone(),
    }
}
