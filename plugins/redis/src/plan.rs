//! From the changes of a batch to what each key is to hold after it, each key once.
//!
//! # Keys that move
//!
//! An update may move a row to another key, and under a deferred constraint to one that another
//! row has not left yet (`UPDATE t SET id = id + 1`, or two rows that swap). That row is *displaced*:
//! what then leaves the key is the displaced row, not the one that took it. Whether a key was taken
//! is known from the batch, or read ahead. Rows still displaced at the end of a part of a
//! transaction are remembered in the checkpoint.

use std::collections::{HashMap, HashSet};

use tahr_plugin_api::{Op, Row, Value};

use crate::{
    reads::{Reads, is_partial},
    table::{Step, Steps, Table, value},
};

/// A value to store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    /// As the source sent it.
    Sent(Value<'a>),
    /// As the target held it, under this key or another.
    Held(Option<&'a [u8]>),
}

/// The values of a row by column.
#[derive(Clone, Debug)]
pub(crate) enum Content<'a> {
    /// One row of the source.
    Row(Row<'a>),
    /// Put together from several.
    Cells(Vec<Cell<'a>>),
}

impl<'a> Content<'a> {
    /// The value of `column`.
    pub(crate) fn get(&self, column: usize) -> Cell<'a> {
        match self {
            Self::Row(row) => Cell::Sent(row.value(column)),
            Self::Cells(cells) => cells[column],
        }
    }
}

/// What a key is to hold.
#[derive(Clone, Debug)]
pub(crate) enum State<'a> {
    /// This row and nothing else.
    Full(Content<'a>),
    /// What it holds, but for these columns; the others are [`Value::Unchanged`].
    Part(Content<'a>),
    /// Nothing.
    Gone,
}

/// One key to write.
pub(crate) struct Entry<'a> {
    /// Its table.
    pub(crate) table: usize,
    /// The key.
    pub(crate) key: &'a [u8],
    /// What it is to hold.
    pub(crate) state: State<'a>,
    /// The change to blame.
    pub(crate) change: usize,
}

/// Where values that were not sent come from.
enum Origin<'a> {
    /// The target still holds them.
    Target,
    /// The batch says.
    State(State<'a>),
    /// They are lost.
    Nowhere,
}

/// All keys to write.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    entries: Vec<Option<Entry<'a>>>,
    index: HashMap<&'a [u8], usize>,
    displaced: HashMap<&'a [u8], Vec<Origin<'a>>>,
    truncated: HashSet<usize>,
    /// Updates that found no row to complete.
    pub(crate) missed: u64,
}

impl<'a> Plan<'a> {
    /// Plans `steps`; `displaced` are the keys that rows of the open transaction have lost.
    pub(crate) fn new(
        steps: &'a Steps<'a>,
        tables: &[Table],
        reads: &'a Reads,
        displaced: &'a [String],
    ) -> Self {
        let mut plan = Self::default();
        plan.entries.reserve(steps.list.len());
        plan.index.reserve(steps.list.len());
        for key in displaced {
            let lost = plan.displaced.entry(key.as_bytes()).or_default();
            lost.push(Origin::Nowhere);
        }
        let mut transaction = steps.list.first().map(|step| step.change.commit_lsn());
        for (change, step) in steps.list.iter().enumerate() {
            if transaction != Some(step.change.commit_lsn()) {
                // At its commit a transaction has given every row a key of its own.
                transaction = Some(step.change.commit_lsn());
                plan.displaced.clear();
            }
            let (old, new) = (steps.old_key(step), steps.new_key(step));
            match (step.change.op(), new) {
                (Op::Truncate, _) => plan.truncate(step.table, &tables[step.table]),
                (Op::Delete, _) => {
                    if let Some(key) = old {
                        plan.take(step.table, key, change);
                    }
                }
                (Op::Insert, Some(key)) => {
                    if let Some(row) = step.change.new_row() {
                        plan.put(step.table, key, State::Full(Content::Row(row)), change);
                    }
                }
                (Op::Update, Some(key)) => {
                    let old = old.filter(|old| *old != key);
                    plan.update(step, &tables[step.table], reads, old, key, change);
                }
                _ => {}
            }
        }
        plan
    }

