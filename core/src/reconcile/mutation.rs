//! The rules that can be taken away, one at a time, to see that the simulation then fails.

/// A rule that a test takes away. Outside of tests [`Rules::breaks`](super::Rules) is always false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// The standing winner never joins the candidates.
    NoStanding,
    /// The standing winner joins although another change has seen it.
    AlwaysStanding,
    /// A source takes part while its marker is not inside the window.
    JoinBeforeMarker,
    /// What was planned is believed to have happened, whatever the stream shows.
    TrustPlan,
    /// Keys that an apply left out are taken for delivered.
    LeftIsDone,
    /// Unreachable sources are owed nothing.
    OwedToReachable,
    /// A source's own changes never make it owed the winner: it is believed to hold it.
    OwnIsHeld,
    /// Applies of ours are changes like any other.
    OwnIsLocal,
    /// A source's first change counts, not its last.
    FirstChange,
    /// A move's new row stays though its delete lost.
    LooseMoves,
    /// The new row of a move is forgotten before the move itself is settled.
    UnpinnedMoves,
    /// Rows are not given again to a source whose table will still be emptied.
    WipeKeepsRows,
    /// A truncate is no candidate for the rows of its table.
    TruncateIsNoCandidate,
    /// Rows refused by a unique constraint are only sent again.
    RefusedForEver,
    /// A change goes to sources on its path.
    NoPath,
    /// A version given back to its own source keeps its path.
    PathKept,
    /// A change that another sync carried is judged by the time it arrived.
    ArrivalTime,
    /// Triggers may alter what they altered without end.
    EndlessHops,
    /// `skip` believes that all sources hold the standing winner.
    SkipForgets,
    /// What was touched since a meeting began is settled by what the snapshots hold.
    MeetTouched,
    /// Differences are settled before the streams have shown all that the snapshots hold.
    MeetUnread,
    /// Who comes back isn't owed what the others are owed.
    RejoinOwedNothing,
    /// Who comes back is met by somebody whose table will yet be emptied.
    AnyGuide,
    /// The earliest wins where the latest should.
    WrongWay,
    /// What is on its way is forgotten by a crash.
    #[cfg(test)]
    FlightNotStored,
    /// Who hasn't met is forgotten by a crash.
    #[cfg(test)]
    UnmetNotStored,
    /// The cut is stored before what is owed.
    #[cfg(test)]
    CutStoredFirst,
}
