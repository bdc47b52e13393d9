//! Segment files: what lanes that lag still need.

use std::{
    fs::File,
    io::{self, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tahr_plugin_api::{Position, abi::Arena, failpoint};

use super::record::{FILE_HEADER, Head, RECORD_HEADER, read_file_header};

/// A segment is closed once it is this long.
pub(super) const SEGMENT_BYTES: u64 = 64 << 20;
/// How far apart places lie from which a segment can be read.
const MARK_EVERY: u64 = 256 << 10;
const READ_BUFFER: usize = 256 << 10;

/// One segment file. It outlives the engine, unless it is [discarded](Self::discard): then it is
/// removed from disk as soon as nobody holds it.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    is_garbage: AtomicBool,
}

impl Segment {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            is_garbage: AtomicBool::new(false),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Nobody needs it any more.
    pub(super) fn discard(&self) {
        self.is_garbage.store(true, Ordering::Relaxed);
    }

    /// Gives it another name, under which nobody reads it; returns that.
    pub(super) fn set_aside(&self) -> PathBuf {
        set_aside(&self.path)
    }
}

/// Gives the segment file at `path` another name, under which nobody reads it; returns that.
pub(super) fn set_aside(path: &Path) -> PathBuf {
    let aside = path.with_extension("damaged");
    if let Err(error) = fs_err::rename(path, &aside) {
        tracing::warn!(%error, "a damaged segment file can't be renamed");
    }
    aside
}

impl Drop for Segment {
    fn drop(&mut self) {
        if *self.is_garbage.get_mut() {
            // It may be gone already with its folder; there is nothing to do about it either way.
            let _ = fs_err::remove_file(&self.path);
            failpoint::pass("log.removed");
        }
    }
}

/// A place in a segment from which it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The first entry from there on.
    pub(super) number: u64,
    /// The position before it.
    pub(super) before: Position,
    pub(super) offset: u64,
}

/// A segment as the log holds it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) segment: Arc<Segment>,
    /// The number behind its last entry.
    pub(super) next: u64,
    /// Where a lane stands that has stored all of it.
    pub(super) end: Position,
    /// Its length.
    pub(super) bytes: u64,
    /// From where it can be read: its beginning, and places a part of a MiB apart.
    pub(super) marks: Vec<Mark>,
    /// Since when nobody needs it.
    pub(super) done_since: Option<Instant>,
}

impl Held {
    pub(super) fn new(segment: Arc<Segment>, number: u64, begin: Position) -> Self {
        let mark = Mark {
            number,
            before: begin.clone(),
            offset: FILE_HEADER,
        };
        Self {
            segment,
            next: number,
            end: begin,
            bytes: FILE_HEADER,
            marks: vec![mark],
            done_since: None,
        }
    }

    /// Its first entry.
    pub(super) fn first(&self) -> u64 {
        self.marks[0].number
    }

    /// Where a lane stands that needs all of it.
    pub(super) fn begin(&self) -> &Position {
        &self.marks[0].before
    }

    /// Notes a record of `bytes` at its end.
    pub(super) fn add(&mut self, number: u64, is_bare: bool, end: Position, bytes: u64) {
        let last = self.marks.last().map_or(0, |mark| mark.offset);
        if self.bytes - last >= MARK_EVERY {
            self.marks.push(Mark {
                number,
                before: self.end.clone(),
                offset: self.bytes,
            });
        }
        self.next = number + u64::from(!is_bare);
        self.end = end;
        self.bytes += bytes;
    }

    /// The last mark at or before `number`.
    pub(super) fn mark_of(&self, number: u64) -> &Mark {
        let behind = self.marks.partition_point(|mark| mark.number <= number);
        &self.marks[behind.saturating_sub(1)]
    }

    /// The entry from which a lane that stands at `position` is to read.
    pub(super) fn number_at(&self, position: &Position) -> u64 {
        let behind = self.marks.partition_point(|mark| mark.before <= *position);
        self.marks[behind.saturating_sub(1)].number
    }
}

/// Whether `error` speaks of what the file holds: anything else, a lack of file descriptors or of rights,
/// says nothing about that.
pub(super) fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    let broken = rustix::io::Errno::IO.raw_os_error();
    matches!(error.kind(), InvalidData | UnexpectedEof | NotFound)
        || error.raw_os_error() == Some(broken)
}

