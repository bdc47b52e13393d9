//! A target in this process's memory, which fails as it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    iter,
    sync::{Mutex, MutexGuard, PoisonError},
};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    Batch, Capabilities, Change, Host, Op, Relation, Row, SimpleWriter, Value, WriteError,
    testing::{self, Subject},
};

type Cells = Vec<Option<String>>;

/// What one lane has committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    pub(super) state: Option<String>,
    /// By table, then by key: rows of one key come and go in order.
    tables: BTreeMap<String, BTreeMap<String, VecDeque<Cells>>>,
}

/// What goes wrong at the next commit or put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Commits, and loses the answer.
    Lost,
    /// Fails before it commits.
    Refused,
    /// Panics when it is given changes.
    Panic,
}

#[derive(Debug, Default)]
struct Target {
    lanes: BTreeMap<String, Stored>,
    poison: Option<String>,
    fault: Option<Fault>,
}

static TARGETS: Mutex<BTreeMap<String, Target>> = Mutex::new(BTreeMap::new());

fn targets() -> MutexGuard<'static, BTreeMap<String, Target>> {
    TARGETS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<T>(name: &str, act: impl FnOnce(&mut Target) -> T) -> T {
    act(targets().entry(name.to_owned()).or_default())
}

/// What the lane of [`testing::stream`] has committed in the target `name`.
pub(super) fn change<T>(name: &str, act: impl FnOnce(&mut Stored) -> T) -> T {
    with(name, |target| {
        act(target.lanes.entry("shop.main".to_owned()).or_default())
    })
}

pub(super) fn fail(name: &str, fault: Fault) {
    with(name, |target| target.fault = Some(fault));
}

/// The rows of `relation` in the target `name`.
pub(super) fn rows(name: &str, relation: &Relation) -> Vec<testing::Row> {
    let table = relation.target.to_string();
    let rows = change(name, |stored| stored.tables.get(&table).cloned());
    let rows = rows.unwrap_or_default();
    let padded = rows.into_values().flatten().map(|mut row| {
        row.resize(relation.columns.len(), None);
        row
    });
    padded.collect()
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Options {
    name: String,
}

/// `WHOLE`: has transactions.
#[derive(Debug)]
pub(super) struct Memory<const WHOLE: bool> {
    name: String,
    open: Option<Stored>,
}

impl<const WHOLE: bool> SimpleWriter for Memory<WHOLE> {
    type Options = Options;
    const NAME: &'static str = "memory";

    fn capabilities() -> Capabilities {
        Capabilities {
            transactions: WHOLE,
            transactional_ddl: true,
            ..Capabilities::default()
        }
    }

    fn open(options: &Options, _host: &Host) -> Result<Self, WriteError> {
        Ok(Self {
            name: options.name.clone(),
            open: None,
        })
    }

    fn stored(&mut self, lane: &str) -> Result<Option<String>, WriteError> {
        Ok(with(&self.name, |target| {
            target.lanes.get(lane).and_then(|lane| lane.state.clone())
        }))
    }

    fn put(&mut self, lane: &str, batch: &Batch) -> Result<(), WriteError> {
        assert!(!batch.is_empty(), "an empty batch");
        let (stored, poison, fault) = with(&self.name, |target| {
            let stored = target.lanes.get(lane).cloned().unwrap_or_default();
            let panics = target.fault.take_if(|fault| *fault == Fault::Panic);
            (stored, target.poison.clone(), panics)
        });
        assert_eq!(fault, None, "told to panic");
        let open = self.open.get_or_insert(stored);
        for (index, change) in batch.changes().enumerate() {
            let id = change.new_row().and_then(|row| row.value(0).text());
            if poison.is_some() && id == poison.as_deref() {
                return Err(WriteError::rejected("poisoned").change(index));
            }
            apply(open, &change);
        }
        Ok(())
    }

    fn commit(
        &mut self,
        lane: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<bool, WriteError> {
        with(&self.name, |target| {
            if target
                .fault
                .take_if(|fault| *fault == Fault::Refused)
                .is_some()
            {
                return Err(WriteError::transient("refused"));
            }
            let stored = target.lanes.entry(lane.to_owned()).or_default();
            if stored.state.as_deref() != from {
                return Ok(false);
            }
            if let Some(open) = self.open.take() {
                *stored = open;
            }
            stored.state = to.map(str::to_owned);
            match target.fault.take_if(|fault| *fault == Fault::Lost) {
                Some(_) => Err(WriteError::transient("the answer was lost")),
                None => Ok(true),
            }
        })
    }
}

fn apply(stored: &mut Stored, change: &Change<'_>) {
    let relation = change.relation();
    let table = stored
        .tables
        .entry(relation.target.to_string())
        .or_default();
    let key = |row: Row<'_>| {
        let mut key = relation.key();
        if key.is_empty() {
            key = (0..relation.columns.len()).collect();
        }
        format!("{:?}", row.select(&key).collect::<Vec<_>>())
    };
    let named_by = change.old_row().or(change.new_row()).map(key);
    let mut before = None;
    if let (Op::Update | Op::Delete, Some(name)) = (change.op(), &named_by) {
        before = table.get_mut(name).and_then(VecDeque::pop_front);
    }
    match (change.op(), change.new_row()) {
        (Op::Truncate, _) => table.clear(),
        (_, Some(row)) => {
            let old = before.into_iter().flatten().chain(iter::repeat(None));
            let cells = row.values().zip(old).map(|(value, old)| match value {
                Value::Null => None,
                Value::Unchanged => old,
                Value::Text(_, text) => Some(text.to_owned()),
                Value::Bytes(bytes) => {
                    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
                    Some(format!("\\x{}", digits.collect::<String>()))
                }
            });
            let cells = cells.collect();
            table.entry(key(row)).or_default().push_back(cells);
        }
        (_, None) => {}
    }
}

/// The newest target under test.
#[derive(Debug, Default)]
pub(super) struct Newest(String);

impl Subject for Newest {
    fn fresh(&mut self) -> serde_json::Value {
        self.0 = fresh();
        serde_json::json!({ "name": self.0 })
    }

    fn rows(&mut self, relation: &Relation) -> Vec<testing::Row> {
        rows(&self.0, relation)
    }

    fn poison(&mut self, _: &Relation, id: &str) -> bool {
        with(&self.0, |target| target.poison = Some(id.to_owned()));
        true
    }

    fn cure(&mut self, _: &Relation, _: &str) {
        with(&self.0, |target| target.poison = None);
    }

    fn has_bookkeeping(&mut self) -> bool {
        change(&self.0, |stored| stored.state.is_some())
    }
}

/// The name of an empty target.
pub(super) fn fresh() -> String {
    let mut targets = targets();
    let name = targets.len().to_string();
    targets.insert(name.clone(), Target::default());
    name
}
