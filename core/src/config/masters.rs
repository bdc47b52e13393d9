//! What a sync of several sources is told besides: who wins, and what is left to whom.

use std::path::PathBuf;

use crate::reconcile::TriggerEffects;

/// The rules of a sync whose sources replicate to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masters {
    /// Who wins a conflict, where the table says nothing else.
    pub conflict: Conflict,
    /// What becomes of what triggers and cascades do to applied rows.
    pub trigger_effects: TriggerEffects,
    /// What to do with the rows that the sources hold before they meet.
    pub initial: Initial,
    /// What becomes of the sequences that the tables draw their values from.
    pub sequences: Sequences,
    /// The source whose changes the targets get; without one, the source listed first.
    pub targets_follow: Option<String>,
}

/// Who wins a conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// The change that was committed last.
    #[default]
    Latest,
    /// The change that was committed first.
    Earliest,
    /// The source whose latest change of all tables is the latest wins all conflicts of a round.
    LatestAllTables,
    /// The source listed first.
    Sources(Vec<String>),
    /// Nobody: each source keeps its own row.
    Skip,
    /// Nobody, and the sync pauses.
    Abort,
    /// The function in this file, a path as the process sees it.
    Lua(PathBuf),
}

/// What to do with the rows that the sources hold before they meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initial {
    /// They have to be equal; nothing is changed where they are not.
    #[default]
    RequireEqual,
    /// The source listed first is right.
    FirstSource,
    /// Rows that only some have go to all; rows that differ are conflicts.
    Merge,
}

/// What becomes of the sequences that the tables draw their values from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sequences {
    /// Each source draws values of its own, which no other draws.
    #[default]
    Interleave,
    /// Each follows the highest value, as of the last round.
    Max,
    /// They are left alone.
    Leave,
}
