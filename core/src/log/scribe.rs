//! Writes entries into segment files, one after the other.

use std::{
    collections::HashSet,
    io::{self, Write as _},
    path::PathBuf,
    sync::{Arc, Weak},
};

use fs_err::{File, OpenOptions};
use tahr_plugin_api::{Position, abi::Arena, failpoint};

use super::{
    ledger::Ledger,
    record,
    segment::{Held, Segment},
};
use crate::{record::Relations, state_file::sync_folder};

/// What the write buffer may keep between two arenas; one large row must not hold its size.
const KEPT_SCRATCH: usize = 4 << 20;

/// What is to be written: entries that follow each other, or a bare advance.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) epoch: u64,
    /// The first entry, or the next one.
    pub(super) number: u64,
    /// The position before it.
    pub(super) begin: Position,
    pub(super) entries: Vec<(Position, Arena)>,
    /// Up to where the source holds nothing more, where there are no entries.
    pub(super) bare: Option<Position>,
}

/// Part of a job that was written into one segment.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) segment: Arc<Segment>,
    /// Whether nothing was in it before.
    pub(super) is_new: bool,
    /// Number, whether it is bare, position behind it, bytes.
    pub(super) records: Vec<(u64, bool, Position, u64)>,
    pub(super) begin: Position,
}

/// Files whose content is not synced yet.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    files: Vec<Arc<File>>,
    folder: Option<PathBuf>,
    /// Whether some of it could not be synced already.
    has_failed: bool,
}

impl Unsynced {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.has_failed
    }

    pub(super) fn sync(self) -> io::Result<()> {
        if self.has_failed {
            return Err(io::Error::other("a full segment could not be synced"));
        }
        for file in &self.files {
            file.sync_data()?;
        }
        self.folder.as_deref().map_or(Ok(()), sync_folder)
    }
}

#[derive(Debug)]
struct Current {
    /// Those who read it own it.
    segment: Weak<Segment>,
    file: Arc<File>,
    length: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Scribe {
    ledger: Ledger,
    relations: Arc<Relations>,
    /// Versions that the ledger's list of relations has.
    noted: HashSet<u32>,
    current: Option<Current>,
    /// Number of the last file that was made.
    made: u64,
    pub(super) most: u64,
    unsynced: Unsynced,
    /// The file that was written last.
    last: Option<Arc<File>>,
    scratch: Vec<u8>,
    /// Whether the disk takes nothing.
    #[cfg(test)]
    pub(super) is_full: bool,
}

impl Scribe {
    pub(super) fn new(
        ledger: Ledger,
        relations: Arc<Relations>,
        noted: HashSet<u32>,
        made: u64,
        most: u64,
    ) -> Self {
        Self {
            ledger,
            relations,
            noted,
            current: None,
            made,
            most,
            unsynced: Unsynced::default(),
            last: None,
            scratch: Vec::new(),
            #[cfg(test)]
            is_full: false,
        }
    }

    /// Writes `job`; returns what is in files now, also where the rest of it failed.
    pub(super) fn write(&mut self, job: &Job) -> (Vec<Piece>, io::Result<()>) {
        let mut pieces = Vec::new();
        let mut result = Ok(());
        let (mut number, mut begin) = (job.number, job.begin.clone());
        for (end, arena) in &job.entries {
            result = self.add(&mut pieces, number, &begin, end, Some(arena));
            if result.is_err() {
                break;
            }
            number += 1;
            begin = end.clone();
        }
        if let Some(bare) = &job.bare {
            result = self.add(&mut pieces, number, &begin, bare, None);
        }
        (pieces, result)
    }

