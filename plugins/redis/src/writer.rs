//! The writer: batches into Redis, checkpoint included, each by one call of the script.

mod calls;

use std::{collections::VecDeque, sync::Arc};

use tahr_plugin_api::{
    Batch, Cancel, Capabilities, CheckReport, Checkpoint, Finding, Host, LoadMode, Lsn, Position,
    Relation, Role, RuleTable, StreamId, TableName, WriteError, Writer, Written,
    read_back::{Digest, ReadBack},
};

use crate::{
    checkpoint::{self, COPIED_NOT, DISPLACED, POSITION, STREAM},
    commands::Commands,
    connection::{Address, Connection},
    options::Options,
    plan::Plan,
    read_back,
    reads::Reads,
    scan,
    script::{Answer, Script},
    server,
    table::{Steps, Tables},
    types,
};

/// Loads that may be under way: one runs in Redis while the next is packed.
const LOADS_AHEAD: usize = 2;

/// Keeps rows in Redis as hashes, JSON documents or strings.
pub struct RedisWriter {
    options: Options,
    ttl: String,
    host: Host,
    role: Role,
    connection: Connection,
    script: Script,
    tables: Tables,
    stream: Option<StreamId>,
    checkpoint_key: String,
    /// Whether Redis holds a checkpoint of the stream.
    has_checkpoint: bool,
    /// The position that Redis is expected to hold, or nothing.
    position: String,
    /// Keys that rows of the open transaction have lost.
    displaced: Vec<String>,
    /// Loads whose answer was not read yet.
    loading: VecDeque<Commands>,
    request: Vec<u8>,
}

// Not derived: much of it is not for people, and the options hold a password.
impl std::fmt::Debug for RedisWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisWriter")
            .field("server", &self.connection.server())
            .field("checkpoint_key", &self.checkpoint_key)
            .finish_non_exhaustive()
    }
}

impl Writer for RedisWriter {
    type Options = Options;
    const NAME: &'static str = "redis";
    const SUMMARY: &'static str = "Keeps rows in Redis as hashes, JSON documents or strings";

    fn capabilities() -> Capabilities {
        Capabilities {
            transactions: false,
            keyless: false,
            loaders: 2,
            columns: false,
            read_back: true,
            refills: true,
            ..Capabilities::default()
        }
    }

    fn rules() -> Vec<RuleTable> {
        types::rules()
    }

