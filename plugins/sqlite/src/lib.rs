//! The SQLite writer: a file that holds a live copy of PostgreSQL tables.
//!
//! One transaction per batch, or per large source transaction however many parts it comes in; the
//! checkpoint is a row of the same transaction. `public.t` becomes the table `t`, `s.t` becomes
//! `s_t`. Values keep their exact form: what SQLite has no type for is PostgreSQL's own text.
//!
//! Beyond the rows, the file gets a table `tahr_checkpoint` and, while a table is copied, a table
//! `tahr_load_…`; both go when the stream is forgotten. The file is in WAL mode: readers never
//! wait for the writer and see whole transactions only.
//!
//! Rules: `-0` becomes `0` (counted as `float_negative_zero`), the one value that SQLite doesn't
//! keep. Foreign keys that the file's tables may have are not enforced on tahr's connection;
//! triggers do fire. Tables without a key work, but each update or delete of them reads the table.

mod apply;
mod catalog;
mod check;
mod checkpoint;
mod connection;
mod error;
mod load;
mod names;
mod options;
mod plan;
mod read_back;
mod statements;
mod types;
mod writer;

pub use options::{BusyTimeout, Options, Synchronous};
pub use writer::SqliteWriter;

tahr_plugin_api::export_writer!(SqliteWriter);
