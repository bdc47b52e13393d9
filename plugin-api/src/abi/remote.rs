//! The engine's side: a plugin's writer as plain Rust.

use std::{collections::HashSet, fmt, sync::Arc};

use abi_stable::{
    sabi_trait::prelude::TD_Opaque,
    std_types::{RBox, RString, RVec},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    module::WriterModule_Ref,
    raw::{
        RawBatch, RawCancel_TO, RawHost, RawHost_TO, RawResult, RawRoute, RawSegment, RawWriter_TO,
        RawWritten,
    },
};
use crate::{
    Batch, CheckReport, Checkpoint, Description, LoadMode, Lsn, Position, Relation, Role, StreamId,
    WriteError, Written,
    abi::Arena,
    read_back::{DIGESTS, Digest, Filter, HOLDS_ROWS, Question, READ_BACK, ROWS, unpack_digests},
};

/// What the engine does for a plugin: the other end of [`Host`](crate::Host).
pub trait HostCalls: Send + Sync + 'static {
    /// A line for the log; `level` 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    fn log(&self, level: u32, message: &str);
    /// Adds to the counter `name` of the lane.
    fn count(&self, name: &str, by: u64);
    /// Whether the lane is to end.
    fn is_stopping(&self) -> bool;
    /// Takes rows that [`RemoteWriter::read_back`] has asked for; see
    /// [`read_found`](crate::read_back::read_found).
    ///
    /// # Errors
    ///
    /// No more are wanted.
    fn rows(&self, found: &[u8]) -> Result<(), WriteError> {
        let _ = found;
        Err(unsupported(ROWS))
    }
}

struct HostEnd<H>(H);

impl<H: HostCalls> RawHost for HostEnd<H> {
    fn log(&self, level: u32, message: RString) {
        self.0.log(level, &message);
    }

    fn count(&self, name: RString, by: u64) {
        self.0.count(&name, by);
    }

    fn is_stopping(&self) -> bool {
        self.0.is_stopping()
    }

    fn request(&self, id: u32, payload: RVec<u8>) -> RawResult<RVec<u8>> {
        let answer = match id {
            ROWS => self.0.rows(&payload),
            _ => Err(unsupported(id)),
        };
        answer.map(|()| RVec::new()).map_err(Into::into).into()
    }
}

/// The answer to a request that this side doesn't know.
pub(crate) fn unsupported(id: u32) -> WriteError {
    WriteError::rejected(format!("request {id} is unsupported")).code("unsupported")
}

/// Interrupts the writer it belongs to; works from any thread, and after the writer is gone.
#[derive(Clone)]
pub struct Canceller(Arc<RawCancel_TO<'static, RBox<()>>>);

impl Canceller {
    /// Makes a call that the writer is blocked in return soon, with a transient error.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canceller")
    }
}

/// A writer that lives in a plugin. The calls are those of [`Writer`](crate::Writer) and block.
pub struct RemoteWriter {
    raw: RawWriter_TO<'static, RBox<()>>,
    introduced: HashSet<u32>,
}

impl fmt::Debug for RemoteWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteWriter")
            .field("introduced", &self.introduced)
            .finish()
    }
}

impl WriterModule_Ref {
    /// What the plugin says of itself.
    ///
    /// # Errors
    ///
    /// What it said is no description.
    pub fn description(&self) -> Result<Description, WriteError> {
        from_json(&self.describe()())
    }

    /// Opens a writer; `options` as JSON.
    ///
    /// # Errors
    ///
    /// Whatever the plugin's `open` returned.
    pub fn open_writer(
        &self,
        options: &serde_json::Value,
        role: Role,
        host: impl HostCalls,
    ) -> Result<(RemoteWriter, Canceller), WriteError> {
        let host = RawHost_TO::from_value(HostEnd(host), TD_Opaque);
        let opened = self.open()(to_json(options), role.number(), host);
        let opened = opened.into_result().map_err(WriteError::from)?;
        let writer = RemoteWriter {
            raw: opened.writer,
            introduced: HashSet::new(),
        };
        Ok((writer, Canceller(Arc::new(opened.cancel))))
    }
}

impl RemoteWriter {
    fn introduce(&mut self, relation: &Relation) -> Result<(), WriteError> {
        if self.introduced.insert(relation.version) {
            done(self.raw.introduce(to_json(relation)))?;
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<RawBatch, WriteError> {
        let mut segments = RVec::with_capacity(batch.segments().len());
        for segment in batch.segments() {
            let mut routes = RVec::with_capacity(segment.routes.len());
            for route in segment.routes.iter() {
                routes.push(match route {
                    None => RawRoute::default(),
                    Some(route) => {
                        self.introduce(&route.relation)?;
                        RawRoute {
                            relation: route.relation.version,
                            flags: 0,
                            from: route.from.0,
                        }
                    }
                });
            }
            segments.push(RawSegment {
                arena: segment.arena.0.clone(),
                first: segment.first,
                end: segment.end,
                routes,
            });
        }
        Ok(RawBatch {
            segments,
            previous: batch.previous().to_string().into(),
            position: batch.position().to_string().into(),
            part: batch.part().number(),
            reserved: 0,
            flags: 0,
            extra: RString::new(),
        })
    }

    /// See [`Writer::check`](crate::Writer::check).
    ///
    /// # Errors
    ///
    /// As every call here: what the writer returned, or that it panicked.
    pub fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        from_json(&done(self.raw.check(to_json(relations)))?)
    }

    /// See [`Writer::checkpoint`](crate::Writer::checkpoint).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
        from_json(&done(self.raw.checkpoint(to_json(stream)))?)
    }

