//! A table of the source as the statements that write it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tahr_plugin_api::TableName;
use tokio_postgres::{Client, Error, Statement};

use super::catalog::{FoundColumn, FoundTable};
use crate::{
    masters::SharedTable,
    source::{quote_identifier, quote_table},
};

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// Writes one row; parameters: its columns.
    Put,
    /// Deletes one row; parameters: its key.
    Delete,
    /// Writes rows; parameters: an array per column.
    PutMany,
    /// Deletes rows; parameters: an array per key column.
    DeleteMany,
    /// Numbers, from 1 on, of the keys that there are rows of; parameters as `DeleteMany`.
    Present,
    /// The same, of those that nobody else has locked, locking them.
    Lock,
    /// `COPY` into the table itself.
    Copy,
}

/// A table as it is written.
#[derive(Debug)]
pub(super) struct TableSql {
    /// For messages.
    pub(super) name: TableName,
    /// Its name as SQL.
    pub(super) quoted: String,
    /// The shared columns' names as SQL.
    pub(super) columns: Vec<String>,
    /// How the source has them.
    pub(super) found: Vec<FoundColumn>,
    /// Positions in `columns` of the key.
    pub(super) key: Vec<usize>,
    /// See [`FoundTable::rank`].
    pub(super) rank: usize,
    /// Whether a table references it.
    pub(super) is_referenced: bool,
    /// Whether it references itself, so that its rows have to be written by one statement.
    pub(super) is_recursive: bool,
    /// Whether rows can be cast out of arrays of text.
    pub(super) is_bulk: bool,
    /// Whether a row can't be updated to another, and has to be deleted before it is written: a
    /// column that always numbers itself is not of the key, or is all that there is.
    pub(super) is_replaced: bool,
    /// Whether it has further unique keys, updates of which need a stronger lock.
    has_unique: bool,
    /// Prepared statements. Those that find many rows are prepared anew for each order, since
    /// their plans age with the table.
    prepared: Mutex<HashMap<Form, Statement>>,
}

impl TableSql {
    /// `shared` as `found`; the names of columns that are missing otherwise.
    pub(super) fn new(shared: &SharedTable, found: &FoundTable) -> Result<Self, Vec<String>> {
        let names = || shared.columns.iter().map(|column| &column.name);
        let missing = names().filter(|&name| !found.columns.contains_key(name));
        let missing: Vec<String> = missing.cloned().collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let columns: Vec<FoundColumn> = names()
            .filter_map(|name| found.columns.get(name).cloned())
            .collect();
        let is_in_key = |at: &usize| shared.key.contains(at);
        let numbered = |at: &usize| columns[*at].is_identity_always;
        let mut all = 0..columns.len();
        let is_replaced =
            all.clone().any(|at| numbered(&at) && !is_in_key(&at)) || all.all(|at| numbered(&at));
        Ok(Self {
            name: shared.name.clone(),
            quoted: quote_table(&shared.name),
            columns: names().map(|name| quote_identifier(name)).collect(),
            key: shared.key.clone(),
            rank: found.rank,
            is_referenced: found.is_referenced,
            is_recursive: found.is_recursive,
            is_bulk: columns.iter().all(|column| column.is_cast_plain),
            is_replaced,
            has_unique: !shared.unique_keys.is_empty(),
            found: columns,
            prepared: Mutex::default(),
        })
    }

    /// The text of a statement.
    pub(super) fn sql(&self, form: Form) -> String {
        let (table, columns) = (&self.quoted, self.columns.join(", "));
        match form {
            Form::Put => format!(
                "{} VALUES ({}){}",
                self.insert_into(),
                join(0..self.columns.len(), ", ", |at| format!("${}", at + 1)),
                self.on_conflict()
            ),
            Form::Delete => format!("DELETE FROM {table} WHERE {}", self.key_is()),
            Form::PutMany => format!(
                "{} SELECT {} FROM {}{}",
                self.insert_into(),
                join(0..self.columns.len(), ", ", |at| self
                    .cast(at, &format!("k.c{at}"))),
                unnest(self.columns.len(), ""),
                self.on_conflict()
            ),
            Form::DeleteMany => format!(
                "DELETE FROM {table} AS t USING {} WHERE {}",
                unnest(self.key.len(), ""),
                self.matches_keys()
            ),
            Form::Present | Form::Lock => format!(
                "SELECT k.n FROM {} JOIN {table} AS t ON {}{}",
                unnest(self.key.len(), ", n"),
                self.matches_keys(),
                match (form, self.has_unique || self.is_replaced) {
                    (Form::Present, _) => "",
                    (_, true) => " FOR UPDATE OF t SKIP LOCKED",
                    (_, false) => " FOR NO KEY UPDATE OF t SKIP LOCKED",
                }
            ),
            Form::Copy => format!("COPY {table} ({columns}) FROM STDIN"),
        }
    }

