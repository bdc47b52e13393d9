//! The writer: transactions around what the other files do.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, InterruptHandle};
use tahr_plugin_api::{
    Batch, Cancel, Capabilities, CheckReport, Checkpoint, Host, LoadMode, Lsn, Position, Relation,
    Role, RuleTable, StreamId, TableName, WriteError, Writer, Written, failpoint,
    read_back::{Digest, ReadBack},
};

use crate::{
    apply::{self, Counts, Plans},
    check, checkpoint, connection,
    error::failed,
    load, names,
    options::Options,
    plan::{self, Before, Plan},
    read_back, types,
};

/// Writes to one SQLite file.
pub struct SqliteWriter {
    options: Options,
    role: Role,
    host: Host,
    /// None for a check of a file that doesn't exist.
    connection: Option<Connection>,
    /// That of the present connection.
    interrupt: Arc<Mutex<Option<InterruptHandle>>>,
    /// What [`Writer::checkpoint`] was asked for last.
    stream: StreamId,
    /// The position that the file holds, for all that this writer knows.
    position: Option<Position>,
    /// By relation version; they go with a transaction that ends badly, since it may have made
    /// their tables.
    plans: Plans,
    /// The version of each table that was prepared last, by OID.
    newest: HashMap<u32, Arc<Relation>>,
    /// Source tables whose copies the file held when the stream was opened.
    copied: HashSet<String>,
}

impl std::fmt::Debug for SqliteWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteWriter")
            .field("options", &self.options)
            .field("role", &self.role)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl SqliteWriter {
    fn connect(&mut self) -> Result<(), WriteError> {
        self.plans.clear();
        // The old one goes first: with it goes its transaction.
        self.connection = None;
        self.connection = connection::open(&self.options, self.role)?;
        let handle = self
            .connection
            .as_ref()
            .map(Connection::get_interrupt_handle);
        *lock(&self.interrupt) = handle;
        Ok(())
    }

    fn connection(&self) -> Result<&Connection, WriteError> {
        self.connection.as_ref().ok_or_else(|| {
            WriteError::fatal(format!("{} is not open", self.options.path.display()))
        })
    }

    /// Runs `act` in the open transaction, or in one of its own.
    fn within<T>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let connection = self.connection()?;
        if !connection.is_autocommit() {
            return act(connection);
        }
        begin(connection)?;
        let done = act(connection).and_then(|value| {
            commit(connection)?;
            Ok(value)
        });
        if done.is_err() {
            roll_back(connection)?;
        }
        done
    }

    /// Applies `batch` in the open transaction; false where the checkpoint is not the batch's.
    fn write_open(&mut self, batch: &Batch) -> Result<bool, WriteError> {
        let connection = self.connection()?;
        let (previous, position) = (batch.previous(), batch.position());
        if !checkpoint::advance(connection, &self.stream, Some(previous), position)? {
            return Ok(false);
        }
        self.apply(batch)?;
        Ok(true)
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let mut plans = mem::take(&mut self.plans);
        let planned = self.plan(batch, &mut plans);
        let applied = planned.and_then(|()| apply::apply(self.connection()?, &plans, batch));
        self.plans = plans;
        let Counts {
            negative_zeros,
            missing_rows,
        } = applied?;
        for (name, count) in [
            ("float_negative_zero", negative_zeros),
            ("deletes_of_missing_rows", missing_rows),
        ] {
            if count != 0 {
                self.host.count(name, count);
            }
        }
        Ok(())
    }

    /// Plans the relations of `batch` that are new to this connection.
    fn plan(&self, batch: &Batch, plans: &mut Plans) -> Result<(), WriteError> {
        for segment in batch.segments() {
            for route in segment.routes.iter().flatten() {
                let relation = &route.relation;
                if let Entry::Vacant(entry) = plans.entry(relation.version) {
                    entry.insert(if self.role == Role::Load {
                        Plan::of_load(self.connection()?, relation)?
                    } else {
                        let may_create = self.options.create_tables;
                        plan::prepare(self.connection()?, relation, may_create, Before::Unknown)?
                    });
                }
            }
        }
        Ok(())
    }

    /// Ends the open transaction without its changes.
    fn undo(&mut self) -> Result<(), WriteError> {
        self.plans.clear();
        roll_back(self.connection()?)
    }
}

impl Writer for SqliteWriter {
    type Options = Options;

    const NAME: &'static str = "sqlite";
    const SUMMARY: &'static str = "a SQLite file that holds a live copy of the tables";

    fn capabilities() -> Capabilities {
        Capabilities {
            transactional_ddl: true,
            read_back: true,
            ..Capabilities::default()
        }
    }

    fn rules() -> Vec<RuleTable> {
        types::rules()
    }

