//! An engine: feeds a reconciler, stores its records, sends its applies, and crashes.

use std::sync::Arc;

#[cfg(test)]
use crate::reconcile::Mutation;
use crate::reconcile::{
    Answer, Candidate, Key, Parked, Quarrel, Reconciler, Resolver, Round, Rules, SourceId, State,
    Strategy, TriggerEffects,
};
use tahr_plugin_api::Lsn;

use super::{
    Kind, Random, Settings, Topology, Triggers,
    meeting::Talks,
    model::Model,
    source::{SLOTS, Source, content_of, row_of, slot_of},
};

/// One sync between some of the sources, and what its engine has on disk.
pub(crate) struct Engine {
    pub(crate) id: usize,
    /// The sources that are its members.
    pub(crate) members: Vec<usize>,
    pub(crate) reconciler: Reconciler,
    /// What is on disk.
    pub(crate) stored: State,
    /// For each member how many transactions the reconciler was given.
    pub(crate) fed: Vec<usize>,
    /// For each row the origin's time of its last winner.
    pub(crate) winners: [Option<i64>; SLOTS],
    /// Rows that sources were said to hold differently.
    pub(crate) diverged: [bool; SLOTS],
    /// Rows that triggers altered, or wrote.
    pub(crate) altered: [bool; SLOTS],
    /// Rows that lost with another row: moved with a losing delete, or set aside.
    pub(crate) collateral: [bool; SLOTS],
    pub(crate) conflicts: usize,
    pub(crate) applies: usize,
    pub(crate) parked: usize,
    /// The meeting under way.
    pub(crate) talks: Option<Talks>,
    /// What the model says of the next round.
    pub(crate) model: Option<Model>,
    pub(crate) rules: Rules,
}

/// Custom code for the simulation: sometimes it chooses, sometimes merges, sometimes fails.
#[derive(Debug)]
struct Moody;

impl Resolver for Moody {
    fn resolve(
        &self,
        quarrel: Quarrel,
        _: &Key,
        candidates: &[Candidate],
    ) -> Result<Answer, String> {
        let contents = || {
            candidates
                .iter()
                .map(|c| content_of(c.version.row.as_ref()))
        };
        let largest = contents().max().unwrap_or(0);
        let index = contents()
            .position(|content| content == largest)
            .unwrap_or(0);
        match (largest >> 2) % 8 {
            0 => Err("line 1: attempt to index a nil value".into()),
            1 => Ok(Answer::Winner(7)),
            2 | 3 if quarrel == Quarrel::Key => {
                // The merged row needs nothing for itself alone.
                Ok(Answer::Merged(Some(row_of(largest & !3 | 1 << 30))))
            }
            4 => Ok(Answer::Merged(None)),
            _ => Ok(Answer::Winner(index)),
        }
    }
}

fn strategy(kind: Kind, members: usize) -> Strategy {
    match kind {
        Kind::Latest => Strategy::Latest,
        Kind::Earliest => Strategy::Earliest,
        // All but the first of two; the others follow in their own order.
        Kind::Sources => Strategy::Sources((1..members).rev().collect()),
        Kind::LatestAllTables => Strategy::LatestAllTables,
        Kind::Skip => Strategy::Skip,
        Kind::Abort => Strategy::Abort,
        Kind::Custom => Strategy::Custom(Arc::new(Moody)),
    }
}

impl Engine {
    pub(crate) fn new(
        id: usize,
        members: Vec<usize>,
        settings: &Settings,
        random: &mut Random,
    ) -> Self {
        let ids = members
            .iter()
            .map(|&source| SourceId(source as u32))
            .collect();
        let mut rules = Rules::new(ids, strategy(settings.kind, members.len()));
        rules.limits.rows = settings.rows;
        rules.limits.owed = settings.limit.unwrap_or(rules.limits.owed);
        rules.trigger_effects = match settings.triggers {
            Triggers::None => TriggerEffects::Park,
            _ => [
                TriggerEffects::Park,
                TriggerEffects::Local,
                TriggerEffects::Ignore,
            ][random.below(3)],
        };
        #[cfg(test)]
        {
            rules.broken = settings.broken;
        }
        let cuts = vec![Lsn::ZERO; members.len()];
        let state = match settings.meet {
            Some(_) => State::of_strangers(cuts),
            None => State::new(cuts),
        };
        Self {
            id,
            fed: vec![0; members.len()],
            members,
            reconciler: Reconciler::new(rules.clone(), state.clone()),
            stored: state,
            winners: [None; SLOTS],
            diverged: [false; SLOTS],
            altered: [false; SLOTS],
            collateral: [false; SLOTS],
            conflicts: 0,
            applies: 0,
            parked: 0,
            talks: None,
            model: None,
            rules,
        }
    }

    /// Dies, and begins again with what is on disk.
    pub(crate) fn crash(&mut self) {
        #[cfg(test)]
        if self.rules.broken == Some(Mutation::FlightNotStored) {
            self.stored.flights.fill(None);
        }
        #[cfg(test)]
        if self.rules.broken == Some(Mutation::UnmetNotStored) {
            self.stored.unmet = 0;
        }
        self.talks = None;
        self.reconciler = Reconciler::new(self.rules.clone(), self.stored.clone());
        self.fed = self.stored.cuts.iter().map(|cut| cut.0 as usize).collect();
    }

