//! Commands in the making: `insert`, `update` and `delete`, each with as many rows as fit.
//!
//! A command is one document, so 16 MiB at most, and a few kilobytes for what the driver adds. Rows
//! are written straight into it.

use tahr_plugin_api::WriteError;

use crate::{
    documents::{Cell, Documents, LARGEST, limit},
    raw::{self, kind},
    table::Table,
};

/// Bytes from which on a command takes no more rows. Larger ones are no faster.
const FULL: usize = 4 << 20;
/// Rows of a command: the limit of servers.
const MOST_ROWS: usize = 100_000;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Insert,
    /// Replaces documents, or adds them where they are absent.
    Put,
    /// Sets fields of documents.
    Set,
    Delete,
    /// Deletes all.
    Truncate,
    /// Replaces one of the documents that equal a row.
    ReplaceEqual,
    /// Deletes one of them.
    DeleteEqual,
}

/// A command, ready to be sent.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) table: usize,
    pub(crate) verb: Verb,
    /// The BSON document.
    pub(crate) body: Vec<u8>,
    /// Per row, the index of the change that it comes from.
    pub(crate) changes: Vec<usize>,
}

/// Commands in the making, in the order in which they are to be run.
#[derive(Debug)]
pub(crate) struct Commands {
    done: Vec<Command>,
    open: Option<Open>,
    pub(crate) documents: Documents,
    /// Whether inserts are to bear rows that are there already.
    is_lenient: bool,
    is_load: bool,
}

#[derive(Debug)]
struct Open {
    command: Command,
    document: usize,
    rows: usize,
}

impl Commands {
    /// None yet. A lenient list inserts by replacing; one for loads may stop at no order.
    pub(crate) fn new(documents: Documents, is_lenient: bool, is_load: bool) -> Self {
        Self {
            done: Vec::new(),
            open: None,
            documents,
            is_lenient,
            is_load,
        }
    }

    /// All of them.
    pub(crate) fn finish(mut self) -> (Vec<Command>, Documents) {
        self.close();
        (self.done, self.documents)
    }

