//! The rows of one lane that were set aside, and their file.
//!
//! What becomes of an entry is noted in records, in the order of the source: it is put, put anew as
//! later changes join it, and ends. Each record has the position that covers the change it is due to,
//! and is on disk before the target's checkpoint can pass that position. So file and target never
//! disagree, whenever the engine ends: a record behind the checkpoint is of something that the
//! target has not done, [`rewind`](Book::rewind) takes it back, and what the lane does again notes it
//! again. The same holds for a target that was restored from a backup, as far back as the source can
//! be read again; older records of what has ended are left out when the file is [tidied](Book::tidy).
//!
//! The book holds all records of its file (`lines`, `file`), and the entries that they make
//! (`entries`).

mod entries;
mod file;
mod lines;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tahr_plugin_api::{Lsn, Position, Relation, StreamId, TableName};

pub(super) use lines::End;
#[cfg(test)]
pub(super) use lines::seal_json;

use super::{deed::Key, entry::Entry};
use crate::state_file;
use entries::Entries;
use file::BookFile;
use lines::{Content, Head, Noted, Record, seal_head, seal_records};

/// The file is written anew when so many bytes of it are of no use.
const WASTE: u64 = 1 << 20;
/// It is looked through for them when it has grown by so many bytes.
const LOOK: u64 = WASTE / 4;
/// A file that is larger is too large.
const LARGE: u64 = 64 << 20;

/// Where the lane from `sync` to `target` keeps what was set aside; `tahr drop` removes it.
#[must_use]
pub fn rejected_path(state_dir: &Path, sync: &str, target: &str) -> PathBuf {
    let name = format!("{sync}.{target}.rejected.jsonl");
    state_dir.join("lanes").join(name)
}

/// The entries of one lane, in memory and in their file.
#[derive(Debug)]
pub struct Book {
    file: BookFile,
    head: Option<Head>,
    records: Vec<Noted>,
    /// Whether a line of the file has records that were taken back beside ones that count.
    is_split: bool,
    /// Bytes of the file when it was looked through for what has ended.
    looked: u64,
    entries: Entries,
    /// Whether the entries were shown since they changed.
    is_shown: bool,
    /// Numbers below it were given to entries that the file may know nothing of.
    given: u64,
}

impl Book {
    /// What the file at `path` holds; nothing where there is none.
    ///
    /// # Errors
    ///
    /// It can't be read, or is damaged otherwise than at its end, which a crash may have cut.
    pub fn open(path: &Path) -> io::Result<Self> {
        let bytes = state_file::if_there(fs_err::read(path))?;
        Self::of_bytes(path, &bytes.unwrap_or_default())
    }

    /// What `bytes`, the file at `path`, hold.
    pub(super) fn of_bytes(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let content = Content::read(path, bytes)?;
        let (first, len) = (content.first, content.len);
        let given = content.head.as_ref().map_or(1, |head| head.next);
        let mut book = Self {
            file: BookFile::new(path, first, len, bytes.len() as u64),
            head: content.head,
            records: content.records,
            is_split: false,
            looked: 0,
            entries: Entries::new(given),
            is_shown: false,
            given,
        };
        book.fold();
        Ok(book)
    }

    /// Notes whose positions these are. Entries of another source than that of `stream` are given
    /// up, since its tables are copied anew; returns how many there were.
    ///
    /// # Errors
    ///
    /// The state folder can't be written.
    pub(super) fn belong_to(&mut self, stream: &StreamId) -> io::Result<usize> {
        let head = Head::new(stream, self.entries.next());
        let is_ours = |known: &Head| known.is_of_source_of(&head);
        let is_known = self.head.as_ref().is_none_or(is_ours);
        self.head = Some(head);
        if is_known {
            return Ok(0);
        }
        let left = self.entries.live().len();
        self.given = self.entries.next();
        self.records.clear();
        self.fold();
        self.rewrite()?;
        Ok(left)
    }

