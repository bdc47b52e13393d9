//! The async runtime of the commands that end by themselves.

use tokio::runtime::{Builder, Runtime};

use crate::Error;

/// A runtime on this thread.
pub(super) fn runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("start the async runtime").caused_by(error))
}
