//! The MySQL and MariaDB writer.
//!
//! What it guarantees:
//! - The checkpoint (table `tahr_checkpoint`) changes in the transaction of its data, by a
//!   compare-and-set that is the transaction's first statement.
//! - A source transaction stays one transaction, however many parts it comes in.
//! - Values keep their exact form: what MySQL has no type for is PostgreSQL's own text, and a value
//!   that a column can't hold follows the option `unfit`, and is counted.
//! - Keys are told apart as PostgreSQL tells them apart: letters' case, accents and trailing spaces
//!   count.
//! - Bulk statements never change a result: where one fails, the batch is applied again row by row in
//!   the source's order, which names the change to blame.
//!
//! Called by the engine's lanes through `tahr-plugin-api`; `writer.rs` is the way in. `public.t`
//! becomes the table `t`, `s.t` becomes `s_t`; [`table_name`] and [`column_name`] say how.

mod apply;
mod bulk;
mod catalog;
mod check;
mod checkpoint;
mod columns;
mod error;
mod failure;
mod holds;
mod load;
mod load_data;
mod names;
mod options;
mod plan;
mod prepare;
mod read_back;
mod script;
mod session;
mod statements;
mod swap;
mod table;
mod target;
mod types;
mod value;
mod writer;

pub use names::{column_name, table_name};
pub use options::{Options, Wait};
pub use writer::MysqlWriter;

tahr_plugin_api::export_writer!(MysqlWriter);
