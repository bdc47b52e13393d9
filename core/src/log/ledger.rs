//! The folder of a log: which stream it is of, and what it needs besides its segments.
//!
//! ```text
//! stream.json        which stream the segments are of
//! relations          relation versions that they refer to, one line of JSON with its checksum each
//! 0000000001.segment see `record`
//! *.damaged          a segment that could not be read: see `aside`
//! aside-N/, *.aside  a log of another stream
//! ```

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use fs_err::OpenOptions;
use serde::{Deserialize, Serialize};
use tahr_plugin_api::{Relation, failpoint};

use super::{aside, recover::cut};
use crate::state_file::{self, if_there, sync_folder};

/// Which stream a log is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogId {
    /// The source cluster's system identifier.
    pub system_id: String,
    /// The timeline that the source is on.
    pub timeline: u32,
    /// OID of the source database.
    pub database: u32,
    /// The replication slot.
    pub slot: String,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ledger {
    folder: PathBuf,
    id: LogId,
    is_made: bool,
}

impl Ledger {
    pub(super) fn new(folder: &Path, id: LogId) -> Self {
        Self {
            folder: folder.to_owned(),
            id,
            is_made: false,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:010}.segment"))
    }

    fn stream(&self) -> PathBuf {
        self.folder.join("stream.json")
    }

    fn list(&self) -> PathBuf {
        self.folder.join("relations")
    }

    /// Whether the folder says that it is of this stream; none where it says nothing.
    pub(super) fn is_ours(&self) -> io::Result<Option<bool>> {
        let bytes = if_there(fs_err::read(self.stream()))?;
        Ok(bytes.map(|bytes| {
            let found: Option<LogId> = serde_json::from_slice(&bytes).ok();
            found.as_ref() == Some(&self.id)
        }))
    }

    /// Makes the folder, and says in it which stream it is of. Nothing is made before there is
    /// something to write.
    pub(super) fn ensure(&mut self) -> io::Result<()> {
        if self.is_made {
            return Ok(());
        }
        fs_err::create_dir_all(&self.folder)?;
        if self.is_ours()? != Some(true) {
            let json = serde_json::to_vec_pretty(&self.id)?;
            state_file::replace(&self.stream(), &json, || failpoint::pass("log.named"))?;
        }
        // An engine that was killed may have made the one or the other and not synced it.
        sync_folder(&self.folder)?;
        self.folder.parent().map_or(Ok(()), sync_folder)?;
        self.is_made = true;
        Ok(())
    }

    /// Adds `relation` to the list, synced: what refers to it comes after.
    pub(super) fn note(&mut self, relation: &Relation) -> io::Result<()> {
        self.ensure()?;
        let json = serde_json::to_vec(relation)?;
        let mut line = format!("{:08x} ", crc32c::crc32c(&json)).into_bytes();
        line.extend_from_slice(&json);
        line.push(b'\n');
        let path = self.list();
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        let length = file.metadata()?.len();
        let written = file.write_all(&line).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = file.set_len(length);
        }
        written?;
        sync_folder(&self.folder)
    }

    /// The relations of the list; none where it is damaged.
    pub(super) fn relations(&self) -> io::Result<Option<Vec<Relation>>> {
        let bytes = if_there(fs_err::read(self.list()))?.unwrap_or_default();
        // A torn line was never finished, so nothing refers to it; and it must not swallow the next.
        let whole = bytes.iter().rposition(|&byte| byte == b'\n');
        let whole = whole.map_or(0, |last| last + 1);
        if whole < bytes.len() {
            cut(&self.list(), whole as u64)?;
        }
        Ok(bytes[..whole]
            .split_inclusive(|&byte| byte == b'\n')
            .map(read)
            .collect())
    }

    /// The segment files that are here, by number.
    pub(super) fn segments(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut segments = Vec::new();
        for path in state_file::entries(&self.folder)? {
            let is_segment = path.extension().is_some_and(|suffix| suffix == "segment");
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse().ok());
            if let (Some(number), true) = (number, is_segment) {
                segments.push((number, path));
            }
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// Forgets the list: there is no segment that needs it.
    pub(super) fn clear(&self) -> io::Result<()> {
        state_file::remove(&self.list())?;
        state_file::remove(&self.stream())
    }

    /// Moves all that is here into a folder in which nobody looks; returns that. Where the disk has no
    /// room for one, the files get other names.
    pub(super) fn set_aside(&self) -> io::Result<PathBuf> {
        let mut last = 0;
        for entry in fs_err::read_dir(&self.folder)? {
            last = last.max(aside::number(&entry?.path()).unwrap_or(0));
        }
        let aside = self
            .folder
            .join(format!("aside-{}", last.saturating_add(1)));
        let aside = match fs_err::create_dir(&aside) {
            Ok(()) => Some(aside),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => None,
            Err(error) => return Err(error),
        };
        self.move_to(aside.as_deref())?;
        Ok(aside.unwrap_or_else(|| self.folder.clone()))
    }

    /// Moves all that is here into the folder `aside`, or out of the way.
    fn move_to(&self, aside: Option<&Path>) -> io::Result<()> {
        let segments = self.segments()?.into_iter().map(|(_, path)| path);
        for path in segments.chain([self.list(), self.stream()]) {
            if let (Some(name), true) = (path.file_name(), path.exists()) {
                let place = match aside {
                    Some(aside) => aside.join(name),
                    None => path.with_extension("aside"),
                };
                fs_err::rename(&path, place)?;
            }
        }
        sync_folder(&self.folder)
    }
}

fn read(line: &[u8]) -> Option<Relation> {
    let line = line.strip_suffix(b"\n")?;
    let (checksum, json) = (line.get(..8)?, line.get(9..)?);
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    if crc32c::crc32c(json) != checksum {
        return None;
    }
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_folder_can_be_made_for_is_out_of_the_way_all_the_same() {
        let folder = tempfile::tempdir().expect("make a folder");
        for name in ["0000000001.segment", "relations", "stream.json"] {
            fs_err::write(folder.path().join(name), "").expect("write");
        }
        let ledger = Ledger::new(folder.path(), LogId::default());
        ledger.move_to(None).expect("move");
        assert!(ledger.segments().expect("read the folder").is_empty());
        assert!(ledger.is_ours().expect("look").is_none());
    }
}
