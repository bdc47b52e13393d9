//! Finding, checking and loading writer plugins.
//!
//! A plugin is a file `libtahr_*.so` in one of the configured folders. A [`Scanner`] tries every one
//! of them: a file that is no plugin, is not complete, is not the one that was [pinned](Pins), was
//! built for another ABI, or could be altered by others costs one line, and the rest still load. All
//! but the ABI is looked at before the file is loaded, since loading runs its code.
//!
//! Each loaded file keeps its own module; none is ever unloaded. So a file that changes after it was
//! loaded, and a second one that holds a plugin of the same name, are told of, and the first stays
//! until the engine starts again. The running engine scans every second; what was looked at once is
//! known by its size and times, so that this costs a few system calls. Whoever needs a plugin asks
//! the [`Registry`] that a scan leaves.
//!
//! The only place of this crate with `unsafe`: reading a plain symbol before trusting a file.

#![allow(unsafe_code, reason = "the one place for it; see above")]

mod elf;
mod file;
mod pins;
mod registry;
mod scanner;

pub use file::PluginError;
pub use pins::Pins;
pub use registry::{Plugin, Registry};
pub use scanner::{News, Scanner};
