//! The writer.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tahr_plugin_api::{
    Batch, Cancel, Capabilities, CheckReport, Checkpoint, Host, LoadMode, Lsn, Part, Position,
    Relation, Role, StreamId, TableName, WriteError, Writer, Written,
};

use crate::{
    change,
    options::Options,
    script::{self, Orders, Subject},
    store::{Store, Stored, failed},
};

/// Misbehaves as it is told.
#[derive(Debug)]
pub struct ScriptedWriter {
    folder: PathBuf,
    role: Role,
    store: Store,
    stream: StreamId,
    prepared: HashSet<u32>,
    /// Where the writer believes the target to be.
    known: Option<Position>,
    /// What was accepted and not stored.
    open: Option<Open>,
    cancelled: Arc<AtomicBool>,
}

/// An open transaction of the target.
#[derive(Debug)]
struct Open {
    /// What was stored when it began.
    base: Stored,
    /// Where the accepted batches lead to.
    at: Position,
    /// Where their lines end.
    end: u64,
    /// Whether a source transaction is incomplete.
    is_inside: bool,
}

impl ScriptedWriter {
    fn follow(&self, call: &str, subject: Subject<'_>, text: &str) -> Result<Orders, WriteError> {
        let note = |text: &str| note(&self.folder, text);
        note(text);
        script::follow(&self.folder, call, subject, &self.cancelled, &|end| {
            note(&format!("{call} {end}"));
        })
    }

    fn about(&self, call: &str, relation: &Relation, text: &str) -> Result<Orders, WriteError> {
        let table = relation.source.to_string();
        self.follow(
            call,
            Subject::Table(&table),
            &format!("{call} {table}{text}"),
        )
    }

    /// The checkpoint as it is to be stored with `position`.
    fn checkpoint_at(&self, stored: &Stored, position: Position) -> Checkpoint {
        let copied_to = stored
            .checkpoint
            .as_ref()
            .map(|found| found.copied_to.clone());
        Checkpoint {
            stream: self.stream.clone(),
            position: Some(position),
            copied_to: copied_to.unwrap_or_default(),
        }
    }

    fn answer(written: Written, orders: Orders) -> Result<Written, WriteError> {
        if orders.fail_after {
            Err(script::lost())
        } else {
            Ok(written)
        }
    }

    /// What a lane must never do.
    fn refuse_misuse(&self, batch: &Batch) -> Result<(), WriteError> {
        let is_inside = self.open.as_ref().is_some_and(|open| open.is_inside);
        if is_inside != matches!(batch.part(), Part::Middle | Part::Last) {
            return Err(WriteError::fatal(format!(
                "scripted: misuse: part {} while {is_inside} is whether one is open",
                change::part_name(batch.part())
            )));
        }
        match batch
            .changes()
            .find(|change| !self.prepared.contains(&change.relation().version))
        {
            None => Ok(()),
            Some(change) => Err(WriteError::fatal(format!(
                "scripted: misuse: {} was not prepared",
                change.relation().source
            ))),
        }
    }
}

impl Writer for ScriptedWriter {
    type Options = Options;

    const NAME: &'static str = "scripted";
    const SUMMARY: &'static str = "misbehaves as it is told, for tests";

    fn capabilities() -> Capabilities {
        Capabilities::default()
    }

