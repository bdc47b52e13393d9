//! tahr copies a live PostgreSQL database into many other databases at once, and keeps them
//! current.
//!
//! ```text
//! source ─▶ pgoutput ─▶ record ─▶ log ─┬▶ lane ─▶ writer plugin ─▶ target + checkpoint
//! (slot)    (decode)    (arenas)       ├▶ lane …
//!    ▲                                 │
//!    └──────── frontier ◀──────────────┘   lowest stored position of all lanes
//! ```
//!
//! Data moves from left to right only; the single thing that travels back is the frontier. Each
//! box is a module; [`engine`] wires them together and has no data logic of its own.

pub mod cli;
pub mod command;
pub mod config;
pub mod control;
pub mod engine;
mod error;
pub mod exit_code;
mod fault;
pub mod lane;
pub mod log;
pub mod masters;
pub mod pgoutput;
pub mod plugin;
pub mod progress;
pub mod reconcile;
pub mod record;
mod rfc3339;
pub mod shutdown;
pub mod source;
mod state_file;
pub mod telemetry;
pub mod verify;

pub use error::{Error, ErrorKind, Faults, report};
