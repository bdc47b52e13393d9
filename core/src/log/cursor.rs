//! A lane's place in the log.

use tahr_plugin_api::{Position, abi::Arena};

/// The number of the next entry to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub(super) u64);

impl Cursor {
    /// The entry behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
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
    /// The log begins anew, further back than it reached, for the sake of another lane. What the lane
    /// had read comes again from this cursor on; what it has dealt with it skips.
    Rewound(Cursor),
    /// The lane or the engine is stopping.
    Stopped,
}