    fn open(options: Options, role: Role, _host: &Host) -> Result<Self, WriteError> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let folder = options.folder;
        let text = format!("open {role:?}").to_lowercase();
        note(&folder, &text);
        let orders = script::follow(&folder, "open", Subject::Nothing, &cancelled, &|end| {
            note(&folder, &format!("open {end}"));
        })?;
        if orders.fail_after {
            return Err(script::lost());
        }
        let store = Store::open(&folder)?;
        let (stream, prepared) = (StreamId::default(), HashSet::new());
        Ok(Self {
            folder,
            role,
            store,
            stream,
            prepared,
            known: None,
            open: None,
            cancelled,
        })
    }

    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        let objects = relations
            .iter()
            .map(|relation| relation.target.to_string())
            .collect();
        Ok(CheckReport {
            objects,
            findings: Vec::new(),
        })
    }

    fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
        self.follow("checkpoint", Subject::Nothing, "checkpoint")?;
        self.stream = stream.clone();
        let found = self.store.read()?.checkpoint.filter(|found| {
            (&found.stream.sync, &found.stream.source) == (&stream.sync, &stream.source)
        });
        self.known = found.as_ref().and_then(|found| found.position.clone());
        Ok(found)
    }

    fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        let names: Vec<_> = relation
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        self.about(
            "prepare",
            relation,
            &format!(" columns={}", names.join(",")),
        )?;
        if self.open.is_some() {
            return Err(WriteError::fatal(
                "scripted: misuse: prepared with changes accepted",
            ));
        }
        self.prepared.insert(relation.version);
        Ok(())
    }

    fn begin_load(&mut self, relation: &Arc<Relation>, mode: LoadMode) -> Result<(), WriteError> {
        self.about("begin_load", relation, &format!(" {mode:?}").to_lowercase())?;
        let mut stored = self.store.read()?;
        let position = stored.position().cloned();
        let mut checkpoint = self.checkpoint_at(&stored, Position::default());
        checkpoint.position = position;
        checkpoint
            .copied_to
            .insert(relation.source.to_string(), Lsn::ZERO);
        stored.checkpoint = Some(checkpoint);
        self.store.commit(&stored)?;
        fs::write(self.store.loading(), "").map_err(failed)
    }

    fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        self.follow("load", Subject::Batch(batch), "load")?;
        let mut lines = Vec::new();
        for line in change::lines(batch)?
            .split_inclusive(|&byte| byte == b'\n')
            .skip(1)
        {
            lines.extend_from_slice(line);
        }
        let file = OpenOptions::new().append(true).open(self.store.loading());
        file.and_then(|mut file| file.write_all(&lines))
            .map_err(failed)
    }

    fn end_load(&mut self, relation: &Arc<Relation>, copied_to: Lsn) -> Result<(), WriteError> {
        let orders = self.about("end_load", relation, &format!(" {copied_to}"))?;
        let mut stored = self.store.read()?;
        let table = relation.source.to_string();
        let mut lines = Vec::new();
        change::push(
            &mut lines,
            &serde_json::json!({ "copy": table, "copied_to": copied_to }),
        )?;
        lines.extend(fs::read(self.store.loading()).map_err(failed)?);
        stored.length = self.store.append(stored.length, &lines)?;
        if let Some(checkpoint) = &mut stored.checkpoint {
            checkpoint.copied_to.insert(table, copied_to);
        }
        self.store.commit(&stored)?;
        if orders.fail_after {
            Err(script::lost())
        } else {
            Ok(())
        }
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        let (previous, position) = (batch.previous(), batch.position());
        let text = format!(
            "write {} {previous} {position}",
            change::part_name(batch.part())
        );
        let orders = self.follow("write", Subject::Batch(batch), &text)?;
        self.refuse_misuse(batch)?;
        let found = self.store.read()?;
        let open = self.open.take().unwrap_or_else(|| Open {
            at: found.position().cloned().unwrap_or_default(),
            end: found.length,
            is_inside: false,
            base: found.clone(),
        });
        if found.position() != open.base.position() || open.at != *previous {
            return Ok(Written::Moved(found.position().cloned()));
        }
        let end = self.store.append(open.end, &change::lines(batch)?)?;
        let is_inside = !batch.ends_transaction();
        if is_inside || orders.accept {
            self.open = Some(Open {
                base: open.base,
                at: position.clone(),
                end,
                is_inside,
            });
            return Self::answer(Written::Accepted, orders);
        }
        let checkpoint = Some(self.checkpoint_at(&found, position.clone()));
        self.store.commit(&Stored {
            length: end,
            checkpoint,
        })?;
        self.known = Some(position.clone());
        Self::answer(Written::Stored(position.clone()), orders)
    }

    fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        if self.role == Role::Load {
            self.follow("flush", Subject::Nothing, "flush load")?;
            return Ok(Written::Stored(position.clone()));
        }
        let orders = self.follow("flush", Subject::Nothing, &format!("flush {position}"))?;
        if self.open.as_ref().is_some_and(|open| open.is_inside) {
            return Err(WriteError::fatal(
                "scripted: misuse: flush inside a transaction",
            ));
        }
        let found = self.store.read()?;
        if found.position() != self.known.as_ref() {
            return Ok(Written::Moved(found.position().cloned()));
        }
        let length = self.open.take().map_or(found.length, |open| open.end);
        let checkpoint = Some(self.checkpoint_at(&found, position.clone()));
        self.store.commit(&Stored { length, checkpoint })?;
        self.known = Some(position.clone());
        Self::answer(Written::Stored(position.clone()), orders)
    }

    fn reset(&mut self) -> Result<(), WriteError> {
        self.open = None;
        self.follow("reset", Subject::Nothing, "reset").map(drop)
    }

    fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        let mut stored = self.store.read()?;
        if let Some(checkpoint) = &mut stored.checkpoint {
            checkpoint.copied_to.insert(table.to_string(), Lsn::ZERO);
        }
        self.store.commit(&stored)
    }

    fn forget(&mut self, _stream: &StreamId) -> Result<(), WriteError> {
        let stored = self.store.read()?;
        self.store.commit(&Stored {
            checkpoint: None,
            ..stored
        })
    }

    fn cancel(&self) -> Option<Cancel> {
        let cancelled = Arc::clone(&self.cancelled);
        Some(Box::new(move || cancelled.store(true, Ordering::SeqCst)))
    }
}

/// Adds a line to the calls. A test that misses one says so.
fn note(folder: &Path, text: &str) {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("calls"));
    let _missed = file.and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()));
}
