//! Finding, checking and loading writer plugins.
//!
//! A plugin is a file `libtahr_*.so` in one of the configured folders. [`Registry::scan`] tries every
//! one of them: a file that is no plugin, was built for another ABI, or could be altered by others
//! costs one line, and the rest still load. Each loaded file keeps its own module; none is ever
//! unloaded.
//!
//! The only place of this crate with `unsafe`: reading a plain symbol before trusting a file.

#![allow(unsafe_code, reason = "the one place for it; see above")]

mod file;
mod registry;

pub use file::PluginError;
pub use registry::{Plugin, Registry};
