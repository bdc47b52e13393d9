//! A round: what was judged in one step, and what to do about it.

use serde::{Deserialize, Serialize};

use super::{Candidate, Key, Quarrel, Record, Row, Version};

/// What one call of [`Reconciler::round`](super::Reconciler::round) decided.
///
/// First the record is stored. Then the applies in [`begun`](Record::begun) are sent, and the rest is
/// logged.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// What to store, in one step and before anything else is done.
    pub record: Record,
    /// The winner of every key that was judged; a key that `skip` left alone is not among them.
    pub winners: Vec<(Key, Version)>,
    /// The conflicts among them, for the log.
    pub conflicts: Vec<Conflict>,
    /// Keys that sources hold differently from now on, until their next change.
    pub diverged: Vec<Key>,
    /// Rows in applies that weren't planned, or otherwise.
    pub effects: Vec<Effect>,
}

/// A conflict and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// What it was about.
    pub quarrel: Quarrel,
    /// The key; in a quarrel over a unique constraint the one that was refused.
    pub key: Key,
    /// The key of the second candidate, in a quarrel over a unique constraint.
    pub other: Option<Key>,
    /// The versions, sources in order. In a quarrel over a unique constraint the loser is set aside:
    /// its key is deleted everywhere, and its row is here.
    pub candidates: Vec<Candidate>,
    /// Who won.
    pub winner: Winner,
    /// The strategy that said so.
    pub rule: String,
    /// The rows that moved with a losing delete, and were taken back with it.
    pub withdrawn: Vec<Key>,
}

/// Who won a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Winner {
    /// The candidate of this index.
    Candidate(usize),
    /// A row, or its absence, that custom code made of all of them.
    Merged(Option<Row>),
    /// Nobody: each source keeps its own.
    Nobody,
    /// None of them, when sources met: a change that was made meanwhile, and judged before these
    /// rows were found.
    Later,
}

/// A row in an apply that was not planned, or not so: a trigger's or a cascade's work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The member on which it happened.
    pub source: usize,
    /// The key.
    pub key: Key,
    /// What happened.
    pub kind: EffectKind,
}

/// How an apply differed from its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// The row is another one than was planned.
    Altered,
    /// The key was not in the plan.
    Unplanned,
    /// A planned row was not written.
    Missing,
}
