//! What kind of history a seed gives.

use crate::reconcile::Precedence;

use super::Random;

/// The strategies, as the simulation names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Latest,
    Earliest,
    Sources,
    LatestAllTables,
    Skip,
    Abort,
    Custom,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Latest,
        Self::Earliest,
        Self::Sources,
        Self::LatestAllTables,
        Self::Skip,
        Self::Abort,
        Self::Custom,
    ];
}

/// How syncs lie between the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// One sync of all sources.
    One,
    /// A sync for each pair of neighbours.
    Chain,
    /// The same, and one that closes the circle.
    Circle,
}

/// What triggers do on some of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Triggers {
    /// There are none.
    None,
    /// They alter a row once, and leave an altered row alone.
    Settling,
    /// They alter a row whenever it is written.
    Endless,
    /// They write another row.
    Beside,
}

/// The kind of a history. Everything else in it comes from the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) kind: Kind,
    pub(crate) topology: Topology,
    pub(crate) sources: usize,
    pub(crate) keys: usize,
    pub(crate) tables: usize,
    pub(crate) steps: usize,
    /// Chances in a hundred.
    pub(crate) crash: usize,
    pub(crate) down: usize,
    pub(crate) locked: usize,
    pub(crate) moves: usize,
    pub(crate) truncates: usize,
    /// Rows have a second unique column.
    pub(crate) unique: bool,
    pub(crate) triggers: Triggers,
    /// The sources' clocks disagree.
    pub(crate) skewed: bool,
    /// All sources write, then the engine runs until it has nothing left to do, and so on: then
    /// the outcome is known without following the rounds.
    pub(crate) phases: bool,
    /// Sources are parked when they are owed more keys than this.
    pub(crate) limit: Option<usize>,
    /// The sources hold different rows at the beginning, and meet by this.
    pub(crate) meet: Option<Precedence>,
    /// Rows in one apply.
    pub(crate) rows: usize,
    /// A rule to do without.
    #[cfg(test)]
    pub(crate) broken: Option<crate::reconcile::Mutation>,
}

impl Settings {
    /// The settings of a seed's history.
    pub(crate) fn of(seed: u64, kind: Kind) -> Self {
        let random = &mut Random(seed ^ 0x5EED);
        let mut settings = Self {
            kind,
            topology: Topology::One,
            sources: 2 + random.below(4).min(random.below(4)),
            keys: 2 + random.below(3),
            tables: 1 + random.below(2),
            steps: 12 + random.below(20),
            crash: 4,
            down: 12,
            locked: 10,
            moves: 0,
            truncates: 0,
            unique: false,
            triggers: Triggers::None,
            skewed: random.percent(20),
            phases: false,
            limit: None,
            meet: None,
            rows: if random.percent(20) {
                1 + random.below(2)
            } else {
                1000
            },
            #[cfg(test)]
            broken: None,
        };
        match random.below(20) {
            0..5 => {}
            5..8 => settings.moves = 20,
            8..10 => settings.truncates = 8,
            10 => (settings.moves, settings.truncates) = (15, 6),
            11..13 => (settings.unique, settings.moves) = (true, random.below(2) * 15),
            13 => settings.triggers = Triggers::Settling,
            14 => settings.triggers = Triggers::Endless,
            15 => settings.triggers = Triggers::Beside,
            16 => settings.limit = Some(2),
            17 if matches!(kind, Kind::Latest) => {
                settings.topology = [Topology::Chain, Topology::Circle][random.below(2)];
                settings.sources = 3;
                settings.skewed = false;
            }
            17 if matches!(kind, Kind::Earliest | Kind::Sources) => {
                settings.topology = Topology::Chain;
                settings.sources = 3;
            }
            17 => {}
            _ => {
                settings.phases = true;
                settings.moves = random.below(3) * 12;
                settings.truncates = random.below(2) * 8;
            }
        }
        // Of its own numbers, so that the other histories stay what they were.
        let random = &mut Random(seed ^ 0x3EE7);
        if random.percent(30) && settings.topology == Topology::One && !settings.phases {
            settings.meet = Some([Precedence::First, Precedence::Merge][random.below(2)]);
        }
        if random.percent(10) && settings.topology == Topology::One && !settings.phases {
            settings.limit = Some(2 + random.below(3));
        }
        settings
    }

    /// Whether no rule is taken away. The model would notice at once; what counts is whether the
    /// sources do.
    pub(crate) const fn is_whole(&self) -> bool {
        #[cfg(test)]
        return self.broken.is_none();
        #[cfg(not(test))]
        true
    }

    /// Whether changes are judged as the model does, which knows neither moves nor truncates.
    pub(crate) fn plain(&self) -> bool {
        self.topology == Topology::One
            && self.moves == 0
            && self.truncates == 0
            && !self.unique
            && self.triggers == Triggers::None
            && self.limit.is_none()
    }
}
