//! Oracle's client library: loaded once per process, from one folder.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use oracle::InitParams;
use tahr_plugin_api::WriteError;

use crate::error::failed;

/// The folder that the library was loaded from; the inner none is the system's own search.
static LOADED: Mutex<Option<Option<PathBuf>>> = Mutex::new(None);

/// Loads the library, from `folder` where one is given.
pub(crate) fn load(folder: Option<&Path>) -> Result<(), WriteError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*loaded {
        Some(known) if known.as_deref() == folder => return Ok(()),
        Some(known) => {
            let known = match known {
                Some(folder) => folder.display().to_string(),
                None => "where the system's loader found it".to_owned(),
            };
            return Err(WriteError::options(format!(
                "Oracle's client library is loaded already: {known}"
            ))
            .hint(
                "give all Oracle targets of the engine the same `client_dir`, and start it anew",
            ));
        }
        None => {}
    }
    let mut params = InitParams::new();
    let doing = "load Oracle's client library";
    if let Some(folder) = folder {
        if !folder.is_dir() {
            return Err(WriteError::options(format!(
                "`client_dir` {} is no folder",
                folder.display()
            ))
            .hint("client_dir = \"/opt/oracle/instantclient\""));
        }
        params
            .oracle_client_lib_dir(folder)
            .map_err(|error| failed(doing, &error))?;
    }
    params
        .default_driver_name("tahr")
        .and_then(|params| params.init())
        .map_err(|error| failed(doing, &error))?;
    *loaded = Some(folder.map(Path::to_owned));
    Ok(())
}
