//! What a verification asks of a lane while it streams: to say which rows it touches, and to put
//! rows in order at a place between two transactions.
//!
//! A row that was read in the source, and then in the target, is told to differ only if no change of
//! it went by in between. So the keys that are being looked at are *watched*: the lane notes them as
//! it hands their changes to its writer, before they are written. The same makes a repair safe: it
//! is an ordinary batch, written by the lane itself after everything that was committed before the
//! rows were read, and only of rows that no later change has reached.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tahr_plugin_api::{
    Batch, Lsn, Op, Part, Relation, Route, Row, Segment, Value, WriteError, Written,
    abi::{Arena, RemoteWriter},
    read_back::Digester,
};

use super::{
    feed::Feed,
    worker::{Flow, Worker},
};

/// How long the writing of a repair is waited for.
const UNDER_WAY: Duration = Duration::from_secs(120);
/// How often a lane that waits is made to look.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Rows to be put in order.
#[derive(Clone, Debug)]
pub struct Order {
    /// The table as the lane sees it.
    pub relation: Arc<Relation>,
    /// What brings the rows about.
    pub arena: Arena,
    /// Everything that was committed before the rows were read lies before it.
    pub after: Lsn,
}

/// What became of an [`Order`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mended {
    /// It was written.
    Done,
    /// Changes have reached some of its rows, so nothing was written.
    Overtaken,
    /// It could not be written; the lane goes on.
    Failed(WriteError),
}

/// What is asked of one lane. The lane's thread looks here; nothing but a flag while nobody asks.
#[derive(Debug, Default)]
pub struct Attendant {
    /// Whether there is anything.
    is_wanted: AtomicBool,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    /// By table and key: whether a change of it went by.
    watched: HashMap<(u32, u64), bool>,
    order: Option<Order>,
    mended: Option<Mended>,
}

/// The key of a row of `relation`, whose columns are at these positions, as a number.
#[must_use]
pub fn key_number(row: Row<'_>, key: &[usize]) -> u64 {
    let mut digester = Digester::default();
    for value in row.select(key) {
        match value {
            Value::Null | Value::Unchanged => digester.null(true),
            Value::Text(_, text) => digester.value(true, 0, text.as_bytes()),
            Value::Bytes(bytes) => digester.value(true, 1, bytes),
        }
    }
    digester.finish().key
}

impl Attendant {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches these keys of a table from now on, and no others.
    pub fn watch(&self, oid: u32, keys: impl IntoIterator<Item = u64>) {
        let mut inner = self.lock();
        inner.watched = keys.into_iter().map(|key| ((oid, key), false)).collect();
        self.is_wanted.store(true, Ordering::SeqCst);
    }

    /// Those of the watched keys that changes have reached.
    #[must_use]
    pub fn touched(&self) -> HashSet<u64> {
        let inner = self.lock();
        let touched = inner.watched.iter().filter(|(_, touched)| **touched);
        touched.map(|((_, key), _)| *key).collect()
    }

