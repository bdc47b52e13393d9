//! The calls and structs that cross, in types of stable layout.

use abi_stable::{
    StableAbi, sabi_trait,
    std_types::{RArc, RBox, RResult, RString, RVec},
};

use super::arena::RawArena;
use crate::{ErrorKind, WriteError};

/// What a plugin says of itself, as JSON text: see [`Description`](crate::Description).
pub type RawDescription = RString;

/// The result of every call.
pub type RawResult<T> = RResult<T, RawError>;

/// [`WriteError`] on its way.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct RawError {
    kind: u32,
    /// -1 for none.
    change: i64,
    message: RString,
    /// The rest, as JSON.
    details: RString,
}

impl RawError {
    const TRANSIENT: u32 = 0;
    const REJECTED: u32 = 1;
    const FATAL: u32 = 2;
}

impl From<WriteError> for RawError {
    fn from(error: WriteError) -> Self {
        Self {
            kind: match error.kind {
                ErrorKind::Transient => Self::TRANSIENT,
                ErrorKind::Rejected => Self::REJECTED,
                ErrorKind::Fatal => Self::FATAL,
            },
            change: error
                .change
                .and_then(|index| i64::try_from(index).ok())
                .unwrap_or(-1),
            message: error.message.as_str().into(),
            details: serde_json::to_string(&error).unwrap_or_default().into(),
        }
    }
}

impl From<RawError> for WriteError {
    fn from(raw: RawError) -> Self {
        let kind = match raw.kind {
            RawError::TRANSIENT => ErrorKind::Transient,
            RawError::REJECTED => ErrorKind::Rejected,
            _ => ErrorKind::Fatal,
        };
        let mut error: Self = serde_json::from_str(&raw.details)
            .unwrap_or_else(|_| Self::fatal(raw.message.as_str()));
        error.kind = kind;
        error.change = usize::try_from(raw.change).ok();
        error
    }
}

/// Which relation a change of an arena belongs to in this lane.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default)]
pub struct RawRoute {
    /// The relation's version, as introduced before; 0: not for this lane.
    pub relation: u32,
    /// Zero today.
    pub flags: u32,
    /// Changes of transactions that commit before it are not for this lane.
    pub from: u64,
}

/// Some changes of one arena.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct RawSegment {
    pub arena: RArc<RawArena>,
    pub first: u32,
    pub end: u32,
    /// One per relation of the arena.
    pub routes: RVec<RawRoute>,
}

/// [`Batch`](crate::Batch) on its way.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct RawBatch {
    pub segments: RVec<RawSegment>,
    pub previous: RString,
    pub position: RString,
    pub part: u32,
    pub reserved: u32,
    /// Zero today.
    pub flags: u64,
    /// Empty today.
    pub extra: RString,
}

/// [`Written`](crate::Written) on its way: 0 accepted, 1 stored (`position`), 2 moved (`position`,
/// empty for none).
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct RawWritten {
    pub outcome: u32,
    pub reserved: u32,
    pub position: RString,
}

/// A writer as the engine calls it. Texts are JSON unless said otherwise.
#[sabi_trait]
pub trait RawWriter: Send {
    /// Makes a relation known; later calls name it by its version.
    fn introduce(&mut self, relation: RString) -> RawResult<()>;
    /// Relations in, a check report out.
    fn check(&mut self, relations: RString) -> RawResult<RString>;
    /// A stream in, its checkpoint or `null` out.
    fn checkpoint(&mut self, stream: RString) -> RawResult<RString>;
    /// By relation version.
    fn prepare(&mut self, relation: u32) -> RawResult<()>;
    /// By relation version and load mode.
    fn begin_load(&mut self, relation: u32, mode: u32) -> RawResult<()>;
    fn load(&mut self, batch: RawBatch) -> RawResult<()>;
    fn end_load(&mut self, relation: u32, copied_to: u64) -> RawResult<()>;
    fn forget_copy(&mut self, table: RString) -> RawResult<()>;
    fn write(&mut self, batch: RawBatch) -> RawResult<RawWritten>;
    /// A position as text.
    fn flush(&mut self, position: RString) -> RawResult<RawWritten>;
    fn reset(&mut self) -> RawResult<()>;
    fn forget(&mut self, stream: RString) -> RawResult<()>;
    #[sabi(last_prefix_field)]
    fn request(&mut self, id: u32, payload: RVec<u8>) -> RawResult<RVec<u8>>;
}

/// Interrupts a writer that is blocked in a call, from another thread.
#[sabi_trait]
pub trait RawCancel: Send + Sync {
    #[sabi(last_prefix_field)]
    fn cancel(&self);
}

/// What the engine lends to a plugin.
#[sabi_trait]
pub trait RawHost: Send + Sync {
    /// `level` 1 error … 5 trace.
    fn log(&self, level: u32, message: RString);
    fn count(&self, name: RString, by: u64);
    fn is_stopping(&self) -> bool;
    #[sabi(last_prefix_field)]
    fn request(&self, id: u32, payload: RVec<u8>) -> RawResult<RVec<u8>>;
}

/// What `open` returns: the writer, and beside it the object that interrupts it.
#[repr(C)]
#[derive(StableAbi)]
pub struct RawOpened {
    pub writer: RawWriter_TO<'static, RBox<()>>,
    pub cancel: RawCancel_TO<'static, RBox<()>>,
}
