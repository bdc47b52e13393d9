//! Lines of JSON in at most two files: when the newer one is full it becomes the older one.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use fs_err::{File, os::unix::fs::FileExt as _};
use serde::de::DeserializeOwned;

use crate::{masters::owner_only, state_file::if_there};

/// How many bytes at the end of a file are looked at for its last whole line at a time.
const TAIL: u64 = 1 << 16;

/// The files, open for adding lines.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    older: PathBuf,
    file: File,
    /// Where the next line goes; nothing but what a failed write left is behind it.
    end: u64,
    /// Bytes that the newer file may hold.
    limit: u64,
}

fn paths(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["older.jsonl", "jsonl"].map(|ending| folder.join(format!("{name}.{ending}")))
}

impl Lines {
    /// Opens the files called `name` in `folder`, which is made where it is absent. A line that was
    /// never finished is cut off.
    pub(super) fn open(folder: &Path, name: &str, limit: u64) -> io::Result<Self> {
        owner_only::make_folder(folder)?;
        let [older, path] = paths(folder, name);
        let file = owner_only::options().read(true).open(&path)?;
        let end = end_of_lines(&file)?;
        file.set_len(end)?;
        Ok(Self {
            path,
            older,
            file,
            end,
            limit,
        })
    }

    /// Where the next line goes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Adds whole lines, in one piece. After an error they are not there.
    pub(super) fn push(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.end > 0 && self.end + lines.len() as u64 > self.limit {
            // The last attempt may have come no further than this.
            if_there(fs_err::rename(&self.path, &self.older))?;
            self.file = owner_only::options().read(true).open(&self.path)?;
            self.end = 0;
        }
        self.replace(self.end, lines)
    }

    /// Puts whole lines in the place of those from `begin` on.
    pub(super) fn replace(&mut self, begin: u64, lines: &[u8]) -> io::Result<()> {
        let end = begin + lines.len() as u64;
        if let Err(error) = self.file.write_all_at(lines, begin) {
            self.end = begin;
            // What is left of it is no line, and the next one is written over it.
            let _ = self.file.set_len(begin);
            return Err(error);
        }
        if end < self.end {
            self.file.set_len(end)?;
        }
        self.end = end;
        Ok(())
    }
}

/// Behind the last line break of `file`.
fn end_of_lines(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut piece = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(TAIL);
        piece.resize(usize::try_from(end - begin).unwrap_or_default(), 0);
        file.read_exact_at(&mut piece, begin)?;
        if let Some(at) = piece.iter().rposition(|&byte| byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// The last `limit` values among the lines called `name` in `folder` that `is_wanted` wants, the
/// newest last. Lines may be added meanwhile; what is no value is passed over.
pub(super) fn last<T: DeserializeOwned>(
    folder: &Path,
    name: &str,
    limit: usize,
    is_wanted: impl Fn(&T) -> bool,
) -> io::Result<Vec<T>> {
    let mut values = Vec::new();
    for file in open_both(&paths(folder, name))?.iter().rev().flatten() {
        let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or_default()];
        let mut read = 0;
        // It may get shorter while it is read.
        while read < bytes.len() {
            match file.read_at(&mut bytes[read..], read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        let lines = bytes[..read].rsplit(|&byte| byte == b'\n');
        let found = lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .filter(&is_wanted);
        values.extend(found.take(limit - values.len()));
        if values.len() == limit {
            break;
        }
    }
    values.reverse();
    Ok(values)
}

/// Both files as they are at one moment: the newer one may just become the older one.
fn open_both([older, newer]: &[PathBuf; 2]) -> io::Result<[Option<File>; 2]> {
    let mut tries = 0;
    loop {
        let files = [if_there(File::open(older))?, if_there(File::open(newer))?];
        tries += 1;
        if tries == 3
            || identity(if_there(File::open(older))?.as_ref())? == identity(files[0].as_ref())?
        {
            return Ok(files);
        }
    }
}

fn identity(file: Option<&File>) -> io::Result<Option<u64>> {
    file.map(|file| file.metadata().map(|found| found.ino()))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(folder: &Path, limit: usize) -> Vec<u64> {
        last(folder, "test", limit, |_| true).unwrap()
    }

    #[test]
    fn the_oldest_lines_go_when_two_files_are_full() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = Lines::open(folder.path(), "test", 40).unwrap();
        for number in 1000..1100_u64 {
            lines.push(format!("{number}\n").as_bytes()).unwrap();
            let kept = numbers(folder.path(), 1000);
            let first = 1000.max(number - 15);
            assert_eq!(*kept.last().unwrap(), number);
            assert!(kept.is_sorted() && kept[0] <= first + 8, "{kept:?}");
            for file in paths(folder.path(), "test") {
                assert!(fs_err::metadata(file).map_or(0, |found| found.len()) <= 40);
            }
        }
        assert_eq!(numbers(folder.path(), 3), [1097, 1098, 1099]);
        assert_eq!(numbers(folder.path(), 0), [0; 0]);
        drop(lines);
        let mut lines = Lines::open(folder.path(), "test", 40).unwrap();
        lines.push(b"1100\n").unwrap();
        assert_eq!(numbers(folder.path(), 2), [1099, 1100]);
    }

    #[test]
    fn a_line_that_a_crash_left_incomplete_is_passed_over_and_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let [_, path] = paths(folder.path(), "test");
        for left in ["1\n2\n3", "1\n2\n\0\0\0\0", "1\n2\n{\"a\": \"b"] {
            fs_err::write(&path, left).unwrap();
            let mut lines = Lines::open(folder.path(), "test", 1 << 20).unwrap();
            lines.push(b"4\n").unwrap();
            assert_eq!(numbers(folder.path(), 9), [1, 2, 4], "{left:?}");
        }
        fs_err::write(&path, vec![b'7'; 200_000]).unwrap();
        let mut lines = Lines::open(folder.path(), "test", 1 << 20).unwrap();
        lines.push(b"8\n").unwrap();
        assert_eq!(numbers(folder.path(), 9), [8]);
    }

    #[test]
    fn lines_can_be_replaced_by_longer_and_by_shorter_ones() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = Lines::open(folder.path(), "test", 1 << 20).unwrap();
        lines.push(b"1\n").unwrap();
        let begin = lines.end();
        for number in ["2\n", "2345\n", "6\n"] {
            lines.replace(begin, number.as_bytes()).unwrap();
        }
        lines.push(b"7\n").unwrap();
        assert_eq!(numbers(folder.path(), 9), [1, 6, 7]);
    }

    #[test]
    fn without_files_there_are_no_lines() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(numbers(folder.path(), 9), [0; 0]);
        assert_eq!(numbers(&folder.path().join("absent"), 9), [0; 0]);
    }
}
