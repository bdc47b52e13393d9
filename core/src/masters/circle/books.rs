//! What a circle counts and writes down.

use std::time::{Instant, SystemTime};

use super::Setup;
use crate::{
    masters,
    reconcile::{Effect, EffectKind, Round},
};

/// The counts of a circle since it began, and its log of conflicts and rounds.
#[derive(Debug)]
pub(super) struct Books {
    sync: String,
    sources: Vec<String>,
    rounds: u64,
    conflicts: u64,
    last_round: Option<masters::Round>,
    /// Rows since the last round.
    rows_in: u64,
    rows_out: u64,
}

impl Books {
    pub(super) fn open(setup: &Setup) -> Self {
        Self {
            sync: setup.name.clone(),
            sources: setup.sync.sources.clone(),
            rounds: 0,
            conflicts: 0,
            last_round: None,
            rows_in: 0,
            rows_out: 0,
        }
    }

    /// Notes rows that came in.
    pub(super) const fn seen(&mut self, rows: u64) {
        self.rows_in += rows;
    }

    /// Notes rows that were written to a source.
    pub(super) const fn applied(&mut self, rows: u64) {
        self.rows_out += rows;
    }

    pub(super) const fn rounds(&self) -> u64 {
        self.rounds
    }

    pub(super) const fn conflicts(&self) -> u64 {
        self.conflicts
    }

    pub(super) const fn last_round(&self) -> &Option<masters::Round> {
        &self.last_round
    }

    /// Writes a round down that is stored.
    pub(super) fn write(&mut self, round: &Round, begun: Instant) {
        let conflicts = round.conflicts.len() as u64;
        if round.winners.is_empty() && conflicts == 0 && round.record.begun.is_empty() {
            return;
        }
        self.rounds += 1;
        self.conflicts += conflicts;
        self.last_round = Some(masters::Round {
            at: SystemTime::now(),
            took: begun.elapsed().as_secs_f64(),
            rows_in: std::mem::take(&mut self.rows_in),
            rows_out: std::mem::take(&mut self.rows_out),
            conflicts,
        });
        if conflicts > 0 {
            tracing::info!(sync = %self.sync, conflicts, round = self.rounds, "round");
        }
        self.tell(&round.effects);
    }

    /// Tells of rows that triggers have altered.
    fn tell(&self, effects: &[Effect]) {
        for (member, source) in self.sources.iter().enumerate() {
            let here = || effects.iter().filter(|effect| effect.source == member);
            let count = |kind| here().filter(|effect| effect.kind == kind).count();
            if here().next().is_some() {
                tracing::warn!(sync = %self.sync, source,
                    altered = count(EffectKind::Altered), unplanned = count(EffectKind::Unplanned),
                    missing = count(EffectKind::Missing),
                    hint = "triggers of this source change what is applied; see trigger_effects",
                    "rows were not applied as they were given");
            }
        }
    }
}
