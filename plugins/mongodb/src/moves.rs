//! Changes in their order: for keys that move, and for rows that a unique index ties together.
//!
//! An `_id` can't be changed, so a row that moves is a delete and a new document. What the source did
//! not send of it comes from the batch, or from the old document, which was read before the first
//! write.
//!
//! Where a key is checked at commit only, a row may move to a key that another row has not left
//! yet (`UPDATE t SET id = id + 1`). That row is *displaced*: what then leaves the key is the
//! displaced row, not the one that took it. Rows still displaced at the end of a part of a
//! transaction are kept in the checkpoint; their source sends whole rows, so that their keys are all
//! that has to be known.

use std::collections::HashMap;

use tahr_plugin_api::{Change, Lsn, Op, Row, WriteError};

use crate::{
    commands::Commands,
    documents::Cell,
    plan::{Group, Held, is_partial, sent},
    raw,
    table::Table,
};

/// Keys, by collection, that rows of the open transaction have lost to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Displaced(pub(crate) Vec<(String, Vec<u8>)>);

impl Displaced {
    /// Forgets the rows of a collection.
    pub(crate) fn forget(&mut self, collection: &str) {
        self.0.retain(|(name, _)| name != collection);
    }

    /// Whether rows of a collection are displaced.
    pub(crate) fn has_some(&self, collection: &str) -> bool {
        self.0.iter().any(|(name, _)| name == collection)
    }

    fn add(&mut self, collection: &str, id: &[u8]) {
        self.0.push((collection.to_owned(), id.to_vec()));
    }

    /// Takes one row's entry; false where there is none.
    fn take(&mut self, collection: &str, id: &[u8]) -> bool {
        let mut entries = self.0.iter();
        let found = entries.position(|(name, key)| name == collection && key == id);
        if let Some(place) = found {
            self.0.swap_remove(place);
        }
        found.is_some()
    }
}

/// A row: its newest changes, and the document that has what they leave out.
#[derive(Clone, Debug)]
struct Content<'a> {
    /// Oldest first.
    changes: Vec<Change<'a>>,
    /// The `_id` of that document; none where the changes are whole.
    base: Option<Vec<u8>>,
}

/// What a key holds, as far as the batch has changed it.
#[derive(Clone, Debug)]
enum State<'a> {
    Row(Content<'a>),
    Gone,
}

/// One table's changes, in order.
#[derive(Debug)]
pub(crate) struct Moves<'p, 'a> {
    number: usize,
    table: &'p Table,
    held: &'p Held,
    states: HashMap<Vec<u8>, State<'a>>,
    displaced: &'p mut Displaced,
    /// What displaced rows hold, where the batch knows.
    lost: HashMap<Vec<u8>, Vec<Option<Content<'a>>>>,
    is_truncated: bool,
}

impl<'p, 'a> Moves<'p, 'a> {
    pub(crate) fn new(
        (number, table): (usize, &'p Table),
        group: &Group<'a>,
        held: &'p Held,
        displaced: &'p mut Displaced,
    ) -> Self {
        Self {
            number,
            table,
            held,
            states: HashMap::new(),
            displaced,
            lost: HashMap::new(),
            is_truncated: group.truncate.is_some(),
        }
    }

    /// Writes the commands of the group's changes.
    pub(crate) fn write(
        &mut self,
        group: &Group<'a>,
        commands: &mut Commands,
    ) -> Result<(), WriteError> {
        let mut transaction: Option<Lsn> = None;
        for &(index, change) in &group.changes {
            // At its commit a transaction has given every row a key of its own.
            if transaction.is_some_and(|before| before != change.commit_lsn()) {
                self.displaced.forget(&self.table.collection);
                self.lost.clear();
            }
            transaction = Some(change.commit_lsn());
            self.change(index, change, commands)
                .map_err(|error| match error.change {
                    Some(_) => error,
                    None => error.change(index),
                })?;
        }
        Ok(())
    }

    fn change(
        &mut self,
        index: usize,
        change: Change<'a>,
        commands: &mut Commands,
    ) -> Result<(), WriteError> {
        let to = (self.number, self.table);
        let old = |row: Row<'a>, commands: &mut Commands| {
            let cell = |column| Cell::Sent(row.value(column));
            commands.documents.id_bytes(self.table, cell)
        };
        let new = |commands: &mut Commands| {
            let cell = |column| Cell::Sent(change.value(column));
            commands.documents.id_bytes(self.table, cell)
        };
        let content = Content {
            changes: vec![change],
            base: None,
        };
        match (change.op(), change.old_row()) {
            (Op::Insert, _) => {
                let key = new(commands)?;
                if self.states.contains_key(&key) {
                    commands.put(to, index, |column| Cell::Sent(change.value(column)))?;
                } else {
                    commands.insert(to, index, |column| Cell::Sent(change.value(column)))?;
                }
                self.states.insert(key, State::Row(content));
                Ok(())
            }
            (Op::Delete, Some(row)) => {
                let key = old(row, commands)?;
                self.take(&key, index, commands).map(drop)
            }
            (Op::Update, Some(row)) if change.moves_key(&self.table.key) => {
                let (old, new) = (old(row, commands)?, new(commands)?);
                self.moved(index, change, old, new, commands)
            }
            (Op::Update, _) => {
                let key = new(commands)?;
                self.updated(index, change, key, commands)
            }
            (op, _) => Err(WriteError::fatal(format!(
                "{op:?} of table {:?} comes without its row",
                self.table.collection
            ))),
        }
    }

