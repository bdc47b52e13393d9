//! The files of a target.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::{Checkpoint, Position, WriteError};

/// What is stored: a checkpoint, and the data that goes with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// Bytes of `data.jsonl`.
    pub(crate) length: u64,
    pub(crate) checkpoint: Option<Checkpoint>,
}

impl Stored {
    pub(crate) fn position(&self) -> Option<&Position> {
        self.checkpoint.as_ref()?.position.as_ref()
    }
}

/// A folder's data and checkpoint.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    data: File,
}

impl Store {
    pub(crate) fn open(folder: &Path) -> Result<Self, WriteError> {
        let path = folder.join("data.jsonl");
        let data = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path);
        Ok(Self {
            folder: folder.to_owned(),
            data: data.map_err(failed)?,
        })
    }

    /// What is stored now; a test may have changed it.
    pub(crate) fn read(&self) -> Result<Stored, WriteError> {
        match fs::read(self.folder.join("store.json")) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| WriteError::fatal(format!("scripted: store.json: {error}"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stored::default()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Adds lines at `end`, over whatever was not stored there; returns their end.
    pub(crate) fn append(&mut self, end: u64, lines: &[u8]) -> Result<u64, WriteError> {
        self.data.seek(SeekFrom::Start(end)).map_err(failed)?;
        self.data.write_all(lines).map_err(failed)?;
        Ok(end + lines.len() as u64)
    }

    /// Makes `stored` what is stored.
    pub(crate) fn commit(&self, stored: &Stored) -> Result<(), WriteError> {
        let text = serde_json::to_vec(stored)
            .map_err(|error| WriteError::fatal(format!("scripted: store.json: {error}")))?;
        let temporary = self.folder.join("store.new");
        fs::write(&temporary, text).map_err(failed)?;
        fs::rename(temporary, self.folder.join("store.json")).map_err(failed)
    }

    /// Where loaders put the rows of the copy that is going on.
    pub(crate) fn loading(&self) -> PathBuf {
        self.folder.join("loading.jsonl")
    }
}

pub(crate) fn failed(error: io::Error) -> WriteError {
    WriteError::transient(format!("scripted: {error}"))
}
