//! From the log's arenas to the batches of one lane.
//!
//! What is read is handed over once, in order, whatever becomes of the log meanwhile; where a batch
//! ends [`Growing`] says. A transaction that has nothing for the lane costs nothing: it only moves
//! [`Feed::at`] on.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tahr_plugin_api::{
    Batch, Part, Position, Relation, Segment, WriteError,
    abi::{Arena, RawTransaction},
};

use super::{
    reach::{Growing, Limits, Loaded, Reach},
    route::Routes,
};
use crate::log::{Cursor, LaneId, Log, Next};

/// What comes next for the lane.
#[derive(Debug)]
pub(super) enum Fed {
    /// A batch, and how many changes for this lane and transaction ends are in it.
    Batch {
        batch: Batch,
        changes: u64,
        transactions: u64,
    },
    /// Nothing for this lane lies before this position, which may be inside a transaction.
    Tail(Position),
    /// What comes next has to be read again from the source first.
    Later,
    Stopped,
}

/// One lane's reading of the log.
#[derive(Debug)]
pub(super) struct Feed {
    log: Arc<Log>,
    lane: LaneId,
    cursor: Cursor,
    /// Everything up to it was handed over, or was not for this lane; never before `given`.
    at: Position,
    /// Whether a part of the transaction that `at` lies in was handed over.
    is_open: bool,
    /// The position that the writer was given last, which the next batch starts from.
    given: Position,
    loaded: VecDeque<Loaded>,
}

impl Feed {
    /// Begins behind `stored`, which the target holds.
    pub(super) fn new(log: Arc<Log>, lane: LaneId, stored: Position) -> Self {
        let cursor = log.join(lane, stored.clone());
        Self {
            log,
            lane,
            cursor,
            is_open: stored.is_inside(),
            given: stored.clone(),
            at: stored,
            loaded: VecDeque::new(),
        }
    }

    /// Everything up to it was handed over or was not for this lane.
    pub(super) fn at(&self) -> &Position {
        &self.at
    }

    /// The position that the writer was given last.
    pub(super) fn given(&self) -> &Position {
        &self.given
    }

    /// Notes that the writer was moved on to `position` without a batch.
    pub(super) fn advanced(&mut self, position: Position) {
        // A retry lies behind what was read; nothing that follows must lead back in front of it.
        self.at = self.at.clone().max(position.clone());
        self.given = position;
    }

    /// Whether the writer has been given part of a transaction and not its end.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// The next batch; waits up to `patience` for something to arrive. With `single` it holds one
    /// transaction at most.
    pub(super) fn next(
        &mut self,
        routes: &mut Routes,
        limits: Limits,
        single: bool,
        patience: Duration,
    ) -> Result<Fed, WriteError> {
        loop {
            if self.loaded.is_empty() {
                match self.load(routes, patience)? {
                    None => {}
                    Some(Fed::Tail(tail)) => {
                        if tail > self.at && !tail.is_inside() && !self.is_open {
                            self.at = tail;
                        }
                        return Ok(Fed::Tail(self.at.clone()));
                    }
                    Some(other) => return Ok(other),
                }
            }
            if let Some(reach) = self.reach(routes, limits, single)? {
                if let Some(fed) = self.take(&reach) {
                    return Ok(fed);
                }
                // Others may keep the source so busy that there never is a pause to look around in.
                if !self.at.is_inside() {
                    return Ok(Fed::Tail(self.at.clone()));
                }
            }
        }
    }

    /// Loads the arena at the cursor, from behind what was handed over; none once it is loaded.
    fn load(&mut self, routes: &mut Routes, patience: Duration) -> Result<Option<Fed>, WriteError> {
        let next = self.log.next(self.lane, self.cursor, patience);
        match next.map_err(|error| WriteError::transient(error.to_string()).hint(error.hint()))? {
            Next::Stopped => Ok(Some(Fed::Stopped)),
            Next::Tail(tail) => Ok(Some(Fed::Tail(tail))),
            Next::Later => Ok(Some(Fed::Later)),
            // All that was handed over is skipped, so nothing comes twice; what is loaded goes first.
            Next::Rewound(cursor) if self.loaded.is_empty() => {
                self.cursor = cursor;
                Ok(None)
            }
            Next::Rewound(_) => Ok(Some(Fed::Tail(self.at.clone()))),
            Next::Arena(arena) => {
                self.cursor = self.cursor.next();
                let Some((transaction, change)) = first_behind(&arena, &self.at) else {
                    return Ok(None);
                };
                let routes = arena
                    .relations()
                    .iter()
                    .map(|&version| routes.route(version));
                let routes = routes.collect::<Result<_, _>>()?;
                self.loaded.push_back(Loaded {
                    arena,
                    routes,
                    transaction,
                    change,
                });
                Ok(None)
            }
        }
    }

