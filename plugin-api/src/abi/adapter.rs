//! The plugin's side: an author's [`Writer`] behind the raw calls.

use std::{collections::HashMap, sync::Arc};

use abi_stable::{
    sabi_trait::prelude::TD_Opaque,
    std_types::{RBox, RString, RVec},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Arena,
    guard::guard,
    raw::{
        RawBatch, RawCancel, RawCancel_TO, RawDescription, RawHost_TO, RawOpened, RawResult,
        RawWriter, RawWriter_TO, RawWritten,
    },
};
use crate::{
    Batch, Cancel, Description, Host, LoadMode, Lsn, Part, Position, Relation, Role, Segment,
    WriteError, Writer, Written,
    batch::Route,
    options,
    read_back::{DIGESTS, HOLDS_ROWS, Question, READ_BACK, ROWS, ReadBack, pack_digests},
};

/// The description of `W`, as JSON text.
pub(super) fn describe<W: Writer>(version: &str) -> RawDescription {
    let described = guard(|| Ok(to_json(&Description::of::<W>(version))));
    described.unwrap_or_else(|_| RString::from("{}"))
}

pub(super) extern "C" fn open<W: Writer>(
    options: RString,
    role: u32,
    host: RawHost_TO<'static, RBox<()>>,
) -> RawResult<RawOpened> {
    guard(move || {
        let options = options::read::<W>(&options)?;
        let role = Role::from_number(role)
            .ok_or_else(|| WriteError::fatal(format!("unknown role {role} of a writer")))?;
        let host = Host::new(LentHost(host));
        let writer = W::open(options, role, &host)?;
        let cancel = Canceller(writer.cancel());
        Ok(RawOpened {
            writer: RawWriter_TO::from_value(
                Adapter {
                    writer,
                    host,
                    relations: HashMap::new(),
                },
                TD_Opaque,
            ),
            cancel: RawCancel_TO::from_value(cancel, TD_Opaque),
        })
    })
}

struct Canceller(Option<Cancel>);

impl RawCancel for Canceller {
    fn cancel(&self) {
        if let Some(cancel) = &self.0 {
            let _ = guard(|| {
                cancel();
                Ok(())
            });
        }
    }
}

struct Adapter<W> {
    writer: W,
    host: Host,
    relations: HashMap<u32, Arc<Relation>>,
}

impl<W: Writer> Adapter<W> {
    fn relation(&self, version: u32) -> Result<Arc<Relation>, WriteError> {
        self.relations.get(&version).map(Arc::clone).ok_or_else(|| {
            WriteError::fatal(format!("relation version {version} was not introduced"))
        })
    }

    fn batch(&self, raw: RawBatch) -> Result<Batch, WriteError> {
        let mut segments = Vec::with_capacity(raw.segments.len());
        for segment in raw.segments {
            let routes = segment.routes.iter().map(|route| match route.relation {
                0 => Ok(None),
                version => Ok(Some(Route {
                    relation: self.relation(version)?,
                    from: Lsn(route.from),
                })),
            });
            segments.push(Segment {
                arena: Arena(segment.arena),
                first: segment.first,
                end: segment.end,
                routes: routes.collect::<Result<_, WriteError>>()?,
            });
        }
        let part = Part::from_number(raw.part)
            .ok_or_else(|| WriteError::fatal(format!("unknown part {} of a batch", raw.part)))?;
        Ok(Batch::new(
            segments,
            position(&raw.previous)?,
            position(&raw.position)?,
            part,
        ))
    }
}

/// Rows or keys of `relation`, all of them for this target.
fn rows_of(arena: Arena, relation: &Arc<Relation>) -> Batch {
    let route = Route {
        relation: Arc::clone(relation),
        from: Lsn::ZERO,
    };
    let segment = Segment {
        first: 0,
        end: u32::try_from(arena.changes().len()).unwrap_or(u32::MAX),
        routes: vec![Some(route); arena.relations().len()].into(),
        arena,
    };
    let nowhere = Position::default();
    Batch::new(vec![segment], nowhere.clone(), nowhere, Part::Whole)
}