    /// An update that leaves its row where it is.
    fn updated(
        &mut self,
        index: usize,
        change: Change<'a>,
        key: Vec<u8>,
        commands: &mut Commands,
    ) -> Result<(), WriteError> {
        let to = (self.number, self.table);
        let cell = |column| Cell::Sent(change.value(column));
        if !is_partial(self.table, &change) {
            commands.put(to, index, cell)?;
            let content = Content {
                changes: vec![change],
                base: None,
            };
            self.states.insert(key, State::Row(content));
            return Ok(());
        }
        match self.states.get_mut(&key) {
            Some(State::Row(content)) => content.changes.push(change),
            Some(State::Gone) => return Err(missing(&self.table.collection)),
            None => {
                let content = Content {
                    changes: vec![change],
                    base: Some(key.clone()),
                };
                self.states.insert(key, State::Row(content));
            }
        }
        commands.set(to, index, cell, |column| sent(change.value(column)))
    }

    /// An update that gives its row another key.
    fn moved(
        &mut self,
        index: usize,
        change: Change<'a>,
        old: Vec<u8>,
        new: Vec<u8>,
        commands: &mut Commands,
    ) -> Result<(), WriteError> {
        let origin = self.take(&old, index, commands)?;
        let held = || self.held.contains_key(&(self.number, new.clone()));
        let before = match self.states.get(&new) {
            Some(State::Row(content)) => Some(content.clone()),
            Some(State::Gone) => None,
            None if self.is_truncated || !held() => None,
            None => Some(Content {
                changes: Vec::new(),
                base: Some(new.clone()),
            }),
        };
        if let Some(content) = before {
            self.displaced.add(&self.table.collection, &new);
            self.lost
                .entry(new.clone())
                .or_default()
                .push(Some(content));
        }
        let mut content = Content {
            changes: vec![change],
            base: None,
        };
        if is_partial(self.table, &change) {
            let origin = origin.ok_or_else(|| missing(&self.table.collection))?;
            content = origin;
            content.changes.push(change);
        }
        let base = match &content.base {
            Some(id) => {
                let document = self.held.get(&(self.number, id.clone()));
                if document.is_none() && !self.table.is_emptied {
                    return Err(missing(&self.table.collection));
                }
                document
            }
            None => None,
        };
        let table = self.table;
        let cell = |column: usize| {
            let mut changes = content
                .changes
                .iter()
                .rev()
                .map(|change| change.value(column));
            match (changes.find(|value| !value.is_unchanged()), base) {
                (Some(value), _) => Cell::Sent(value),
                (None, Some(document)) => held_cell(table, column, document),
                (None, None) => Cell::Sent(tahr_plugin_api::Value::Null),
            }
        };
        commands.put((self.number, table), index, cell)?;
        self.states.insert(new, State::Row(content));
        Ok(())
    }

    /// The row that leaves `key`, be it the displaced one or the one that is there; none where its
    /// content is not known.
    fn take(
        &mut self,
        key: &[u8],
        index: usize,
        commands: &mut Commands,
    ) -> Result<Option<Content<'a>>, WriteError> {
        if self.displaced.take(&self.table.collection, key) {
            return Ok(self.lost.get_mut(key).and_then(Vec::pop).flatten());
        }
        let origin = match self.states.insert(key.to_vec(), State::Gone) {
            Some(State::Row(content)) => Some(content),
            Some(State::Gone) => None,
            None if self.is_truncated => None,
            None => Some(Content {
                changes: Vec::new(),
                base: Some(key.to_vec()),
            }),
        };
        commands.delete_id((self.number, self.table), index, key)?;
        Ok(origin)
    }
}

/// What a document holds for a column; null where the column is younger than it.
fn held_cell<'d>(table: &Table, column: usize, document: &'d [u8]) -> Cell<'d> {
    let name = table.fields[column].name.as_deref().unwrap_or("_id");
    raw::elements(document)
        .find(|(field, ..)| *field == name)
        .map_or(Cell::Held(raw::kind::NULL, &[]), |(_, bytes, kind)| {
            Cell::Held(kind, bytes)
        })
}

/// The error of an update in part of a row that is not there.
pub(crate) fn missing(collection: &str) -> WriteError {
    WriteError::rejected(format!(
        "a document of collection {collection:?} is missing that an update changes in part"
    ))
    .hint(
        "the collection was changed by others; to copy the sync's tables anew: `tahr drop SYNC`, \
         set `existing = \"replace\"` in the sync, `tahr run`",
    )
    .table(collection)
}