    fn open(options: Options, role: Role, host: &Host) -> Result<Self, WriteError> {
        let mut writer = Self {
            options,
            role,
            host: host.clone(),
            connection: None,
            interrupt: Arc::default(),
            stream: StreamId::default(),
            position: None,
            plans: Plans::new(),
            newest: HashMap::new(),
            copied: HashSet::new(),
        };
        writer.connect()?;
        Ok(writer)
    }

    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        check::check(self.connection.as_ref(), &self.options, relations)
    }

    fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
        self.stream = stream.clone();
        let found = match &self.connection {
            Some(connection) => checkpoint::read(connection, stream)?,
            None => None,
        };
        self.position = found.as_ref().and_then(|found| found.position.clone());
        let copied = found.iter().flat_map(|found| &found.copied_to);
        let copied = copied.filter(|(_, lsn)| **lsn != Lsn::ZERO);
        self.copied = copied.map(|(table, _)| table.clone()).collect();
        Ok(found)
    }

    fn holds_rows(&mut self, relation: &Relation) -> Result<bool, WriteError> {
        let held = |connection| load::has_rows(connection, &names::table(relation));
        self.connection.as_ref().map_or(Ok(false), held)
    }

    fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        let may_create = self.options.create_tables;
        let source = relation.source.to_string();
        let before = match self.newest.get(&relation.oid) {
            Some(newest) => Before::Version(newest),
            None if self.copied.contains(&source) => Before::Copied,
            None => Before::Unknown,
        };
        let plan =
            self.within(|connection| plan::prepare(connection, relation, may_create, before))?;
        self.plans.insert(relation.version, plan);
        self.newest.insert(relation.oid, Arc::clone(relation));
        Ok(())
    }

    fn begin_load(&mut self, relation: &Arc<Relation>, mode: LoadMode) -> Result<(), WriteError> {
        self.within(|connection| load::begin(connection, &self.stream, relation, mode))
    }

    fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        begin(self.connection()?)?;
        let loaded = self.apply(batch).and_then(|()| commit(self.connection()?));
        if loaded.is_err() {
            self.undo()?;
        }
        loaded
    }

    fn end_load(&mut self, relation: &Arc<Relation>, copied_to: Lsn) -> Result<(), WriteError> {
        self.within(|connection| load::end(connection, &self.stream, relation, copied_to))
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        if self.connection()?.is_autocommit() {
            begin(self.connection()?)?;
        }
        let written = self.write_open(batch).and_then(|is_expected| {
            if is_expected && batch.ends_transaction() {
                failpoint::pass("sqlite.applied");
                commit(self.connection()?)?;
            }
            Ok(is_expected)
        });
        match written {
            Ok(true) if batch.ends_transaction() => {
                self.position = Some(batch.position().clone());
                Ok(Written::Stored(batch.position().clone()))
            }
            Ok(true) => Ok(Written::Accepted),
            Ok(false) => {
                self.undo()?;
                checkpoint::position(self.connection()?, &self.stream).map(Written::Moved)
            }
            Err(error) => {
                self.undo()?;
                Err(error)
            }
        }
    }

    fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        if self.role == Role::Load {
            return Ok(Written::Stored(position.clone()));
        }
        if !self.connection()?.is_autocommit() {
            return Err(WriteError::fatal(
                "flush in the middle of a source transaction",
            ));
        }
        let known = self.position.as_ref();
        let is_expected = self.within(|connection| {
            if known.is_none() {
                checkpoint::create(connection)?;
            }
            checkpoint::advance(connection, &self.stream, known, position)
        })?;
        if is_expected {
            self.position = Some(position.clone());
            return Ok(Written::Stored(position.clone()));
        }
        checkpoint::position(self.connection()?, &self.stream).map(Written::Moved)
    }

    fn reset(&mut self) -> Result<(), WriteError> {
        self.plans.clear();
        match &self.connection {
            Some(connection) if roll_back(connection).is_ok() => Ok(()),
            _ => self.connect(),
        }
    }

    fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        let stream = self.stream.clone();
        self.within(|connection| {
            checkpoint::set_copied_to(connection, &stream, &table.to_string(), Lsn::ZERO)
        })
    }

    fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        self.within(|connection| checkpoint::forget(connection, stream))?;
        if (&stream.sync, &stream.source) == (&self.stream.sync, &self.stream.source) {
            self.position = None;
        }
        Ok(())
    }

    fn digests(&mut self, batch: &Batch) -> Result<Vec<Digest>, WriteError> {
        read_back::digests(self.connection()?, batch)
    }

    fn read_back(
        &mut self,
        relation: &Arc<Relation>,
        keys: Option<&Batch>,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        read_back::read_back(self.connection()?, relation, keys, rows)
    }

    fn cancel(&self) -> Option<Cancel> {
        let interrupt = Arc::clone(&self.interrupt);
        Some(Box::new(move || {
            if let Some(handle) = &*lock(&interrupt) {
                handle.interrupt();
            }
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins with the right to write, so that what is read is still true when it is changed.
fn begin(connection: &Connection) -> Result<(), WriteError> {
    run(connection, "BEGIN IMMEDIATE", "begin a transaction")
}

fn commit(connection: &Connection) -> Result<(), WriteError> {
    run(connection, "COMMIT", "commit")
}

fn roll_back(connection: &Connection) -> Result<(), WriteError> {
    // Some errors have ended the transaction already.
    if connection.is_autocommit() {
        return Ok(());
    }
    run(connection, "ROLLBACK", "roll back")
}

fn run(connection: &Connection, sql: &str, doing: &str) -> Result<(), WriteError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]))
        .map(|_| ())
        .map_err(|error| failed(doing, &error))
}