    /// Adds a row that should not be there yet.
    pub(crate) fn insert<'a>(
        &mut self,
        (number, table): (usize, &Table),
        change: usize,
        cell: impl Fn(usize) -> Cell<'a>,
    ) -> Result<(), WriteError> {
        if self.is_lenient && !table.key.is_empty() {
            return self.put((number, table), change, cell);
        }
        self.add((number, table), Verb::Insert, change, |documents, out| {
            documents.row(table, cell, out)
        })
    }

    /// Adds a row, or replaces it.
    pub(crate) fn put<'a>(
        &mut self,
        (number, table): (usize, &Table),
        change: usize,
        cell: impl Fn(usize) -> Cell<'a>,
    ) -> Result<(), WriteError> {
        self.add((number, table), Verb::Put, change, |documents, out| {
            let query = raw::document(out, "q");
            documents.id(table, &cell, out)?;
            raw::close(out, query);
            replacement(table, out, |out| documents.row(table, &cell, out))?;
            raw::add_bool(out, "upsert", true);
            Ok(())
        })
    }

    /// Sets those fields of a row that `cell` has a value for.
    pub(crate) fn set<'a>(
        &mut self,
        (number, table): (usize, &Table),
        change: usize,
        key: impl Fn(usize) -> Cell<'a>,
        cell: impl Fn(usize) -> Option<Cell<'a>>,
    ) -> Result<(), WriteError> {
        let set = |&column: &usize| table.fields[column].name.is_some() && cell(column).is_some();
        let columns: Vec<usize> = table.columns.iter().copied().filter(set).collect();
        if columns.is_empty() {
            return Ok(());
        }
        self.add((number, table), Verb::Set, change, |documents, out| {
            let query = raw::document(out, "q");
            documents.id(table, key, out)?;
            raw::close(out, query);
            let start = out.len();
            if table.is_special {
                let stages = raw::array(out, "u");
                for (index, &column) in columns.iter().enumerate() {
                    let (Some(cell), Some(name)) = (cell(column), &table.fields[column].name)
                    else {
                        continue;
                    };
                    let stage = raw::item_document(out, index);
                    let whole = raw::document(out, "$replaceWith");
                    let set = raw::document(out, "$setField");
                    let field = raw::document(out, "field");
                    raw::add_string(out, "$literal", name);
                    raw::close(out, field);
                    raw::add_string(out, "input", "$$ROOT");
                    let value = raw::document(out, "value");
                    documents.named("$literal", table, column, cell, out)?;
                    raw::close(out, value);
                    raw::close(out, set);
                    raw::close(out, whole);
                    raw::close(out, stage);
                }
                raw::close(out, stages);
            } else {
                let update = raw::document(out, "u");
                let set = raw::document(out, "$set");
                for &column in &columns {
                    if let Some(cell) = cell(column) {
                        documents.field(table, column, cell, out)?;
                    }
                }
                raw::close(out, set);
                raw::close(out, update);
            }
            limit(table, out.len() - start)
        })
    }

    /// Deletes a row.
    pub(crate) fn delete<'a>(
        &mut self,
        (number, table): (usize, &Table),
        change: usize,
        cell: impl Fn(usize) -> Cell<'a>,
    ) -> Result<(), WriteError> {
        self.add((number, table), Verb::Delete, change, |documents, out| {
            let query = raw::document(out, "q");
            documents.id(table, cell, out)?;
            raw::close(out, query);
            raw::add_int(out, "limit", 1);
            Ok(())
        })
    }

    /// Deletes the document of an `_id`.
    pub(crate) fn delete_id(
        &mut self,
        (number, table): (usize, &Table),
        change: usize,
        id: &[u8],
    ) -> Result<(), WriteError> {
        self.add((number, table), Verb::Delete, change, |_, out| {
            let query = raw::document(out, "q");
            raw::add_value(out, "_id", id);
            raw::close(out, query);
            raw::add_int(out, "limit", 1);
            Ok(())
        })
    }

    /// Deletes all rows.
    pub(crate) fn truncate(
        &mut self,
        (number, table): (usize, &Table),
        change: usize,
    ) -> Result<(), WriteError> {
        self.close();
        self.add((number, table), Verb::Truncate, change, |_, out| {
            let query = raw::document(out, "q");
            raw::close(out, query);
            raw::add_int(out, "limit", 0);
            Ok(())
        })
    }

    /// Replaces one of the documents that equal the old row.
    pub(crate) fn replace_equal<'a>(
        &mut self,
        (number, table): (usize, &Table),
        change: usize,
        old: impl Fn(usize) -> Cell<'a>,
        new: impl Fn(usize) -> Cell<'a>,
    ) -> Result<(), WriteError> {
        self.add(
            (number, table),
            Verb::ReplaceEqual,
            change,
            |documents, out| {
                let query = raw::document(out, "q");
                documents.matching(table, old, out)?;
                raw::close(out, query);
                if !table.is_special {
                    let start = raw::document(out, "u");
                    documents.fields(table, new, out)?;
                    raw::close(out, start);
                    return limit(table, out.len() - start);
                }
                // The document keeps its `_id`, which nobody here knows.
                let stages = raw::array(out, "u");
                let stage = raw::item_document(out, 0);
                let whole = raw::document(out, "$replaceWith");
                let merged = raw::array(out, "$mergeObjects");
                let first = raw::item_document(out, 0);
                raw::add_string(out, "_id", "$_id");
                raw::close(out, first);
                let second = raw::item_document(out, 1);
                let literal = raw::document(out, "$literal");
                documents.fields(table, new, out)?;
                raw::close(out, literal);
                let size = out.len() - literal;
                raw::close(out, second);
                raw::close(out, merged);
                raw::close(out, whole);
                raw::close(out, stage);
                raw::close(out, stages);
                limit(table, size)
            },
        )
    }

    /// Deletes one of the documents that equal the row.
    pub(crate) fn delete_equal<'a>(
        &mut self,
        (number, table): (usize, &Table),
        change: usize,
        old: impl Fn(usize) -> Cell<'a>,
    ) -> Result<(), WriteError> {
        self.add(
            (number, table),
            Verb::DeleteEqual,
            change,
            |documents, out| {
                let query = raw::document(out, "q");
                documents.matching(table, old, out)?;
                raw::close(out, query);
                raw::add_int(out, "limit", 1);
                Ok(())
            },
        )
    }

    fn add(
        &mut self,
        (number, table): (usize, &Table),
        verb: Verb,
        change: usize,
        write: impl FnOnce(&mut Documents, &mut Vec<u8>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let fits = |open: &Open| {
            (open.command.table, open.command.verb) == (number, verb)
                && open.rows < MOST_ROWS
                && open.command.body.len() < FULL
        };
        if !self.open.as_ref().is_some_and(fits) {
            self.close();
            self.open = Some(begin(number, table, verb, self.is_load));
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let body = &mut open.command.body;
        let start = body.len();
        let item = raw::item_document(body, open.rows);
        write(&mut self.documents, body).map_err(|error| error.change(change))?;
        raw::close(body, item);
        if body.len() <= LARGEST || open.rows == 0 {
            open.rows += 1;
            open.command.changes.push(change);
            return Ok(());
        }
        // A row of its own command: it was too much for this one.
        let row = body.split_off(item);
        body.truncate(start);
        self.close();
        let mut open = begin(number, table, verb, self.is_load);
        let place = raw::item(&mut open.command.body, 0);
        open.command.body[place] = kind::DOCUMENT;
        open.command.body.extend_from_slice(&row);
        open.rows = 1;
        open.command.changes.push(change);
        self.open = Some(open);
        Ok(())
    }

    fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            raw::close(&mut open.command.body, open.document);
            raw::close(&mut open.command.body, 0);
            self.done.push(open.command);
        }
    }
}

fn begin(number: usize, table: &Table, verb: Verb, is_load: bool) -> Open {
    let (name, rows) = match verb {
        Verb::Insert => ("insert", "documents"),
        Verb::Put | Verb::Set | Verb::ReplaceEqual => ("update", "updates"),
        Verb::Delete | Verb::Truncate | Verb::DeleteEqual => ("delete", "deletes"),
    };
    let mut body = Vec::with_capacity(64 << 10);
    raw::open(&mut body);
    raw::add_string(&mut body, name, &table.collection);
    raw::add_bool(&mut body, "ordered", !is_load);
    if is_load {
        let concern = raw::document(&mut body, "writeConcern");
        raw::add_string(&mut body, "w", "majority");
        raw::close(&mut body, concern);
    }
    let document = raw::array(&mut body, rows);
    Open {
        command: Command {
            table: number,
            verb,
            body,
            changes: Vec::new(),
        },
        document,
        rows: 0,
    }
}

/// Writes the `u` that replaces a document. A name that begins with `$` would be an operator in a
/// plain one.
fn replacement(
    table: &Table,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    if !table.is_special {
        let update = raw::document(out, "u");
        write(out)?;
        raw::close(out, update);
        return Ok(());
    }
    let stages = raw::array(out, "u");
    let stage = raw::item_document(out, 0);
    let whole = raw::document(out, "$replaceWith");
    let literal = raw::document(out, "$literal");
    write(out)?;
    raw::close(out, literal);
    raw::close(out, whole);
    raw::close(out, stage);
    raw::close(out, stages);
    Ok(())
}
