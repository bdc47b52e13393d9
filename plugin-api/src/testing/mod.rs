//! For the tests of a plugin: relations and batches made by hand, and the conformance suite.
//!
//! [`conformance::run`] drives a writer through the same ABI as the engine does, against the
//! plugin's real server, and checks every promise of [`Writer`](crate::Writer). A plugin supplies
//! a [`Subject`]: an empty target for each case, and a way to read rows back. For what is special
//! about one plugin, [`open`] a writer and feed it with [`relation()`] and [`BatchBuilder`]:
//!
//! ```
//! use tahr_plugin_api::{Op, Position, testing::{BatchBuilder, Cell, relation}};
//!
//! let items = relation("public.items")
//!     .column("id", "integer")
//!     .column("name", "text")
//!     .column("notes", "text")
//!     .key(["id"])
//!     .build();
//! let batch = BatchBuilder::after(&Position::default())
//!     .insert(&items, ["1", "nut", "long text"])
//!     .update(&items, [Cell::Text("1"), Cell::Null, Cell::Unchanged])
//!     .commit()
//!     .delete(&items, ["1"])
//!     .build();
//! let ops: Vec<Op> = batch.changes().map(|change| change.op()).collect();
//! assert_eq!(ops, [Op::Insert, Op::Update, Op::Delete]);
//! let next = BatchBuilder::after(batch.position()).insert(&items, ["2", "bolt", ""]).build();
//! assert!(next.position() > batch.position());
//! ```

mod batch;
pub mod conformance;
mod fuzz;
mod opened;
mod relation;
mod subject;

pub use batch::{BatchBuilder, Cell};
pub use fuzz::{Dice, fuzz};
pub use opened::{Recorder, module, open, stream};
pub use relation::{TestRelation, relation};
pub use subject::{Row, Subject};
