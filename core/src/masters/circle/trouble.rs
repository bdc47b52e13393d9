//! Why a circle can't go on.

use std::time::SystemTime;

use crate::{Error, lane::Fault, source::SourceError};

/// Why a circle can't go on, and whether trying again may help.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) fault: Fault,
    pub(super) is_transient: bool,
}

impl Trouble {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let fault = Fault {
            message: message.into(),
            hint: hint.into(),
            table: None,
            column: None,
            since: SystemTime::now(),
        };
        Self {
            fault,
            is_transient: false,
        }
    }

    /// A person has to do something about it.
    pub(super) fn lasting(error: &Error) -> Self {
        Self::new(error.message(), error.hint_text().unwrap_or_default())
    }

    /// It may go by itself.
    pub(super) fn passing(mut self) -> Self {
        self.is_transient = true;
        self
    }

    /// Several faults, as one.
    pub(super) fn of_all(errors: &[Error]) -> Self {
        let messages: Vec<&str> = errors.iter().map(Error::message).collect();
        let hints = errors.iter().find_map(Error::hint_text);
        Self::new(messages.join("; "), hints.unwrap_or_default())
    }

    pub(super) fn of_source(source: &str, error: &SourceError) -> Self {
        let made = Self::new(
            format!("source \"{source}\": {}", error.message),
            error.hint_text().unwrap_or_default(),
        );
        match error.is_transient() {
            true => made.passing(),
            false => made,
        }
    }

    /// The state could not be stored: nothing of what was decided counts.
    pub(super) fn of_store(error: &std::io::Error) -> Self {
        Self::new(
            format!("state of the sync: {error}"),
            "free space on the disk of `state_dir`",
        )
        .passing()
    }
}
