//! The MongoDB writer: rows as documents, `_id` their primary key.
//!
//! On a replica set a batch is one transaction, and the checkpoint is a document of it: readers see
//! source transactions whole, and after a crash the checkpoint says exactly what the data holds. A
//! source transaction that is too large for that (MongoDB ends a transaction after a minute) comes
//! in parts, each with the checkpoint that says how far it is. A server by itself has no
//! transactions; see `redo` for how a batch takes effect there exactly once all the same.
//!
//! Beyond the rows, the database gets the collections `tahr_checkpoint`, for a server by itself
//! `tahr_redo`, and while a table is copied `tahr_load_…`. All go when the stream is forgotten.
//!
//! What each type becomes is in `types`; which names and keys a document has, in `table`.

mod apply;
mod catalog;
mod check;
mod checkpoint;
mod commands;
mod decimal;
mod documents;
mod error;
mod json;
mod load;
mod moves;
mod names;
mod options;
mod plan;
mod raw;
mod read_back;
mod redo;
mod server;
mod table;
mod types;
mod values;
mod writer;

pub use options::{Dates, Json, Numeric, Options, Span};
pub use writer::MongodbWriter;

tahr_plugin_api::export_writer!(MongodbWriter);
