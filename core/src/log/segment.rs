//! Segment files: arenas that memory could not hold.
//!
//! # Form
//!
//! ```text
//! file    = magic "tahrlog1", record*
//! record  = length u32, crc32c u32 (of number and arena), number u64, arena (length bytes)
//! ```
//!
//! Little-endian. They belong to one run of the engine, which removes what an earlier one left:
//! what isn't stored in a target is still in the source's slot. So they are never synced.

use std::{
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use fs_err::File;
use tahr_plugin_api::abi::Arena;

const MAGIC: &[u8; 8] = b"tahrlog1";
const HEADER: usize = 16;

/// A segment is closed once it is this long.
pub(super) const SEGMENT_BYTES: u64 = 64 << 20;

/// What the write buffer may keep between two arenas; one large row must not hold its size.
const KEPT_SCRATCH: usize = 4 << 20;

/// One segment file; removed from disk when the last [`Place`] in it goes.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    /// Open while records are added. It is here and not in the spiller so that a file without
    /// readers gives its space back at once.
    writing: Mutex<Option<File>>,
}

impl Segment {
    fn append(&self, record: &[u8]) -> io::Result<()> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = writing.as_mut() else {
            return Err(io::Error::other("a segment file was closed already"));
        };
        file.write_all(record)
    }

    fn close(&self) {
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // It may be gone already with its folder; there is nothing to do about it either way.
        let _ = fs_err::remove_file(&self.path);
    }
}

/// Where an arena lies on disk.
#[derive(Clone, Debug)]
pub(super) struct Place {
    segment: Arc<Segment>,
    offset: u64,
    length: u32,
    number: u64,
}

impl Place {
    /// Reads the arena back.
    pub(super) fn read(&self) -> io::Result<Arena> {
        let mut file = File::open(&self.segment.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = vec![0; HEADER + self.length as usize];
        file.read_exact(&mut bytes)?;
        let damaged = |what: &str| {
            let path = self.segment.path.display();
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "segment file {path} is damaged at byte {}: {what}",
                    self.offset
                ),
            )
        };
        let (header, arena) = bytes.split_at(HEADER);
        let word =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap_or_default());
        if word(0) != self.length || header[8..] != self.number.to_le_bytes() {
            return Err(damaged("another record lies there"));
        }
        if word(4) != crc32c::crc32c_append(crc32c::crc32c(&header[8..]), arena) {
            return Err(damaged("checksum differs"));
        }
        Arena::read_from(arena).ok_or_else(|| damaged("not an arena"))
    }
}

/// Writes arenas into segment files, one after the other.
#[derive(Debug)]
pub(super) struct Spiller {
    folder: PathBuf,
    /// The segment that is being filled, and its length; the entries in it own it.
    current: Option<(Weak<Segment>, u64)>,
    made: u64,
    scratch: Vec<u8>,
}