    fn open(options: Options, role: Role, host: &Host) -> Result<Self, WriteError> {
        options.validate()?;
        let tables = Tables::new(&options)?;
        let connection = Connection::open(Address::new(&options)?)?;
        let ttl = options.ttl.map(|ttl| ttl.0.as_millis().to_string());
        Ok(Self {
            ttl: ttl.unwrap_or_default(),
            options,
            host: host.clone(),
            role,
            connection,
            script: Script::default(),
            tables,
            stream: None,
            checkpoint_key: String::new(),
            has_checkpoint: false,
            position: String::new(),
            displaced: Vec::new(),
            loading: VecDeque::new(),
            request: Vec::new(),
        })
    }

    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        let mut report = CheckReport {
            findings: server::findings(&mut self.connection)?,
            ..CheckReport::default()
        };
        for relation in relations {
            match self.table(&Arc::new(relation.clone())) {
                Ok(table) => report.objects.push(table.key.object()),
                Err(error) => {
                    report.objects.push(relation.target.to_string());
                    report.findings.push(Finding {
                        is_error: true,
                        object: relation.source.to_string(),
                        message: error.message,
                        hint: error.hint,
                    });
                }
            }
        }
        Ok(report)
    }

    fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
        self.checkpoint_key = checkpoint::key_of(stream);
        self.stream = Some(stream.clone());
        let stored = checkpoint::read(&mut self.connection, &self.checkpoint_key)?;
        self.has_checkpoint = stored.is_some();
        let stored = stored.unwrap_or_default();
        let position = stored.checkpoint.position.as_ref();
        self.position = position.map(ToString::to_string).unwrap_or_default();
        self.displaced = stored.displaced;
        Ok(self.has_checkpoint.then_some(stored.checkpoint))
    }

    fn holds_rows(&mut self, relation: &Relation) -> Result<bool, WriteError> {
        let prefix = self.tables.prefix(relation)?;
        scan::holds_some(&mut self.connection, &prefix)
    }

    fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        self.table(relation).map(drop)
    }

    fn begin_load(&mut self, relation: &Arc<Relation>, _mode: LoadMode) -> Result<(), WriteError> {
        let prefix = self.table(relation)?.key.prefix().to_owned();
        let position = self.position.clone();
        self.mark(relation, (POSITION, &position), Lsn::ZERO)?;
        let field = checkpoint::copied_field(&relation.source);
        match self.empty(&prefix, (&field, COPIED_NOT))? {
            Answer::Stored(_) => Ok(()),
            _ => Err(WriteError::transient(format!(
                "the copy of table {} was ended by another engine",
                relation.source
            ))),
        }
    }

    fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let steps = Steps::new(batch, &mut self.tables)?;
        let Some(step) = steps.list.first() else {
            return Ok(());
        };
        let source = &self.tables.all()[step.table].relation.source;
        let field = checkpoint::copied_field(source);
        let (none, reads) = ([], Reads::default());
        let plan = Plan::new(&steps, self.tables.all(), &reads, &none);
        let mut commands = Commands::default();
        for entry in plan.entries() {
            commands.add(entry, self.tables.all(), self.options.format, true);
        }
        self.await_loads(LOADS_AHEAD - 1)?;
        // A loader that was not told the stream can't look at the copy's mark.
        let guard = match self.stream {
            Some(_) => (field.as_str(), COPIED_NOT),
            None => ("", ""),
        };
        self.send(&mut commands, guard, &[])?;
        self.loading.push_back(commands);
        Ok(())
    }

    fn end_load(&mut self, relation: &Arc<Relation>, copied_to: Lsn) -> Result<(), WriteError> {
        self.await_loads(0)?;
        let field = checkpoint::copied_field(&relation.source);
        self.mark(relation, (&field, COPIED_NOT), copied_to)
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        let steps = Steps::new(batch, &mut self.tables)?;
        let previous = batch.previous().to_string();
        for number in Plan::truncated(&steps) {
            let prefix = self.tables.all()[number].key.prefix().to_owned();
            if let Answer::Moved(found) = self.empty(&prefix, (POSITION, &previous))? {
                return self.moved(found);
            }
        }
        let tables = self.tables.all();
        let format = self.options.format;
        let reads = Reads::new(&steps, tables, format, &mut self.connection)?;
        let lost = std::mem::take(&mut self.displaced);
        let plan = Plan::new(&steps, tables, &reads, &lost);
        let mut commands = Commands::default();
        for entry in plan.entries() {
            commands.add(entry, tables, format, false);
        }
        let displaced = match batch.ends_transaction() {
            true => Vec::new(),
            false => plan.displaced(),
        };
        let displaced_text = serde_json::to_string(&displaced).unwrap_or_default();
        let position = batch.position().to_string();
        let mut changes = vec![(POSITION, Some(position.as_str()))];
        if !displaced.is_empty() {
            changes.push((DISPLACED, Some(&displaced_text)));
        } else if !lost.is_empty() {
            changes.push((DISPLACED, None));
        }
        let missed = plan.missed;
        match self.call(&mut commands, (POSITION, &previous), &changes)? {
            Answer::Stored(gone) => {
                if missed + gone > 0 {
                    self.host.count("partial_update_misses", missed + gone);
                }
                self.displaced = displaced;
                self.position = position;
                Ok(Written::Stored(batch.position().clone()))
            }
            Answer::Moved(found) => self.moved(found),
            answer @ Answer::Type { .. } => Err(self.wrong_type(&commands, &answer)),
        }
    }

    fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        if self.role == Role::Load {
            self.await_loads(0)?;
            return Ok(Written::Stored(position.clone()));
        }
        let (stream, text) = (self.stream_text()?, position.to_string());
        let changes = [(STREAM, Some(stream.as_str())), (POSITION, Some(&text))];
        let expected = self.position.clone();
        match self.call(&mut Commands::default(), (POSITION, &expected), &changes)? {
            Answer::Moved(found) => self.moved(found),
            _ => {
                self.has_checkpoint = true;
                self.position = text;
                Ok(Written::Stored(position.clone()))
            }
        }
    }

    fn reset(&mut self) -> Result<(), WriteError> {
        self.loading.clear();
        self.script.forget();
        self.connection.reconnect()
    }

    fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        let field = checkpoint::copied_field(table);
        let mut command = redis::cmd("HSET");
        command.arg(&self.checkpoint_key).arg(field).arg(COPIED_NOT);
        self.connection.query::<()>(&command)
    }

    fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        let key = checkpoint::key_of(stream);
        self.connection.query::<()>(redis::cmd("DEL").arg(&key))?;
        if key == self.checkpoint_key {
            self.has_checkpoint = false;
            self.position.clear();
            self.displaced.clear();
        }
        Ok(())
    }

    fn digests(&mut self, batch: &Batch) -> Result<Vec<Digest>, WriteError> {
        read_back::digests(batch, &mut self.tables, self.options.format)
    }

    fn read_back(
        &mut self,
        relation: &Arc<Relation>,
        keys: Option<&Batch>,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        if !self.ttl.is_empty() {
            rows.may_lack_some();
        }
        let format = self.options.format;
        let (connection, tables) = (&mut self.connection, &mut self.tables);
        read_back::read_back(connection, tables, relation, keys, format, rows)
    }

    fn cancel(&self) -> Option<Cancel> {
        let interrupt = self.connection.interrupt();
        Some(Box::new(move || interrupt.cancel()))
    }
}
