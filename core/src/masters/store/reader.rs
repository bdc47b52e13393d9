//! Reading a store's file.

use std::{
    io::{self, BufReader, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use fs_err::File;
use serde::de::DeserializeOwned;

use super::{
    Kept,
    frame::{HEADER, Header, is_unwritten},
    journal::{MAGIC, VERSION},
};
use crate::{Error, reconcile::Record, state_file::if_there};

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kept: Kept,
    /// Where the journal begins: what is before it is the whole state.
    pub(super) journal: u64,
    /// Where the next step goes.
    pub(super) end: u64,
}

/// A store's file, read frame by frame: no more than the largest is in memory at once.
struct Reader<'a> {
    path: &'a Path,
    file: BufReader<File>,
    at: u64,
    length: u64,
    payload: Vec<u8>,
}

/// What is kept in the file `path`; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Found>, Error> {
    let Some(file) = if_there(File::open(path)).map_err(unreadable)? else {
        return Ok(None);
    };
    let mut reader = Reader {
        path,
        length: file.metadata().map_err(unreadable)?.len(),
        file: BufReader::with_capacity(1 << 18, file),
        at: 0,
        payload: Vec::new(),
    };
    reader.head()?;
    // It was complete before it got its name.
    let mut kept: Kept = match reader.frame()? {
        true => match reader.value(&reader.payload)? {
            (kept, []) => kept,
            _ => return Err(reader.damaged("there is more in it than a state")),
        },
        false => return Err(reader.damaged("there is no whole state in it")),
    };
    if !kept.is_sound() {
        return Err(reader.damaged("its parts are of different syncs"));
    }
    let journal = reader.at;
    while reader.frame()? {
        let mut steps = reader.payload.as_slice();
        while !steps.is_empty() {
            let (record, rest): (Record, _) = reader.value(steps)?;
            if !kept.replay(&record) {
                return Err(reader.damaged("a step is about a source that the sync hasn't"));
            }
            steps = rest;
        }
    }
    Ok(Some(Found {
        kept,
        journal,
        end: reader.at,
    }))
}

impl Reader<'_> {
    fn head(&mut self) -> Result<(), Error> {
        let mut head = [0; MAGIC.len() + 4];
        if self.length < head.len() as u64 {
            return Err(self.damaged("it is too short"));
        }
        self.file.read_exact(&mut head).map_err(unreadable)?;
        self.at = head.len() as u64;
        let (magic, version) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(self.damaged("it doesn't begin as one"));
        }
        if version != VERSION.to_le_bytes() {
            return Err(Error::failed(format!(
                "state file {} was written by another version of tahr",
                self.path.display()
            ))
            .hint("go on with the version that wrote it"));
        }
        Ok(())
    }

    /// Reads the next frame's payload; false at the end, and at a frame that was never finished.
    fn frame(&mut self) -> Result<bool, Error> {
        let left = self.length - self.at;
        if left < HEADER as u64 {
            return Ok(false);
        }
        let mut header = [0; HEADER];
        self.file.read_exact(&mut header).map_err(unreadable)?;
        let Some(header) = Header::decode(header) else {
            return self.unfinished("a length doesn't match its checksum");
        };
        let left = left - HEADER as u64;
        if header.length > left {
            return Ok(false);
        }
        self.payload.clear();
        (&mut self.file)
            .take(header.length)
            .read_to_end(&mut self.payload)
            .map_err(unreadable)?;
        if header.fits(&self.payload) {
            self.at += HEADER as u64 + header.length;
            return Ok(true);
        }
        if header.length < left {
            return Err(self.damaged("a step doesn't match its checksum"));
        }
        self.unfinished("the last step doesn't match its checksum")
    }

    /// False where the rest of the file can be a frame that was never finished.
    fn unfinished(&mut self, wrong: &str) -> Result<bool, Error> {
        self.payload.clear();
        let at = SeekFrom::Start(self.at);
        self.file.seek(at).map_err(unreadable)?;
        let read = self.file.read_to_end(&mut self.payload);
        read.map_err(unreadable)?;
        match is_unwritten(&self.payload, self.at) {
            true => Ok(false),
            false => Err(self.damaged(wrong)),
        }
    }

    /// The value at the beginning of `bytes`, and what is behind it.
    fn value<'b, T: DeserializeOwned>(&self, bytes: &'b [u8]) -> Result<(T, &'b [u8]), Error> {
        postcard::take_from_bytes(bytes).map_err(|_| self.damaged("what it holds has another form"))
    }

    fn damaged(&self, wrong: &str) -> Error {
        let folder = self.path.parent().unwrap_or(self.path).display();
        Error::failed(format!(
            "state file {} is damaged at byte {}: {wrong}",
            self.path.display(),
            self.at
        ))
        .hint(format!(
            "what the sources of the sync are owed can't be known without it. Put back a copy of the \
             file as it was last, or let the sources meet anew: stop the engine, `mv {folder} \
             {folder}.damaged`, and start with `initial = \"merge\"` or `initial = \"first_source\"` \
             in the sync: a row deleted on one source may come back, and where rows differ that \
             setting decides"
        ))
    }
}

fn unreadable(error: io::Error) -> Error {
    Error::failed("read the state of a sync").caused_by(error)
}