    /// Has rows put in order, whose keys are watched; waits up to `patience` for the lane to come to
    /// it, which `wake` makes it look. None where it has not: then it will not.
    pub fn order(&self, order: Order, patience: Duration, wake: impl Fn()) -> Option<Mended> {
        let begun = Instant::now();
        let mut inner = self.lock();
        inner.mended = None;
        inner.order = Some(order);
        loop {
            drop(inner);
            wake();
            inner = self.lock();
            if inner.mended.is_none() {
                let waited = self.changed.wait_timeout(inner, LOOK_AGAIN);
                inner = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if let Some(mended) = inner.mended.take() {
                return Some(mended);
            }
            // One that the lane has taken up is under way.
            let is_over = begun.elapsed() >= patience;
            if is_over && inner.order.take().is_some() {
                return None;
            }
            if begun.elapsed() >= patience + UNDER_WAY {
                let silent = WriteError::transient("the lane does not answer");
                return Some(Mended::Failed(silent));
            }
        }
    }

    /// Nothing is asked any more.
    pub fn rest(&self) {
        self.is_wanted.store(false, Ordering::SeqCst);
        *self.lock() = Inner::default();
    }

    /// Notes what `batch` is about to change.
    fn note(&self, batch: &Batch) {
        if !self.is_wanted.load(Ordering::SeqCst) {
            return;
        }
        let mut inner = self.lock();
        let tables: HashSet<u32> = inner.watched.keys().map(|(oid, _)| *oid).collect();
        let mut key: (u32, Vec<usize>) = (0, Vec::new());
        for change in batch.changes() {
            let relation = change.relation();
            if !tables.contains(&relation.oid) {
                continue;
            }
            if change.op() == Op::Truncate {
                let all = inner.watched.iter_mut();
                all.filter(|((oid, _), _)| *oid == relation.oid)
                    .for_each(|(_, touched)| *touched = true);
                continue;
            }
            if key.0 != relation.version {
                key = (relation.version, relation.key());
            }
            for row in [change.old_row(), change.new_row()].into_iter().flatten() {
                let number = key_number(row, &key.1);
                if let Some(touched) = inner.watched.get_mut(&(relation.oid, number)) {
                    *touched = true;
                }
            }
        }
    }

    /// The order that can be met by a lane that holds everything before `at`.
    fn due(&self, at: Lsn) -> Option<Order> {
        if !self.is_wanted.load(Ordering::SeqCst) {
            return None;
        }
        let mut inner = self.lock();
        inner.order.take_if(|order| order.after <= at)
    }

    fn has_touched(&self) -> bool {
        self.lock().watched.values().any(|touched| *touched)
    }

    fn answer(&self, mended: Mended) {
        self.lock().mended = Some(mended);
        self.changed.notify_all();
    }
}

impl Worker {
    /// Notes the changes that the writer is about to be given.
    pub(super) fn attend(&self, batch: &Batch) {
        self.setup.attendant.note(batch);
    }

    /// Puts rows in order, if that is asked for and it is the time and place for it: between two
    /// transactions, with everything stored. How the attempt ends, where it does.
    pub(super) fn mend(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &mut Feed,
        is_accepted: &mut bool,
    ) -> Result<Option<Flow>, WriteError> {
        if feed.is_open() || feed.at().is_inside() || *is_accepted {
            return Ok(None);
        }
        let Some(order) = self.setup.attendant.due(feed.at().lsn) else {
            return Ok(None);
        };
        if self.setup.attendant.has_touched() {
            self.setup.attendant.answer(Mended::Overtaken);
            return Ok(None);
        }
        let rows = order.arena.changes().len();
        match self.put(writer, feed, order) {
            Ok(Some(written)) => {
                *is_accepted = written == Written::Accepted;
                self.setup.status.update(|status| {
                    *status
                        .counters
                        .entry("rows_repaired".to_owned())
                        .or_default() += rows as u64;
                });
                self.setup.attendant.answer(Mended::Done);
                Ok(None)
            }
            Ok(None) => {
                let again = WriteError::transient("the lane had to start over");
                self.setup.attendant.answer(Mended::Failed(again));
                Ok(Some(Flow::Again))
            }
            // It was no change of the source, so it parks nothing.
            Err(error) => {
                tracing::warn!(lane = %self.setup.name(), %error, "rows could not be repaired");
                self.setup.attendant.answer(Mended::Failed(error));
                Ok(Some(Flow::Again))
            }
        }
    }

    /// Writes an order at the lane's position; none where it has to start over.
    fn put(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &mut Feed,
        order: Order,
    ) -> Result<Option<Written>, WriteError> {
        let route = Route {
            relation: order.relation,
            from: Lsn::ZERO,
        };
        let segment = Segment {
            first: 0,
            end: u32::try_from(order.arena.changes().len()).unwrap_or(u32::MAX),
            routes: vec![Some(route)].into(),
            arena: order.arena,
        };
        let (previous, at) = (feed.given().clone(), feed.at().clone());
        let batch = Batch::new(vec![segment], previous.clone(), at.clone(), Part::Whole);
        if self.prepare(writer, &batch)? {
            return Ok(None);
        }
        self.reached = self.reached.take().max(Some(at.clone()));
        let written = writer.write(&batch)?;
        if self.moved(&written, &previous)? {
            return Ok(None);
        }
        feed.advanced(at);
        if let Written::Stored(position) = &written {
            self.setup.log.stored(self.setup.id, position.clone());
            let position = Some(position.clone());
            self.setup.status.update(|status| status.stored = position);
        }
        Ok(Some(written))
    }
}
