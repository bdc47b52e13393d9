//! What a failed statement means for an order, and how a person reads it.
//!
//! Messages name tables, columns and constraints. The server's `DETAIL`, and its messages about
//! values, may quote a row, so they are replaced by the name of the condition.

use std::{error::Error as _, time::SystemTime};

use tokio_postgres::{Error, error::DbError};

use super::{table::TableSql, values::Misfit};
use crate::lane::Fault;

/// What a statement is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    /// Setting up, savepoints, commit.
    Session,
    /// The marker, which fails where the order was applied before.
    Marker,
    /// The notes.
    Notes,
    /// Emptying tables.
    Truncate,
    /// Rows of a table.
    Rows(&'a TableSql),
}

/// Why it failed.
#[derive(Debug)]
pub(super) enum Cause {
    /// The server, or the connection to it.
    Sql(Error),
    /// A row that is to be written is none of its table.
    Misfit,
}

/// The first statement that failed.
#[derive(Debug)]
pub(super) struct Failure<'a> {
    pub(super) what: What<'a>,
    pub(super) cause: Cause,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Somebody else holds a lock.
    Locked,
    /// A unique or exclusion constraint refused a row.
    Unique,
    /// A foreign key refused a row.
    ForeignKey,
    /// Rows are to be written one by one: two keys are equal to the server.
    Singly,
    /// The marker found its number, or no row.
    Marked,
    /// A person, or another try.
    Other,
}

/// SQLSTATE of a division by zero, which the marker fails with where it touches no row.
const NO_ROW: &str = "22012";

impl<'a> Failure<'a> {
    pub(super) fn session(error: Error) -> Self {
        Self::sql(What::Session, error)
    }

    pub(super) fn sql(what: What<'a>, error: Error) -> Self {
        let cause = Cause::Sql(error);
        Self { what, cause }
    }

    pub(super) fn misfit(table: &'a TableSql) -> impl Fn(Misfit) -> Self {
        move |Misfit| Self {
            what: What::Rows(table),
            cause: Cause::Misfit,
        }
    }

    /// What the server said, if it was the server.
    pub(super) fn db(&self) -> Option<&DbError> {
        match &self.cause {
            Cause::Sql(error) => error.as_db_error(),
            Cause::Misfit => None,
        }
    }

    pub(super) fn class(&self) -> Class {
        let code = self.db().map_or("", |db| db.code().code());
        match (code, self.what) {
            (NO_ROW, What::Marker) => Class::Marked,
            (_, What::Marker | What::Notes) => Class::Other,
            ("55P03" | "40P01", _) => Class::Locked,
            ("23505" | "23P01", _) => Class::Unique,
            ("23503", _) => Class::ForeignKey,
            ("21000", _) => Class::Singly,
            _ => Class::Other,
        }
    }

    /// As a person reads it.
    pub(super) fn fault(&self, source: &str) -> Fault {
        let mut fault = self.bare_fault();
        fault.message = format!("source \"{source}\": {}", fault.message);
        fault
    }

    /// The same, without the source's name.
    pub(super) fn bare_fault(&self) -> Fault {
        let table = match self.what {
            What::Rows(table) => Some(table.name.to_string()),
            _ => None,
        };
        let doing = match self.what {
            What::Session => "apply".to_owned(),
            What::Marker | What::Notes => "mark an apply in tahr.checkpoint".to_owned(),
            What::Truncate => "truncate".to_owned(),
            What::Rows(table) => format!("write table {}", table.name),
        };
        let mut fault = match &self.cause {
            Cause::Sql(error) => explain(&doing, error),
            Cause::Misfit => {
                let mut fault = made(format!(
                    "{doing}: a row that is to be written has other columns than the table"
                ));
                fault.hint = "the table was changed while rows were on their way: undo the \
                              change, or `tahr resync` the sync"
                    .to_owned();
                fault
            }
        };
        fault.table = fault.table.or(table);
        fault
    }
}

/// A fault of now.
pub(super) fn made(message: String) -> Fault {
    Fault {
        message,
        hint: String::new(),
        table: None,
        column: None,
        since: SystemTime::now(),
    }
}

/// What a statement answered, without the source's name.
pub(super) fn explain(doing: &str, error: &Error) -> Fault {
    let Some(db) = error.as_db_error() else {
        let cause = error.source().map(|cause| format!(": {cause}"));
        return made(match error.is_closed() {
            true => format!("{doing}: the connection was closed"),
            false => format!("{doing}: {error}{}", cause.unwrap_or_default()),
        });
    };
    let mut fault = made(format!(
        "{doing}: {} (SQLSTATE {})",
        message(db),
        db.code().code()
    ));
    fault.hint = hint(db);
    if let (Some(schema), Some(table)) = (db.schema(), db.table()) {
        fault.table = Some(format!("{schema}.{table}"));
    }
    fault.column = db.column().map(str::to_owned);
    fault
}

fn message(db: &DbError) -> String {
    let condition = match db.code().code() {
        "22001" => "a value is longer than its column",
        "22003" => "a number is out of its column's range",
        "22007" | "22008" => "a date or time is out of its column's range",
        "22021" | "22P05" => "a character doesn't exist in the source's encoding",
        "22P02" => "a value is not of its column's type",
        code if code.starts_with("22") => "a value can't be stored",
        // Functions of users say what they like.
        code if code.starts_with("P0") || code.starts_with("44") => {
            "a trigger, function or view refused a row"
        }
        // This detail names the tables.
        "0A000" if db.message().contains("truncate") => {
            return format!("{}: {}", db.message(), db.detail().unwrap_or_default());
        }
        _ => return db.message().to_owned(),
    };
    condition.to_owned()
}

fn hint(db: &DbError) -> String {
    let constraint = db.constraint().unwrap_or("the constraint");
    match db.code().code() {
        "23514" => format!(
            "the other sources allow rows that {constraint} refuses here: give all of them the \
             same constraints, or change the rows"
        ),
        "23502" => "the other sources allow null in this column: make it the same on all of them"
            .to_owned(),
        "23503" => format!(
            "the row that {constraint} asks for isn't here: put its table into the sync, or \
             let the role switch foreign keys off: GRANT SET ON PARAMETER \
             session_replication_role TO …"
        ),
        "0A000" if db.message().contains("truncate") => {
            "a table outside of the sync references it: put that table into the sync, or drop its \
             foreign key"
                .to_owned()
        }
        "42501" => "grant the role what it lacks".to_owned(),
        "42P01" | "3F000" | "42703" => {
            "a table was dropped or changed: bring it back, or `tahr reload`".to_owned()
        }
        code if code.starts_with("22") => {
            "the column's type takes less here than on the other sources: make it the same on all \
             of them"
                .to_owned()
        }
        code if code.starts_with("P0") => String::new(),
        _ => db.hint().unwrap_or_default().to_owned(),
    }
}
