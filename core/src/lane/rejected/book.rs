//! The file of one lane's rows that were set aside.
//!
//! Lines of JSON behind their CRC-32C: what is noted at once is one line, so that a crash leaves all
//! of it or nothing. In it are records, in the order of the source: an entry is put, put anew as
//! later changes join it, and ends. Each has the position that covers the change it is due to, and
//! is on disk before the target's checkpoint can pass that position. So file and target never
//! disagree, whenever the engine ends: a record behind the checkpoint is of something that the
//! target has not done, [`rewind`](Book::rewind) takes it back, and what the lane does again notes it
//! again. The same holds for a target that was restored from a backup, as far back as the source can
//! be read again; older records of what has ended are left out when the file is [tidied](Book::tidy).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use fs_err::File;
use serde::{Deserialize, Serialize};
use tahr_plugin_api::{Lsn, Position, Relation, StreamId, TableName, failpoint};

use super::{deed::Key, entry::Entry};
use crate::state_file;

/// Of the file's form.
const FORMAT: u32 = 1;
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

/// The first line: whose positions these are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    format: u32,
    source: String,
    system_id: String,
    database: u32,
    /// Numbers below it were given.
    next: u64,
}

/// Why an entry is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// A person had it tried again.
    Retried,
    /// A person gave it up.
    Discarded,
    /// A later change of its row brought it along.
    Overtaken,
    /// Its row is gone in the source, and never was in the target.
    Vanished,
    /// Its table was emptied.
    Truncated,
    /// Its table was copied since.
    Copied,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Put(#[serde(with = "shared")] Arc<Entry>),
    End { number: u64, at: Position, why: End },
}

impl Record {
    fn at(&self) -> &Position {
        match self {
            Self::Put(entry) => &entry.at,
            Self::End { at, .. } => at,
        }
    }
}

/// A record, and where it is in the file.
#[derive(Debug)]
struct Noted {
    record: Record,
    /// The length of the file behind its line; 0 where it is not in the file yet.
    end: u64,
    /// Bytes that it takes there.
    size: u64,
}

/// The entries of one lane, in memory and in their file.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    file: Option<File>,
    head: Option<Head>,
    records: Vec<Noted>,
    /// Whether a line of the file has records that were taken back beside ones that count.
    is_split: bool,
    /// Bytes of the file when it was looked through for what has ended.
    looked: u64,
    /// Bytes of the file that count, and that it has.
    len: u64,
    written: u64,
    /// Bytes of its first line.
    first: u64,
    live: BTreeMap<u64, Arc<Entry>>,
    /// How many entries there are of each table.
    tables: HashMap<u32, usize>,
    /// Whether the entries were shown since they changed.
    is_shown: bool,
    size: usize,
    next: u64,
    /// Numbers below it were given to entries that the file may know nothing of.
    given: u64,
    /// Entries by their table and what names their row: in the source, and in the target.
    rows: HashMap<(u32, Key), BTreeSet<u64>>,
    places: HashMap<(u32, Key), BTreeSet<u64>>,
}

