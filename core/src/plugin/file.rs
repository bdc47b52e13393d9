//! One plugin file, before it is trusted.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tahr_plugin_api::abi::{ABI_VERSION, WriterModule_Ref, open_module};

/// Why a file is not used as a plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plugin {}: {message}", path.display())]
pub struct PluginError {
    /// The file.
    pub path: PathBuf,
    /// One line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl PluginError {
    pub(super) fn new(path: &Path, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Whoever can write a plugin can do whatever tahr can: files and folders must be safe from others.
pub(super) fn refuse_writable_by_others(path: &Path) -> Result<(), PluginError> {
    let metadata =
        fs_err::metadata(path).map_err(|error| PluginError::new(path, error.to_string()))?;
    // A folder like /tmp lets everybody add files, but the sticky bit keeps ours from being
    // replaced; the files themselves are looked at one by one.
    let is_sticky_folder = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
    if metadata.mode() & 0o022 != 0 && !is_sticky_folder {
        return Err(PluginError::new(path, "can be written by others")
            .hint(format!("chmod go-w {}", path.display())));
    }
    Ok(())
}

/// The file's SHA-256, in hexadecimal.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut fs_err::File::open(path)?, &mut hasher)?;
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Loads the file, and trusts it once its plain symbol said that it speaks this ABI. Whoever calls it
/// has looked at everything that can be known before: loading runs code.
pub(super) fn load(path: &Path) -> Result<WriterModule_Ref, PluginError> {
    let rebuild = format!(
        "rebuild it with tahr-plugin-api {}",
        env!("CARGO_PKG_VERSION")
    );
    // SAFETY: loading a library runs its initializers. The file is named and placed as a plugin,
    // and nobody but its owner and root could have put it there.
    let library = unsafe { libloading::Library::new(path) }
        .map_err(|error| PluginError::new(path, format!("can't be loaded: {error}")))?;
    // SAFETY: a plugin exports the symbol as a `u32` that never changes; it is copied out here.
    let version = unsafe { library.get::<*const u32>("tahr_plugin_abi") }
        // SAFETY: as above.
        .map(|symbol| unsafe { **symbol })
        .map_err(|_| {
            PluginError::new(
                path,
                "is not a tahr plugin: it has no symbol `tahr_plugin_abi`",
            )
        })?;
    if version != ABI_VERSION {
        return Err(PluginError::new(
            path,
            format!("speaks plugin ABI {version}, and this tahr speaks {ABI_VERSION}"),
        )
        .hint(rebuild));
    }
    // The module below refers into the library, which must stay.
    std::mem::forget(library);
    open_module(path).map_err(|error| {
        tracing::debug!(plugin = %path.display(), details = %error.details, "plugin refused");
        PluginError::new(path, error.message).hint(rebuild)
    })
}