impl Spiller {
    /// A spiller into `folder`, from which it removes segments of earlier runs.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        fs_err::create_dir_all(folder)?;
        for entry in fs_err::read_dir(folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "segment")
            {
                fs_err::remove_file(path)?;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            current: None,
            made: 0,
            scratch: Vec::new(),
        })
    }

    /// Writes `arena`, the log's entry `number`. After an error nothing refers to what may have
    /// been written of it.
    pub(super) fn write(&mut self, number: u64, arena: &Arena) -> io::Result<Place> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&[0; HEADER]);
        arena.write_to(&mut self.scratch);
        let length = u32::try_from(self.scratch.len() - HEADER)
            .map_err(|_| io::Error::other("an arena is longer than 4 GiB"))?;
        self.scratch[8..HEADER].copy_from_slice(&number.to_le_bytes());
        let checksum = crc32c::crc32c(&self.scratch[8..]);
        self.scratch[..4].copy_from_slice(&length.to_le_bytes());
        self.scratch[4..8].copy_from_slice(&checksum.to_le_bytes());
        let (segment, offset) = match self.unfinished() {
            Some(current) => current,
            None => self.open()?,
        };
        let written = segment.append(&self.scratch);
        let end = offset + self.scratch.len() as u64;
        if written.is_err() || end >= SEGMENT_BYTES {
            // After an error nobody knows where the file ends: the next record gets a new one.
            segment.close();
        } else {
            self.current = Some((Arc::downgrade(&segment), end));
        }
        self.scratch.clear();
        self.scratch.shrink_to(KEPT_SCRATCH);
        written.map(|()| Place {
            segment,
            offset,
            length,
            number,
        })
    }

    /// The segment that is being filled, unless all that was in it has gone.
    fn unfinished(&mut self) -> Option<(Arc<Segment>, u64)> {
        let (segment, end) = self.current.take()?;
        Some((segment.upgrade()?, end))
    }

    fn open(&mut self) -> io::Result<(Arc<Segment>, u64)> {
        self.made += 1;
        let path = self.folder.join(format!("{:08}.segment", self.made));
        let file = File::create(&path)?;
        let segment = Arc::new(Segment {
            path,
            writing: Mutex::new(Some(file)),
        });
        segment.append(MAGIC)?;
        Ok((segment, MAGIC.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::{Op, abi::ArenaBuilder};

    use super::*;

    fn arena(text: &str) -> Arena {
        let mut builder = ArenaBuilder::default();
        builder.begin(7, 8, 9, None);
        let relation = builder.relation(3);
        let row = builder.start_row();
        builder.push_text(text);
        builder.push_null();
        builder.push_bytes(&[0, 255]);
        builder.change(Op::Insert, 0, relation, None, Some(row), 0);
        builder.commit(20, 1);
        builder.finish()
    }

    #[test]
    fn arenas_are_read_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let mut spiller = Spiller::new(folder.path()).unwrap();
        let places: Vec<_> = (0..3u64)
            .map(|number| {
                spiller
                    .write(number, &arena(&format!("row {number}")))
                    .unwrap()
            })
            .collect();
        for (number, place) in places.iter().enumerate() {
            let (mut read, mut written) = (Vec::new(), Vec::new());
            place.read().unwrap().write_to(&mut read);
            arena(&format!("row {number}")).write_to(&mut written);
            assert_eq!(read, written);
        }
    }

    #[test]
    fn a_damaged_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut spiller = Spiller::new(folder.path()).unwrap();
        let place = spiller.write(1, &arena("hello")).unwrap();
        let path = folder.path().join("00000001.segment");
        let good = fs_err::read(&path).unwrap();
        for at in MAGIC.len()..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            fs_err::write(&path, bad).unwrap();
            assert!(place.read().is_err(), "byte {at} flipped");
        }
    }

    #[test]
    fn a_segment_that_nobody_needs_goes_at_once_and_the_next_record_gets_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let files = || fs_err::read_dir(folder.path()).unwrap().count();
        let mut spiller = Spiller::new(folder.path()).unwrap();
        let first = spiller.write(1, &arena("hello")).unwrap();
        let second = spiller.write(2, &arena("world")).unwrap();
        drop(first);
        assert_eq!(files(), 1);
        drop(second);
        assert_eq!(files(), 0);
        let third = spiller.write(3, &arena("again")).unwrap();
        assert!(third.read().is_ok());
        assert_eq!(files(), 1);
    }

    #[test]
    fn a_record_of_another_entry_is_not_taken_for_the_one_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut spiller = Spiller::new(folder.path()).unwrap();
        let place = spiller.write(1, &arena("hello")).unwrap();
        assert!(Place { number: 2, ..place }.read().is_err());
    }

    #[test]
    fn a_file_cut_short_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut spiller = Spiller::new(folder.path()).unwrap();
        let place = spiller.write(1, &arena("hello")).unwrap();
        let path = folder.path().join("00000001.segment");
        let good = fs_err::read(&path).unwrap();
        fs_err::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(place.read().is_err());
    }

    #[test]
    fn a_segment_goes_with_its_last_reader_and_old_ones_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("00000009.segment"), "old").unwrap();
        let mut spiller = Spiller::new(folder.path()).unwrap();
        let place = spiller.write(1, &arena("hello")).unwrap();
        drop(spiller);
        assert!(place.read().is_ok());
        drop(place);
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
    }
}