    /// How far the next batch goes.
    fn reach(
        &mut self,
        routes: &mut Routes,
        limits: Limits,
        single: bool,
    ) -> Result<Option<Reach>, WriteError> {
        let Some(front) = self.loaded.front() else {
            return Ok(None);
        };
        // The end of a transaction whose beginning was handed over stands alone.
        let is_single = self.is_open || single;
        let mut batch = Growing::new(front, self.at.clone(), limits, is_single);
        loop {
            if let Some(loaded) = self.loaded.get(batch.next_arena()) {
                if batch.add(loaded) {
                    break;
                }
            } else if self.load(routes, batch.patience())?.is_some() {
                break;
            }
        }
        Ok(batch.finish(&self.at))
    }

    /// Hands over what `reach` spans; none where nothing of it is for this lane.
    fn take(&mut self, reach: &Reach) -> Option<Fed> {
        let mut segments = Vec::with_capacity(reach.arenas + 1);
        for index in 0..=reach.arenas {
            let Some(loaded) = self.loaded.front_mut() else {
                break;
            };
            let is_last = index == reach.arenas;
            if is_last && loaded.change == reach.change && loaded.transaction == reach.transaction {
                break;
            }
            let all = u32::try_from(loaded.arena.changes().len()).unwrap_or(u32::MAX);
            let end = if is_last { reach.change } else { all };
            segments.push(Segment {
                arena: loaded.arena.clone(),
                first: loaded.change,
                end,
                routes: Arc::clone(&loaded.routes),
            });
            if is_last && reach.transaction < loaded.arena.transactions().len() {
                loaded.transaction = reach.transaction;
                loaded.change = reach.change;
            } else {
                self.loaded.pop_front();
            }
        }
        self.at = reach.end.clone();
        let changes: u64 = segments.iter().map(routed).sum();
        let ends = !reach.end.is_inside();
        if changes == 0 && !self.is_open {
            return None;
        }
        let part = match (self.is_open, ends) {
            (false, true) => Part::Whole,
            (false, false) => Part::First,
            (true, false) => Part::Middle,
            (true, true) => Part::Last,
        };
        self.is_open = !ends;
        let previous = std::mem::replace(&mut self.given, reach.end.clone());
        let batch = Batch::new(segments, previous, reach.end.clone(), part);
        Some(Fed::Batch {
            batch,
            changes,
            transactions: reach.transactions,
        })
    }
}

/// The first transaction and change of `arena` that `position` does not cover.
pub(crate) fn first_behind(arena: &Arena, position: &Position) -> Option<(usize, u32)> {
    let transactions = arena.transactions();
    let index = (0..transactions.len()).find(|&index| arena.position_after(index) > *position)?;
    let (first, end) = arena.changes_of(index);
    let is_inside = position.is_inside() && transactions[index].commit_lsn == position.lsn.0;
    let changes = &arena.changes()[first as usize..end as usize];
    let covered = if is_inside {
        changes.partition_point(|change| change.ordinal < position.ordinal)
    } else {
        0
    };
    Some((index, first + u32::try_from(covered).unwrap_or(0)))
}

/// How many changes of `batch` are for its lane.
pub(super) fn routed_changes(batch: &Batch) -> u64 {
    batch.segments().iter().map(routed).sum()
}

/// How many changes of `segment` are for this lane.
fn routed(segment: &Segment) -> u64 {
    let first_commit = segment.arena.transactions().first().map_or(0, commit_lsn);
    let all = segment.routes.iter().all(|route| {
        route
            .as_ref()
            .is_some_and(|route| route.from.0 <= first_commit)
    });
    match all {
        true => u64::from(segment.end - segment.first),
        false => segment.changes().count() as u64,
    }
}

fn commit_lsn(transaction: &RawTransaction) -> u64 {
    transaction.commit_lsn
}

/// The relations of `batch` that have changes for this lane.
pub(super) fn relations(batch: &Batch) -> impl Iterator<Item = &Arc<Relation>> {
    batch
        .segments()
        .iter()
        .flat_map(|segment| segment.routes.iter().flatten().map(|route| &route.relation))
}
