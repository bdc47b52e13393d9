//! The journal: a store's open file, to which steps are added.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use fs_err::{File, os::unix::fs::FileExt as _};
use serde::Serialize;

use super::{
    frame::{HEADER, Header},
    reader::Found,
};
use crate::{masters::owner_only, reconcile::Record};

pub(super) const MAGIC: &[u8; 8] = b"tahrsync";
pub(super) const VERSION: u32 = 1;

/// A journal is long when it is longer than this, and than twice the state before it.
const LONG: u64 = 64 << 20;

/// What the write buffer may keep between two steps; one large step must not hold its size.
const KEPT: usize = 4 << 20;

/// A store's file, open.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Where its records begin.
    begin: u64,
    /// Where the next record goes. What is behind it was never stored.
    end: u64,
    /// Whether there may be anything behind `end`.
    is_torn: bool,
    /// The next frame: room for its header, and the records that were noted.
    frame: Vec<u8>,
    #[cfg(test)]
    pub(super) fault: Option<Fault>,
}

/// How the disk fails a test.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// Bytes that it still takes.
    pub(super) takes: usize,
    /// Whether the file can't even be cut.
    pub(super) for_good: bool,
}

impl Journal {
    /// Writes `whole` and an empty journal to a new file at `path`, and syncs it.
    pub(super) fn create(path: &Path, whole: &impl Serialize) -> io::Result<Self> {
        let file = owner_only::options().truncate(true).open(path)?;
        let mut head = MAGIC.to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend([0; HEADER]);
        let payload = head.len() as u64;
        let summing = Summing {
            file: &file,
            at: payload,
            checksum: 0,
            failure: None,
        };
        let mut buffered = BufWriter::with_capacity(1 << 18, summing);
        if let Err(error) = postcard::to_io(whole, &mut buffered) {
            let failure = buffered.get_mut().failure.take();
            return Err(failure.unwrap_or_else(|| io::Error::other(error)));
        }
        let summing = buffered
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        let Summing {
            at: end, checksum, ..
        } = summing;
        let header = Header {
            length: end - payload,
            checksum,
        };
        let place = head.len() - HEADER;
        head[place..].copy_from_slice(&header.encode());
        file.write_all_at(&head, 0)?;
        file.sync_all()?;
        Ok(Self::at(file, end, end))
    }

    /// Opens the file at `path`, in which `found` was found. A record that was never finished is cut
    /// off before the next one.
    pub(super) fn open(path: &Path, found: &Found) -> io::Result<Self> {
        let file = owner_only::options().open(path)?;
        let length = file.metadata()?.len();
        let mut journal = Self::at(file, found.journal, found.end);
        journal.is_torn = length != found.end;
        Ok(journal)
    }

    fn at(file: File, begin: u64, end: u64) -> Self {
        Self {
            file,
            begin,
            end,
            is_torn: false,
            frame: vec![0; HEADER],
            #[cfg(test)]
            fault: None,
        }
    }

    /// Adds a record, which is on disk after the next [`sync`](Self::sync).
    pub(super) fn note(&mut self, record: &Record) -> io::Result<()> {
        let frame = std::mem::replace(&mut self.frame, vec![0; HEADER]);
        // No record is such that this fails; what was noted would be lost with it.
        self.frame = postcard::to_extend(record, frame).map_err(io::Error::other)?;
        Ok(())
    }

    /// Bytes that were noted and are not on disk yet.
    pub(super) fn noted(&self) -> usize {
        self.frame.len() - HEADER
    }

    /// Forgets what was noted, down to so many bytes.
    pub(super) fn forget(&mut self, noted: usize) {
        self.frame.truncate(HEADER + noted);
    }

    /// Writes what was noted: it is on disk when this returns, or, after an error, not in the file.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.noted() == 0 {
            return Ok(());
        }
        self.mend()?;
        let header = Header::of(&self.frame[HEADER..]);
        self.frame[..HEADER].copy_from_slice(&header.encode());
        if let Err(error) = self.write(&self.frame) {
            self.is_torn = true;
            // If not now, then before the next one.
            let _ = self.mend();
            return Err(error);
        }
        self.end += self.frame.len() as u64;
        self.forget(0);
        self.frame.shrink_to(KEPT);
        Ok(())
    }

    fn write(&self, frame: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Some(fault) = self.fault {
            let taken = fault.takes.min(frame.len());
            self.file.write_all_at(&frame[..taken], self.end)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all_at(frame, self.end)?;
        self.file.sync_data()
    }

    /// Cuts off what was never stored.
    fn mend(&mut self) -> io::Result<()> {
        if !self.is_torn {
            return Ok(());
        }
        #[cfg(test)]
        if self.fault.is_some_and(|fault| fault.for_good) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.file.set_len(self.end)?;
        // The cut is on disk before anything is written in its place.
        self.file.sync_all()?;
        self.is_torn = false;
        Ok(())
    }

    pub(super) fn is_long(&self) -> bool {
        self.end - self.begin > LONG.max(2 * self.begin)
    }

    /// As if so many bytes had been added.
    #[cfg(test)]
    pub(super) fn stretch(&mut self, bytes: u64) {
        self.end += bytes;
    }
}

/// Writes to a file, and sums what it writes.
struct Summing<'a> {
    file: &'a File,
    at: u64,
    checksum: u32,
    /// What went wrong: postcard only says that something did.
    failure: Option<io::Error>,
}

impl Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.at).map_err(|error| {
            let kind = error.kind();
            self.failure = Some(error);
            io::Error::from(kind)
        })?;
        self.checksum = crc32c::crc32c_append(self.checksum, &bytes[..written]);
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
