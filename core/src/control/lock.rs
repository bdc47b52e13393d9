//! One engine per state folder.

use std::{
    fs::{File, TryLockError},
    io::Write as _,
    path::Path,
};

use crate::Error;

/// Held as long as it lives; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Makes the state folder where it is absent, and takes its lock.
    ///
    /// # Errors
    ///
    /// The folder can't be made, or another engine runs in it.
    pub fn take(state_dir: &Path) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            Error::failed(format!("state folder {}", state_dir.display())).caused_by(error)
        };
        fs_err::create_dir_all(state_dir).map_err(failed)?;
        let path = state_dir.join("tahr.lock");
        let mut file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs_err::read_to_string(&path).unwrap_or_default();
                let folder = state_dir.display();
                return Err(Error::failed(format!(
                    "another engine (pid {}) runs in state folder {folder}",
                    pid.trim()
                ))
                .hint("`tahr stop` ends it; a second engine needs a `state_dir` of its own"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }

    /// Lets go of the lock and removes its file from `state_dir`, where it was taken.
    ///
    /// # Errors
    ///
    /// The file can't be removed.
    pub fn remove(self, state_dir: &Path) -> Result<(), Error> {
        // While it is still held: whoever comes next makes a file of their own.
        fs_err::remove_file(state_dir.join("tahr.lock"))
            .map_err(|error| Error::failed("remove the state folder's lock").caused_by(error))
    }
}
