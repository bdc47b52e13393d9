//! Where a lane goes on, and what has to be copied before.

use std::{collections::BTreeMap, fmt};

use tahr_plugin_api::{
    Checkpoint, LoadMode, Lsn, Position, Relation, StreamId, TableName, WriteError, Written,
    abi::RemoteWriter,
};

use super::{apply::other_engine, copy::copy_tables, shape::Shapes, state::State, worker::Worker};
use crate::{config::OnGap, source::Table};

impl Worker {
    pub(super) fn copy(
        &mut self,
        writer: &mut RemoteWriter,
        tables: Vec<Table>,
        mode: LoadMode,
    ) -> Result<(), WriteError> {
        self.setup
            .status
            .update(|status| status.state = State::Copying);
        for relation in copy_tables(&self.setup, writer, &mut self.routes, tables, mode)? {
            self.ready(&relation)?;
            let table = &relation.source;
            let copied_to = self.routes.copied_to(table);
            self.aside.copied(&self.setup, table, copied_to);
        }
        Ok(())
    }

    /// Notes that the target is ready for `relation`.
    pub(super) fn ready(&mut self, relation: &Relation) -> Result<(), WriteError> {
        self.prepared.insert(relation.version);
        self.reshaped.remove(&relation.oid);
        let source = self.setup.relations.get(relation.version);
        if let (Some(shapes), Some(source)) = (&mut self.shapes, source) {
            let noted = shapes.note(relation, &source);
            noted.map_err(|error| WriteError::transient(format!("state folder: {error}")))?;
        }
        Ok(())
    }

    /// Whether the target's tables have columns, so that its writer sees to renames.
    pub(super) fn has_columns(&self) -> bool {
        self.setup.plugin.description.capabilities.columns
    }

    /// Takes back what the target has not committed, to go on from what it holds.
    pub(super) fn take_back(&self, writer: &mut RemoteWriter) -> Result<(), WriteError> {
        writer.reset()?;
        writer.checkpoint(&self.setup.stream).map(drop)
    }

    /// Notes the tables whose values were changed by their schema while no engine ran: the stream
    /// will not bring them. Looks once, at the start; they stay noted until they are copied.
    pub(super) fn find_reshaped(&mut self) -> Result<(), WriteError> {
        if self.shapes.is_some() {
            return Ok(());
        }
        let setup = &self.setup;
        let shapes = Shapes::load(&setup.state_dir, &setup.stream.sync, &setup.target);
        for table in &setup.tables {
            let source = setup.relations.version_of(table.relation.clone());
            let Some(relation) = self.routes.relation(source.version)? else {
                continue;
            };
            if let Some(reason) = shapes.reason(&relation, self.has_columns()) {
                tracing::info!(lane = %setup.name(), "{reason}; copying it again");
                self.reshaped.insert(relation.oid);
            }
        }
        self.shapes = Some(shapes);
        Ok(())
    }

    /// A table that has left the sync, or the source, is not kept current any more: were it to come
    /// back, its old mark would hide the changes in between.
    pub(super) fn forget_left_tables(
        &self,
        writer: &mut RemoteWriter,
        copied_to: &BTreeMap<String, Lsn>,
    ) -> Result<(), WriteError> {
        for (name, _) in copied_to.iter().filter(|(_, lsn)| **lsn != Lsn::ZERO) {
            let is_here = |table: &Table| table.relation.source.to_string() == *name;
            if self.setup.tables.iter().any(is_here) {
                continue;
            }
            // A dot may belong to either name; the mark is found by both together.
            if let Some((schema, table)) = name.split_once('.') {
                let table = TableName::new(schema, table);
                tracing::info!(lane = %self.setup.name(), %table, "table has left the sync");
                writer.forget_copy(&table)?;
            }
        }
        Ok(())
    }

    /// Where the log has let go of what lies behind `position`, the slot may still hold it.
    fn read_again_from(&self, position: &Position) {
        let log = &self.setup.log;
        if *position < log.reach() && log.rewind(position) {
            tracing::info!(lane = %self.setup.name(), %position,
                "target went back; the source is read again from the slot");
        }
    }

    /// Where the lane goes on; and how tables are loaded, where that is given by more than the
    /// config. Makes the first checkpoint.
    pub(super) fn place(
        &mut self,
        writer: &mut RemoteWriter,
        found: Option<&Checkpoint>,
    ) -> Result<(Position, Option<LoadMode>), WriteError> {
        let held = found.and_then(|found| found.position.clone());
        // From here on the log keeps what the lane needs; whether it still had all of it is asked
        // afterwards.
        if let Some(position) = &held {
            if let Some(reached) = self.reached.as_ref().filter(|reached| position > reached) {
                return Err(other_engine(position, reached));
            }
            self.setup.log.join(self.setup.id, position.clone());
            self.read_again_from(position);
        }
        let mut reach = self.setup.log.reach();
        let gap = match &held {
            Some(position) if *position >= reach => {
                self.had_checkpoint = true;
                self.reached = self.reached.take().max(held.clone());
                return Ok((position.clone(), None));
            }
            Some(position) => Some(format!(
                "target holds the source up to {position}, and the source's log begins at {reach}: \
                 what lies between is lost"
            )),
            None if self.had_checkpoint => {
                Some("target has lost its checkpoint and perhaps its data".to_owned())
            }
            None => None,
        };
        let mode = gap.is_some().then_some(LoadMode::Replace);
        if gap.is_none() {
            // Nothing was ever copied: the lane needs nothing from before its snapshot.
            reach = self.setup.log.join_at_tail(self.setup.id);
        }
        if let Some(gap) = gap {
            let refills = self.setup.plugin.description.capabilities.refills;
            let default = if refills { OnGap::Resync } else { OnGap::Park };
            if self.setup.sync.on_gap.unwrap_or(default) == OnGap::Park {
                return Err(WriteError::rejected(format!("gap: {gap}")).hint(
                    "set `on_gap = \"resync\"` in the sync to copy its tables again, \
                     then `tahr reload`",
                ));
            }
            tracing::warn!(lane = %self.setup.name(), "gap: {gap}; copying all tables again");
        }
        self.reached = self.reached.take().max(Some(reach.clone()));
        match writer.flush(&reach)? {
            Written::Stored(position) if position == reach => {
                self.had_checkpoint = true;
                Ok((position, mode))
            }
            other => Err(WriteError::transient(format!(
                "target did not take the first checkpoint: {other:?}"
            ))),
        }
    }
}

/// A checkpoint of another stream must not be gone on from, nor written over.
pub(super) fn refuse_other_stream(found: &StreamId, ours: &StreamId) -> Result<(), WriteError> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, found: &dyn fmt::Display, ours: &dyn fmt::Display| {
        let (found, ours) = (found.to_string(), ours.to_string());
        if found != ours {
            differences.push(format!("{what} {found}, not {ours}"));
        }
    };
    compare("system identifier", &found.system_id, &ours.system_id);
    compare("timeline", &found.timeline, &ours.timeline);
    compare("database OID", &found.database, &ours.database);
    compare("slot", &found.slot, &ours.slot);
    compare("checkpoint format", &found.format, &ours.format);
    if differences.is_empty() {
        return Ok(());
    }
    Err(WriteError::rejected(format!(
        "target was filled from another stream of sync \"{}\": {}",
        ours.sync,
        differences.join("; ")
    ))
    .hint(format!(
        "if the source was replaced on purpose, run `tahr drop {}` and copy again with \
         `existing = \"replace\"`",
        ours.sync
    )))
}