impl<W: Writer> Adapter<W> {
    fn answer(&mut self, id: u32, payload: &[u8]) -> Result<Vec<u8>, WriteError> {
        if id == HOLDS_ROWS {
            let relation = from_json(&String::from_utf8_lossy(payload))?;
            return Ok(vec![u8::from(self.writer.holds_rows(&relation)?)]);
        }
        if !matches!(id, DIGESTS | READ_BACK) {
            return self.writer.request(id, payload);
        }
        let question = Question::read_from(payload).ok_or_else(|| {
            WriteError::fatal("the engine and the plugin don't understand each other")
        })?;
        let relation = self.relation(question.relation)?;
        let batch = question.arena.map(|arena| rows_of(arena, &relation));
        if id == DIGESTS {
            let digests = match &batch {
                Some(batch) => self.writer.digests(batch)?,
                None => Vec::new(),
            };
            return Ok(pack_digests(&digests));
        }
        let host = self.host.clone();
        let mut send = |found: &[u8]| host.request(ROWS, found).map(drop);
        let mut rows = ReadBack::new(question.filter, question.wants_names, &mut send);
        self.writer
            .read_back(&relation, batch.as_ref(), &mut rows)?;
        rows.flush()?;
        Ok(vec![u8::from(rows.lacks_some())])
    }
}

impl<W: Writer> RawWriter for Adapter<W> {
    fn introduce(&mut self, relation: RString) -> RawResult<()> {
        guard(|| {
            let relation: Relation = from_json(&relation)?;
            self.relations.insert(relation.version, Arc::new(relation));
            Ok(())
        })
    }

    fn check(&mut self, relations: RString) -> RawResult<RString> {
        guard(|| {
            Ok(to_json(
                &self
                    .writer
                    .check(&from_json::<Vec<Relation>>(&relations)?)?,
            ))
        })
    }

    fn checkpoint(&mut self, stream: RString) -> RawResult<RString> {
        guard(|| Ok(to_json(&self.writer.checkpoint(&from_json(&stream)?)?)))
    }

    fn prepare(&mut self, relation: u32) -> RawResult<()> {
        guard(|| self.writer.prepare(&self.relation(relation)?))
    }

    fn begin_load(&mut self, relation: u32, mode: u32) -> RawResult<()> {
        guard(|| {
            let mode = LoadMode::from_number(mode)
                .ok_or_else(|| WriteError::fatal(format!("unknown load mode {mode}")))?;
            self.writer.begin_load(&self.relation(relation)?, mode)
        })
    }

    fn load(&mut self, batch: RawBatch) -> RawResult<()> {
        guard(|| self.writer.load(&self.batch(batch)?))
    }

    fn end_load(&mut self, relation: u32, copied_to: u64) -> RawResult<()> {
        guard(|| {
            self.writer
                .end_load(&self.relation(relation)?, Lsn(copied_to))
        })
    }

    fn forget_copy(&mut self, table: RString) -> RawResult<()> {
        guard(|| self.writer.forget_copy(&from_json(&table)?))
    }

    fn write(&mut self, batch: RawBatch) -> RawResult<RawWritten> {
        guard(|| Ok(written(self.writer.write(&self.batch(batch)?)?)))
    }

    fn flush(&mut self, at: RString) -> RawResult<RawWritten> {
        guard(|| Ok(written(self.writer.flush(&position(&at)?)?)))
    }

    fn reset(&mut self) -> RawResult<()> {
        guard(|| self.writer.reset())
    }

    fn forget(&mut self, stream: RString) -> RawResult<()> {
        guard(|| self.writer.forget(&from_json(&stream)?))
    }

    fn request(&mut self, id: u32, payload: RVec<u8>) -> RawResult<RVec<u8>> {
        guard(|| Ok(self.answer(id, &payload)?.into()))
    }
}

fn written(written: Written) -> RawWritten {
    let (outcome, position) = match written {
        Written::Accepted => (0, String::new()),
        Written::Stored(position) => (1, position.to_string()),
        Written::Moved(found) => (2, found.map(|found| found.to_string()).unwrap_or_default()),
    };
    RawWritten {
        outcome,
        reserved: 0,
        position: position.into(),
    }
}

fn position(text: &str) -> Result<Position, WriteError> {
    text.parse()
        .map_err(|error| WriteError::fatal(format!("from the engine: {error}")))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, WriteError> {
    serde_json::from_str(text).map_err(|error| {
        WriteError::fatal(format!(
            "the engine and the plugin don't understand each other: {error}"
        ))
    })
}

fn to_json<T: Serialize>(value: &T) -> RString {
    serde_json::to_string(value)
        .unwrap_or_else(|_| "null".to_owned())
        .into()
}

/// The engine's host object as plain Rust.
pub struct LentHost(RawHost_TO<'static, RBox<()>>);

impl LentHost {
    pub(crate) fn log(&self, level: u32, message: &str) {
        self.0.log(level, message.into());
    }

    pub(crate) fn count(&self, name: &str, by: u64) {
        self.0.count(name.into(), by);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.is_stopping()
    }

    pub(crate) fn request(&self, id: u32, payload: &[u8]) -> Result<Vec<u8>, WriteError> {
        let answer = self.0.request(id, payload.to_vec().into());
        answer
            .into_result()
            .map(Vec::from)
            .map_err(WriteError::from)
    }
}
