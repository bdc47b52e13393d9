//! The writer: transactions around what the other files do.

mod batch;

use std::{collections::HashSet, sync::Arc};

use mongodb::bson::{Document, doc};
use tahr_plugin_api::{
    Batch, Cancel, Capabilities, CheckReport, Checkpoint, Host, LoadMode, Lsn, Position, Relation,
    Role, RuleTable, StreamId, TableName, WriteError, Writer, Written,
    read_back::{Digest, ReadBack},
};

use crate::{
    catalog, check,
    checkpoint::{self, Beside},
    load,
    moves::Displaced,
    names::{self, CHECKPOINT},
    options::Options,
    read_back::Reader,
    server::Server,
    table::{Table, Tables, refused},
    types,
};

/// Rows that a transaction takes: with these it ends well before the minute that servers allow.
const MOST_ROWS: u64 = 50_000;

/// Keeps rows in MongoDB as documents.
pub struct MongodbWriter {
    options: Options,
    role: Role,
    host: Host,
    server: Server,
    tables: Tables,
    stream: StreamId,
    /// The position that the database holds, for all that this writer knows.
    position: Option<Position>,
    /// Keys that rows of the open source transaction have lost.
    displaced: Displaced,
    /// Collections that were emptied for a truncate that is still to come.
    emptied: HashSet<String>,
    /// Collections of copies that a loader has seen.
    loading: HashSet<String>,
}

// Not derived: the options hold a password.
impl std::fmt::Debug for MongodbWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongodbWriter")
            .field("server", &self.server)
            .field("role", &self.role)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl MongodbWriter {
    /// Checks a table's names, and makes its collection where it is absent.
    fn ready(&mut self, relation: &Arc<Relation>) -> Result<usize, WriteError> {
        let name = names::collection(relation);
        let mut table = Table::new(relation, name.clone(), self.options.types());
        if let Some((message, hint)) = check::faults(&self.server, &table).into_iter().next() {
            return Err(refused(&name, message, hint));
        }
        match catalog::collection(&mut self.server, &name)? {
            Some(found) => {
                if let Some((message, hint)) = found.fault(&name) {
                    return Err(refused(&name, message, hint));
                }
                table.in_order = found.has_unique();
            }
            None if self.options.create_tables => {
                catalog::create(&mut self.server, &name, &Document::new())?;
            }
            None => {
                let message = format!("collection {name:?} does not exist");
                let hint = format!("db.createCollection({name:?}); or set create_tables = true");
                return Err(refused(&name, message, hint));
            }
        }
        table.is_emptied = self.emptied.contains(&name);
        Ok(self.tables.add(table))
    }

    /// A loader's table: the collection of the copy.
    fn loading(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        if self.tables.number(relation).is_some() {
            return Ok(());
        }
        let name = names::load_collection(&names::collection(relation));
        if !self.loading.contains(&name) {
            // A command would make it.
            if catalog::collection(&mut self.server, &name)?.is_none() {
                return Err(load::absent(&names::collection(relation)));
            }
            self.loading.insert(name.clone());
        }
        let table = Table::new(relation, name, self.options.types());
        self.tables.add(table);
        Ok(())
    }

    /// The table of a relation, which is prepared where it was not.
    fn table(&mut self, relation: &Arc<Relation>) -> Result<usize, WriteError> {
        match self.tables.number(relation) {
            Some(number) => Ok(number),
            None => self.ready(relation),
        }
    }

    /// Ends what an engine before this one may have left open: its transaction would hold the
    /// checkpoint for a minute, and a batch of a server without transactions is half applied. Whether
    /// that one may have committed since `stored` was read.
    fn take_over(&mut self, stored: &checkpoint::Stored) -> Result<bool, WriteError> {
        if let Some(redo) = &stored.redo {
            self.host
                .info("applying the rest of a batch that was committed");
            let missed = redo.run(&mut self.server, &self.stream)?;
            if missed > 0 {
                self.host.count("partial_update_misses", missed);
            }
        }
        if !self.server.is_transactional() {
            return Ok(false);
        }
        let session = self.server.session_id()?;
        if stored.session.as_ref() == Some(&session) {
            return Ok(false);
        }
        if let Some(old) = &stored.session {
            let kill = doc! { "killSessions": [old.clone()] };
            // Without the right to do so, its transaction ends after a minute.
            if let Err(error) = self.server.run("admin", &kill, "end the session of before") {
                self.host.debug(&error.message);
            }
        }
        if stored.checkpoint.position.is_some() {
            checkpoint::set_session(&mut self.server, &self.stream, &session)?;
        }
        Ok(stored.session.is_some())
    }

    fn moved(&mut self) -> Result<Written, WriteError> {
        checkpoint::position(&mut self.server, &self.stream).map(Written::Moved)
    }
}

