//! A lane's place in the log.

use tahr_plugin_api::{Position, abi::Arena};

/// The number of the next entry to read, and how often the log had been rewound when it was given:
/// a cursor from before a rewind is told where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(super) epoch: u64,
    pub(super) number: u64,
}

impl Cursor {
    /// Of a lane that stands where the log has let go of what comes next. No log is rewound so often.
    pub(super) const NOWHERE: Self = Self {
        epoch: u64::MAX,
        number: 0,
    };

    /// The entry behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self {
            number: self.number + 1,
            ..self
        }
    }
}

/// What a lane found at its cursor.
#[derive(Debug)]
pub enum Next {
    /// An arena; the cursor behind it is [`Cursor::next`].
    Arena(Arena),
    /// Nothing more for now: the lane has read all, and the source is known to hold nothing
    /// before this position that isn't in the log.
    Tail(Position),
    /// The log begins anew, further back than it reached, for the sake of this lane or of another.
    /// What the lane had read comes again from this cursor on; what it has dealt with it skips.
    Rewound(Cursor),
    /// The log has let go of what comes next, and begins anew for this lane once that is no hardship
    /// to another. It asks again.
    Later,
    /// The lane or the engine is stopping.
    Stopped,
}