    /// See [`Writer::prepare`](crate::Writer::prepare).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn prepare(&mut self, relation: &Relation) -> Result<(), WriteError> {
        self.introduce(relation)?;
        done(self.raw.prepare(relation.version))
    }

    /// See [`Writer::begin_load`](crate::Writer::begin_load).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn begin_load(&mut self, relation: &Relation, mode: LoadMode) -> Result<(), WriteError> {
        self.introduce(relation)?;
        done(self.raw.begin_load(relation.version, mode.number()))
    }

    /// See [`Writer::load`](crate::Writer::load).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let raw = self.batch(batch)?;
        done(self.raw.load(raw))
    }

    /// See [`Writer::end_load`](crate::Writer::end_load).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn end_load(&mut self, relation: &Relation, copied_to: Lsn) -> Result<(), WriteError> {
        self.introduce(relation)?;
        done(self.raw.end_load(relation.version, copied_to.0))
    }

    /// See [`Writer::forget_copy`](crate::Writer::forget_copy).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn forget_copy(&mut self, table: &crate::TableName) -> Result<(), WriteError> {
        done(self.raw.forget_copy(to_json(table)))
    }

    /// See [`Writer::write`](crate::Writer::write).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        let raw = self.batch(batch)?;
        written(&done(self.raw.write(raw))?)
    }

    /// See [`Writer::flush`](crate::Writer::flush).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        written(&done(self.raw.flush(position.to_string().into()))?)
    }

    /// See [`Writer::reset`](crate::Writer::reset).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn reset(&mut self) -> Result<(), WriteError> {
        done(self.raw.reset())
    }

    /// See [`Writer::forget`](crate::Writer::forget).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        done(self.raw.forget(to_json(stream)))
    }

    /// See [`Writer::holds_rows`](crate::Writer::holds_rows).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn holds_rows(&mut self, relation: &Relation) -> Result<bool, WriteError> {
        let answer = self.request(HOLDS_ROWS, to_json(relation).as_bytes())?;
        Ok(answer.first().is_some_and(|flag| *flag != 0))
    }

    /// See [`Writer::digests`](crate::Writer::digests).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn digests(
        &mut self,
        relation: &Relation,
        rows: &Arena,
    ) -> Result<Vec<Digest>, WriteError> {
        self.introduce(relation)?;
        let question = Question {
            relation: relation.version,
            filter: Filter::all(),
            wants_names: false,
            arena: Some(rows.clone()),
        };
        let answer = self.request(DIGESTS, &question.to_bytes())?;
        let digests = unpack_digests(&answer);
        digests
            .filter(|digests| digests.len() == rows.changes().len())
            .ok_or_else(|| WriteError::fatal("the writer answered with something else"))
    }

    /// See [`Writer::read_back`](crate::Writer::read_back): rows of `relation` that `filter` has, or
    /// those under `keys`. They come to [`HostCalls::rows`]. Whether rows may be missing by themselves.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn read_back(
        &mut self,
        relation: &Relation,
        keys: Option<&Arena>,
        filter: Filter,
        wants_names: bool,
    ) -> Result<bool, WriteError> {
        self.introduce(relation)?;
        let question = Question {
            relation: relation.version,
            filter,
            wants_names,
            arena: keys.cloned(),
        };
        let answer = self.request(READ_BACK, &question.to_bytes())?;
        Ok(answer.first().is_some_and(|flag| *flag != 0))
    }

    /// See [`Writer::request`](crate::Writer::request).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); code `unsupported` where the writer doesn't know the request.
    pub fn request(&mut self, id: u32, payload: &[u8]) -> Result<Vec<u8>, WriteError> {
        done(self.raw.request(id, payload.to_vec().into())).map(Vec::from)
    }
}

fn done<T>(result: RawResult<T>) -> Result<T, WriteError> {
    result.into_result().map_err(WriteError::from)
}

fn written(raw: &RawWritten) -> Result<Written, WriteError> {
    let position = || {
        raw.position.parse::<Position>().map_err(|error| {
            WriteError::fatal(format!("the writer answered with something else: {error}"))
        })
    };
    Ok(match raw.outcome {
        0 => Written::Accepted,
        1 => Written::Stored(position()?),
        _ if raw.position.is_empty() => Written::Moved(None),
        _ => Written::Moved(Some(position()?)),
    })
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, WriteError> {
    serde_json::from_str(text).map_err(|error| {
        WriteError::fatal(format!(
            "the plugin and the engine don't understand each other: {error}"
        ))
    })
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> RString {
    serde_json::to_string(value)
        .unwrap_or_else(|_| "null".to_owned())
        .into()
}
