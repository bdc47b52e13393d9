//! Where the demo's files are: those for the user, and those of its servers.

use std::{
    io::Read as _,
    os::unix::fs::{DirBuilderExt as _, chown},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::programs::User;
use crate::{Error, control::StateLock, state_file::if_there};

/// How a config that the demo wrote begins.
pub(super) const MARK: &str = "# The config of `tahr demo`.";
/// What its last line says before the checksum of all that stands above.
const SEAL: &str = "# As the demo wrote it, which it does again while nobody has changed it: ";

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
        refuse_others_work(&path.join("tahr.toml"))?;
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

    /// Writes the config, in the place of one that the demo has written before.
    pub(super) fn write_config(&self, text: &str) -> Result<(), Error> {
        let path = self.config();
        fs_err::write(&path, sealed(text))
            .map_err(|error| Error::failed(format!("write {}", path.display())).caused_by(error))
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

/// A config that somebody else wrote, or changed, stays; and with it what lies beside it, which may be
/// what it has copied.
fn refuse_others_work(config: &Path) -> Result<(), Error> {
    let text = if_there(fs_err::read_to_string(config))
        .map_err(|error| Error::failed("look for a config of the demo's").caused_by(error))?;
    let Some(text) = text else {
        return Ok(());
    };
    let is_kept = match text.starts_with(MARK) {
        true if is_sealed(&text) => return Ok(()),
        true => "has been changed since the demo wrote it",
        false => "is not a config of the demo's",
    };
    let message = format!("{} {is_kept}, and is not overwritten", config.display());
    Err(Error::usage(message).hint("name another folder for the demo: --dir ANOTHER-FOLDER"))
}

/// `text` with its seal.
fn sealed(text: &str) -> String {
    format!("{text}\n{SEAL}{}\n", checksum(text))
}

fn is_sealed(text: &str) -> bool {
    text.rsplit_once(SEAL)
        .and_then(|(above, sum)| Some((above.strip_suffix('\n')?, sum.trim_end())))
        .is_some_and(|(above, sum)| checksum(above) == sum)
}

fn checksum(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..8])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_written_again_only_as_the_demo_left_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tahr.toml");
        let may_write = |text: &str| {
            fs_err::write(&config, text).unwrap();
            refuse_others_work(&config).map_err(|error| error.message().to_owned())
        };
        refuse_others_work(&config).unwrap();
        let written = sealed(&format!("{MARK} And more.\n[engine]\nname = \"a\"\n"));
        may_write(&written).unwrap();
        for changed in [
            written.replace("\"a\"", "\"b\""),
            written.replace(MARK, &format!("{MARK} Mine now.")),
            written.lines().take(3).collect::<Vec<_>>().join("\n"),
            format!("{written}[sources.mine]\n"),
        ] {
            let refused = may_write(&changed).unwrap_err();
            assert!(refused.contains("has been changed since"), "{refused}");
        }
        let refused = may_write("[engine]\n").unwrap_err();
        assert!(
            refused.contains("is not a config of the demo's"),
            "{refused}"
        );
    }
}
