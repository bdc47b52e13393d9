//! How far the next batch of a lane goes into the arenas that were loaded for it.
//!
//! Small transactions are merged up to the sync's limits, large ones go in the parts that they came
//! in, no batch has both, and none crosses a version of a relation. The [feed](super::feed) grows one
//! arena by arena, and takes what it spans.

use std::{sync::Arc, time::Duration};

use tahr_plugin_api::{Position, Route, abi::Arena};

/// How large a batch may grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// How long a batch that isn't full waits for more.
    pub(super) delay: Duration,
}

/// An arena being handed over.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) arena: Arena,
    pub(super) routes: Arc<[Option<Route>]>,
    /// The next transaction in it, and the next change of that.
    pub(super) transaction: usize,
    pub(super) change: u32,
}

/// How far a batch reaches into the loaded arenas.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// Arenas that are used up, and the place in the next one.
    pub(super) arenas: usize,
    pub(super) transaction: usize,
    pub(super) change: u32,
    rows: usize,
    bytes: usize,
    pub(super) end: Position,
    pub(super) transactions: u64,
}

/// A batch in the making.
#[derive(Debug)]
pub(super) struct Growing {
    reach: Reach,
    /// The last place where it could end with whole transactions only.
    whole: Option<Reach>,
    /// The tables in it, each with the version of its relation.
    versions: Vec<(u32, u32)>,
    limits: Limits,
    /// Whether it ends with the first transaction that ends.
    is_single: bool,
}

impl Growing {
    /// One that begins behind `at`, with what is left of `front`.
    pub(super) fn new(front: &Loaded, at: Position, limits: Limits, is_single: bool) -> Self {
        Self {
            reach: Reach {
                arenas: 0,
                transaction: front.transaction,
                change: front.change,
                rows: 0,
                bytes: 0,
                end: at,
                transactions: 0,
            },
            whole: None,
            versions: Vec::new(),
            limits,
            is_single,
        }
    }

    /// The arena that comes next: its place among the loaded ones.
    pub(super) fn next_arena(&self) -> usize {
        self.reach.arenas
    }

    /// How long it waits for more.
    pub(super) fn patience(&self) -> Duration {
        match self.reach.end.is_inside() {
            true => Duration::ZERO,
            false => self.limits.delay,
        }
    }

    /// Adds the transactions of the next arena as far as they fit; whether the batch is complete.
    pub(super) fn add(&mut self, loaded: &Loaded) -> bool {
        // None of it yet, whether it is found to fit or not.
        self.reach.transaction = loaded.transaction;
        self.reach.change = loaded.change;
        let is_complete =
            crosses_version(&loaded.routes, &mut self.versions) || self.fill(&loaded.arena);
        self.reach.arenas += usize::from(!is_complete);
        is_complete
    }

    fn fill(&mut self, arena: &Arena) -> bool {
        let (reach, limits) = (&mut self.reach, self.limits);
        let bytes_per_change = arena.data().len() / arena.changes().len().max(1);
        while reach.transaction < arena.transactions().len() {
            let (_, end) = arena.changes_of(reach.transaction);
            let rows = (end - reach.change) as usize;
            let has_some = reach.rows > 0;
            let bytes = rows * bytes_per_change;
            let is_full = reach.rows + rows > limits.rows || reach.bytes + bytes > limits.bytes;
            if has_some && is_full {
                return true;
            }
            reach.rows += rows;
            reach.bytes += bytes;
            reach.end = arena.position_after(reach.transaction);
            reach.transaction += 1;
            reach.change = end;
            if !reach.end.is_inside() {
                reach.transactions += 1;
                self.whole = Some(reach.clone());
                if self.is_single {
                    return true;
                }
            }
        }
        false
    }

    /// How far it goes; none where nothing lies behind `at`.
    pub(super) fn finish(self, at: &Position) -> Option<Reach> {
        // A part and whole transactions don't go together: the part comes next.
        let reach = match self.whole {
            Some(whole) if self.reach.end.is_inside() => whole,
            _ => self.reach,
        };
        (reach.end != *at).then_some(reach)
    }
}

/// Whether the relations of an arena include another version of a table already in the batch;
/// otherwise they are added to it.
fn crosses_version(routes: &[Option<Route>], versions: &mut Vec<(u32, u32)>) -> bool {
    let news = || {
        let routes = routes.iter().flatten();
        routes.map(|route| (route.relation.oid, route.relation.version))
    };
    let crosses = |&(oid, version): &(u32, u32)| {
        let mut known = versions.iter();
        known.any(|&(known, at)| known == oid && at != version)
    };
    if news().any(|new| crosses(&new)) {
        return true;
    }
    for new in news() {
        if !versions.contains(&new) {
            versions.push(new);
        }
    }
    false
}
