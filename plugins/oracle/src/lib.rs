//! The Oracle writer: a schema of an Oracle database that holds a live copy of PostgreSQL tables.
//!
//! One transaction per batch, or per large source transaction however many parts it comes in; the
//! checkpoint is a row of the same transaction. `public.t` becomes the table `t`, `s.t` becomes
//! `s_t`, quoted, so that names keep their case. Beyond the rows, the schema gets a table
//! `tahr_checkpoint` and, while a table is replaced, a table `tahr_load_…`; both go when the stream
//! is forgotten. Oracle's own client library (Instant Client) is loaded when the writer is opened.
//!
//! Rules: Oracle has no empty text (option `empty_text`); `-0` becomes `0` (counted as
//! `float_negative_zero`); what a type can't hold is up to option `unfit`. Triggers and enforced
//! foreign keys of the target do their work. DDL ends a transaction there, so the engine never asks
//! for it with one open.
//!
//! ```text
//!   writer       transactions around what the others do
//!   apply        the changes of a batch, in bulk or in order ── values: each bound in its form
//!   table        what is known of a relation's table ── types, names, catalog, prepare, check
//!   load         copies            checkpoint   where the stream stands
//!   statements   all SQL           session      all that is sent; the only file that names the driver
//! ```

mod apply;
mod catalog;
mod check;
mod checkpoint;
mod client;
mod codes;
mod connect;
#[cfg(test)]
mod corpus;
mod equal;
mod error;
mod load;
mod moment;
mod names;
mod number;
mod options;
mod prepare;
mod rules;
mod session;
mod statements;
mod step;
mod table;
mod target;
mod types;
mod values;
mod writer;

pub use options::{EmptyText, Options};
pub use writer::OracleWriter;

tahr_plugin_api::export_writer!(OracleWriter);
