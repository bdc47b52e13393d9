//! Files and folders of the state folder, and how they outlive a crash and a loss of power.
//!
//! What is rarely changed and never long is written anew each time: [`replace`] has all of it on
//! disk, or leaves what was there before. Whoever has nothing to keep [removes](remove) its file.
//! Lanes, pauses and the log's ledger keep theirs so; what grows line by line (segments, journals,
//! lists) is added to by its owner, which [syncs its folder](sync_folder) when the file is new.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use fs_err::{File, OpenOptions, os::unix::fs::OpenOptionsExt as _};

/// Writes the file at `path` anew, whole or not at all, whenever the engine or the machine ends; for
/// its owner only. Its folder is made where there is none. `written` is called when all is on disk
/// but under another name: the place of the caller's [failpoint](tahr_plugin_api::failpoint).
///
/// # Errors
///
/// The disk failed; the file is as before, or is the new one that a loss of power may take back.
pub(crate) fn replace(path: &Path, content: &[u8], written: impl FnOnce()) -> io::Result<()> {
    let folder = parent(path);
    make_folder(folder)?;
    let new = path.with_extension("new");
    // One that a crash has left may be for others to read.
    remove(&new)?;
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    written();
    fs_err::rename(&new, path)?;
    sync_folder(folder)
}

/// Removes the file at `path`, if it is there.
///
/// # Errors
///
/// It can't be removed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if_there(fs_err::remove_file(path)).map(drop)
}

/// The paths of what is in `folder`; nothing where there is none.
///
/// # Errors
///
/// It can't be read.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = if_there(fs_err::read_dir(folder))?.into_iter().flatten();
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// What was done to a file or folder that need not be there; none where it isn't.
///
/// # Errors
///
/// Any other of it.
pub(crate) fn if_there<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

/// Makes `folder` where there is none, and sees to it that it is still there after a loss of power.
///
/// # Errors
///
/// It can't be made.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs_err::create_dir_all(folder)?;
    sync_folder(parent(folder))
}

/// Has it on disk which files are in `folder`, under which names.
///
/// # Errors
///
/// The disk failed.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that `path` is in; of a bare name that is the present one.
fn parent(path: &Path) -> &Path {
    let named = path.parent().filter(|parent| *parent != Path::new(""));
    named.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_is_made_once() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("lanes");
        make_folder(&folder).unwrap();
        make_folder(&folder).unwrap();
        assert!(folder.is_dir());
    }

    #[test]
    fn a_file_is_the_old_one_until_all_of_the_new_one_is_there() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("lanes").join("a.json");
        replace(&path, b"old", || {}).unwrap();
        let mut seen = Vec::new();
        replace(&path, b"new", || seen = fs_err::read(&path).unwrap()).unwrap();
        assert_eq!(seen, b"old");
        assert_eq!(fs_err::read(&path).unwrap(), b"new");
        let names = fs_err::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(names.count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_is_for_its_owner_only_also_where_a_crash_left_another() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("a.json");
        fs_err::write(path.with_extension("new"), "half of a longer o").unwrap();
        replace(&path, b"whole", || {}).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"whole");
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_not_there_is_removed_already() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("a.json");
        replace(&path, b"", || {}).unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
        remove(state.path()).unwrap_err();
    }
}
