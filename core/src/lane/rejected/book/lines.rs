//! The lines of a book's file: JSON behind its CRC-32C.
//!
//! ```text
//! 5f1c03aa {"format":1,"source":…}      whose positions these are
//! 93be7d10 [{"put":{…}},{"end":{…}}]    what was noted at once: all of it, or nothing
//! ```

use std::{io, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::{Position, StreamId};

use crate::lane::rejected::entry::Entry;

/// Of the file's form.
const FORMAT: u32 = 1;

/// The first line: whose positions these are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    format: u32,
    source: String,
    system_id: String,
    database: u32,
    /// Numbers below it were given.
    pub(super) next: u64,
}

impl Head {
    pub(super) fn new(stream: &StreamId, next: u64) -> Self {
        Self {
            format: FORMAT,
            source: stream.source.clone(),
            system_id: stream.system_id.clone(),
            database: stream.database,
            next,
        }
    }

    /// Whether both have the positions of one source.
    pub(super) fn is_of_source_of(&self, other: &Self) -> bool {
        (&self.source, &self.system_id, self.database)
            == (&other.source, &other.system_id, other.database)
    }
}

/// Why an entry is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::lane::rejected) enum End {
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

/// What became of one entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    Put(#[serde(with = "shared")] Arc<Entry>),
    End { number: u64, at: Position, why: End },
}

impl Record {
    /// What covers the change that it is due to.
    pub(super) fn at(&self) -> &Position {
        match self {
            Self::Put(entry) => &entry.at,
            Self::End { at, .. } => at,
        }
    }

    /// The entry's.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Put(entry) => entry.number,
            Self::End { number, .. } => *number,
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

/// A record, and where it is in the file.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) record: Record,
    /// The length of the file behind its line; 0 where it is not in the file yet.
    pub(super) end: u64,
    /// Bytes that it takes there.
    pub(super) size: u64,
}

impl Noted {
    /// One that is not in the file yet.
    pub(super) fn new(record: Record) -> Self {
        let (end, size) = (0, 0);
        Self { record, end, size }
    }
}

/// What the lines of a file hold.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) head: Option<Head>,
    pub(super) records: Vec<Noted>,
    /// Bytes of the first line.
    pub(super) first: u64,
    /// Bytes of all lines.
    pub(super) len: u64,
}

impl Content {
    /// What `bytes`, the file at `path`, hold.
    ///
    /// # Errors
    ///
    /// They are damaged otherwise than at their end, which a crash may have cut.
    pub(super) fn read(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let damaged = |line: usize| {
            let text = format!("{}: line {line} is damaged", path.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let mut content = Self::default();
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
                    let text = format!("{}: format {}", path.display(), head.format);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                content.head = Some(head);
                content.first = line.len() as u64;
            } else {
                let records: Vec<Record> =
                    serde_json::from_slice(json).map_err(|_| damaged(number))?;
                let size = (line.len() / records.len().max(1)) as u64;
                let end = content.len + line.len() as u64;
                for record in records {
                    if matches!(&record, Record::Put(entry) if !entry.is_sound()) {
                        return Err(damaged(number));
                    }
                    content.records.push(Noted { record, end, size });
                }
            }
            content.len += line.len() as u64;
        }
        Ok(content)
    }
}

/// Adds `records` as one line; returns the bytes of each.
pub(super) fn seal_records<'a>(
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

/// Adds `head` as a line.
pub(super) fn seal_head(text: &mut Vec<u8>, head: &Head) -> io::Result<()> {
    seal_json(text, &serde_json::to_vec(head)?);
    Ok(())
}

/// Adds `json` as a line with its checksum in front.
pub(in crate::lane::rejected) fn seal_json(text: &mut Vec<u8>, json: &[u8]) {
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