    /// The keys to write, in no order that matters.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter().flatten()
    }

    /// Tables to empty first.
    pub(crate) fn truncated(steps: &Steps<'_>) -> Vec<usize> {
        let steps = steps.list.iter();
        let truncates = steps.filter(|step| step.change.op() == Op::Truncate);
        let tables: HashSet<usize> = truncates.map(|step| step.table).collect();
        tables.into_iter().collect()
    }

    /// Keys that rows have lost to others and not left yet.
    pub(crate) fn displaced(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for (key, rows) in &self.displaced {
            let key = String::from_utf8_lossy(key);
            keys.extend(rows.iter().map(|_| key.clone().into_owned()));
        }
        keys
    }

    fn put(&mut self, table: usize, key: &'a [u8], state: State<'a>, change: usize) {
        let entry = Entry {
            table,
            key,
            state,
            change,
        };
        match self.index.entry(key) {
            std::collections::hash_map::Entry::Occupied(place) => {
                self.entries[*place.get()] = Some(entry);
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(self.entries.len());
                self.entries.push(Some(entry));
            }
        }
    }

    fn state(&self, key: &[u8]) -> Option<&State<'a>> {
        let entry = self.entries[*self.index.get(key)?].as_ref()?;
        Some(&entry.state)
    }

    fn origin(&self, table: usize, key: &[u8]) -> Origin<'a> {
        match self.state(key) {
            Some(state) => Origin::State(state.clone()),
            None if self.truncated.contains(&table) => Origin::Nowhere,
            None => Origin::Target,
        }
    }

    /// The row that leaves `key`, be it the displaced one or the one that is there.
    fn take(&mut self, table: usize, key: &'a [u8], change: usize) -> Origin<'a> {
        if let Some(rows) = self.displaced.get_mut(key)
            && let Some(origin) = rows.pop()
        {
            return origin;
        }
        let origin = self.origin(table, key);
        self.put(table, key, State::Gone, change);
        origin
    }

    fn truncate(&mut self, number: usize, table: &Table) {
        let is_other = |entry: &Entry<'_>| entry.table != number;
        for place in &mut self.entries {
            if let Some(entry) = place.take_if(|entry| !is_other(entry)) {
                self.index.remove(entry.key);
            }
        }
        let prefix = table.key.prefix().as_bytes();
        self.displaced.retain(|key, _| !key.starts_with(prefix));
        self.truncated.insert(number);
    }

    fn update(
        &mut self,
        step: &'a Step<'a>,
        table: &Table,
        reads: &'a Reads,
        old: Option<&'a [u8]>,
        key: &'a [u8],
        change: usize,
    ) {
        let Some(row) = step.change.new_row() else {
            return;
        };
        let is_partial = is_partial(table, row, step);
        let content = || content(table, row, step.change.old_row());
        let Some(old) = old else {
            let state = if !is_partial {
                Some(State::Full(content()))
            } else {
                match self.origin(step.table, key) {
                    Origin::State(State::Part(before)) => {
                        Some(State::Part(merged(&before, &content(), table)))
                    }
                    // A document can't be changed in part: what was read of it is completed.
                    Origin::Target if reads.held(key).is_none() && !reads.is_document() => {
                        Some(State::Part(content()))
                    }
                    origin => completed(&origin, key, &content(), table, reads).map(State::Full),
                }
            };
            match state {
                Some(state) => self.put(step.table, key, state, change),
                None => self.missed += 1,
            }
            return;
        };
        let origin = self.take(step.table, old, change);
        let is_taken = match self.origin(step.table, key) {
            Origin::State(State::Gone) | Origin::Nowhere => false,
            Origin::State(_) => true,
            Origin::Target => reads.exists(key),
        };
        if is_taken {
            let displaced = self.origin(step.table, key);
            self.displaced.entry(key).or_default().push(displaced);
        }
        let state = if is_partial {
            completed(&origin, old, &content(), table, reads).map(State::Full)
        } else {
            Some(State::Full(content()))
        };
        self.missed += u64::from(state.is_none());
        self.put(step.table, key, state.unwrap_or(State::Gone), change);
    }
}

/// The new row, completed from the old one where the source sent that whole.
fn content<'a>(table: &Table, row: Row<'a>, old: Option<Row<'a>>) -> Content<'a> {
    if old.is_none() || !row.has_unchanged() {
        return Content::Row(row);
    }
    let columns = 0..table.relation.columns.len();
    Content::Cells(
        columns
            .map(|column| Cell::Sent(value(row, old, column)))
            .collect(),
    )
}

/// `after` where it has a value, `before` elsewhere.
fn merged<'a>(before: &Content<'a>, after: &Content<'a>, table: &Table) -> Content<'a> {
    let columns = 0..table.relation.columns.len();
    Content::Cells(
        columns
            .map(|column| match after.get(column) {
                Cell::Sent(Value::Unchanged) => before.get(column),
                cell => cell,
            })
            .collect(),
    )
}

/// The whole row: `after` upon what `origin` says was there before.
fn completed<'a>(
    origin: &Origin<'a>,
    key: &[u8],
    after: &Content<'a>,
    table: &Table,
    reads: &'a Reads,
) -> Option<Content<'a>> {
    let held = || {
        let held = reads.held(key)?.iter();
        Some(Content::Cells(
            held.map(|value| Cell::Held(value.as_deref())).collect(),
        ))
    };
    match origin {
        Origin::Target => Some(merged(&held()?, after, table)),
        Origin::State(State::Full(before)) => Some(merged(before, after, table)),
        Origin::State(State::Part(before)) => {
            Some(merged(&merged(&held()?, before, table), after, table))
        }
        Origin::State(State::Gone) | Origin::Nowhere => None,
    }
}
