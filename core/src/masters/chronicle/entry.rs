//! A conflict as the log tells it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Columns, Moment};
use crate::{
    masters::{SharedTable, Tables},
    reconcile::{self, Blob, Conflict, Key, Quarrel, Row, SourceId, Winner},
};

/// A conflict and what became of it, in words and text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in the sync's log, from 1 on; the log sets it.
    pub number: u64,
    /// When it was decided.
    pub when: Moment,
    /// The round that decided it.
    pub round: u64,
    /// The sync.
    pub sync: String,
    /// The table, `schema.table`.
    pub table: String,
    /// What it was about: one key, or a unique constraint that lets only one of two keys live.
    pub quarrel: Quarrel,
    /// The key; null where the table was truncated as a whole.
    pub key: Option<Columns>,
    /// In a quarrel over a unique constraint the key in its way: the second candidate's.
    pub other: Option<Columns>,
    /// The versions it was between, sources in order.
    pub candidates: Vec<Candidate>,
    /// The source whose candidate won, `merged` or `nobody`.
    pub winner: String,
    /// What custom code made of them all where the winner is `merged`; null is a delete then.
    pub merged: Option<Columns>,
    /// The strategy that decided.
    pub rule: String,
    /// Keys of rows that had moved with a losing delete, and were taken back with it.
    pub withdrawn: Vec<Columns>,
}

/// One of the versions that a conflict was between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The source that it was read from.
    pub source: String,
    /// The source that it was made on; another one where a sync had carried it.
    pub origin_source: String,
    /// When it was committed there.
    pub committed_at: Moment,
    /// Whether it had won before, and a source that didn't know it yet now changed the key.
    pub standing: bool,
    /// Whether it won.
    pub won: bool,
    /// The row; null for a delete.
    pub row: Option<Columns>,
}

/// Where and when a round decided: what gives its conflicts their names.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The sync.
    pub sync: &'a str,
    /// Its round.
    pub round: u64,
    /// When it was.
    pub at: Moment,
    /// The sync's tables.
    pub tables: &'a Tables,
    /// The names of the sync's members, in order.
    pub members: &'a [String],
    /// The names of all sources of the config.
    pub sources: &'a BTreeMap<SourceId, String>,
}

impl Entry {
    /// `conflict` as it is told.
    #[must_use]
    pub fn of(conflict: &Conflict, scene: &Scene<'_>) -> Self {
        let table = scene.tables.get(conflict.key.table);
        let winner = match conflict.winner {
            Winner::Candidate(index) => match conflict.candidates.get(index) {
                Some(candidate) => scene.member(candidate.version.from),
                None => "nobody".to_owned(),
            },
            Winner::Merged(_) => "merged".to_owned(),
            Winner::Nobody => "nobody".to_owned(),
            Winner::Later => "a later change".to_owned(),
        };
        let merged = match &conflict.winner {
            Winner::Merged(row) => row_of(table, row.as_ref()),
            Winner::Candidate(_) | Winner::Nobody | Winner::Later => None,
        };
        let candidates = conflict.candidates.iter().enumerate();
        let candidates = candidates.map(|(index, candidate)| {
            let won = conflict.winner == Winner::Candidate(index);
            scene.candidate(table, candidate, won)
        });
        Self {
            number: 0,
            when: scene.at,
            round: scene.round,
            sync: scene.sync.to_owned(),
            table: table.map_or_else(
                || format!("table number {}", conflict.key.table.0),
                |table| table.name.to_string(),
            ),
            quarrel: conflict.quarrel,
            key: key_of(table, &conflict.key),
            other: conflict.other.as_ref().and_then(|key| key_of(table, key)),
            candidates: candidates.collect(),
            winner,
            merged,
            rule: conflict.rule.clone(),
            withdrawn: conflict
                .withdrawn
                .iter()
                .filter_map(|key| key_of(table, key))
                .collect(),
        }
    }

    /// Cuts long values, so that one conflict can't drive all others out of the log.
    pub(super) fn shorten(&mut self, length: usize) {
        let rows = self.candidates.iter_mut().map(|c| &mut c.row);
        rows.chain([&mut self.key, &mut self.other, &mut self.merged])
            .flatten()
            .chain(&mut self.withdrawn)
            .for_each(|columns| columns.shorten(length));
    }
}

impl Scene<'_> {
    fn candidate(
        &self,
        table: Option<&SharedTable>,
        candidate: &reconcile::Candidate,
        won: bool,
    ) -> Candidate {
        let version = &candidate.version;
        let origin = self.sources.get(&version.origin.source);
        Candidate {
            source: self.member(version.from),
            // It may have left the config since.
            origin_source: origin.map_or_else(
                || format!("source number {}", version.origin.source.0),
                String::clone,
            ),
            committed_at: Moment::committed(version.origin.time),
            standing: candidate.standing,
            won,
            row: row_of(table, version.row.as_ref()),
        }
    }

    fn member(&self, index: usize) -> String {
        let name = self.members.get(index);
        name.map_or_else(|| format!("source {}", index + 1), String::clone)
    }
}

fn row_of(table: Option<&SharedTable>, row: Option<&Row>) -> Option<Columns> {
    row.map(|row| Columns::of_row(table, &row.payload))
}

fn key_of(table: Option<&SharedTable>, key: &Key) -> Option<Columns> {
    let packed: Option<&Blob> = key.row.as_ref();
    packed.map(|packed| Columns::of_key(table, packed))
}
