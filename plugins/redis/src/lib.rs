//! tahr's redis writer: rows become hashes, JSON documents or strings, each under a key made of
//! its table and primary key.
//!
//! A batch is one call of one script (`write.lua`), which compares the checkpoint, checks
//! what could fail, then writes rows and checkpoint: Redis runs it as a whole or not at all, which
//! `MULTI` does not promise (it stores the rest after a command failed).

mod checkpoint;
mod commands;
mod connection;
mod error;
mod key;
mod options;
mod plan;
mod read_back;
mod reads;
mod scan;
mod script;
mod server;
mod table;
mod types;
mod writer;

pub use options::{Format, Options, Span};
pub use writer::RedisWriter;

tahr_plugin_api::export_writer!(RedisWriter);
