//! The writer: transactions around what the other files do.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tahr_plugin_api::{
    Batch, Cancel, Capabilities, CheckReport, Checkpoint, Host, LoadMode, Lsn, Position, Relation,
    Role, RuleTable, StreamId, TableName, WriteError, Writer, Written,
};

use crate::{
    apply::{self, Tables},
    catalog::Existing,
    check, checkpoint, connect,
    error::failed,
    load,
    options::Options,
    prepare::{self, Before, Making},
    rules,
    session::{Interrupt, Session},
    values::Policy,
};

/// Writers that may load one table side by side.
const LOADERS: u32 = 4;

/// Writes to one schema of an Oracle database.
pub struct OracleWriter {
    options: Options,
    policy: Policy,
    role: Role,
    host: Host,
    session: Session,
    /// That of the present session.
    interrupt: Arc<Mutex<Option<Interrupt>>>,
    /// Whether parts of a large transaction are written and not stored.
    is_open: bool,
    /// What [`Writer::checkpoint`] was asked for last.
    stream: StreamId,
    /// The position that the schema holds, for all that this writer knows.
    position: Option<Position>,
    /// By relation version.
    tables: Tables,
    /// The version of each table that was prepared last, by OID.
    newest: HashMap<u32, Arc<Relation>>,
    /// Source tables whose copies the schema held when the stream was opened.
    copied: HashSet<String>,
    /// The copies that this writer began, by the table's OID.
    loads: HashMap<u32, LoadMode>,
}

impl std::fmt::Debug for OracleWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OracleWriter")
            .field("options", &self.options)
            .field("role", &self.role)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl OracleWriter {
    fn making(&self) -> Making {
        Making {
            may_create: self.options.create_tables,
            unfit: self.options.unfit,
        }
    }

    /// Runs `act`; where it fails, nothing uncommitted stays.
    fn undone<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let done = act(self);
        if done.is_err() {
            self.is_open = false;
            // A connection that is lost has nothing to undo, and `reset` makes a new one.
            let _ = self.session.roll_back();
        }
        done
    }

    fn commit(&self) -> Result<(), WriteError> {
        self.session
            .commit()
            .map_err(|error| failed("commit", &error))
    }

    fn roll_back(&self) -> Result<(), WriteError> {
        self.session
            .roll_back()
            .map_err(|error| failed("roll back", &error))
    }

    /// Applies `batch`; false where the checkpoint is not the batch's.
    fn write_open(&mut self, batch: &Batch) -> Result<bool, WriteError> {
        self.look_up(batch)?;
        let (previous, position) = (batch.previous(), batch.position());
        if !checkpoint::advance(&self.session, &self.stream, Some(previous), position)? {
            return Ok(false);
        }
        self.apply(batch)?;
        if batch.ends_transaction() {
            self.commit()?;
        }
        Ok(true)
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let tables = mem::take(&mut self.tables);
        let applied = apply::apply(&self.session, &tables, &self.policy, batch);
        self.tables = tables;
        applied?.report(&self.host);
        Ok(())
    }

    /// Looks up the tables of `batch` that are new to this session. It changes nothing.
    fn look_up(&mut self, batch: &Batch) -> Result<(), WriteError> {
        for segment in batch.segments() {
            for route in segment.routes.iter().flatten() {
                let relation = &route.relation;
                if let Entry::Vacant(entry) = self.tables.entry(relation.version) {
                    entry.insert(if self.role == Role::Load {
                        prepare::look_up_load(&self.session, relation)?
                    } else {
                        prepare::look_up(&self.session, relation)?
                    });
                }
            }
        }
        Ok(())
    }
}

impl Writer for OracleWriter {
    type Options = Options;

    const NAME: &'static str = "oracle";
    const SUMMARY: &'static str =
        "a schema of an Oracle database that holds a live copy of the tables";

    fn capabilities() -> Capabilities {
        Capabilities {
            transactional_ddl: false,
            loaders: LOADERS,
            ..Capabilities::default()
        }
    }

    fn rules() -> Vec<RuleTable> {
        rules::rules()
    }

