//! One batch: on a server with transactions, and on one without.

use std::collections::HashSet;

use mongodb::bson::doc;
use tahr_plugin_api::{Batch, Op, WriteError, Written, failpoint};

use super::MongodbWriter;
use crate::{
    apply::{self, Failure},
    checkpoint::{self, Beside},
    commands::{Command, Commands},
    documents::Documents,
    moves::Displaced,
    names,
    plan::{Held, Plan},
    redo::Redo,
    values::Notes,
};

/// Documents that a truncate deletes inside of the transaction.
const SMALL: i64 = 10_000;

/// What is counted once a batch is stored.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    notes: Notes,
    missing_deletes: u64,
}

/// How a batch is to be tried.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    /// Inserts replace rows that are there.
    is_lenient: bool,
}

impl MongodbWriter {
    /// Writes a batch whose tables are known.
    pub(super) fn write_batch(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        let mut manner = Manner::default();
        loop {
            let mut displaced = self.displaced.clone();
            let attempt = if self.server.is_transactional() {
                let attempt = self.transact(batch, manner, &mut displaced);
                if !matches!(attempt, Ok(Some(_))) {
                    self.server.abort();
                }
                attempt
            } else {
                self.redo(batch, &mut displaced)
            };
            match attempt {
                Ok(Some(counts)) => {
                    self.count(counts);
                    self.displaced = displaced;
                    self.truncated(batch);
                    self.position = Some(batch.position().clone());
                    return Ok(Written::Stored(batch.position().clone()));
                }
                Ok(None) => return self.moved(),
                Err(Failure::IsThere) if !manner.is_lenient => manner.is_lenient = true,
                // An index that was made since the table was looked at.
                Err(Failure::Broken { table, .. }) if self.tables.keep_order(table) => {}
                Err(Failure::Broken { error, .. } | Failure::Error(error)) => return Err(error),
                Err(Failure::IsThere) => {
                    return Err(WriteError::transient("a document comes and goes"));
                }
            }
        }
    }

    /// Tries a batch in one transaction, which is left open after an error; none where the
    /// checkpoint is not the batch's.
    fn transact(
        &mut self,
        batch: &Batch,
        manner: Manner,
        displaced: &mut Displaced,
    ) -> Result<Option<Counts>, Failure> {
        let plan = Plan::new(batch, &self.tables)?;
        let reads = plan.reads(&self.tables)?;
        if !self.empty_large(&plan, batch)? {
            return Ok(None);
        }
        if reads.is_empty() {
            let (commands, notes) =
                self.commands(&plan, &Held::new(), displaced, manner.is_lenient)?;
            return self.run(batch, commands, notes, displaced);
        }
        self.server.begin()?;
        let held = apply::read(&mut self.server, &self.tables, &reads)?;
        let (commands, notes) = self.commands(&plan, &held, displaced, manner.is_lenient)?;
        self.run_open(batch, commands, notes, displaced)
    }

    fn run(
        &mut self,
        batch: &Batch,
        commands: Vec<Command>,
        notes: Notes,
        displaced: &mut Displaced,
    ) -> Result<Option<Counts>, Failure> {
        self.server.begin()?;
        self.run_open(batch, commands, notes, displaced)
    }

    /// Moves the checkpoint and runs `commands` in the open transaction, and commits it.
    fn run_open(
        &mut self,
        batch: &Batch,
        commands: Vec<Command>,
        notes: Notes,
        displaced: &mut Displaced,
    ) -> Result<Option<Counts>, Failure> {
        if !self.advance(batch, displaced, None, true)? {
            return Ok(None);
        }
        let mut counts = Counts {
            notes,
            ..Counts::default()
        };
        for command in commands {
            counts.missing_deletes += apply::run(&mut self.server, &self.tables, command)?;
        }
        failpoint::pass("mongodb.applied");
        self.server.commit()?;
        Ok(Some(counts))
    }

    /// Writes a batch down, commits it, and applies it; see [`redo`](crate::redo).
    fn redo(
        &mut self,
        batch: &Batch,
        displaced: &mut Displaced,
    ) -> Result<Option<Counts>, Failure> {
        let found = checkpoint::position(&mut self.server, &self.stream)?;
        if found.as_ref() != Some(batch.previous()) {
            return Ok(None);
        }
        let plan = Plan::new(batch, &self.tables)?;
        let reads = plan.reads(&self.tables)?;
        let held = apply::read(&mut self.server, &self.tables, &reads)?;
        let (commands, notes) = self.commands(&plan, &held, displaced, true)?;
        let mut counts = Counts {
            notes,
            ..Counts::default()
        };
        if commands.is_empty() {
            let is_moved = self.advance(batch, displaced, None, false)?;
            return Ok(is_moved.then_some(counts));
        }
        let redo = Redo::save(&mut self.server, &self.stream, &commands)?;
        if !self.advance(batch, displaced, Some(&redo), false)? {
            redo.discard(&mut self.server, &self.stream)?;
            return Ok(None);
        }
        for command in commands {
            match apply::run(&mut self.server, &self.tables, command) {
                Ok(missing) => counts.missing_deletes += missing,
                // It is committed: nothing may be tried in another order.
                Err(Failure::Broken { error, .. }) => return Err(Failure::Error(error)),
                Err(failure) => return Err(failure),
            }
        }
        redo.forget(&mut self.server, &self.stream)?;
        Ok(Some(counts))
    }

