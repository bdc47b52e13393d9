// Adds every change as a line of JSON to a file: a small writer that keeps every promise.

use std::{collections::BTreeSet, fs, fs::File, io, io::Write as _, path::PathBuf, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use tahr_plugin_api::{
    Batch, Capabilities, Change, CheckReport, Checkpoint, Host, LoadMode, Lsn, Position, Relation,
    Role, Row, StreamId, TableName, Value, WriteError, Writer, Written, export_writer,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The folder for `SYNC.SOURCE.jsonl`, and for the checkpoint beside it.
    folder: PathBuf,
}

/// What `SYNC.SOURCE.checkpoint` holds. To replace that file is to commit.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    checkpoint: Checkpoint,
    /// So much of the lines counts: what lies behind it was never committed.
    bytes: u64,
    /// Tables whose copy has begun, by OID.
    loading: BTreeSet<u32>,
}

#[derive(Debug)]
pub struct JsonLines {
    folder: PathBuf,
    role: Role,
    stream: StreamId,
    /// The position that was stored when this writer last looked.
    seen: Option<Position>,
    /// A transaction of which the last part has not come: its lines, and what to store then.
    open: Option<(File, Stored)>,
}

impl JsonLines {
    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!(
            "{}.{}.{ending}",
            self.stream.sync, self.stream.source
        ))
    }

    fn copy_of(&self, oid: u32) -> PathBuf {
        self.folder.join(format!("{oid}.load"))
    }

    fn stored(&self) -> io::Result<Option<Stored>> {
        match fs::read(self.path("checkpoint")) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The open transaction, or a new one. It has the lock, so nobody commits meanwhile.
    fn begin(&mut self) -> io::Result<(File, Stored)> {
        if let Some(open) = self.open.take() {
            return Ok(open);
        }
        let lines = File::options()
            .create(true)
            .append(true)
            .open(self.path("jsonl"))?;
        lines.try_lock()?;
        let bytes = lines.metadata()?.len();
        let stored = self.stored()?.unwrap_or(Stored {
            bytes,
            ..Stored::default()
        });
        lines.set_len(stored.bytes)?; // what a crash or an error left
        Ok((lines, stored))
    }

    fn commit(&mut self, lines: File, mut stored: Stored) -> io::Result<()> {
        lines.sync_all()?;
        stored.bytes = lines.metadata()?.len();
        stored.checkpoint.stream = self.stream.clone();
        let mut file = File::create(self.path("new"))?;
        file.write_all(&serde_json::to_vec(&stored)?)?;
        file.sync_all()?;
        fs::rename(self.path("new"), self.path("checkpoint"))?; // all of it, or nothing
        self.seen = stored.checkpoint.position;
        File::open(&self.folder)?.sync_all()
    }

    fn append(&mut self, batch: &Batch) -> io::Result<Written> {
        let (mut lines, mut stored) = self.begin()?;
        if stored.checkpoint.position.as_ref() != Some(batch.previous()) {
            return Ok(Written::Moved(stored.checkpoint.position));
        }
        lines.write_all(&text(batch))?;
        stored.checkpoint.position = Some(batch.position().clone());
        if batch.ends_transaction() {
            self.commit(lines, stored)?;
            return Ok(Written::Stored(batch.position().clone()));
        }
        self.open = Some((lines, stored));
        Ok(Written::Accepted)
    }

    fn advance(&mut self, position: &Position) -> io::Result<Written> {
        let (lines, mut stored) = self.begin()?;
        if stored.checkpoint.position != self.seen {
            return Ok(Written::Moved(stored.checkpoint.position));
        }
        stored.checkpoint.position = Some(position.clone());
        self.commit(lines, stored)?;
        Ok(Written::Stored(position.clone()))
    }

    /// Notes how far the copy of a table is; a finished one follows a truncate, in one commit.
    fn mark(&mut self, relation: &Relation, copied_to: Lsn, is_done: bool) -> io::Result<()> {
        let (mut lines, mut stored) = self.begin()?;
        if is_done {
            writeln!(
                lines,
                "{}",
                json!({ "op": "truncate", "table": relation.target })
            )?;
            io::copy(&mut File::open(self.copy_of(relation.oid))?, &mut lines)?;
            stored.loading.remove(&relation.oid);
        } else {
            File::create(self.copy_of(relation.oid))?; // empty, whatever an earlier copy left
            stored.loading.insert(relation.oid);
        }
        stored
            .checkpoint
            .copied_to
            .insert(relation.source.to_string(), copied_to);
        self.commit(lines, stored)?;
        if is_done {
            fs::remove_file(self.copy_of(relation.oid))
        } else {
            Ok(())
        }
    }
}

