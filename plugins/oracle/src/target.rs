//! A table under change, and whom to blame when a change of it fails.

use tahr_plugin_api::{Relation, WriteError};

use crate::{
    error::{failed, row_failed},
    session::{Done, Error, RowError},
    step::NewRow,
    table::Table,
};

/// A table, and the relation whose changes go there.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) table: &'a Table,
    pub(crate) relation: &'a Relation,
}

impl Target<'_> {
    /// The error of a statement.
    pub(crate) fn failed(self, verb: &str, error: &Error) -> WriteError {
        let name = &self.table.name;
        failed(&format!("{verb} table {name:?}"), error).table(name)
    }

    /// The error of one row.
    pub(crate) fn refused(self, verb: &str, error: &RowError, index: usize) -> WriteError {
        let name = &self.table.name;
        let error = row_failed(&format!("{verb} table {name:?}"), error);
        error.table(name).change(index)
    }

    /// Whether every row went through.
    pub(crate) fn all_done<'a, R: NewRow<'a>>(
        self,
        verb: &str,
        done: &Done,
        rows: &[&R],
    ) -> Result<(), WriteError> {
        match done.errors.first() {
            Some(error) => Err(self.refused(verb, error, rows[error.row].index())),
            None => Ok(()),
        }
    }

    /// A row that should be there is not.
    pub(crate) fn missing(self, index: usize) -> WriteError {
        let name = &self.table.name;
        WriteError::rejected(format!(
            "a row of table {name:?} is missing that an update changes in part"
        ))
        .hint(
            "the table was changed by others; to copy the sync's tables anew: `tahr drop SYNC`, \
                 set `existing = \"replace\"` in the sync, `tahr run`",
        )
        .table(name)
        .change(index)
    }

    /// A change comes without the row it is about.
    pub(crate) fn unnamed(self, index: usize) -> WriteError {
        let name = &self.table.name;
        WriteError::fatal(format!("a change of table {name:?} names no row"))
            .table(name)
            .change(index)
    }
}
