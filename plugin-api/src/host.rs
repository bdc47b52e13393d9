//! What the engine lends to a writer.

use std::{fmt, sync::Arc};

use crate::{WriteError, abi::LentHost};

/// Logging, counting and asking whether to stop. Cheap to clone, usable from any thread.
///
/// A plugin's statics are its own, so `tracing` or a metrics crate inside a plugin reaches nobody:
/// these do.
#[derive(Clone)]
pub struct Host(Arc<LentHost>);

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

impl Host {
    pub(crate) fn new(lent: LentHost) -> Self {
        Self(Arc::new(lent))
    }

    /// Logs that something failed and is not returned as an error.
    pub fn error(&self, message: &str) {
        self.0.log(1, message);
    }

    /// Logs what a person should look at.
    pub fn warn(&self, message: &str) {
        self.0.log(2, message);
    }

    /// Logs what happens once in a while.
    pub fn info(&self, message: &str) {
        self.0.log(3, message);
    }

    /// Logs what helps to find a fault.
    pub fn debug(&self, message: &str) {
        self.0.log(4, message);
    }

    /// Adds `by` to the lane's counter `name`, which `tahr status` shows: a value that a rule
    /// rounded, a partial update whose key was gone.
    pub fn count(&self, name: &str, by: u64) {
        self.0.count(name, by);
    }

    /// Whether the lane is to end; long waits should ask now and then.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.is_stopping()
    }

    /// Asks the engine for something that this version of the API has no method for.
    ///
    /// # Errors
    ///
    /// Code `unsupported` where the engine doesn't know `id`.
    pub fn request(&self, id: u32, payload: &[u8]) -> Result<Vec<u8>, WriteError> {
        self.0.request(id, payload)
    }
}
