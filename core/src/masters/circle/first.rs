//! How a circle begins that has nothing to go on from, and how members meet.

use std::sync::Arc;

use tahr_plugin_api::Lsn;

use super::{
    gathering::{self, Gathered, Gathering},
    judge::Judge,
    member::Member,
    trouble::Trouble,
};
use crate::{
    config::Initial,
    masters::{checkpoint, meeting},
    reconcile::{Parked, Precedence, Reconciler, State},
};

/// Rows that may be owed while more differences are taken in.
pub(super) const OWED: usize = 20_000;

impl Judge<'_> {
    /// The number of the last apply that the sources have seen, which no other may have.
    pub(super) async fn sequence_seen(&self) -> Result<u64, Trouble> {
        let mut seen = 0;
        for member in &self.members {
            let Some(present) = &member.present else {
                continue;
            };
            let (engine, sync) = (&self.setup.engine, &self.setup.name);
            let failed = |error| Trouble::of_source(&member.source, &error);
            let opened = &present.opened;
            let client = opened.url.connect_source(&opened.application).await;
            let client = client.map_err(|error| failed(error.into()))?;
            let sequence = match checkpoint::sequence(&client, engine, sync).await {
                Ok(Some(sequence)) => sequence,
                _ => checkpoint::ensure(&client, engine, sync)
                    .await
                    .map_err(failed)?,
            };
            seen = seen.max(sequence);
        }
        Ok(seen)
    }

    /// The state of sources that have never met.
    pub(super) async fn first_state(&self, sequence: u64) -> Result<State, Trouble> {
        let mut state = match self.setup.sync.masters.initial {
            Initial::RequireEqual => State::new(self.equal_at().await?),
            Initial::FirstSource | Initial::Merge => {
                State::of_strangers(self.members.iter().map(Member::begins).collect())
            }
        };
        state.sequence = sequence;
        Ok(state)
    }

    /// Where snapshots were taken in which all sources hold the same rows.
    async fn equal_at(&self) -> Result<Vec<Lsn>, Trouble> {
        let sources: Vec<_> = (self.members.iter().enumerate())
            .filter_map(|(index, member)| {
                let present = member.present.as_ref()?;
                Some(gathering::source(index, present))
            })
            .collect();
        let failed = |error| gathering::trouble(&error);
        let tables = Arc::clone(&self.tables);
        let opened = meeting::Meeting::open(&sources, tables, &gathering::waiting);
        let mut meeting = opened.await.map_err(failed)?;
        match meeting::require_equal(&mut meeting).await.map_err(failed)? {
            Ok(()) => Ok(meeting.cuts()),
            Err(unequal) => {
                let tables: Vec<String> = unequal.iter().map(ToString::to_string).collect();
                Err(Trouble::new(
                    format!(
                        "the sources don't hold the same rows: {}",
                        tables.join("; ")
                    ),
                    "make them equal, or say in the sync what counts: initial = \"first_source\" \
                     (the source listed first is right) or initial = \"merge\" (all are); then: \
                     tahr reload",
                ))
            }
        }
    }

    /// Parks members that are not what they were, and lets new ones in.
    pub(super) fn greet(&mut self) -> Result<(), Trouble> {
        for (member, why, is_new) in std::mem::take(&mut self.changed) {
            let source = &self.members[member].source;
            if !is_new {
                tracing::error!(sync = %self.setup.name, source,
                    hint = format!("tahr resume {}: compares it with the others", self.setup.name),
                    "source is parked: {why}");
            }
            let record = self.reconciler.park(member);
            self.keep(&record)?;
            if is_new {
                self.rejoin(member)?;
            }
        }
        Ok(())
    }

    /// Lets a member take part again that was parked for a resync.
    pub(super) fn rejoin(&mut self, member: usize) -> Result<(), Trouble> {
        let seat = &self.members[member];
        if seat.present.is_none() || self.reconciler.state().parked[member] != Some(Parked::Resync)
        {
            return Ok(());
        }
        let cut = seat.begins().max(seat.reached);
        match self.reconciler.rejoin(member, cut) {
            Ok(record) => self.keep(&record),
            Err(not_met) => {
                tracing::warn!(source = seat.source, "source stays parked: {not_met}");
                Ok(())
            }
        }
    }

    /// Lets strangers meet, as far as that is possible now.
    pub(super) fn meet(&mut self) -> Result<(), Trouble> {
        if self.gathering.is_some() && !self.reconciler.is_meeting() {
            // Somebody was parked: another meeting, without them.
            self.gathering = None;
        }
        if self.gathering.is_none() {
            self.call_meeting();
        }
        loop {
            if !self.has_room() {
                return Ok(());
            }
            let Some(gathering) = &mut self.gathering else {
                return Ok(());
            };
            let found = match gathering.take() {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(()),
                Err(trouble) => {
                    self.gathering = None;
                    return Err(trouble);
                }
            };
            match found {
                Gathered::Cuts(cuts) => {
                    self.reconciler.snapshots_at(&cuts);
                    // A source where nobody writes shows nothing; what it has shown counts.
                    for (index, member) in self.members.iter().enumerate() {
                        self.reconciler.read_to(index, member.reached);
                    }
                }
                Gathered::Chunk(chunk) => {
                    self.reconciler.meet(chunk);
                    self.has_news = true;
                }
                Gathered::All => {
                    if self.reconciler.waiting() > 0 {
                        return Ok(());
                    }
                    if let Some(record) = self.reconciler.end_meeting() {
                        self.keep(&record)?;
                        tracing::info!(sync = %self.setup.name, "the sources have met");
                    }
                    self.gathering = None;
                    self.setup.handle.update(|status| status.meeting = None);
                    return Ok(());
                }
            }
        }
    }

    /// Begins a meeting where one is due and everybody who has to be is here.
    fn call_meeting(&mut self) {
        let strangers = self.reconciler.strangers();
        if strangers.is_empty() {
            return;
        }
        let is_here = |&member: &usize| {
            self.members[member].is_ready && self.members[member].present.is_some()
        };
        let guides = self.reconciler.guides();
        let is_first = guides.is_empty() && strangers.len() > 1;
        let who = match strangers.as_slice() {
            // The others have something to settle before one of them can show what is right.
            [_] if guides.is_empty() => return,
            strangers if guides.is_empty() => strangers.to_vec(),
            strangers => {
                let stranger = strangers.iter().find(|member| is_here(member));
                match (guides.iter().find(|member| is_here(member)), stranger) {
                    (Some(&guide), Some(&stranger)) => vec![guide, stranger],
                    _ => return,
                }
            }
        };
        let sources: Vec<_> = who
            .iter()
            .filter_map(|&member| {
                let seat = &self.members[member];
                let present = seat.present.as_ref().filter(|_| seat.is_ready)?;
                Some(gathering::source(member, present))
            })
            .collect();
        if sources.len() < who.len() {
            return;
        }
        let precedence = match self.setup.sync.masters.initial {
            Initial::Merge if is_first => Precedence::Merge,
            _ => Precedence::First,
        };
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        tracing::info!(sync = %self.setup.name, sources = names.join(", "), "comparing sources");
        self.reconciler.begin_meeting(&who, precedence);
        self.gathering = Some(Gathering::begin(
            sources,
            Arc::clone(&self.tables),
            self.setup.handle.clone(),
            &self.setup.runtime,
        ));
    }

    /// A reconciler that goes on from `state`.
    pub(super) fn go_on_from(&mut self, state: State) -> Result<(), Trouble> {
        self.reconciler = Reconciler::new(self.reconciler.rules().clone(), state);
        self.memory.begin(self.reconciler.state(), true)
    }
}
