//! What was set aside: segments that could not be read, and logs of another stream. Only a person who
//! wants to know looks at it. It counts in `log_limit`, and goes, the oldest first, where the log itself
//! needs the room, or the disk is full.

use std::{
    collections::VecDeque,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::state_file;

/// What lies in a log's folder that was set aside, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Aside {
    kept: VecDeque<Kept>,
    /// What is to be removed; dropped by whoever can spare the time.
    garbage: Vec<Garbage>,
}

/// A file or a folder.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    bytes: u64,
}

/// It is removed from disk when this is dropped.
#[derive(Debug)]
pub(super) struct Garbage(Kept);

impl Aside {
    /// Finds what is in `folder`.
    pub(super) fn find(folder: &Path) -> io::Result<Self> {
        let mut found = Vec::new();
        for path in state_file::entries(folder)? {
            if is_set_aside(&path) {
                // A new name doesn't change when a file was written.
                let data = fs_err::symlink_metadata(&path)?;
                found.push(((data.ctime(), data.ctime_nsec()), path));
            }
        }
        found.sort();
        let mut aside = Self::default();
        for (_, path) in found {
            aside.add(path);
        }
        Ok(aside)
    }

    /// Notes that there is something at `path`, unless nothing is there.
    pub(super) fn add(&mut self, path: PathBuf) {
        if let Ok(bytes) = size(&path) {
            self.kept.push_back(Kept { path, bytes });
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.kept.iter().map(|kept| kept.bytes).sum()
    }

    /// How many files and folders there are.
    pub(super) fn count(&self) -> usize {
        self.kept.len()
    }

    /// Lets go of the oldest until no more than `most` bytes are left.
    pub(super) fn shrink_to(&mut self, most: u64) {
        while self.bytes() > most {
            self.let_go_of_oldest();
        }
    }

    pub(super) fn let_go_of_oldest(&mut self) {
        self.garbage.extend(self.kept.pop_front().map(Garbage));
    }

    pub(super) fn take_garbage(&mut self) -> Vec<Garbage> {
        std::mem::take(&mut self.garbage)
    }
}

impl Drop for Garbage {
    fn drop(&mut self) {
        let Kept { path, bytes } = &self.0;
        let removed = match path.is_dir() {
            true => fs_err::remove_dir_all(path),
            false => fs_err::remove_file(path),
        };
        match removed {
            Ok(()) => tracing::info!(path = %path.display(), bytes,
                "what was set aside of a log is removed: the log needs the room"),
            // A person has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "what was set aside of a log can't be removed"),
        }
    }
}

fn is_set_aside(path: &Path) -> bool {
    let has_suffix = path
        .extension()
        .is_some_and(|suffix| suffix == "damaged" || suffix == "aside");
    has_suffix || number(path).is_some()
}

/// N of a folder `aside-N`.
pub(super) fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("aside-")?.parse().ok()
}

/// Bytes of a file, or of those in a folder.
fn size(path: &Path) -> io::Result<u64> {
    let data = fs_err::symlink_metadata(path)?;
    if !data.is_dir() {
        return Ok(data.len());
    }
    let mut bytes = 0;
    for entry in fs_err::read_dir(path)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_aside_is_found_and_goes_oldest_first() {
        let folder = tempfile::tempdir().expect("make a folder");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, bytes: usize| {
            fs_err::write(path(name), vec![0; bytes]).expect("write");
            // The clock of files has steps.
            std::thread::sleep(std::time::Duration::from_millis(15));
        };
        assert_eq!(Aside::find(&path("absent")).expect("look").count(), 0);
        fs_err::create_dir(path("aside-7")).expect("make a folder");
        write("aside-7/0000000001.segment", 10);
        write("0000000009.damaged", 20);
        write("relations.aside", 30);
        for others in ["0000000010.segment", "relations", "stream.json"] {
            write(others, 40);
        }
        // Its name is new, though not what is in it.
        fs_err::rename(path("0000000009.damaged"), path("0000000008.damaged")).expect("rename");
        let mut aside = Aside::find(folder.path()).expect("look");
        assert_eq!((aside.count(), aside.bytes()), (3, 60));
        aside.shrink_to(60);
        assert_eq!(aside.count(), 3);
        aside.shrink_to(20);
        assert_eq!((aside.count(), aside.bytes()), (1, 20));
        assert!(path("aside-7").exists(), "not while anybody waits");
        drop(aside.take_garbage());
        assert!(!path("aside-7").exists() && !path("relations.aside").exists());
        assert!(path("0000000008.damaged").exists() && path("0000000010.segment").exists());
        // What a person has removed is no matter.
        fs_err::remove_file(path("0000000008.damaged")).expect("remove");
        aside.shrink_to(0);
        drop(aside);
        let left = fs_err::read_dir(folder.path()).expect("look").count();
        assert_eq!(left, 3);
    }
}
