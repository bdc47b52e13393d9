//! Custom code that decides conflicts.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::{Key, Row, Version};

/// One of the versions that a conflict is between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The version: its row or tombstone, its source and its commit time.
    pub version: Version,
    /// The row before the source's first change of this round, where its stream shows that.
    pub previous: Option<Row>,
    /// Whether it is the standing winner: decided in an earlier round, and unseen by a source that
    /// now made a change.
    pub standing: bool,
}

/// What two or more versions quarrel about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quarrel {
    /// They are versions of one key.
    Key,
    /// They are rows of two keys that a unique constraint does not let live together. The loser is
    /// set aside: deleted everywhere, and shown in the log.
    Unique,
}

/// Custom code that decides conflicts: a pure function, since the same question may be asked again
/// after a crash and must have the same answer.
pub trait Resolver: Debug + Send + Sync {
    /// Decides between `candidates`, the rows of `key` or, in a quarrel over a unique constraint,
    /// of `key` first and of the row in its way second.
    ///
    /// # Errors
    ///
    /// What went wrong, for the person who wrote the code: the sync pauses with it.
    fn resolve(
        &self,
        quarrel: Quarrel,
        key: &Key,
        candidates: &[Candidate],
    ) -> Result<Answer, String>;
}

/// What custom code decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The candidate of this index wins.
    Winner(usize),
    /// This row, or its absence, is made of all candidates and replaces them everywhere. Not
    /// allowed in a quarrel over a unique constraint.
    Merged(Option<Row>),
    /// As the strategy `skip`.
    Skip,
}