    fn add(
        &mut self,
        pieces: &mut Vec<Piece>,
        number: u64,
        begin: &Position,
        end: &Position,
        arena: Option<&Arena>,
    ) -> io::Result<()> {
        if let Some(arena) = arena {
            self.note(arena)?;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let written = record::write(&mut scratch, number, end, arena)
            .and_then(|()| self.put(&scratch, number, begin));
        let bytes = scratch.len() as u64;
        scratch.clear();
        scratch.shrink_to(KEPT_SCRATCH);
        self.scratch = scratch;
        let (segment, is_new) = written?;
        let record = (number, arena.is_none(), end.clone(), bytes);
        match pieces.last_mut() {
            Some(piece) if Arc::ptr_eq(&piece.segment, &segment) => piece.records.push(record),
            _ => pieces.push(Piece {
                segment,
                is_new,
                records: vec![record],
                begin: begin.clone(),
            }),
        }
        Ok(())
    }

    /// Adds the relations that `arena` refers to to the ledger's list.
    fn note(&mut self, arena: &Arena) -> io::Result<()> {
        for &version in arena.relations() {
            if self.noted.contains(&version) {
                continue;
            }
            if let Some(relation) = self.relations.get(version) {
                self.ledger.note(&relation)?;
                failpoint::pass("log.noted");
            }
            self.noted.insert(version);
        }
        Ok(())
    }

    /// Writes `record` into the current segment, or a new one; says which, and whether it is new.
    fn put(
        &mut self,
        record: &[u8],
        number: u64,
        begin: &Position,
    ) -> io::Result<(Arc<Segment>, bool)> {
        #[cfg(test)]
        if self.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let current = match self.unfinished() {
            Some(current) => (current, false),
            None => (self.open(number, begin)?, true),
        };
        let ((segment, file, length), is_new) = current;
        let mut writing = &*file;
        if failpoint::is_due("log.torn") {
            let _ = writing.write_all(&record[..record.len() / 2]);
            failpoint::die();
        }
        if let Err(error) = writing.write_all(record) {
            // Nobody refers to what may be there of it; but the next start reads on to there.
            let _ = file.set_len(length);
            if is_new {
                segment.discard();
            }
            return Err(error);
        }
        let length = length + record.len() as u64;
        self.unsynced.add(&file);
        self.last = Some(Arc::clone(&file));
        if length < self.most {
            let segment = Arc::downgrade(&segment);
            self.current = Some(Current {
                segment,
                file,
                length,
            });
        }
        Ok((segment, is_new))
    }

    /// The segment that is being filled, unless all that was in it has gone.
    fn unfinished(&mut self) -> Option<(Arc<Segment>, Arc<File>, u64)> {
        let current = self.current.take()?;
        let segment = current.segment.upgrade()?;
        Some((segment, current.file, current.length))
    }

    fn open(
        &mut self,
        number: u64,
        begin: &Position,
    ) -> io::Result<(Arc<Segment>, Arc<File>, u64)> {
        self.ledger.ensure()?;
        self.finish()?;
        let (path, file) = loop {
            // Also one that is there already is passed, or it would be in the way for ever.
            let path = self.ledger.segment(self.made + 1);
            let file = OpenOptions::new().write(true).create_new(true).open(&path);
            let is_there = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
            let is_taken = file.as_ref().is_err_and(is_there);
            self.made += u64::from(is_taken || file.is_ok());
            if !is_taken {
                break (path, file?);
            }
        };
        failpoint::pass("log.empty");
        let segment = Arc::new(Segment::new(path));
        let header = record::file_header(number, begin);
        let mut writing = &file;
        if let Err(error) = writing.write_all(&header) {
            segment.discard();
            return Err(error);
        }
        failpoint::pass("log.begun");
        self.unsynced.folder = Some(self.ledger.folder().to_owned());
        Ok((segment, Arc::new(file), header.len() as u64))
    }

    /// Syncs the file before the one that comes next: so only the last one can be torn, and that is what
    /// the next start looks at.
    fn finish(&mut self) -> io::Result<()> {
        let Some(last) = self.last.take() else {
            return Ok(());
        };
        let synced = last.sync_data();
        let synced = synced.and_then(|()| sync_folder(self.ledger.folder()));
        // Another attempt may say that all is well, and what was to be written is lost all the same.
        self.unsynced.has_failed |= synced.is_err();
        synced
    }

    /// Goes on in a new segment: what was written last is no part of the log.
    pub(super) fn close(&mut self) {
        self.current = None;
    }

    /// Goes on filling `held`, which was found at the start.
    pub(super) fn go_on(&mut self, held: &Held) -> io::Result<()> {
        if held.bytes < self.most {
            let file = OpenOptions::new().append(true).open(held.segment.path())?;
            self.current = Some(Current {
                segment: Arc::downgrade(&held.segment),
                file: Arc::new(file),
                length: held.bytes,
            });
        }
        Ok(())
    }

    /// What is to be synced before what was written counts.
    pub(super) fn unsynced(&mut self) -> Unsynced {
        std::mem::take(&mut self.unsynced)
    }
}

impl Unsynced {
    fn add(&mut self, file: &Arc<File>) {
        if !self.files.iter().any(|known| Arc::ptr_eq(known, file)) {
            self.files.push(Arc::clone(file));
        }
    }
}
