//! From the file to a [`Config`].

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::{
    check,
    document::{Document, Section},
    expand::Lookup,
    model::Config,
    options::Schemas,
    syntax,
};
use crate::error::{Error, Faults};

impl Config {
    /// Reads the config file at `path`.
    ///
    /// # Errors
    ///
    /// Every fault in it, or that it can't be read.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        Self::load_with(path, None)
    }

    /// Like [`load`](Self::load); where plugins' `schemas` are given, their options are faults of the
    /// file too.
    pub(crate) fn load_with(path: &Path, schemas: Option<Schemas<'_>>) -> Result<Self, Faults> {
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
        let variables = |name: &str| std::env::var(name).ok();
        let beside = program_folder();
        Self::parse_with(path, &text, &variables, beside.as_deref(), schemas)
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
        Self::parse_with(path, text, variables, beside.as_deref(), None)
    }

    /// Like [`parse`](Self::parse), for a program in the folder `beside`, and as
    /// [`load_with`](Self::load_with).
    pub(super) fn parse_with(
        path: &Path,
        text: &str,
        variables: Lookup<'_>,
        beside: Option<&Path>,
        schemas: Option<Schemas<'_>>,
    ) -> Result<Self, Faults> {
        let document = Document::new(path, text, variables);
        let (table, syntax) = DeTable::parse_recoverable(text);
        // What a broken file seems to say is not worth checking.
        if !syntax.is_empty() {
            return Err(syntax::faults(&document, text, &syntax));
        }
        let config = check::config(
            Section::root(&document, table.get_ref()),
            plugin_dirs(beside),
            schemas,
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