/// The changes as lines: a column that is absent from `new` is unchanged.
fn text(batch: &Batch) -> Vec<u8> {
    let line = |change: Change<'_>| {
        let relation = change.relation();
        let row = |row: Row<'_>| columns(relation, row);
        let op = format!("{:?}", change.op()).to_lowercase();
        let (old, new) = (change.old_row().map(row), change.new_row().map(row));
        format!(
            "{}\n",
            json!({ "op": op, "table": relation.target, "old": old, "new": new })
        )
    };
    batch.changes().map(line).collect::<String>().into_bytes()
}

fn columns(relation: &Relation, row: Row<'_>) -> Map<String, serde_json::Value> {
    let mut columns = Map::new();
    for (column, value) in relation.columns.iter().zip(row.values()) {
        let value = match value {
            Value::Unchanged => continue,
            _ if row.is_key_only() && !column.in_identity => continue,
            Value::Null => json!(null),
            Value::Text(_, text) => json!(text),
            Value::Bytes(bytes) => json!(bytes),
        };
        columns.insert(column.name.clone(), value);
    }
    columns
}

fn failed(error: io::Error) -> WriteError {
    WriteError::transient(format!("folder of lines: {error}")).hint("see whether its disk is full")
}

impl Writer for JsonLines {
    type Options = Options;
    const NAME: &'static str = "jsonl";
    const SUMMARY: &'static str = "every change as a line of JSON";

    fn capabilities() -> Capabilities {
        Capabilities {
            transactional_ddl: true,
            ..Capabilities::default()
        }
    }

    fn open(options: Options, role: Role, _host: &Host) -> Result<Self, WriteError> {
        let (stream, folder) = (StreamId::default(), options.folder);
        Ok(Self {
            folder,
            role,
            stream,
            seen: None,
            open: None,
        })
    }

    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        let objects = relations
            .iter()
            .map(|relation| relation.target.to_string())
            .collect();
        Ok(CheckReport {
            objects,
            ..CheckReport::default()
        })
    }

    fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
        self.stream = stream.clone();
        let found = self
            .stored()
            .map_err(failed)?
            .map(|stored| stored.checkpoint);
        self.seen = found.as_ref().and_then(|found| found.position.clone());
        Ok(found)
    }

    fn prepare(&mut self, _relation: &Arc<Relation>) -> Result<(), WriteError> {
        Ok(()) // a line takes any columns
    }

    fn begin_load(&mut self, relation: &Arc<Relation>, _: LoadMode) -> Result<(), WriteError> {
        self.mark(relation, Lsn::ZERO, false).map_err(failed)
    }

    fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let Some(first) = batch.changes().next() else {
            return Ok(());
        };
        let path = self.copy_of(first.relation().oid);
        let file = File::options().append(true).open(path);
        file.and_then(|mut file| file.write_all(&text(batch)))
            .map_err(failed)
    }

    fn end_load(&mut self, relation: &Arc<Relation>, copied_to: Lsn) -> Result<(), WriteError> {
        self.mark(relation, copied_to, true).map_err(failed)
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        self.append(batch).map_err(failed)
    }

    fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        match self.role {
            Role::Load => Ok(Written::Stored(position.clone())),
            _ => self.advance(position).map_err(failed),
        }
    }

    fn reset(&mut self) -> Result<(), WriteError> {
        self.open = None; // gives up the lock; the next transaction cuts its lines off
        Ok(())
    }

    fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        let (lines, mut stored) = self.begin().map_err(failed)?;
        let copied_to = &mut stored.checkpoint.copied_to;
        copied_to.insert(table.to_string(), Lsn::ZERO);
        self.commit(lines, stored).map_err(failed)
    }

    fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        self.checkpoint(stream)?;
        let Some(stored) = self.stored().map_err(failed)? else {
            return Ok(());
        };
        for oid in stored.loading {
            let _ = fs::remove_file(self.copy_of(oid));
        }
        fs::remove_file(self.path("checkpoint")).map_err(failed)
    }
}

export_writer!(JsonLines);