/// Opens the file at `path`. What it says when it is read keeps the system's code, by which damage is
/// told from the rest.
fn open(path: &Path) -> io::Result<File> {
    fs_err::File::open(path).map(|file| file.into_parts().0)
}

pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads a segment's records one after the other.
#[derive(Debug)]
pub(super) struct SegmentReader {
    segment: Weak<Segment>,
    file: BufReader<File>,
    /// What comes next.
    at: Mark,
}

impl SegmentReader {
    /// Reads `segment` from `mark` on.
    pub(super) fn open(segment: &Arc<Segment>, mark: &Mark) -> io::Result<Self> {
        let mut file = open(&segment.path)?;
        file.seek(SeekFrom::Start(mark.offset))?;
        Ok(Self {
            segment: Arc::downgrade(segment),
            file: BufReader::with_capacity(READ_BUFFER, file),
            at: mark.clone(),
        })
    }

    /// Number and position that the header of the file at `path` says it begins with.
    pub(super) fn header(path: &Path) -> io::Result<(u64, Position)> {
        let mut header = [0; FILE_HEADER as usize];
        open(path)?.read_exact(&mut header)?;
        read_file_header(&header).ok_or_else(|| invalid("it does not begin like a segment file"))
    }

    /// Whether it can go on to entry `number` of `segment`, which can be read from `mark` too.
    pub(super) fn leads_to(&self, segment: &Arc<Segment>, number: u64, mark: &Mark) -> bool {
        std::ptr::eq(self.segment.as_ptr(), Arc::as_ptr(segment))
            && (mark.number..=number).contains(&self.at.number)
    }

    /// The entry `number`, which is not before where it stands.
    pub(super) fn read(&mut self, number: u64) -> io::Result<Arena> {
        loop {
            if let Some(arena) = self.record(number)? {
                return Ok(arena);
            }
        }
    }

    /// Passes the next record; its arena, where it is the entry `wanted`.
    fn record(&mut self, wanted: u64) -> io::Result<Option<Arena>> {
        let mut header = [0; RECORD_HEADER];
        self.file.read_exact(&mut header)?;
        let head = Head::read(&header);
        if head.number != self.at.number || head.end < self.at.before {
            return Err(invalid("another record lies there"));
        }
        let is_wanted = head.number == wanted && !head.is_bare;
        let arena = if is_wanted {
            let arena = Arena::read_from(&self.payload(&header, &head)?);
            Some(arena.ok_or_else(|| invalid("a record holds no arena"))?)
        } else {
            self.file.seek_relative(i64::from(head.length))?;
            None
        };
        self.passed(&head);
        Ok(arena)
    }

    fn passed(&mut self, head: &Head) {
        self.at = Mark {
            number: head.number + u64::from(!head.is_bare),
            before: head.end.clone(),
            offset: self.at.offset + RECORD_HEADER as u64 + u64::from(head.length),
        };
    }

    fn payload(&mut self, header: &[u8; RECORD_HEADER], head: &Head) -> io::Result<Vec<u8>> {
        // A damaged length must not cost memory.
        let left = self.file.get_ref().metadata()?.len();
        if u64::from(head.length) > left.saturating_sub(self.at.offset) {
            return Err(invalid("a record is longer than the file"));
        }
        let mut payload = vec![0; head.length as usize];
        self.file.read_exact(&mut payload)?;
        match head.fits(header, &payload) {
            true => Ok(payload),
            false => Err(invalid("a record's checksum differs")),
        }
    }

    /// Reads on to the first record that is not whole, and adds what is there to `held`.
    pub(super) fn scan(mut self, held: &mut Held) -> io::Result<()> {
        let mut next = || {
            let mut header = [0; RECORD_HEADER];
            self.file.read_exact(&mut header)?;
            let head = Head::read(&header);
            let is_next = head.number == self.at.number && head.end >= self.at.before;
            let payload = self.payload(&header, &head)?;
            if !is_next || !(head.is_bare || Arena::read_from(&payload).is_some()) {
                return Err(invalid("another record lies there"));
            }
            self.passed(&head);
            io::Result::Ok(head)
        };
        loop {
            let head = match next() {
                Ok(head) => head,
                Err(error) if is_damage(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            let bytes = RECORD_HEADER as u64 + u64::from(head.length);
            held.add(head.number, head.is_bare, head.end, bytes);
        }
    }
}