    /// `text` as a value of the column's type.
    pub(super) fn cast(&self, at: usize, text: &str) -> String {
        format!("{text}::{}", self.found[at].base)
    }

    /// Whether `left`, the column, is what the text `right` says.
    fn equals(&self, at: usize, left: &str, right: &str) -> String {
        format!("{left} {} {}", self.found[at].equals, self.cast(at, right))
    }

    /// Whether a row has the key that the parameters say.
    pub(super) fn key_is(&self) -> String {
        join(self.key.iter().enumerate(), " AND ", |(place, &at)| {
            self.equals(at, &self.columns[at], &format!("${}", place + 1))
        })
    }

    /// Whether the row of `t` has the key `k`.
    fn matches_keys(&self) -> String {
        let mut place = 0;
        join(self.key.iter().copied(), " AND ", |at| {
            let (left, right) = (format!("t.{}", self.columns[at]), format!("k.c{place}"));
            place += 1;
            self.equals(at, &left, &right)
        })
    }

    fn insert_into(&self) -> String {
        let overriding = match self.found.iter().any(|column| column.is_identity_always) {
            true => " OVERRIDING SYSTEM VALUE",
            false => "",
        };
        format!(
            "INSERT INTO {} ({}){overriding}",
            self.quoted,
            self.columns.join(", ")
        )
    }

    /// What becomes of a row that is there. The key is set where there is nothing else: the stream
    /// has to show the row.
    fn on_conflict(&self) -> String {
        if self.is_replaced {
            return String::new();
        }
        let is_set = |at: &usize| !self.key.contains(at) && !self.found[*at].is_identity_always;
        let mut set: Vec<usize> = (0..self.columns.len()).filter(is_set).collect();
        if set.is_empty() {
            let key = self.key.iter().copied();
            set = key
                .filter(|&at| !self.found[at].is_identity_always)
                .collect();
        }
        format!(
            " ON CONFLICT ({}) DO UPDATE SET {}",
            join(self.key.iter().copied(), ", ", |at| self.columns[at]
                .clone()),
            join(set, ", ", |at| format!(
                "{0} = EXCLUDED.{0}",
                self.columns[at]
            ))
        )
    }

    /// A statement that was prepared before.
    pub(super) fn known(&self, form: Form) -> Option<Statement> {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.get(&form).cloned()
    }

    /// A statement, prepared. Nothing may be on its way.
    pub(super) async fn prepare(&self, client: &Client, form: Form) -> Result<Statement, Error> {
        if let Some(statement) = self.known(form) {
            return Ok(statement);
        }
        let statement = client.prepare(&self.sql(form)).await?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.insert(form, statement.clone());
        Ok(statement)
    }

    /// Forgets the statements whose plans age.
    pub(super) fn forget(&self) {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let ages = |form: &Form| matches!(form, Form::DeleteMany | Form::Present | Form::Lock);
        prepared.retain(|form, _| !ages(form));
    }
}

/// `width` arrays as rows `k` of columns `c0`, `c1`, …, and `more` columns.
pub(super) fn unnest(width: usize, more: &str) -> String {
    format!(
        "unnest({}){} AS k({}{more})",
        join(1..=width, ", ", |number| format!("${number}::text[]")),
        if more.is_empty() {
            ""
        } else {
            " WITH ORDINALITY"
        },
        join(0..width, ", ", |at| format!("c{at}"))
    )
}

/// The texts of `items`, joined.
pub(super) fn join<T>(
    items: impl IntoIterator<Item = T>,
    separator: &str,
    text: impl FnMut(T) -> String,
) -> String {
    items
        .into_iter()
        .map(text)
        .collect::<Vec<_>>()
        .join(separator)
}
