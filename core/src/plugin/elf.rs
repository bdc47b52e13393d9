//! Whether a library's file is complete.
//!
//! A file that is being copied in looks like a library from its first page on, and to load one that
//! ends too early may end the process: pages behind its end can't be read. Its headers say how long
//! it has to be.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// Length of a 64-bit file header, of which this reads the parts that say where tables lie.
const HEADER: usize = 64;
/// Length of a 64-bit program header.
const PROGRAM_HEADER: u64 = 56;

/// Whether the library at `path` ends before what its headers announce. What isn't a 64-bit ELF
/// file of this machine's byte order is for the loader to judge.
pub(super) fn is_cut_short(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = Vec::with_capacity(HEADER);
    (&mut file).take(HEADER as u64).read_to_end(&mut header)?;
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    let begins = b"\x7fELF";
    if !header.starts_with(begins) {
        return Ok(header.len() < begins.len());
    }
    if header.len() < HEADER {
        return Ok(true);
    }
    if header[4] != 2 || header[5] != order {
        return Ok(false);
    }
    let (programs_at, sections_at) = (word(&header, 32), word(&header, 40));
    let programs = u64::from(half(&header, 56));
    let sections = u64::from(half(&header, 58)) * u64::from(half(&header, 60));
    let needed = sections_at.saturating_add(sections);
    let programs_end = programs_at.saturating_add(programs * PROGRAM_HEADER);
    if needed.max(programs_end) > length {
        return Ok(true);
    }
    file.seek(SeekFrom::Start(programs_at))?;
    let mut table = Vec::new();
    file.take(programs * PROGRAM_HEADER)
        .read_to_end(&mut table)?;
    let is_behind_end = |program: &[u8]| {
        let (offset, size) = (word(program, 8), word(program, 32));
        offset.saturating_add(size) > length
    };
    let mut programs = table.chunks_exact(PROGRAM_HEADER as usize);
    Ok(programs.any(is_behind_end))
}

/// The eight bytes at `at`, which must be there.
fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..at + 8).and_then(|part| part.try_into().ok());
    u64::from_ne_bytes(bytes.unwrap_or_default())
}

/// The two bytes at `at`, which must be there.
fn half(bytes: &[u8], at: usize) -> u16 {
    let bytes = bytes.get(at..at + 2).and_then(|part| part.try_into().ok());
    u16::from_ne_bytes(bytes.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_of_a_library_is_cut_short_and_the_whole_is_not() {
        // This very test is an ELF file; of a long one the beginnings are taken at a distance.
        let program = std::env::current_exe().unwrap();
        let whole = std::fs::read(&program).unwrap();
        assert!(!is_cut_short(&program).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.so");
        for parts in 0..20 {
            let length = whole.len() / 20 * parts;
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(is_cut_short(&path).unwrap(), "{length} bytes");
        }
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(is_cut_short(&path).unwrap(), "one byte is missing");
    }

    #[test]
    fn what_is_no_library_is_left_to_the_loader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.so");
        std::fs::write(&path, "not a library").unwrap();
        assert!(!is_cut_short(&path).unwrap());
    }
}
