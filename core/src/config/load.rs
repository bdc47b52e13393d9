//! From the file to a [`Config`].

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::{
    check,
    document::{Document, Section},
    expand::Lookup,
    model::Config,
    redact::redact_url,
};
use crate::error::{Error, Faults};

impl Config {
    /// Reads the config file at `path`.
    ///
    /// # Errors
    ///
    /// Every fault in it, or that it can't be read.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let text = fs_err::read(path).map_err(|error| {
            let hint = if error.kind() == std::io::ErrorKind::NotFound {
                "write one with: tahr init postgres://user@host/database\n\
                 or name another: tahr --config FILE …"
            } else {
                "the engine's user must be able to read it"
            };
            let message = format!("config file {} is not readable", path.display());
            Error::usage(message).caused_by(error).hint(hint)
        })?;
        let text = String::from_utf8(text).map_err(|error| {
            Error::usage(format!("config file {} is not UTF-8 text", path.display()))
                .caused_by(error.utf8_error())
        })?;
        Self::parse(path, &text, &|name| std::env::var(name).ok())
    }

    /// Reads `text` as if it stood in the file `path`, with `variables` as the environment.
    ///
    /// # Errors
    ///
    /// Every fault in it.
    pub fn parse(
        path: &Path,
        text: &str,
        variables: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Faults> {
        let beside = program_folder();
        Self::parse_beside(path, text, variables, beside.as_deref())
    }

    /// Like [`parse`](Self::parse), for a program in the folder `beside`.
    pub(super) fn parse_beside(
        path: &Path,
        text: &str,
        variables: Lookup<'_>,
        beside: Option<&Path>,
    ) -> Result<Self, Faults> {
        let document = Document::new(path, text, variables);
        let (table, syntax) = DeTable::parse_recoverable(text);
        // What a broken file seems to say is not worth checking.
        if !syntax.is_empty() {
            return Err(syntax_faults(&document, text, &syntax));
        }
        let config = check::config(
            Section::root(&document, table.get_ref()),
            plugin_dirs(beside),
        );
        Faults::unless_empty(document.into_faults())?;
        config.ok_or_else(|| {
            Error::failed(format!(
                "config file {} is faulty without a fault",
                path.display()
            ))
            .into()
        })
    }
}

fn program_folder() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.to_owned())
}

/// Where plugins are looked for without a config.
#[must_use]
pub fn default_plugin_dirs() -> Vec<PathBuf> {
    plugin_dirs(program_folder().as_deref())
}

/// Where plugins are looked for by default: beside the program, then where a package puts them.
fn plugin_dirs(beside: Option<&Path>) -> Vec<PathBuf> {
    beside.map_or_else(Vec::new, |folder| {
        vec![
            folder.to_owned(),
            folder.join("..").join("lib").join("tahr").join("plugins"),
        ]
    })
}

/// One fault per faulty line, with the line: what follows on it is mostly a consequence.
fn syntax_faults(document: &Document<'_>, text: &str, errors: &[toml::de::Error]) -> Faults {
    let mut faults = Vec::new();
    let mut last_line = 0;
    let start = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    let mut errors: Vec<_> = errors.iter().collect();
    errors.sort_by_key(|error| start(error));
    for error in errors {
        let (line, column) = document.position(start(error));
        if line == last_line {
            continue;
        }
        last_line = line;
        let shown = text.lines().nth(line - 1).unwrap_or_default();
        faults.push(Error::usage(format!(
            "{}:{line}:{column}: not TOML: {}\n{line} | {}",
            document.path().display(),
            error.message(),
            redact_url(shown)
        )));
    }
    // `errors` isn't empty, so neither are the faults.
    match Faults::unless_empty(faults) {
        Err(faults) => faults,
        Ok(()) => Error::usage(format!("{}: not TOML", document.path().display())).into(),
    }
}
