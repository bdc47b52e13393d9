//! An error as it is shown of something that goes on in spite of it: a lane, a source, a log.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tahr_plugin_api::WriteError;

use crate::rfc3339;

/// An error as it is shown; never with row values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What went wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// Table and column, where they are to blame.
    pub table: Option<String>,
    /// See `table`.
    pub column: Option<String>,
    /// When.
    #[serde(with = "rfc3339")]
    pub since: SystemTime,
}

impl Fault {
    /// What went wrong just now, and what to do about it.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
            table: None,
            column: None,
            since: SystemTime::now(),
        }
    }
}

impl From<&WriteError> for Fault {
    fn from(error: &WriteError) -> Self {
        Self {
            table: error.table.clone(),
            column: error.column.clone(),
            ..Self::new(error.to_string(), error.hint.clone())
        }
    }
}
