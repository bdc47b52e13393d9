//! The form of segment files.
//!
//! ```text
//! file   = magic "tahrlog2", number u64, LSN u64, ordinal u64, crc32c u32 (of all that), 0 u32
//! record = length u32, crc32c u32 (of the rest), number u64, LSN u64, ordinal u64, payload
//! ```
//!
//! Little-endian. The file's header says with which entry it begins and where a lane stands that
//! needs all of it. A record's position is where a lane stands that has stored it. The highest bit of
//! its number is set where there is no arena: the source holds nothing up to there.

use std::io;

use tahr_plugin_api::{Lsn, Position, abi::Arena};

const MAGIC: &[u8; 8] = b"tahrlog2";
/// Bytes of a file's header.
pub(super) const FILE_HEADER: u64 = 40;
/// Bytes of a record's header.
pub(super) const RECORD_HEADER: usize = 32;
const BARE: u64 = 1 << 63;

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn half(bytes: &[u8], at: usize) -> u32 {
    let mut half = [0; 4];
    half.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(half)
}

fn position(bytes: &[u8], at: usize) -> Position {
    match (Lsn(word(bytes, at)), word(bytes, at + 8)) {
        (lsn, 0) => Position::at(lsn),
        (lsn, ordinal) => Position::inside(lsn, ordinal),
    }
}

/// The header of a file whose first entry is `number`, behind `begin`.
pub(super) fn file_header(number: u64, begin: &Position) -> [u8; FILE_HEADER as usize] {
    let mut header = [0; FILE_HEADER as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8..16].copy_from_slice(&number.to_le_bytes());
    header[16..24].copy_from_slice(&begin.lsn.0.to_le_bytes());
    header[24..32].copy_from_slice(&begin.ordinal.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..32]);
    header[32..36].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Number and position of a file's beginning; none where it is no such file.
pub(super) fn read_file_header(header: &[u8; FILE_HEADER as usize]) -> Option<(u64, Position)> {
    let is_whole = header[..8] == *MAGIC && half(header, 32) == crc32c::crc32c(&header[..32]);
    is_whole.then(|| (word(header, 8), position(header, 16)))
}

/// What a record's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: u32,
    checksum: u32,
    /// The entry; for a bare advance the next one.
    pub(super) number: u64,
    pub(super) is_bare: bool,
    pub(super) end: Position,
}

impl Head {
    pub(super) fn read(header: &[u8; RECORD_HEADER]) -> Self {
        let number = word(header, 8);
        Self {
            length: half(header, 0),
            checksum: half(header, 4),
            number: number & !BARE,
            is_bare: number & BARE != 0,
            end: position(header, 16),
        }
    }

    /// Whether `payload` is what was written behind `header`.
    pub(super) fn fits(&self, header: &[u8; RECORD_HEADER], payload: &[u8]) -> bool {
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[8..]), payload);
        self.checksum == checksum && self.length as usize == payload.len()
    }
}

/// Appends the record of entry `number`, or of a bare advance before it, to `out`.
pub(super) fn write(
    out: &mut Vec<u8>,
    number: u64,
    end: &Position,
    arena: Option<&Arena>,
) -> io::Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_HEADER]);
    let mut flags = BARE;
    if let Some(arena) = arena {
        arena.write_to(out);
        flags = 0;
    }
    let length = u32::try_from(out.len() - start - RECORD_HEADER)
        .map_err(|_| io::Error::other("an arena is longer than 4 GiB"))?;
    let record = &mut out[start..];
    record[..4].copy_from_slice(&length.to_le_bytes());
    record[8..16].copy_from_slice(&(number | flags).to_le_bytes());
    record[16..24].copy_from_slice(&end.lsn.0.to_le_bytes());
    record[24..32].copy_from_slice(&end.ordinal.to_le_bytes());
    let checksum = crc32c::crc32c(&record[8..]);
    record[4..8].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}