    fn open(options: Options, role: Role, host: &Host) -> Result<Self, WriteError> {
        let session = connect::open(&options)?;
        let interrupt = Arc::new(Mutex::new(Some(session.interrupt())));
        Ok(Self {
            policy: Policy {
                unfit: options.unfit,
                empty_text: options.empty_text.clone(),
            },
            options,
            role,
            host: host.clone(),
            session,
            interrupt,
            is_open: false,
            stream: StreamId::default(),
            position: None,
            tables: Tables::new(),
            newest: HashMap::new(),
            copied: HashSet::new(),
            loads: HashMap::new(),
        })
    }

    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        check::check(&self.session, &self.options, relations)
    }

    fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
        self.stream = stream.clone();
        let found = checkpoint::read(&self.session, stream)?;
        self.position = found.as_ref().and_then(|found| found.position.clone());
        let copied = found.iter().flat_map(|found| &found.copied_to);
        let copied = copied.filter(|(_, lsn)| **lsn != Lsn::ZERO);
        self.copied = copied.map(|(table, _)| table.clone()).collect();
        Ok(found)
    }

    fn holds_rows(&mut self, relation: &Relation) -> Result<bool, WriteError> {
        let table = self.session.names.table(relation);
        match Existing::find(&self.session, &table)? {
            Some(_) => load::has_rows(&self.session, &table),
            None => Ok(false),
        }
    }

    fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        if self.is_open {
            let fault = "a table is to be prepared in the middle of a source transaction";
            return Err(WriteError::fatal(fault));
        }
        let source = relation.source.to_string();
        let before = match self.newest.get(&relation.oid) {
            Some(newest) => Before::Version(newest),
            None if self.copied.contains(&source) => Before::Copied,
            None => Before::Unknown,
        };
        let table = prepare::prepare(&self.session, relation, self.making(), before)?;
        self.tables.insert(relation.version, table);
        self.newest.insert(relation.oid, Arc::clone(relation));
        Ok(())
    }

    fn begin_load(&mut self, relation: &Arc<Relation>, mode: LoadMode) -> Result<(), WriteError> {
        self.undone(|writer| load::begin(&writer.session, &writer.stream, relation, mode))?;
        self.loads.insert(relation.oid, mode);
        Ok(())
    }

    fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        self.undone(|writer| {
            writer.look_up(batch)?;
            writer.apply(batch)?;
            writer.commit()
        })
    }

    fn end_load(&mut self, relation: &Arc<Relation>, copied_to: Lsn) -> Result<(), WriteError> {
        let Some(&mode) = self.loads.get(&relation.oid) else {
            let fault = format!("the copy of table {} was not begun here", relation.source);
            return Err(WriteError::transient(fault));
        };
        self.undone(|writer| {
            load::end(&writer.session, &writer.stream, relation, copied_to, mode)
        })?;
        self.loads.remove(&relation.oid);
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        let is_expected = self.undone(|writer| writer.write_open(batch))?;
        if !is_expected {
            self.is_open = false;
            self.roll_back()?;
            return checkpoint::position(&self.session, &self.stream).map(Written::Moved);
        }
        self.is_open = !batch.ends_transaction();
        if self.is_open {
            return Ok(Written::Accepted);
        }
        self.position = Some(batch.position().clone());
        Ok(Written::Stored(batch.position().clone()))
    }

    fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        if self.role == Role::Load {
            // The next copy may go to another table.
            self.tables.clear();
            return Ok(Written::Stored(position.clone()));
        }
        if self.is_open {
            return Err(WriteError::fatal(
                "flush in the middle of a source transaction",
            ));
        }
        let known = self.position.clone();
        let is_expected = self.undone(|writer| {
            if known.is_none() {
                checkpoint::create(&writer.session)?;
            }
            let is_expected =
                checkpoint::advance(&writer.session, &writer.stream, known.as_ref(), position)?;
            writer.commit()?;
            Ok(is_expected)
        })?;
        if is_expected {
            self.position = Some(position.clone());
            return Ok(Written::Stored(position.clone()));
        }
        checkpoint::position(&self.session, &self.stream).map(Written::Moved)
    }

    fn reset(&mut self) -> Result<(), WriteError> {
        self.tables.clear();
        self.is_open = false;
        if self.session.roll_back().is_ok() && self.session.is_alive() {
            return Ok(());
        }
        *lock(&self.interrupt) = None;
        self.session = connect::open(&self.options)?;
        *lock(&self.interrupt) = Some(self.session.interrupt());
        Ok(())
    }

    fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        self.undone(|writer| {
            let table = table.to_string();
            checkpoint::set_copied_to(&writer.session, &writer.stream, &table, Lsn::ZERO)?;
            writer.commit()
        })
    }

    fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        self.undone(|writer| checkpoint::forget(&writer.session, stream))?;
        if (&stream.sync, &stream.source) == (&self.stream.sync, &self.stream.source) {
            self.position = None;
        }
        Ok(())
    }

    fn cancel(&self) -> Option<Cancel> {
        let interrupt = Arc::clone(&self.interrupt);
        Some(Box::new(move || {
            if let Some(interrupt) = &*lock(&interrupt) {
                interrupt.interrupt();
            }
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