    /// The commands of a plan.
    fn commands(
        &self,
        plan: &Plan<'_>,
        held: &Held,
        displaced: &mut Displaced,
        is_lenient: bool,
    ) -> Result<(Vec<Command>, Notes), WriteError> {
        let documents = Documents::new(self.options.unfit);
        let mut commands = Commands::new(documents, is_lenient, false);
        plan.write(&self.tables, held, displaced, &mut commands)?;
        let (commands, documents) = commands.finish();
        Ok((commands, documents.notes))
    }

    /// Moves the checkpoint over the batch.
    fn advance(
        &mut self,
        batch: &Batch,
        displaced: &mut Displaced,
        redo: Option<&Redo>,
        is_inside: bool,
    ) -> Result<bool, WriteError> {
        if batch.ends_transaction() {
            displaced.0.clear();
        }
        let truncated = emptied_of(batch, &self.emptied);
        let beside = Beside {
            truncated: truncated.iter().map(|name| &**name).collect(),
            displaced: (*displaced != self.displaced).then_some(&*displaced),
            redo,
            ..Beside::default()
        };
        let (previous, position) = (Some(batch.previous()), batch.position());
        let stream = &self.stream;
        checkpoint::advance(
            &mut self.server,
            stream,
            previous,
            position,
            &beside,
            is_inside,
        )
    }

    /// Empties the large collections that the batch truncates: too much for a transaction. Where it
    /// is interrupted they are emptied again, since the truncate comes again. What comes before it
    /// then, perhaps as a batch of its own, doesn't find its rows any more: so that is noted first.
    /// False where the checkpoint is not the batch's.
    fn empty_large(&mut self, plan: &Plan<'_>, batch: &Batch) -> Result<bool, WriteError> {
        for group in plan.groups.iter().filter(|group| group.truncate.is_some()) {
            let collection = self.tables.get(group.table).collection.clone();
            let doing = format!("empty collection {collection:?}");
            let count = doc! { "count": &collection };
            let count = self.server.run_here(&count, &doing)?;
            if count.get_i32("n").map_or(i64::MAX, i64::from) <= SMALL {
                continue;
            }
            let (server, stream) = (&mut self.server, &self.stream);
            if !checkpoint::note_emptied(server, stream, batch.previous(), &collection)? {
                return Ok(false);
            }
            self.tables.set_emptied(&collection, true);
            self.emptied.insert(collection.clone());
            let all = doc! {
                "delete": &collection, "deletes": [{ "q": {}, "limit": 0 }],
                "writeConcern": { "w": "majority" },
            };
            self.server.run_long(&all, &doing)?;
            failpoint::pass("mongodb.emptied");
        }
        Ok(true)
    }

    /// Notes that the batch, with its truncates, is committed.
    fn truncated(&mut self, batch: &Batch) {
        for collection in emptied_of(batch, &self.emptied) {
            self.tables.set_emptied(&collection, false);
            self.emptied.remove(&collection);
        }
    }

    /// Adds copied rows.
    pub(super) fn load_batch(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let plan = Plan::new(batch, &self.tables)?;
        let documents = Documents::new(self.options.unfit);
        let mut commands = Commands::new(documents, false, true);
        plan.load(&self.tables, &mut commands)?;
        let (commands, documents) = commands.finish();
        for command in commands {
            apply::run(&mut self.server, &self.tables, command).map_err(
                |failure| match failure {
                    Failure::IsThere => WriteError::transient("a row was copied twice"),
                    Failure::Broken { error, .. } | Failure::Error(error) => error,
                },
            )?;
        }
        self.count(Counts {
            notes: documents.notes,
            ..Counts::default()
        });
        Ok(())
    }

    fn count(&self, counts: Counts) {
        let notes = counts.notes;
        for (name, count) in [
            ("microseconds_cut", notes.microseconds_cut),
            ("json_nulls", notes.json_nulls),
            ("values_clamped", notes.clamped),
            ("values_set_null", notes.set_null),
            ("deletes_of_missing_rows", counts.missing_deletes),
        ] {
            if count != 0 {
                self.host.count(name, count);
            }
        }
    }
}

/// Those of the emptied collections that the batch truncates.
fn emptied_of(batch: &Batch, emptied: &HashSet<String>) -> Vec<String> {
    if emptied.is_empty() {
        return Vec::new();
    }
    let truncates = batch.changes().filter(|change| change.op() == Op::Truncate);
    let mut collections: Vec<String> = truncates
        .map(|change| names::collection(change.relation()))
        .filter(|name| emptied.contains(name))
        .collect();
    collections.dedup();
    collections
}
