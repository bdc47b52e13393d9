//! Files and folders that nobody but their owner may read: they hold a user's rows.

use std::{io, os::unix::fs::PermissionsExt as _, path::Path};

use fs_err::{OpenOptions, os::unix::fs::OpenOptionsExt as _};

/// Makes `folder`, with those above it, or takes it away from others where it is there already.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    fs_err::create_dir_all(folder)?;
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

/// Opens files for writing, which are made where they are absent.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
