//! What a circle counts and writes down.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{Setup, trouble::Trouble};
use crate::{
    masters::{
        self, Tables,
        chronicle::{ConflictLog, Entry, History, Moment, RoundEntry, Scene},
    },
    reconcile::{Effect, EffectKind, Flight, Round, SourceId, TableId},
};

/// The counts of a circle since it began, and its log of conflicts and rounds.
#[derive(Debug)]
pub(super) struct Books {
    sync: String,
    sources: Vec<String>,
    names: BTreeMap<SourceId, String>,
    tables: Arc<Tables>,
    log: ConflictLog,
    history: History,
    /// Conflicts of earlier attempts and engines.
    before: u64,
    rounds: u64,
    last_round: Option<masters::Round>,
    /// What came in since the last round.
    transactions: u64,
    rows_in: BTreeMap<String, u64>,
    /// Whether the disk was said to be at fault.
    has_failed: bool,
}

impl Books {
    pub(super) fn open(setup: &Setup, tables: &Arc<Tables>) -> Result<Self, Trouble> {
        let failed = |error: std::io::Error| Trouble::of_store(&error);
        let log = ConflictLog::open(&setup.folder).map_err(failed)?;
        Ok(Self {
            sync: setup.name.clone(),
            sources: setup.sync.sources.clone(),
            names: setup.names.clone(),
            tables: Arc::clone(tables),
            before: log.total(),
            log,
            history: History::open(&setup.folder).map_err(failed)?,
            rounds: 0,
            last_round: None,
            transactions: 0,
            rows_in: BTreeMap::new(),
            has_failed: false,
        })
    }

    /// Notes a transaction of `source` that came in.
    pub(super) fn seen(&mut self, source: &str, rows: u64) {
        self.transactions += 1;
        match self.rows_in.get_mut(source) {
            Some(sum) => *sum += rows,
            None => drop(self.rows_in.insert(source.to_owned(), rows)),
        }
    }

    /// A table's name, as people know it.
    pub(super) fn table(&self, id: TableId) -> String {
        let table = self.tables.get(id);
        table.map_or_else(
            || format!("table number {}", id.0),
            |table| table.name.to_string(),
        )
    }

    pub(super) const fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Conflicts since the attempt began, and since the sync did.
    pub(super) fn conflicts(&self) -> (u64, u64) {
        (self.log.total() - self.before, self.log.total())
    }

    pub(super) const fn last_round(&self) -> &Option<masters::Round> {
        &self.last_round
    }

    /// Writes a round down that is stored; `flights` are those that it began, by member.
    pub(super) fn write<'a>(
        &mut self,
        round: &Round,
        flights: impl Iterator<Item = (usize, &'a Flight)>,
        begun: Instant,
    ) {
        let rows_in = std::mem::take(&mut self.rows_in);
        let rows_out: BTreeMap<String, u64> = flights
            .map(|(member, flight)| (self.sources[member].clone(), flight.rows.len() as u64))
            .collect();
        let (came, went) = (rows_in.values().sum(), rows_out.values().sum());
        let conflicts = round.conflicts.len() as u64;
        self.tell(&round.effects);
        if came + went + conflicts == 0 {
            self.transactions = 0;
            return;
        }
        self.rounds += 1;
        let took = begun.elapsed();
        self.last_round = Some(masters::Round {
            at: SystemTime::now(),
            took: took.as_secs_f64(),
            rows_in: came,
            rows_out: went,
            conflicts,
        });
        let entry = RoundEntry {
            at: Moment::now(),
            sync: self.sync.clone(),
            number: self.rounds,
            rounds: 1,
            took_ms: took.as_secs_f64() * 1000.0,
            transactions: std::mem::take(&mut self.transactions),
            rows_in,
            rows_out,
            conflicts,
        };
        let written = self.history.append(entry);
        let written = written.and_then(|()| self.write_conflicts(round));
        match written {
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                tracing::warn!(sync = %self.sync, %error,
                    "the log of conflicts and rounds can't be written; the sync goes on");
            }
            Err(_) => {}
            Ok(()) => self.has_failed = false,
        }
    }

    fn write_conflicts(&mut self, round: &Round) -> std::io::Result<()> {
        if round.conflicts.is_empty() {
            return Ok(());
        }
        let scene = Scene {
            sync: &self.sync,
            round: self.rounds,
            at: Moment::now(),
            tables: &self.tables,
            members: &self.sources,
            sources: &self.names,
        };
        let entries = round.conflicts.iter();
        let mut entries: Vec<Entry> = entries
            .map(|conflict| Entry::of(conflict, &scene))
            .collect();
        tracing::info!(sync = %self.sync, conflicts = entries.len(), round = self.rounds,
            "conflicts were decided; `tahr conflicts` shows them");
        self.log.append(&mut entries)
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
                    hint = "triggers or cascades of this source change what is applied: see \
                        trigger_effects",
                    "rows were not applied as they were given");
            }
        }
    }
}
