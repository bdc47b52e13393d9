//! Where the demo's files are: those for the user, and those of its servers.

use std::{
    io::Read as _,
    os::unix::fs::{DirBuilderExt as _, chown},
    path::{Path, PathBuf},
};

use super::programs::User;
use crate::{Error, control::StateLock};

/// The first line of a config that the demo wrote, and may write again.
pub(super) const MARK: &str = "# The config of `tahr demo`.";

/// The user's folder, and a temporary one for servers; what is in them of the demo's, its config
/// apart, is removed when this is dropped, unless it is to be kept.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    servers: PathBuf,
    keep: bool,
}

impl Folder {
    pub(super) fn make(path: &Path, keep: bool) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::failed("make the demo's folders").caused_by(error);
        fs_err::create_dir_all(path).map_err(failed)?;
        let path = fs_err::canonicalize(path).map_err(failed)?;
        let config = path.join("tahr.toml");
        if let Ok(text) = fs_err::read(&config)
            && !text.starts_with(MARK.as_bytes())
        {
            let message = format!("{} is not a config of the demo's", config.display());
            return Err(Error::usage(message).hint("tahr demo --dir ANOTHER-FOLDER"));
        }
        // Another demo that runs there is not to lose its files.
        drop(StateLock::take_for(&path.join("tahr-state"), "demo")?);
        let servers = std::env::temp_dir().join(format!("tahr-demo-{}", std::process::id()));
        // Others may pass through, since servers may run as another user.
        std::fs::DirBuilder::new()
            .mode(0o711)
            .create(&servers)
            .map_err(failed)?;
        let folder = Self {
            path,
            servers,
            keep,
        };
        folder.remove_copies();
        Ok(folder)
    }

    /// The user's folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path.join("tahr.toml")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path.join("tahr-state")
    }

    pub(super) fn sqlite(&self) -> PathBuf {
        self.path.join("shop.db")
    }

    /// The folder of the servers' data and of logs.
    pub(super) fn servers(&self) -> &Path {
        &self.servers
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.servers.join(format!("{name}.log"))
    }

    /// A folder for a server that runs as `user`.
    pub(super) fn server(&self, name: &str, user: Option<User>) -> Result<PathBuf, Error> {
        let path = self.servers.join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.and_then(|()| give(&path, user)).map_err(|error| {
            Error::failed(format!("make folder {}", path.display())).caused_by(error)
        })?;
        Ok(path)
    }

    fn remove_copies(&self) {
        for suffix in ["", "-wal", "-shm"] {
            // What isn't there needs no removing; what can't be removed is said by who needs it gone.
            let _ = fs_err::remove_file(self.path.join(format!("shop.db{suffix}")));
        }
        let _ = fs_err::remove_dir_all(self.state());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            self.remove_copies();
            let _ = fs_err::remove_dir_all(&self.servers);
        }
    }
}

/// Gives a file to `user`.
pub(super) fn give(path: &Path, user: Option<User>) -> std::io::Result<()> {
    match user {
        Some(user) => chown(path, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    }
}

/// A password that nobody can guess: the servers listen where every user of the machine can try.
pub(super) fn password() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| Error::failed("read random bytes").caused_by(error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