    /// Dies, and reads what is on disk as text.
    pub(crate) fn reload(&mut self) {
        let text = serde_json::to_string(&self.stored).expect("a state can be stored");
        let read: State = serde_json::from_str(&text).expect("a stored state can be read");
        assert_eq!(read, self.stored, "a state changed by being stored");
        self.stored = read;
        self.crash();
    }

    /// Reads some of a member's stream.
    pub(crate) fn feed(&mut self, member: usize, source: &Source, upto: usize) {
        for index in self.fed[member]..upto {
            let transaction = source.transaction(index, self.id);
            self.reconciler
                .observe(member, transaction)
                .expect("only applies that were sent");
        }
        self.fed[member] = self.fed[member].max(upto);
    }

    /// One round, stored unless the engine dies before.
    pub(crate) fn round(&mut self, reachable: &[bool], settings: &Settings, random: &mut Random) {
        let round = self.reconciler.round(reachable);
        let Round {
            record,
            winners,
            conflicts,
            diverged,
            effects,
        } = round;
        if let Some(model) = self.model.take()
            && let Err(error) = model.compare(self, settings)
        {
            panic!("{error}");
        }
        if random.percent(settings.crash) {
            #[cfg(test)]
            if settings.broken == Some(Mutation::CutStoredFirst) {
                self.stored.cuts.clone_from(&self.reconciler.state().cuts);
            }
            return self.crash();
        }
        self.stored.replay(&record);
        self.applies += record.begun.len();
        self.parked += record.parked.len();
        for (key, version) in winners {
            if let Ok(slot) = slot_of(&key) {
                self.winners[slot] = Some(version.origin.time);
                self.diverged[slot] = false;
            }
        }
        self.conflicts += conflicts.len();
        for conflict in conflicts {
            assert_ne!(
                conflict.rule, "abort",
                "a conflict was decided that should pause the sync"
            );
            for key in conflict
                .withdrawn
                .into_iter()
                .chain(conflict.other)
                .chain(Some(conflict.key))
            {
                if let Ok(slot) = slot_of(&key) {
                    self.collateral[slot] = true;
                }
            }
        }
        for slot in diverged.iter().filter_map(|key| slot_of(key).ok()) {
            self.diverged[slot] = true;
        }
        for slot in effects
            .iter()
            .filter_map(|effect| slot_of(&effect.key).ok())
        {
            self.altered[slot] = true;
        }
        if self.stored.paused.is_some() {
            let winner = record.entries.is_empty() && record.begun.is_empty();
            assert!(
                winner && record.cuts.is_empty(),
                "a pause let something happen"
            );
        }
        if random.percent(settings.crash) {
            if random.percent(10) {
                self.reload();
            } else {
                self.crash();
            }
        }
    }

    /// What a person does about a pause: the conflict is decided by another strategy, once.
    pub(crate) fn resume(&mut self, reachable: &[bool], settings: &Settings, random: &mut Random) {
        let mut rules = self.rules.clone();
        rules.strategy = Strategy::Latest;
        self.reconciler.set_rules(rules);
        let record = self.reconciler.resume();
        self.stored.replay(&record);
        self.round(reachable, settings, random);
        self.reconciler.set_rules(self.rules.clone());
    }

    /// What a person does about triggers that parked a source: they are made to be ignored.
    pub(crate) fn ignore_triggers(&mut self) {
        if !self
            .stored
            .parked
            .iter()
            .any(|p| matches!(p, Some(Parked::Effects(_))))
        {
            return;
        }
        self.rules.trigger_effects = TriggerEffects::Ignore;
        self.reconciler.set_rules(self.rules.clone());
        for member in 0..self.members.len() {
            if matches!(self.stored.parked[member], Some(Parked::Effects(_))) {
                let record = self.reconciler.unpark(member);
                self.stored.replay(&record);
            }
        }
    }

    /// Whether everything was read, judged and delivered, sources that wait for a copy excepted.
    pub(crate) fn is_done(&self, sources: &[Source]) -> bool {
        let read = |member: usize| {
            self.stored.parked[member].is_some()
                || self.stored.cuts[member].0 as usize == sources[self.members[member]].log.len()
        };
        self.stored.paused.is_none()
            && self.reconciler.strangers().is_empty()
            && self.stored.is_at_rest()
            && (0..self.members.len()).all(read)
    }
}

/// The engines of a topology.
pub(crate) fn engines(settings: &Settings, random: &mut Random) -> Vec<Engine> {
    let n = settings.sources;
    let members: Vec<Vec<usize>> = match settings.topology {
        Topology::One => vec![(0..n).collect()],
        Topology::Chain => (1..n).map(|i| vec![i - 1, i]).collect(),
        Topology::Circle => (0..n).map(|i| vec![i, (i + 1) % n]).collect(),
    };
    members
        .into_iter()
        .enumerate()
        .map(|(id, m)| Engine::new(id, m, settings, random))
        .collect()
}
