//! What crosses between the engine and a plugin, and nothing else: the only `unsafe` of this crate
//! and the only place that names `abi_stable`'s types.
//!
//! # Rules
//!
//! The ABI is frozen: neither side may gain a method, a field or a variant, since layout checks
//! refuse it. It grows through data instead:
//!
//! - What is rare (options, relations, checkpoints, findings, errors' details) crosses as JSON text,
//!   in which unknown keys are ignored.
//! - What is hot (the [`Arena`]) carries `flags` and `extra` words that are zero today.
//! - `request(id, payload)` on writer and host carries whatever comes later; a side that doesn't
//!   know the id answers `unsupported`.
//!
//! Every call into a plugin runs under a guard, so a panic becomes a fatal error of that lane
//! and not an abort of the engine. A library is loaded once and never unloaded.

#![allow(
    unsafe_code,
    reason = "the one place for it; see the module documentation"
)]
#![allow(
    non_camel_case_types,
    non_local_definitions,
    unreachable_pub,
    missing_debug_implementations,
    clippy::large_futures,
    clippy::use_self,
    reason = "written by the macros of abi_stable"
)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "words are taken apart into halves here"
)]

mod adapter;
mod arena;
mod build;
mod encoding;
mod export;
mod guard;
mod module;
mod raw;
mod remote;

pub(crate) use adapter::LentHost;
pub use arena::{Arena, NO_ROW, RawArena, RawChange, RawTransaction, RawValue, state};
pub use build::ArenaBuilder;
pub use export::{Header, Plugin, header};
pub use module::{ABI_VERSION, ModuleError, WriterModule, WriterModule_Ref, open_module};
pub(crate) use remote::unsupported;
pub use remote::{Canceller, HostCalls, RemoteWriter};
