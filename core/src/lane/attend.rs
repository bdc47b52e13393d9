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
    Batch, Change, Lsn, Op, Relation, Row, Value, WriteError, abi::Arena, read_back::Digester,
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

impl Inner {
    fn touch(&mut self, change: &Change<'_>, key: &[usize]) {
        let oid = change.relation().oid;
        for row in [change.old_row(), change.new_row()].into_iter().flatten() {
            let number = key_number(row, key);
            if let Some(touched) = self.watched.get_mut(&(oid, number)) {
                *touched = true;
            }
        }
    }

    fn touch_table(&mut self, oid: u32) {
        let all = self.watched.iter_mut();
        all.filter(|((of, _), _)| *of == oid)
            .for_each(|(_, touched)| *touched = true);
    }
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

    /// Notes that changes may have reached all rows of the tables `oids`, whichever they were.
    pub(super) fn touch_tables(&self, oids: &[u32]) {
        if self.is_wanted.load(Ordering::SeqCst) {
            let mut inner = self.lock();
            oids.iter().for_each(|oid| inner.touch_table(*oid));
        }
    }

    /// Nothing is asked any more.
    pub fn rest(&self) {
        self.is_wanted.store(false, Ordering::SeqCst);
        *self.lock() = Inner::default();
    }

    /// Notes that the row of `change` is not what it was read as.
    pub(super) fn touch(&self, change: &Change<'_>) {
        let key = change.relation().key();
        self.lock().touch(change, &key);
    }

    /// Notes what `batch` is about to change.
    pub(super) fn note(&self, batch: &Batch) {
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
                inner.touch_table(relation.oid);
                continue;
            }
            if key.0 != relation.version {
                key = (relation.version, relation.key());
            }
            inner.touch(&change, &key.1);
        }
    }

    /// The order that can be met by a lane that holds everything before `at`.
    pub(super) fn due(&self, at: Lsn) -> Option<Order> {
        if !self.is_wanted.load(Ordering::SeqCst) {
            return None;
        }
        let mut inner = self.lock();
        inner.order.take_if(|order| order.after <= at)
    }

    pub(super) fn has_touched(&self) -> bool {
        self.lock().watched.values().any(|touched| *touched)
    }

    pub(super) fn answer(&self, mended: Mended) {
        self.lock().mended = Some(mended);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::{
        Position,
        testing::{BatchBuilder, relation},
    };

    use super::*;

    fn table(oid: u32) -> Arc<Relation> {
        let table = relation("public.t")
            .column("id", "integer")
            .column("v", "text");
        let table = table.key(["id"]).build();
        Arc::new(Relation {
            oid,
            ..table.as_ref().clone()
        })
    }

    /// The key of a row, as it is watched.
    fn watched(table: &Arc<Relation>, id: &str) -> u64 {
        let batch = BatchBuilder::after(&Position::default());
        let batch = batch.delete(table, [id]).build();
        let change = batch.changes().next().expect("a change");
        key_number(change.old_row().expect("a key"), &table.key())
    }

    #[test]
    fn a_row_is_touched_by_its_changes_and_by_a_copy_of_its_table() {
        let (one, two) = (table(1), table(2));
        let (first, second) = (watched(&one, "1"), watched(&one, "2"));
        let attendant = Attendant::default();
        attendant.watch(1, [first, second]);
        let batch = BatchBuilder::after(&Position::default())
            .insert(&one, ["1", "a"])
            .insert(&two, ["2", "b"])
            .build();
        attendant.note(&batch);
        assert_eq!(attendant.touched(), HashSet::from([first]));
        attendant.touch_tables(&[2]);
        assert_eq!(attendant.touched(), HashSet::from([first]));
        attendant.touch_tables(&[1, 2]);
        assert_eq!(attendant.touched(), HashSet::from([first, second]));
        attendant.watch(1, [second]);
        let batch = BatchBuilder::after(&Position::default())
            .delete(&one, ["2"])
            .build();
        attendant.touch(&batch.changes().next().expect("a change"));
        assert_eq!(attendant.touched(), HashSet::from([second]));
    }
}
