//! A writer that misbehaves as it is told, to test what lanes promise.
//!
//! Its target is a folder of files, which a test may read at any time:
//!
//! | file | holds |
//! |---|---|
//! | `script` | what goes wrong next; read at each call, see `script.rs` |
//! | `calls` | one line per call, as it came in, and per end of a call that was held |
//! | `data.jsonl` | every change stored, in order, under a line for its batch |
//! | `store.json` | the checkpoint, and how many bytes of `data.jsonl` it covers: what follows is not stored |
//!
//! Data and checkpoint change together, by the rename of `store.json`; to put an older `store.json`
//! back is to restore the target from a backup.
//!
//! It is strict: parts out of order, a change of a relation that was not prepared, or a
//! preparation inside an open transaction is a fatal error.

mod change;
mod options;
mod script;
mod store;
mod writer;

pub use options::Options;
pub use writer::ScriptedWriter;

tahr_plugin_api::export_writer!(ScriptedWriter);
