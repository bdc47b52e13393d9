//! What can go wrong with a source.

use std::error::Error as _;

use tahr_postgres_connect::{ConnectError, ConnectErrorKind, Url};
use thiserror::Error;

/// What follows from a [`SourceError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// It may pass by itself: connection lost, server restarting, lock not had.
    Transient,
    /// Likewise: another session streams from the slot.
    InUse,
    /// The source can't be used as things are; a person must mend it.
    Unusable,
    /// The source is not what it was when it was opened: it has to be opened anew.
    Changed,
}

/// An error of a source, with what a person needs to mend it. Holds no row value, no password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SourceError {
    /// What follows from it.
    pub kind: SourceErrorKind,
    /// What went wrong, a lowercase fragment.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl SourceError {
    /// An error that may pass by itself.
    pub fn transient(message: impl Into<String>) -> Self {
        let kind = SourceErrorKind::Transient;
        Self {
            kind,
            message: message.into(),
            hint: String::new(),
        }
    }

    /// An error that a person must mend.
    pub fn unusable(message: impl Into<String>) -> Self {
        let kind = SourceErrorKind::Unusable;
        Self {
            kind,
            message: message.into(),
            hint: String::new(),
        }
    }

    /// An error of a source that has to be opened anew.
    pub fn changed(message: impl Into<String>) -> Self {
        Self {
            kind: SourceErrorKind::Changed,
            ..Self::unusable(message)
        }
    }

    /// Bytes of the stream that can't be: the next connection reads them again, and nothing before
    /// them is lost.
    pub(super) fn malformed(error: impl std::fmt::Display) -> Self {
        Self::transient(format!("stream of the source: {error}")).hint(
            "if it stays, something between tahr and PostgreSQL alters the stream, or this is a bug \
             of tahr; nothing was lost or written wrongly",
        )
    }

    /// A server that has left a question unanswered for so long.
    pub(super) fn silent(silence: std::time::Duration) -> Self {
        Self::transient(format!(
            "the source has not answered for {} s",
            silence.as_secs()
        ))
        .hint(
            "is the network well? keepalives_idle, keepalives_interval and keepalives_count in the \
             source's url say for how long tahr waits",
        )
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
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
        matches!(
            self.kind,
            SourceErrorKind::Transient | SourceErrorKind::InUse
        )
    }

    /// Explains what a statement answered; `what` says what was being done, such as
    /// `create publication "p"`.
    pub fn sql(what: impl AsRef<str>, error: &tokio_postgres::Error) -> Self {
        let what = what.as_ref();
        let Some(db) = error.as_db_error() else {
            let mut message = format!("{what}: {error}");
            if let Some(source) = error.source() {
                message = format!("{message}: {source}");
            }
            return Self::transient(message);
        };
        // The detail is left out: it may hold values of a row.
        let message = format!("{what}: {} (SQLSTATE {})", db.message(), db.code().code());
        let mut made = match is_transient(db.code().code()) {
            true => Self::transient(message),
            false => Self::unusable(message),
        };
        if let Some(hint) = db.hint() {
            made.hint = hint.to_owned();
        }
        made
    }

    /// Explains an error of a replication connection to `url`.
    #[must_use]
    pub fn replication(url: &Url, error: &pgwire_replication::PgWireError) -> Self {
        use pgwire_replication::PgWireError::MessageTooLarge;
        match error {
            MessageTooLarge {
                payload_bytes,
                limit_bytes,
            } => Self::unusable(format!(
                "a row of {payload_bytes} bytes comes next in the stream, above max_row_bytes, \
                 which is {limit_bytes}"
            ))
            .hint(format!(
                "nothing behind it is lost: set max_row_bytes = {} in the source's section, and start \
                 tahr again",
                payload_bytes.next_power_of_two()
            )),
            other => ConnectError::replication(url, other).into(),
        }
    }
}

/// Whether trying again may help after an error with this SQLSTATE.
fn is_transient(code: &str) -> bool {
    matches!(&code[..code.len().min(2)], "08" | "40" | "53" | "57" | "58")
        || matches!(code, "55006" | "55P03" | "25P02" | "25P03" | "25P04")
}

impl From<ConnectError> for SourceError {
    fn from(error: ConnectError) -> Self {
        let mut made = match error.is_transient() {
            true => Self::transient(error.to_string()),
            false => Self::unusable(error.to_string()),
        };
        if error.kind() == ConnectErrorKind::InUse {
            made.kind = SourceErrorKind::InUse;
        }
        made.hint(error.hint())
    }
}