    /// The entries, by number.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<u64, Arc<Entry>> {
        self.entries.live()
    }

    /// Bytes that the entries take in memory, about.
    pub(super) fn size(&self) -> usize {
        self.entries.size()
    }

    /// The number that the next new entry gets.
    pub(super) fn next_number(&self) -> u64 {
        self.entries.next()
    }

    /// Whether some entry is of the table `oid`.
    pub(super) fn has_table(&self, oid: u32) -> bool {
        self.entries.has_table(oid)
    }

    /// The oldest entry of the row of `relation` that `key` names in the source.
    pub(super) fn of_row(&self, relation: &Relation, key: Option<&Key>) -> Option<&Arc<Entry>> {
        self.entries.of_row(relation, key)
    }

    /// Entries whose row of `relation` the target still has under `key`.
    pub(super) fn at_place(
        &self,
        relation: &Relation,
        key: Option<&Key>,
    ) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.at_place(relation, key)
    }

    /// Whether the entries are as they were shown.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// Notes that the entries are shown.
    pub(super) fn shown(&mut self) {
        self.is_shown = true;
    }

    /// Puts an entry, or in the place of the one of its number; in memory so far.
    pub(super) fn put(&mut self, entry: Entry) {
        self.push(Record::Put(Arc::new(entry)));
    }

    /// Ends an entry, due to what `at` covers; in memory so far.
    pub(super) fn end(&mut self, number: u64, at: Position, why: End) {
        self.push(Record::End { number, at, why });
    }

    fn push(&mut self, record: Record) {
        self.is_shown = false;
        self.entries.take(&record);
        self.records.push(Noted::new(record));
    }

    /// Finds the entries anew.
    fn fold(&mut self) {
        self.is_shown = false;
        self.entries = Entries::new(self.given);
        for Noted { record, .. } in &self.records {
            self.entries.take(record);
        }
    }

    /// The position of the newest record.
    pub(super) fn newest(&self) -> Position {
        let newest = self.records.iter().map(|noted| noted.record.at());
        newest.max().cloned().unwrap_or_default()
    }

    /// Ends the entries of the table `oid`, which is called `table` now, that a copy of it, which
    /// stands for `copied_to`, holds; and those of another table that had its name.
    pub(super) fn copied(&mut self, oid: u32, table: &TableName, copied_to: Lsn) {
        let is_its = |entry: &Arc<Entry>| entry.oid == oid || entry.table == *table;
        let is_held = |entry: &&Arc<Entry>| is_its(entry) && entry.at.lsn < copied_to;
        let entries = self.entries().values();
        let held: Vec<_> = entries.filter(is_held).map(Arc::clone).collect();
        for entry in held {
            // Found again wherever the target stands, since its checkpoint has `copied_to`.
            self.end(entry.number, entry.at.clone(), End::Copied);
        }
    }

    /// Takes back what the target with its checkpoint at `position` has not done.
    ///
    /// # Errors
    ///
    /// The file can't be cut; in memory it is taken back.
    pub(super) fn rewind(&mut self, position: &Position) -> io::Result<()> {
        self.cut(position);
        match self.is_split {
            true => self.rewrite(),
            false => self.file.trim(),
        }
    }

    /// The entries as they are for a target with its checkpoint at `position`; nothing is written.
    pub(super) fn seen_from(mut self, position: &Position) -> Self {
        self.cut(position);
        self
    }

    /// Takes back in memory what lies behind `position`.
    fn cut(&mut self, position: &Position) {
        let mut records = self.records.iter();
        if let Some(index) = records.position(|noted| noted.record.at() > position) {
            let cut = self.records.split_off(index);
            self.fold();
            let kept = self.records.iter().map(|noted| noted.end).max();
            self.file.cut(kept.unwrap_or(0));
            let kept = self.file.len();
            let is_split = cut.iter().any(|noted| noted.end != 0 && noted.end <= kept);
            self.is_split |= is_split;
            self.looked = self.looked.min(kept);
            // What a person has given up stays so, wherever the target stands.
            for Noted { record, .. } in cut {
                if let Record::End { number, why, .. } = record
                    && why == End::Discarded
                    && self.entries().contains_key(&number)
                {
                    self.end(number, position.clone(), why);
                }
            }
        }
    }

    /// Has all of it on disk.
    ///
    /// # Errors
    ///
    /// The state folder can't be written; the file is as before, or is cut when it is read.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let first = self.records.partition_point(|noted| noted.end != 0);
        if first == self.records.len() {
            return Ok(());
        }
        if self.file.len() == 0 || self.is_split {
            return self.rewrite();
        }
        let new = self.records[first..].iter();
        let mut text = Vec::new();
        let sizes = seal_records(&mut text, new.map(|noted| &noted.record))?;
        self.file.append(&text)?;
        let end = self.file.len();
        for (noted, size) in self.records[first..].iter_mut().zip(sizes) {
            (noted.end, noted.size) = (end, size);
        }
        Ok(())
    }

    /// Leaves out what has ended before `reach`, which no target can go back behind, where that is
    /// much of the file, or all of it. What a file that is too large holds of before `stored`, where
    /// the target stands, is left out in any case.
    ///
    /// # Errors
    ///
    /// The state folder can't be written; the file is as before.
    pub(super) fn tidy(&mut self, reach: Lsn, stored: Lsn) -> io::Result<()> {
        let len = self.file.len();
        let reach = match len > LARGE {
            true => stored,
            false => reach.min(stored),
        };
        // Looking through all of it takes time, which each batch has not.
        let last = self.records.last().map(|noted| noted.record.at().lsn);
        let is_over = self.entries().is_empty() && last.is_none_or(|last| last < reach);
        if len == 0 || !(is_over || len >= self.looked + LOOK) {
            return Ok(());
        }
        self.looked = len;
        let old = self.records.iter();
        let old = old.take_while(|noted| noted.record.at().lsn < reach);
        let mut left: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
        let (mut count, mut waste) = (0, 0);
        for (index, Noted { record, size, .. }) in old.enumerate() {
            count += 1;
            let superseded = match record {
                Record::Put(entry) => left.insert(entry.number, (index, *size)),
                Record::End { number, .. } => {
                    waste += size;
                    left.remove(number)
                }
            };
            waste += superseded.map_or(0, |(_, size)| size);
        }
        let is_empty = left.is_empty() && count == self.records.len();
        if !(is_empty || waste >= WASTE) {
            return Ok(());
        }
        // Those that are left out don't say any more which numbers were given.
        self.given = self.entries.next();
        let keeps: BTreeSet<usize> = left.into_values().map(|(index, _)| index).collect();
        let mut index = 0;
        self.records.retain(|_| {
            index += 1;
            index > count || keeps.contains(&(index - 1))
        });
        self.fold();
        self.rewrite()
    }

    /// Writes the file anew, whole or not at all; without records there is none.
    fn rewrite(&mut self) -> io::Result<()> {
        if self.records.is_empty() {
            self.looked = 0;
            self.is_split = false;
            return self.file.remove();
        }
        let Some(head) = &mut self.head else {
            return Err(io::Error::other("a book of no stream"));
        };
        head.next = self.given;
        let mut text = Vec::new();
        seal_head(&mut text, head)?;
        let first = text.len() as u64;
        let mut written = Vec::with_capacity(self.records.len());
        for Noted { record, .. } in &self.records {
            let size = seal_records(&mut text, [record])?;
            written.push((text.len() as u64, size.first().copied().unwrap_or(0)));
        }
        self.file.replace(&text, first)?;
        for (noted, (end, size)) in self.records.iter_mut().zip(written) {
            (noted.end, noted.size) = (end, size);
        }
        self.looked = self.file.len();
        self.is_split = false;
        Ok(())
    }
}
