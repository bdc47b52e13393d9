//! What the statements of a batch are for, what they must have done, and why they failed.

use mysql_async::Error;
use tahr_plugin_api::WriteError;

use crate::{
    error::{code, explain, is_transient},
    table::Table,
};

/// What a statement is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    /// The transaction itself.
    Transaction,
    /// The compare-and-set of the checkpoint.
    Compare,
    /// Many changes of one table.
    Bulk(&'a Table),
    /// One change, by its index in the batch.
    Change(usize, &'a Table),
}

/// What a statement must have matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Anything.
    Any,
    /// A row, else it has to be inserted.
    RowOrInsert,
    /// A row, else it is an error.
    Row,
    /// So many rows; fewer are counted.
    Rows(u64),
}

/// Why a batch couldn't be applied this way.
#[derive(Debug)]
pub(crate) enum Failure<'a> {
    /// The checkpoint is not the expected one.
    Moved,
    /// An update of a whole row matched none.
    Absent,
    /// Said already.
    Refused(WriteError),
    /// The server's error.
    Server { what: What<'a>, error: Error },
}

impl From<WriteError> for Failure<'_> {
    fn from(error: WriteError) -> Self {
        Self::Refused(error)
    }
}

impl Failure<'_> {
    /// Whether applying the changes one by one may tell more, or even succeed.
    pub(crate) fn is_worth_a_closer_look(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Server {
                what: What::Bulk(_),
                error,
            } => code(error) != 0 && !is_transient(code(error)),
            _ => false,
        }
    }

    /// The server's code; 0 for others.
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Server { error, .. } => code(error),
            _ => 0,
        }
    }

    /// For the engine.
    pub(crate) fn into_error(self) -> WriteError {
        match self {
            Self::Refused(error) => error,
            Self::Moved => WriteError::transient("the checkpoint has moved"),
            Self::Absent => WriteError::transient("a row to be updated is not there"),
            Self::Server { what, error } => match what {
                What::Transaction => explain(&error, "transaction"),
                What::Compare => explain(&error, "write table \"tahr_checkpoint\""),
                What::Bulk(table) => on(table, &error),
                What::Change(index, table) => on(table, &error).change(index),
            },
        }
    }
}

fn on(table: &Table, error: &Error) -> WriteError {
    explain(error, &format!("write table {:?}", table.name)).table(&table.name)
}
