//! Where a writer puts the rows that it reads.

use std::fmt;

use super::{Digest, Filter, wire};
use crate::WriteError;

/// Bytes that are gathered before they are sent.
const CHUNK: usize = 256 << 10;

/// Takes what a target holds, row by row.
pub struct ReadBack<'a> {
    send: &'a mut dyn FnMut(&[u8]) -> Result<(), WriteError>,
    filter: Filter,
    wants_names: bool,
    may_lack: bool,
    chunk: Vec<u8>,
}

impl fmt::Debug for ReadBack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBack").finish_non_exhaustive()
    }
}

impl<'a> ReadBack<'a> {
    /// Rows that `filter` has, with the names of their keys if they are wanted; what is found goes
    /// to `send`, to be read by [`read_found`](super::read_found).
    pub fn new(
        filter: Filter,
        wants_names: bool,
        send: &'a mut dyn FnMut(&[u8]) -> Result<(), WriteError>,
    ) -> Self {
        Self {
            send,
            filter,
            wants_names,
            may_lack: false,
            chunk: Vec::new(),
        }
    }

    /// Says that rows may be missing by themselves, as in a cache they do whose rows expire.
    pub fn may_lack_some(&mut self) {
        self.may_lack = true;
    }

    /// Whether rows may be missing by themselves.
    #[must_use]
    pub fn lacks_some(&self) -> bool {
        self.may_lack
    }

    /// Adds a row. `name` is called where its key is to be named: it gives the values of the key's
    /// columns, in the order of [`Relation::key`](crate::Relation::key), as PostgreSQL would read
    /// them.
    ///
    /// # Errors
    ///
    /// The engine wants no more; return it.
    pub fn row(
        &mut self,
        digest: Digest,
        name: impl FnOnce(&mut KeyName<'_>),
    ) -> Result<(), WriteError> {
        if !self.filter.has(digest.key) {
            return Ok(());
        }
        wire::put_digest(&mut self.chunk, digest);
        let at = self.chunk.len();
        self.chunk.push(0);
        if self.wants_names {
            let mut key = KeyName {
                out: &mut self.chunk,
                columns: 0,
            };
            name(&mut key);
            self.chunk[at] = key.columns;
        }
        if self.chunk.len() >= CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    /// Sends what was gathered; the engine's side of the plugin does it at the end.
    ///
    /// # Errors
    ///
    /// As [`row`](Self::row).
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if !self.chunk.is_empty() {
            (self.send)(&self.chunk)?;
            self.chunk.clear();
        }
        Ok(())
    }
}

/// Takes the values of a key.
#[derive(Debug)]
pub struct KeyName<'a> {
    out: &'a mut Vec<u8>,
    columns: u8,
}

impl KeyName<'_> {
    /// The next value, as PostgreSQL reads it.
    pub fn text(&mut self, text: &str) {
        self.columns = self.columns.saturating_add(1);
        wire::put_text(self.out, Some(text.as_bytes()));
    }

    /// The next value, which is bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let digits = bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
            text
        });
        self.text(&digits);
    }

    /// The next value is null, which a key of the source never is.
    pub fn null(&mut self) {
        self.columns = self.columns.saturating_add(1);
        wire::put_text(self.out, None);
    }
}
