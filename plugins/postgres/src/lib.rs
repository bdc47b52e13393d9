//! tahr's writer for PostgreSQL: the same schemas and tables, the same values.
//!
//! What it guarantees:
//! - The checkpoint (table `public.tahr_checkpoint`) changes in the transaction of its data, by a
//!   compare-and-set that is the transaction's first statement.
//! - A source transaction stays one transaction, however many parts it comes in.
//! - Values cross as PostgreSQL's own text, read by the target column's own input function: no
//!   value is rounded or cut unless the column's type says so, and `check` refuses such columns.
//! - Bulk paths never change a result: where one fails, the batch is applied again row by row in
//!   the source's order, which names the change to blame.
//!
//! Called by the engine's lanes through `tahr-plugin-api`; `writer.rs` is the way in.

mod apply;
mod bulk;
mod catalog;
mod check;
mod checkpoint;
mod copy;
mod error;
mod load;
mod options;
mod parameter;
mod pipeline;
mod plan;
mod prepare;
mod read_back;
mod session;
mod statements;
mod swap;
mod table;
mod target;
mod types;
mod writer;

pub use options::{Options, ReplicationRole};
pub use writer::PostgresWriter;

tahr_plugin_api::export_writer!(PostgresWriter);
