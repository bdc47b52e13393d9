//! Adds every change to a file, as a line of JSON.
//!
//! The target is a folder. A lane has two files in it: `LANE.jsonl` holds the lines, and `LANE.state`
//! says how many bytes of them count. To replace that small file is to commit. What lies behind those
//! bytes was never committed, and is cut off before the next line.

use std::{io::ErrorKind, io::Write as _, path::PathBuf};

use fs_err::{self as fs, File};
use tahr_plugin_api::{
    Batch, Host, RuleTable, Simple, SimpleWriter, WriteError, export_writer, json,
};

/// The table `options` of a target.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The folder for the files. It must exist.
    folder: PathBuf,
}

/// Lines in a folder.
#[derive(Debug)]
pub struct JsonLines {
    folder: PathBuf,
    /// The lines of a lane, locked, while some are not committed.
    open: Option<File>,
}

impl JsonLines {
    fn path(&self, lane: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{lane}.{ending}"))
    }

    /// How many bytes of the lines count, and the state.
    fn committed(&self, lane: &str) -> Result<Option<(u64, String)>, WriteError> {
        let text = match fs::read_to_string(self.path(lane, "state")) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let (bytes, state) = text.split_once('\n').unwrap_or_default();
        let bytes = bytes.parse().map_err(|_| damaged(lane, "state"))?;
        Ok(Some((bytes, state.to_owned())))
    }

    /// The lines that count, to add more. Nobody else can until the file is closed.
    fn begin(&mut self, lane: &str) -> Result<File, WriteError> {
        if let Some(open) = self.open.take() {
            return Ok(open);
        }
        let mut options = File::options();
        let lines = options
            .create(true)
            .append(true)
            .open(self.path(lane, "jsonl"))?;
        let busy = |_| WriteError::transient(format!("another writer adds to {lane}.jsonl"));
        lines.try_lock().map_err(busy)?;
        if let Some((bytes, _)) = self.committed(lane)? {
            if lines.metadata()?.len() < bytes {
                return Err(damaged(lane, "jsonl"));
            }
            lines.set_len(bytes)?;
        }
        Ok(lines)
    }
}

fn damaged(lane: &str, ending: &str) -> WriteError {
    let message = format!("{lane}.{ending} is not as it was committed");
    WriteError::rejected(message).hint("put the file back as it was")
}

impl SimpleWriter for JsonLines {
    type Options = Options;
    const NAME: &'static str = "jsonl";
    const SUMMARY: &'static str = "every change as a line of JSON";

    fn rules() -> Vec<RuleTable> {
        vec![RuleTable::of("", json::rule)]
    }

    fn open(options: &Options, _host: &Host) -> Result<Self, WriteError> {
        fs::read_dir(&options.folder)?;
        let (folder, open) = (options.folder.clone(), None);
        Ok(Self { folder, open })
    }

    fn stored(&mut self, lane: &str) -> Result<Option<String>, WriteError> {
        Ok(self.committed(lane)?.map(|(_, state)| state))
    }

    fn put(&mut self, lane: &str, batch: &Batch) -> Result<(), WriteError> {
        let mut lines = self.begin(lane)?;
        // Where the state was removed meanwhile, these lines won't be committed.
        if self.committed(lane)?.is_some() {
            lines.write_all(&json::lines(batch))?;
        }
        self.open = Some(lines);
        Ok(())
    }

    fn commit(
        &mut self,
        lane: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<bool, WriteError> {
        let lines = self.begin(lane)?;
        if self.stored(lane)?.as_deref() != from {
            return Ok(false);
        }
        if let Some(state) = to {
            lines.sync_all()?;
            let mut new = File::create(self.path(lane, "new"))?;
            write!(new, "{}\n{state}", lines.metadata()?.len())?;
            new.sync_all()?;
            fs::rename(self.path(lane, "new"), self.path(lane, "state"))?; // all of it, or nothing
        } else {
            fs::remove_file(self.path(lane, "state"))?;
        }
        File::open(&self.folder)?.sync_all()?;
        Ok(true)
    }
}

export_writer!(Simple<JsonLines>);
