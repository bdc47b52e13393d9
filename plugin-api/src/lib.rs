//! All that a tahr writer plugin needs.

pub mod abi;
mod batch;
mod change;
mod description;
mod error;
mod host;
mod lsn;
mod position;
mod relation;
#[cfg(feature = "testing")]
pub mod testing;
mod value;
mod writer;

pub use batch::{Batch, Route, Segment};
pub use change::{Change, Op, Row};
pub use description::{Capabilities, Description};
pub use error::{ErrorKind, WriteError};
pub use host::Host;
pub use lsn::{Lsn, ParseLsnError};
pub use position::{Checkpoint, ParsePositionError, Position, StreamId};
pub use relation::{Column, Relation, ReplicaIdentity, TableName};
pub use value::{
    Array, ArrayItem, CivilDate, Date, InUtc, Interval, Time, TimeTz, Timestamp, Typed, Value,
    ValueKind,
};
pub use writer::{Cancel, CheckReport, Finding, LoadMode, Part, Role, Writer, Written};