impl Writer for MongodbWriter {
    type Options = Options;

    const NAME: &'static str = "mongodb";
    const SUMMARY: &'static str = "keeps rows in MongoDB as documents";

    fn capabilities() -> Capabilities {
        Capabilities {
            // A batch is one; a source transaction of any size can't be, in a minute.
            transactions: false,
            columns: false,
            max_transaction_rows: Some(MOST_ROWS),
            loaders: 4,
            read_back: true,
            ..Capabilities::default()
        }
    }

    fn rules() -> Vec<RuleTable> {
        types::rules()
    }

    fn open(options: Options, role: Role, host: &Host) -> Result<Self, WriteError> {
        let server = Server::open(&options)?;
        Ok(Self {
            options,
            role,
            host: host.clone(),
            server,
            tables: Tables::default(),
            stream: StreamId::default(),
            position: None,
            displaced: Displaced::default(),
            emptied: HashSet::new(),
            loading: HashSet::new(),
        })
    }

    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        check::check(&mut self.server, &self.options, relations)
    }

    fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
        self.stream = stream.clone();
        let mut stored = checkpoint::read(&mut self.server, stream)?;
        if let (Role::Stream, Some(found)) = (self.role, &stored)
            && self.take_over(found)?
        {
            stored = checkpoint::read(&mut self.server, stream)?;
        }
        self.emptied = stored
            .iter_mut()
            .flat_map(|stored| stored.emptied.drain(..))
            .collect();
        let (checkpoint, displaced) = stored
            .map(|stored| (Some(stored.checkpoint), stored.displaced))
            .unwrap_or_default();
        self.position = checkpoint.as_ref().and_then(|found| found.position.clone());
        self.displaced = displaced;
        Ok(checkpoint)
    }

    fn holds_rows(&mut self, relation: &Relation) -> Result<bool, WriteError> {
        catalog::has_rows(&mut self.server, &names::collection(relation))
    }

    fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        self.ready(relation).map(drop)
    }

    fn begin_load(&mut self, relation: &Arc<Relation>, mode: LoadMode) -> Result<(), WriteError> {
        let number = self.table(relation)?;
        load::begin(
            &mut self.server,
            &self.stream,
            self.tables.get(number),
            mode,
        )
    }

    fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        for segment in batch.segments() {
            for route in segment.routes.iter().flatten() {
                self.loading(&route.relation)?;
            }
        }
        self.load_batch(batch)
    }

    fn end_load(&mut self, relation: &Arc<Relation>, copied_to: Lsn) -> Result<(), WriteError> {
        let number = self.table(relation)?;
        let table = self.tables.get(number);
        load::end(&mut self.server, &self.stream, table, copied_to)?;
        let collection = table.collection.clone();
        self.tables.set_emptied(&collection, false);
        self.emptied.remove(&collection);
        Ok(())
    }

    fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        let table = names::source(table);
        checkpoint::set_copied_to(&mut self.server, &self.stream, &table, Lsn::ZERO)
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        let mut known = None;
        for change in batch.changes() {
            let relation = change.relation();
            if known != Some(relation.version) {
                known = Some(relation.version);
                self.table(relation)?;
            }
        }
        self.write_batch(batch)
    }

    fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        if self.role == Role::Load {
            // Each load was stored as it came.
            return Ok(Written::Stored(position.clone()));
        }
        let mut beside = Beside::default();
        let session;
        if self.position.is_none() {
            catalog::create(&mut self.server, CHECKPOINT, &Document::new())?;
            if self.server.is_transactional() {
                session = self.server.session_id()?;
                beside.session = Some(&session);
            }
        }
        let previous = self.position.as_ref();
        let stream = &self.stream;
        if !checkpoint::advance(&mut self.server, stream, previous, position, &beside, false)? {
            return self.moved();
        }
        self.position = Some(position.clone());
        Ok(Written::Stored(position.clone()))
    }

    fn reset(&mut self) -> Result<(), WriteError> {
        self.tables.clear();
        self.loading.clear();
        self.server.reset()
    }

    fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        checkpoint::forget(&mut self.server, stream)?;
        if (&stream.sync, &stream.source) == (&self.stream.sync, &self.stream.source) {
            self.position = None;
        }
        Ok(())
    }

    fn digests(&mut self, batch: &Batch) -> Result<Vec<Digest>, WriteError> {
        Reader::new(&self.options).digests(batch, &self.options)
    }

    fn read_back(
        &mut self,
        relation: &Arc<Relation>,
        keys: Option<&Batch>,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        let mut reader = Reader::new(&self.options);
        reader.read_back(&mut self.server, relation, keys, &self.options, rows)
    }

    fn cancel(&self) -> Option<Cancel> {
        let interrupt = self.server.interrupt();
        Some(Box::new(move || interrupt.cancel()))
    }
}
