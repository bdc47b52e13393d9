//! The folder in the state folder where lanes keep their files.

use std::{io, path::Path};

use fs_err::File;

/// Makes `folder` where there is none, and sees to it that it is still there after a loss of power.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs_err::create_dir_all(folder)?;
    let parent = folder.parent().unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_once() {
        let state = tempfile::tempdir().expect("a folder");
        let folder = state.path().join("lanes");
        make_folder(&folder).expect("it is made");
        make_folder(&folder).expect("it is there");
        assert!(folder.is_dir());
    }
}
