//! The tables that a lane copies before it streams, and when its target is ready for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tahr_plugin_api::{
    LoadMode, Lsn, Relation, TableName, WriteError, abi::RemoteWriter, failpoint,
};

use super::{
    copy::{copy_tables, look_up, of_source},
    setup::Setup,
    shape::Shapes,
    state::State,
    worker::Worker,
};
use crate::source::Table;

impl Worker {
    /// Copies those of `tables` that the source still has, and notes that the target is ready for them.
    pub(super) fn copy(
        &mut self,
        writer: &mut RemoteWriter,
        tables: Vec<Table>,
        mode: LoadMode,
    ) -> Result<(), WriteError> {
        self.setup
            .status
            .update(|status| status.state = State::Copying);
        let resyncs = Arc::clone(&self.setup.resyncs);
        let names: Vec<_> = names_of(&tables).collect();
        let tables = match mode {
            LoadMode::Fresh => tables,
            LoadMode::Replace => {
                // Also after a crash in the middle, so that readers never see the table emptied.
                resyncs.keep(names.clone()).map_err(of_state_folder)?;
                failpoint::pass("copy.kept");
                self.not_gone(tables)?
            }
        };
        let wishes = resyncs.wanted();
        if !tables.is_empty() {
            let oids: Vec<u32> = tables.iter().map(|table| table.relation.oid).collect();
            let (setup, routes) = (&self.setup, &mut self.routes);
            let shapes = self.shapes.get_or_insert_with(|| shapes_of(setup));
            let copied = copy_tables(setup, writer, routes, shapes, tables, mode);
            // Changes that a copy holds never come by, also where it fails at a later table.
            self.setup.attendant.touch_tables(&oids);
            let copied = copied?;
            failpoint::pass("copy.done");
            for relation in copied {
                self.ready(&relation)?;
                let to = self.routes.copied_to(&relation.source);
                self.aside.copied(&self.setup, &relation, to);
            }
        }
        // What was not copied by now is not in the source any more.
        for (name, &wish) in names.iter().filter_map(|name| wishes.get_key_value(name)) {
            resyncs.done(name, wish).map_err(of_state_folder)?;
        }
        Ok(())
    }

    /// Those of `tables` that the source still has, as they are now. The copy of one that it has not
    /// would be an empty one.
    fn not_gone(&mut self, tables: Vec<Table>) -> Result<Vec<Table>, WriteError> {
        let oids: Vec<u32> = tables.iter().map(|table| table.relation.oid).collect();
        let found = self.setup.runtime.block_on(look_up(&self.setup, &oids));
        let found = found.map_err(of_source)?;
        let identity = |table: &Table| (table.relation.oid, table.relation.source.clone());
        for gone in tables
            .iter()
            .filter(|table| !found.iter().any(|found| identity(found) == identity(table)))
        {
            tracing::warn!(lane = %self.setup.name(), table = %gone.relation.source,
                "table is not in the source any more; its rows stay in the target as they are");
            self.reshaped.remove(&gone.relation.oid);
        }
        let known: Vec<_> = tables.iter().map(identity).collect();
        let found = found.into_iter();
        Ok(found
            .filter(|table| known.contains(&identity(table)))
            .collect())
    }

    /// Notes that the target is ready for `relation`.
    pub(super) fn ready(&mut self, relation: &Relation) -> Result<(), WriteError> {
        self.prepared.insert(relation.version);
        self.reshaped.remove(&relation.oid);
        let source = self.setup.relations.get(relation.version);
        if let (Some(shapes), Some(source)) = (&mut self.shapes, source) {
            let noted = shapes.note(relation, &source);
            noted.map_err(of_state_folder)?;
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
        let shapes = shapes_of(setup);
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

    /// The tables that are to be copied anew. What the lane doesn't have any more is not.
    pub(super) fn asked(&self) -> Result<BTreeSet<String>, WriteError> {
        let setup = &self.setup;
        let mut asked = BTreeSet::new();
        for (name, wish) in setup.resyncs.wanted() {
            let is_it = |table: &Table| table.relation.source.to_string() == name;
            if setup.tables.iter().any(is_it) {
                asked.insert(name);
            } else {
                setup.resyncs.done(&name, wish).map_err(of_state_folder)?;
            }
        }
        Ok(asked)
    }

    /// A table that has left the sync, or the source, is not kept current any more: were it to come
    /// back, its old mark would hide the changes in between.
    /// Changes that were made before it left still belong to what the target holds of it.
    pub(super) fn forget_left_tables(
        &mut self,
        writer: &mut RemoteWriter,
        copied_to: &BTreeMap<String, Lsn>,
    ) -> Result<(), WriteError> {
        for (name, lsn) in copied_to.iter().filter(|(_, lsn)| **lsn != Lsn::ZERO) {
            let is_here = |table: &Table| table.relation.source.to_string() == *name;
            if self.setup.tables.iter().any(is_here) {
                continue;
            }
            tracing::info!(lane = %self.setup.name(), table = name, "table has left the sync");
            forget_copy(writer, name)?;
            if let Some(table) = parse(name) {
                self.routes.copied(table, *lsn);
            }
        }
        Ok(())
    }
}

/// What the lane's tables looked like last.
fn shapes_of(setup: &Setup) -> Shapes {
    Shapes::load(&setup.state_dir, &setup.stream.sync, &setup.target)
}

/// What the source calls `tables`.
pub(super) fn names_of(tables: &[Table]) -> impl Iterator<Item = String> {
    tables.iter().map(|table| table.relation.source.to_string())
}

/// What a state folder that can't be written means to a lane: it tries again.
pub(super) fn of_state_folder(error: std::io::Error) -> WriteError {
    WriteError::transient(format!("state folder: {error}"))
}

/// Has the target forget that it holds a copy of the table `name`.
/// A dot may belong to either half of a table's name; the mark is found by both together.
pub(super) fn forget_copy(writer: &mut RemoteWriter, name: &str) -> Result<(), WriteError> {
    match parse(name) {
        Some(table) => writer.forget_copy(&table),
        None => Ok(()),
    }
}

fn parse(name: &str) -> Option<TableName> {
    let (schema, table) = name.split_once('.')?;
    Some(TableName::new(schema, table))
}
