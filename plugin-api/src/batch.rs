//! Changes handed over in one call.

use std::sync::Arc;

use crate::{Change, Lsn, Part, Position, Relation, abi::Arena};

/// Where changes of one relation of an arena belong in a lane.
#[derive(Clone, Debug)]
pub struct Route {
    /// The relation as this lane sees it.
    pub relation: Arc<Relation>,
    /// Changes of transactions that commit before it are not for this lane: its copy of the table
    /// holds them already.
    pub from: Lsn,
}

/// Some changes of one arena: `first..end`.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The arena, shared with the other lanes.
    pub arena: Arena,
    /// The first change.
    pub first: u32,
    /// The one behind the last change.
    pub end: u32,
    /// One per relation of the arena; none: not for this lane.
    pub routes: Arc<[Option<Route>]>,
}

/// Changes handed over in one call: whole transactions, or a marked part of a large one.
///
/// Cheap to clone, and may be kept until its position is stored: it shares the memory that the
/// source's reader filled once for all lanes.
#[derive(Clone, Debug)]
pub struct Batch {
    segments: Vec<Segment>,
    previous: Position,
    position: Position,
    part: Part,
}

impl Batch {
    /// A batch of `segments` that leads from `previous` to `position`.
    #[must_use]
    pub fn new(segments: Vec<Segment>, previous: Position, position: Position, part: Part) -> Self {
        Self {
            segments,
            previous,
            position,
            part,
        }
    }

    /// The changes for this target, in source order.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.segments.iter().flat_map(Segment::changes)
    }

    /// Whether it holds no change for this target; its position counts all the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes().next().is_none()
    }

    /// The checkpoint before it.
    #[must_use]
    pub fn previous(&self) -> &Position {
        &self.previous
    }

    /// The checkpoint after it.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Whether it is whole transactions, or which part of one.
    #[must_use]
    pub fn part(&self) -> Part {
        self.part
    }

    /// Whether the target can commit after it.
    #[must_use]
    pub fn ends_transaction(&self) -> bool {
        matches!(self.part, Part::Whole | Part::Last)
    }

    /// The pieces of arenas that it is made of.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl Segment {
    /// The changes of this segment that are for this lane.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        let transactions = self.arena.transactions();
        self.arena.changes()[self.first as usize..self.end as usize]
            .iter()
            .filter_map(move |raw| {
                let route = self.routes[raw.relation as usize].as_ref()?;
                let transaction = &transactions[raw.transaction as usize];
                (transaction.commit_lsn >= route.from.0)
                    .then(|| Change::new(&self.arena, raw, transaction, &route.relation))
            })
    }
}