impl Book {
    /// What the file at `path` holds; nothing where there is none.
    ///
    /// # Errors
    ///
    /// It can't be read, or is damaged otherwise than at its end, which a crash may have cut.
    pub fn open(path: &Path) -> io::Result<Self> {
        match fs_err::read(path) {
            Ok(bytes) => Self::of_bytes(path, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::of_bytes(path, &[]),
            Err(error) => Err(error),
        }
    }

    /// What `bytes`, the file at `path`, hold.
    pub(super) fn of_bytes(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let mut book = Self {
            path: path.to_owned(),
            file: None,
            head: None,
            records: Vec::new(),
            is_split: false,
            looked: 0,
            len: 0,
            written: 0,
            first: 0,
            live: BTreeMap::new(),
            tables: HashMap::new(),
            is_shown: false,
            size: 0,
            next: 1,
            given: 1,
            rows: HashMap::new(),
            places: HashMap::new(),
        };
        book.read(bytes)?;
        book.fold();
        Ok(book)
    }

    fn read(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written = bytes.len() as u64;
        let damaged = |line: usize| {
            let text = format!("{}: line {line} is damaged", self.path.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').peekable();
        let mut number = 0;
        while let Some(line) = lines.next() {
            number += 1;
            // The last one may have been under way when the engine or the machine died.
            let is_last = lines.peek().is_none();
            let json = match unseal(line) {
                Some(json) => json,
                None if is_last => break,
                None => return Err(damaged(number)),
            };
            if number == 1 {
                let head: Head = serde_json::from_slice(json).map_err(|_| damaged(number))?;
                if head.format != FORMAT {
                    let text = format!("{}: format {}", self.path.display(), head.format);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                self.given = head.next;
                self.head = Some(head);
                self.first = line.len() as u64;
            } else {
                let records: Vec<Record> =
                    serde_json::from_slice(json).map_err(|_| damaged(number))?;
                let size = (line.len() / records.len().max(1)) as u64;
                let end = self.len + line.len() as u64;
                for record in records {
                    if matches!(&record, Record::Put(entry) if !entry.is_sound()) {
                        return Err(damaged(number));
                    }
                    self.records.push(Noted { record, end, size });
                }
            }
            self.len += line.len() as u64;
        }
        Ok(())
    }

    /// Notes whose positions these are. Entries of another source than that of `stream` are given
    /// up, since its tables are copied anew; returns how many there were.
    ///
    /// # Errors
    ///
    /// The state folder can't be written.
    pub(super) fn belong_to(&mut self, stream: &StreamId) -> io::Result<usize> {
        let head = Head {
            format: FORMAT,
            source: stream.source.clone(),
            system_id: stream.system_id.clone(),
            database: stream.database,
            next: self.next,
        };
        let is_ours = |known: &Head| {
            (&known.source, &known.system_id, known.database)
                == (&head.source, &head.system_id, head.database)
        };
        let is_known = self.head.as_ref().is_none_or(is_ours);
        self.head = Some(head);
        if is_known {
            return Ok(0);
        }
        let left = self.live.len();
        self.given = self.next;
        self.records.clear();
        self.fold();
        self.rewrite()?;
        Ok(left)
    }

    /// The entries, by number.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<u64, Arc<Entry>> {
        &self.live
    }

    /// Whether the entries are as they were shown.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// Notes that the entries are shown.
    pub(super) fn shown(&mut self) {
        self.is_shown = true;
    }

    /// Bytes that the entries take in memory, about.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The number that the next new entry gets.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// Whether some entry is of the table `oid`.
    pub(super) fn has_table(&self, oid: u32) -> bool {
        self.tables.contains_key(&oid)
    }

    /// The oldest entry of the row of `relation` that `key` names in the source.
    pub(super) fn of_row(&self, relation: &Relation, key: Option<&Key>) -> Option<&Arc<Entry>> {
        self.named(&self.rows, relation, key).next()
    }

    /// Entries whose row of `relation` the target still has under `key`.
    pub(super) fn at_place(
        &self,
        relation: &Relation,
        key: Option<&Key>,
    ) -> impl Iterator<Item = &Arc<Entry>> {
        self.named(&self.places, relation, key)
    }

    fn named<'a>(
        &'a self,
        places: &'a Places,
        relation: &Relation,
        key: Option<&Key>,
    ) -> impl Iterator<Item = &'a Arc<Entry>> {
        let numbers = key.and_then(|key| places.get(&(relation.oid, key.clone())));
        let entries = numbers.into_iter().flatten();
        let entries = entries.filter_map(|number| self.live.get(number));
        // The table's key may have had other columns then, with the same values.
        entries.filter(|entry| entry.is_named_as(relation))
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
        self.take(&record);
        let (end, size) = (0, 0);
        self.records.push(Noted { record, end, size });
    }

    /// The position of the newest line.
    pub(super) fn newest(&self) -> Position {
        let newest = self.records.iter().map(|noted| noted.record.at());
        newest.max().cloned().unwrap_or_default()
    }

    /// Ends the entries of the table `oid`, which is called `table` now, that a copy of it, which
    /// stands for `copied_to`, holds; and those of another table that had its name.
    pub(super) fn copied(&mut self, oid: u32, table: &TableName, copied_to: Lsn) {
        let is_its = |entry: &Arc<Entry>| entry.oid == oid || entry.table == *table;
        let is_held = |entry: &&Arc<Entry>| is_its(entry) && entry.at.lsn < copied_to;
        let held: Vec<_> = self.live.values().filter(is_held).map(Arc::clone).collect();
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
        if self.is_split {
            return self.rewrite();
        }
        if self.written > self.len {
            let len = self.len;
            let file = self.file()?;
            file.set_len(len)?;
            file.sync_data()?;
            self.written = len;
        }
        Ok(())
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
            let kept = kept.unwrap_or(0).max(self.first);
            let is_split = cut.iter().any(|noted| noted.end != 0 && noted.end <= kept);
            self.is_split |= is_split;
            self.len = kept;
            self.looked = self.looked.min(kept);
            // What a person has given up stays so, wherever the target stands.
            for Noted { record, .. } in cut {
                if let Record::End { number, why, .. } = record
                    && why == End::Discarded
                    && self.live.contains_key(&number)
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
        if self.len == 0 || self.is_split {
            return self.rewrite();
        }
        let new = self.records[first..].iter();
        let mut text = Vec::new();
        let sizes = seal_records(&mut text, new.map(|noted| &noted.record))?;
        let len = self.len;
        self.written = len + text.len() as u64;
        let file = self.file()?;
        // Whatever an attempt that failed has left behind what counts.
        file.set_len(len)?;
        file.seek(SeekFrom::Start(len))?;
        file.write_all(&text)?;
        file.sync_data()?;
        self.len = self.written;
        for (noted, size) in self.records[first..].iter_mut().zip(sizes) {
            (noted.end, noted.size) = (self.len, size);
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
        let reach = match self.len > LARGE {
            true => stored,
            false => reach.min(stored),
        };
        // Looking through all of it takes time, which each batch has not.
        let last = self.records.last().map(|noted| noted.record.at().lsn);
        let is_over = self.live.is_empty() && last.is_none_or(|last| last < reach);
        if self.len == 0 || !(is_over || self.len >= self.looked + LOOK) {
            return Ok(());
        }
        self.looked = self.len;
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
        self.given = self.next;
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
        self.file = None;
        if self.records.is_empty() {
            (self.len, self.written, self.first, self.looked) = (0, 0, 0, 0);
            self.is_split = false;
            return state_file::remove(&self.path);
        }
        let Some(head) = &mut self.head else {
            return Err(io::Error::other("a book of no stream"));
        };
        head.next = self.given;
        let mut text = Vec::new();
        seal(&mut text, head)?;
        let first = text.len() as u64;
        let mut written = Vec::with_capacity(self.records.len());
        for Noted { record, .. } in &self.records {
            let size = seal_records(&mut text, [record])?;
            written.push((text.len() as u64, size.first().copied().unwrap_or(0)));
        }
        state_file::replace(&self.path, &text, || failpoint::pass("rejected.written"))?;
        for (noted, (end, size)) in self.records.iter_mut().zip(written) {
            (noted.end, noted.size) = (end, size);
        }
        self.len = text.len() as u64;
        (self.written, self.first, self.looked) = (self.len, first, self.len);
        self.is_split = false;
        Ok(())
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let mut options = fs_err::OpenOptions::new();
            self.file = Some(options.write(true).open(&self.path)?);
        }
        let none = || io::Error::from(io::ErrorKind::NotFound);
        self.file.as_mut().ok_or_else(none)
    }

    /// Finds the entries anew.
    fn fold(&mut self) {
        self.is_shown = false;
        self.live.clear();
        self.tables.clear();
        self.rows.clear();
        self.places.clear();
        self.size = 0;
        self.next = self.given;
        let records = std::mem::take(&mut self.records);
        for Noted { record, .. } in &records {
            self.take(record);
        }
        self.records = records;
    }

    fn take(&mut self, record: &Record) {
        self.is_shown = false;
        let number = match record {
            Record::Put(entry) => entry.number,
            Record::End { number, .. } => *number,
        };
        if let Some(before) = self.live.remove(&number) {
            self.size -= before.size();
            if let Some(count) = self.tables.get_mut(&before.oid) {
                *count -= 1;
                if *count == 0 {
                    self.tables.remove(&before.oid);
                }
            }
            forget(&mut self.rows, &before, before.row());
            forget(&mut self.places, &before, before.place());
        }
        if let Record::Put(entry) = record {
            self.next = self.next.max(number.saturating_add(1));
            self.size += entry.size();
            *self.tables.entry(entry.oid).or_default() += 1;
            note(&mut self.rows, entry, entry.row());
            note(&mut self.places, entry, entry.place());
            self.live.insert(number, Arc::clone(entry));
        }
    }
}

/// An entry behind an `Arc`, as the entry itself.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Entry;

    pub(super) fn serialize<S: Serializer>(
        entry: &Arc<Entry>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        entry.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Entry>, D::Error> {
        Entry::deserialize(deserializer).map(Arc::new)
    }
}

type Places = HashMap<(u32, Key), BTreeSet<u64>>;

fn note(places: &mut Places, entry: &Entry, key: Option<Key>) {
    if let Some(key) = key {
        let numbers = places.entry((entry.oid, key)).or_default();
        numbers.insert(entry.number);
    }
}

fn forget(places: &mut Places, entry: &Entry, key: Option<Key>) {
    let Some(key) = key else { return };
    let place = (entry.oid, key);
    if let Some(numbers) = places.get_mut(&place) {
        numbers.remove(&entry.number);
        if numbers.is_empty() {
            places.remove(&place);
        }
    }
}

/// Adds `records` as one line; returns the bytes of each.
fn seal_records<'a>(
    text: &mut Vec<u8>,
    records: impl IntoIterator<Item = &'a Record>,
) -> io::Result<Vec<u64>> {
    let mut json = vec![b'['];
    let mut sizes = Vec::new();
    for record in records {
        let before = json.len();
        if before > 1 {
            json.push(b',');
        }
        serde_json::to_writer(&mut json, record)?;
        sizes.push((json.len() - before) as u64);
    }
    json.push(b']');
    seal_json(text, &json);
    Ok(sizes)
}

/// Adds `value` as a line with its checksum in front.
fn seal(text: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    seal_json(text, &serde_json::to_vec(value)?);
    Ok(())
}

/// Adds `json` as a line with its checksum in front.
pub(super) fn seal_json(text: &mut Vec<u8>, json: &[u8]) {
    let checksum = format!("{:08x} ", crc32c::crc32c(json));
    text.extend_from_slice(checksum.as_bytes());
    text.extend_from_slice(json);
    text.push(b'\n');
}

/// The JSON of a line; none where it isn't as it was written.
fn unseal(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (checksum, json) = line.split_at_checked(9)?;
    let checksum = std::str::from_utf8(checksum.strip_suffix(b" ")?).ok()?;
    let checksum = u32::from_str_radix(checksum, 16).ok()?;
    (checksum == crc32c::crc32c(json)).then_some(json)
}
