//! What the program's commands fail with, and how a person reads it.
//!
//! An [`Error`] states one fault: what went wrong, what to do about it, what caused it. Work that
//! can find many faults (a config file, the preflight of a source) gathers them as [`Faults`], so
//! that all are mended in one go. Both are shown by [`report`] once, by `main`; only `tahr check`, whose
//! answer they are, shows its own. No message holds a row value or a password.

use std::{error::Error as StdError, fmt, io::Write as _};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::WriteError;

use crate::exit_code;

/// Which part is to blame; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Anything that the other kinds don't name.
    Failed,
    /// Wrong arguments or config.
    Usage,
    /// A source is not usable.
    Source,
    /// A target is not usable.
    Target,
    /// No engine is running.
    NoEngine,
}

impl ErrorKind {
    /// The exit code of a command that ends with this kind of error.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => exit_code::FAILED,
            Self::Usage => exit_code::USAGE,
            Self::Source => exit_code::SOURCE,
            Self::Target => exit_code::TARGET,
            Self::NoEngine => exit_code::NO_ENGINE,
        }
    }
}

/// One fault.
///
/// `Display` prints the message alone; hint and causes are for [`report`].
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` is a lowercase fragment that names the object.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            cause: None,
        }
    }

    /// An error that no other constructor fits.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// Wrong arguments or config.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// A source that is not usable.
    pub fn source(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Source, message)
    }

    /// A target that is not usable.
    pub fn target(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Target, message)
    }

    /// A command that needs a running engine found none.
    pub fn no_engine(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NoEngine, message)
    }

    /// Adds what to do about it, ready to paste.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what caused it.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Which part is to blame.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What went wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The lines that a person reads: `label: …`, then its causes, then its hint.
    pub(crate) fn render(&self, label: &str) -> String {
        let mut out = String::new();
        push_labelled(&mut out, &format!("{label}: "), &self.message);
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            push_labelled(&mut out, "  caused by: ", &error.to_string());
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            push_labelled(&mut out, "hint: ", hint);
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        let kept = match error.code == WriteError::OPTIONS {
            true => Self::usage(error.message),
            false => Self::target(error.to_string()),
        };
        if error.hint.is_empty() {
            kept
        } else {
            kept.hint(error.hint)
        }
    }
}

/// Every fault that one piece of work found, in the order to show them; at least one.
#[derive(Debug)]
pub struct Faults {
    errors: Vec<Error>,
    is_shown: bool,
}

impl Faults {
    /// `Ok` when `errors` is empty.
    pub fn unless_empty(errors: Vec<Error>) -> Result<(), Self> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self {
                errors,
                is_shown: false,
            })
        }
    }

    /// The same faults, of which the command has shown its own account: [`report`] stays silent.
    #[must_use]
    pub(crate) fn shown(self) -> Self {
        Self {
            is_shown: true,
            ..self
        }
    }

    /// The faults.
    #[must_use]
    pub fn errors(&self) -> &[Error] {
        &self.errors
    }

    /// The faults, given away: to be gathered with those of other work.
    #[must_use]
    pub fn into_errors(self) -> Vec<Error> {
        self.errors
    }

    /// The first fault's exit code: commands work from usage to source to target, so the first
    /// is the one to mend first.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.errors
            .first()
            .map_or(exit_code::FAILED, |error| error.kind.exit_code())
    }

    /// The text that a person reads, without colour: per fault `error: …`, then its causes, then
    /// its hint; a blank line between faults.
    #[must_use]
    pub fn render(&self) -> String {
        self.errors
            .iter()
            .map(|error| error.render("error"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl From<Error> for Faults {
    fn from(error: Error) -> Self {
        Self {
            errors: vec![error],
            is_shown: false,
        }
    }
}

impl From<WriteError> for Faults {
    fn from(error: WriteError) -> Self {
        Error::from(error).into()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            write!(f, "{}{error}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl StdError for Faults {}

/// Writes the faults to stderr. A closed stderr is nobody's fault, so it is not reported.
pub fn report(faults: &Faults) {
    if !faults.is_shown {
        let _ = std::io::stderr()
            .lock()
            .write_all(faults.render().as_bytes());
    }
}

/// Later lines are indented, so that a label at the margin always starts something new.
fn push_labelled(out: &mut String, label: &str, text: &str) {
    for (index, line) in text.trim_end().lines().enumerate() {
        out.push_str(if index == 0 { label } else { "      " });
        out.push_str(line);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_rendered_with_causes_and_hints() {
        let first = Error::source("source \"shop\" is not reachable")
            .caused_by(std::io::Error::other("connection refused"))
            .hint("check its url:\npostgres://…");
        let errors = vec![first, Error::usage("sync \"shop\" has no targets")];
        let faults = Faults::unless_empty(errors).unwrap_err();
        assert_eq!(
            faults.render(),
            "error: source \"shop\" is not reachable\n  caused by: connection refused\n\
             hint: check its url:\n      postgres://…\n\nerror: sync \"shop\" has no targets\n"
        );
        assert_eq!(faults.exit_code(), exit_code::SOURCE);
    }

    #[test]
    fn display_prints_the_message_alone() {
        let error = Error::failed("no room")
            .hint("delete")
            .caused_by(std::io::Error::other("x"));
        assert_eq!(error.to_string(), "no room");
    }

    #[test]
    fn each_kind_has_its_own_documented_exit_code() {
        use ErrorKind::{Failed, NoEngine, Source, Target, Usage};
        let codes = [Failed, Usage, Source, Target, NoEngine].map(ErrorKind::exit_code);
        assert_eq!(codes, [1, 2, 3, 4, 5]);
        assert_eq!(exit_code::DONE, 0);
    }

    #[test]
    fn a_writer_error_keeps_its_code_and_hint() {
        let error = Error::from(
            WriteError::rejected("table t is gone")
                .code("42P01")
                .hint("wait"),
        );
        assert_eq!(
            (error.kind(), error.message(), error.hint_text()),
            (ErrorKind::Target, "table t is gone (42P01)", Some("wait"))
        );
    }
}
