//! A book's file, as bytes: how many of them count, and how more come behind those.

use std::{
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use fs_err::{File, OpenOptions};
use tahr_plugin_api::failpoint;

use crate::state_file;

/// See the module. Opened when it is written to.
#[derive(Debug)]
pub(super) struct BookFile {
    path: PathBuf,
    open: Option<File>,
    /// Bytes of the first line, which always counts.
    first: u64,
    /// Bytes that count, and that the file has.
    len: u64,
    written: u64,
}

impl BookFile {
    /// The file at `path` of `written` bytes, of which `len` count, and the `first` are a line.
    pub(super) fn new(path: &Path, first: u64, len: u64, written: u64) -> Self {
        Self {
            path: path.to_owned(),
            open: None,
            first,
            len,
            written,
        }
    }

    /// Bytes that count; 0 where there is no file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Has no more than `len` bytes count, and the first line. In memory so far.
    pub(super) fn cut(&mut self, len: u64) {
        self.len = len.max(self.first);
    }

    /// Cuts off what doesn't count.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        if self.written > self.len {
            let len = self.len;
            let file = self.file()?;
            file.set_len(len)?;
            file.sync_data()?;
            self.written = len;
        }
        Ok(())
    }

    /// Adds `text` behind what counts; it counts, and is on disk, when this returns.
    pub(super) fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let len = self.len;
        self.written = len + text.len() as u64;
        let file = self.file()?;
        // Whatever an attempt that failed has left behind what counts.
        file.set_len(len)?;
        file.seek(SeekFrom::Start(len))?;
        file.write_all(text)?;
        file.sync_data()?;
        self.len = self.written;
        Ok(())
    }

    /// Has `text`, and nothing else, in the file, whole or not at all; its `first` bytes are a line.
    pub(super) fn replace(&mut self, text: &[u8], first: u64) -> io::Result<()> {
        self.open = None;
        state_file::replace(&self.path, text, || failpoint::pass("rejected.written"))?;
        let len = text.len() as u64;
        (self.first, self.len, self.written) = (first, len, len);
        Ok(())
    }

    /// Has no file.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.open = None;
        (self.first, self.len, self.written) = (0, 0, 0);
        state_file::remove(&self.path)
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.open.is_none() {
            let mut options = OpenOptions::new();
            self.open = Some(options.write(true).open(&self.path)?);
        }
        let none = || io::Error::from(io::ErrorKind::NotFound);
        self.open.as_mut().ok_or_else(none)
    }
}
