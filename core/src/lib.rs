//! tahr.

pub mod cli;
pub mod config;
pub mod error;
pub mod exit_code;
pub mod pgoutput;
pub mod telemetry;
