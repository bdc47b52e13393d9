//! All that a tahr writer plugin needs.

mod error;
mod lsn;
mod position;
mod relation;
mod value;

pub use error::{ErrorKind, WriteError};
pub use lsn::{Lsn, ParseLsnError};
pub use position::{Checkpoint, ParsePositionError, Position, StreamId};
pub use relation::{Column, Relation, ReplicaIdentity, TableName};
pub use value::ValueKind;
