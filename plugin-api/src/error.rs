//! How a writer says that something went wrong.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// What follows from an error: the engine does nothing else with it than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// It may pass by itself (connection lost, lock wait, server restarting): the lane resets
    /// the writer and tries again, slower each time.
    Transient,
    /// This change, table or setting can never be applied as things are: the lane parks and waits
    /// for a person.
    Rejected,
    /// The writer can't go on and doesn't know why (a bug, a panic): the lane parks too, and says
    /// that this is a bug.
    Fatal,
}

/// An error of a writer, with what a person needs to mend it.
///
/// `message` is a lowercase fragment that names the object, `hint` holds the fix, ready to paste.
/// Neither holds row values or passwords.
///
/// ```
/// use tahr_plugin_api::WriteError;
/// let error = WriteError::rejected("column \"price\" of table \"items\" is narrower than the source's")
///     .hint("ALTER TABLE items ALTER COLUMN price TYPE numeric(12,2)")
///     .column("price");
/// assert!(!error.is_transient());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteError {
    /// What follows from it.
    pub kind: ErrorKind,
    /// What went wrong.
    pub message: String,
    /// What to do about it; may be empty.
    #[serde(default)]
    pub hint: String,
    /// The target's own code for it (SQLSTATE, ORA number, …); may be empty.
    #[serde(default)]
    pub code: String,
    /// Which change of the batch, counted as [`Batch::changes`](crate::Batch::changes) counts.
    #[serde(default)]
    pub change: Option<usize>,
    /// The table, where one is to blame.
    #[serde(default)]
    pub table: Option<String>,
    /// The column, where one is to blame.
    #[serde(default)]
    pub column: Option<String>,
    /// Anything more, for programs.
    #[serde(default)]
    pub details: serde_json::Value,
}

impl WriteError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: String::new(),
            code: String::new(),
            change: None,
            table: None,
            column: None,
            details: serde_json::Value::Null,
        }
    }

    /// An error that may pass by itself.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, message)
    }

    /// An error that a person must mend.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Rejected, message)
    }

    /// A rejected error whose cause are the target's options: a fault of the config.
    pub fn options(message: impl Into<String>) -> Self {
        Self::rejected(message).code(Self::OPTIONS)
    }

    /// The code of [`options`](Self::options).
    pub const OPTIONS: &str = "options";

    /// An error that should not exist.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Fatal, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds the target's own code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    /// Names the change to blame.
    #[must_use]
    pub fn change(mut self, index: usize) -> Self {
        self.change = Some(index);
        self
    }

    /// Names the table to blame.
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = Some(table.into());
        self
    }

    /// Names the column to blame.
    #[must_use]
    pub fn column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        (!self.hint.is_empty()).then_some(self.hint.as_str())
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind == ErrorKind::Transient
    }
}

impl From<io::Error> for WriteError {
    /// Rejected where a file or folder has to be mended first; transient otherwise: a disk gets room
    /// again, and a server comes back. `io::Error` doesn't name the file, but the crate `fs-err`, with
    /// the same functions as `std::fs`, has errors that do.
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{
            InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
            ReadOnlyFilesystem,
        };
        let message = error.to_string();
        match error.kind() {
            NotFound | PermissionDenied | NotADirectory | IsADirectory | ReadOnlyFilesystem
            | InvalidInput => Self::rejected(message),
            _ => Self::transient(message),
        }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.code.is_empty() && self.code != Self::OPTIONS {
            write!(f, " ({})", self.code)?;
        }
        Ok(())
    }
}

impl std::error::Error for WriteError {}
