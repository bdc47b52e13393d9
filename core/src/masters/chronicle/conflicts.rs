//! The log of conflicts.

use std::{io, path::Path};

use serde::Deserialize;

use super::{
    Entry,
    lines::{Lines, last},
};

const NAME: &str = "conflicts";

/// Bytes in each of its two files.
const LIMIT: u64 = 16 << 20;

/// A conflict longer than this has its values cut.
const LONGEST: usize = 4 << 20;

/// Lines are written in pieces of about this size.
const PIECE: usize = 1 << 20;

/// The conflicts of one sync, newest last, in bounded files.
#[derive(Debug)]
pub struct ConflictLog {
    lines: Lines,
    total: u64,
}

/// Which conflicts are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this table only, `schema.table`.
    pub table: Option<String>,
    /// The newest, so many at the most.
    pub limit: usize,
}

/// What of an entry is looked at to go on counting.
#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

impl ConflictLog {
    /// Opens the log in a sync's `folder`, which is made where it is absent.
    ///
    /// # Errors
    ///
    /// The folder or the log in it can't be used.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let lines = Lines::open(folder, NAME, LIMIT)?;
        let newest: Vec<Numbered> = last(folder, NAME, 1, |_| true)?;
        let total = newest.first().map_or(0, |entry| entry.number);
        Ok(Self { lines, total })
    }

    /// How many conflicts the sync has had, also those that the log holds no more.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Adds conflicts, and gives each its number.
    ///
    /// # Errors
    ///
    /// The disk failed: some of the conflicts, or all, are not in the log. Nothing else is harmed,
    /// and the next ones may be.
    pub fn append(&mut self, entries: &mut [Entry]) -> io::Result<()> {
        let mut number = self.total;
        let mut piece = Vec::new();
        for entry in entries {
            number += 1;
            entry.number = number;
            push_line(entry, &mut piece)?;
            if piece.len() >= PIECE {
                self.lines.push(&piece)?;
                self.total = number;
                piece.clear();
            }
        }
        if !piece.is_empty() {
            self.lines.push(&piece)?;
            self.total = number;
        }
        Ok(())
    }

    /// The newest conflicts in a sync's `folder` that `filter` lets through, the newest last; also
    /// while the engine adds to them.
    ///
    /// # Errors
    ///
    /// The log is there and can't be read.
    pub fn read(folder: &Path, filter: &Filter) -> io::Result<Vec<Entry>> {
        last(folder, NAME, filter.limit, |entry: &Entry| {
            let table = filter.table.as_ref();
            table.is_none_or(|table| *table == entry.table)
        })
    }
}

/// Adds `entry` as a line; one that would be far too long with shortened values.
fn push_line(entry: &Entry, lines: &mut Vec<u8>) -> io::Result<()> {
    let begin = lines.len();
    serde_json::to_writer(&mut *lines, entry)?;
    for length in [1000, 40] {
        if lines.len() - begin > LONGEST {
            lines.truncate(begin);
            let mut entry = entry.clone();
            entry.shorten(length);
            serde_json::to_writer(&mut *lines, &entry)?;
        }
    }
    lines.push(b'\n');
    Ok(())
}
