//! The rules of one sync: who takes part, who wins, and how much may be kept.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Mutation, Origin, Resolver, SourceId, TableId, Version};

/// How a conflict is decided.
#[derive(Clone, Debug)]
pub enum Strategy {
    /// The change with the latest origin wins; at the same microsecond the source listed first.
    Latest,
    /// The change with the earliest origin wins; at the same microsecond the source listed first.
    Earliest,
    /// The source with the latest change of all tables in the round wins all of its conflicts.
    LatestAllTables,
    /// The source listed first wins; members that aren't listed come last, in their own order.
    Sources(Vec<usize>),
    /// Nobody wins: each source keeps its own row, and the key is noted as diverged. The next change
    /// of the key that meets no other heals it.
    Skip,
    /// The sync pauses before anything of the round is applied.
    Abort,
    /// Code decides.
    Custom(Arc<dyn Resolver>),
}

/// A strategy's name in the log of conflicts.
impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latest => "latest",
            Self::Earliest => "earliest",
            Self::LatestAllTables => "latest_all_tables",
            Self::Sources(_) => "sources",
            Self::Skip => "skip",
            Self::Abort => "abort",
            Self::Custom(_) => "custom",
        })
    }
}

/// What becomes of rows in an apply that differ from its plan: work of triggers and cascades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerEffects {
    /// The source is parked, so that a person decides.
    #[default]
    Park,
    /// They are changes of that source, and travel on. A trigger that alters every apply would go
    /// on for ever: after [`Limits::hops`] rounds of it the source is parked.
    Local,
    /// They stay where they are; the keys are noted as diverged.
    Ignore,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Keys that a source may be owed, or have in its window while its marker is awaited. Above it
    /// the source is parked for a resync, and what it is owed is forgotten.
    pub owed: usize,
    /// Rows in one apply; what is beyond it follows in the next.
    pub rows: usize,
    /// How often triggers may alter a row that their own alteration brought about.
    pub hops: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            owed: 1_000_000,
            rows: 100_000,
            hops: 3,
        }
    }
}

/// The rules of one sync. They come from the config, not from the stored state.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The members in the config's order; everything else names a member by its index here. At
    /// most 64.
    pub members: Vec<SourceId>,
    /// The sync's strategy.
    pub strategy: Strategy,
    /// Tables with a strategy of their own.
    pub tables: BTreeMap<TableId, Strategy>,
    /// What becomes of triggers' work.
    pub trigger_effects: TriggerEffects,
    /// How much is kept.
    pub limits: Limits,
    /// The rule that a test has taken away.
    #[cfg(test)]
    pub(crate) broken: Option<Mutation>,
}

impl Rules {
    /// Rules with one strategy for all tables and everything else at its default.
    ///
    /// # Panics
    ///
    /// With more than 64 members.
    #[must_use]
    pub fn new(members: Vec<SourceId>, strategy: Strategy) -> Self {
        assert!(members.len() <= 64, "a sync has at most 64 sources");
        Self {
            members,
            strategy,
            tables: BTreeMap::new(),
            trigger_effects: TriggerEffects::default(),
            limits: Limits::default(),
            #[cfg(test)]
            broken: None,
        }
    }

    /// The strategy of a table.
    #[must_use]
    pub fn strategy_of(&self, table: TableId) -> &Strategy {
        self.tables.get(&table).unwrap_or(&self.strategy)
    }

    /// The origin that the apply to member `to` writes beside this version's key: where it was
    /// made, and a path one source longer. A version given back to a source on its own path begins
    /// a new one there, or the others would think that this source's present row is known to them.
    /// That path isn't empty: it is no change of that source's own, which has seen what it replaces.
    #[must_use]
    pub fn outgoing(&self, version: &Version, to: usize) -> Origin {
        let mut origin = version.origin.clone();
        if self.breaks(Mutation::NoPath) {
            return origin;
        }
        let (from, to) = (self.members[version.from], self.members[to]);
        if !origin.path.contains(&from) {
            origin.path.push(from);
        }
        if origin.path.contains(&to) && !self.breaks(Mutation::PathKept) {
            origin.path = vec![to];
        }
        origin
    }

    /// Whether a test has taken this rule away.
    #[cfg(test)]
    pub(super) fn breaks(&self, rule: Mutation) -> bool {
        self.broken == Some(rule)
    }

    /// Whether a test has taken this rule away: outside of tests, none is.
    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    pub(super) const fn breaks(&self, _: Mutation) -> bool {
        false
    }
}
