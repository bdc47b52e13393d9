//! Tables whose rows the stream alone does not bring.
//!
//! The stream tells of changed rows. The rows that were there before come by a copy, which is due for a
//! table that the lane sees for the first time (one that was renamed, or made where the publication
//! covers all tables), and for one whose values were changed by its schema (see [`shape`](super::shape)).
//! Called by a lane for each relation that its target is not ready for, and at the start of an attempt.

use std::collections::BTreeMap;

use tahr_plugin_api::{LoadMode, Lsn, Relation, WriteError, abi::RemoteWriter};

use super::{
    copy::{look_up, of_source},
    worker::Worker,
};
use crate::{
    config::Existing,
    source::{SourceError, Table, catalog},
};

impl Worker {
    /// Copies the table of `relation`, if the stream alone would not make the target equal the source;
    /// whether the lane has to start over from its checkpoint.
    pub(super) fn complete(
        &mut self,
        writer: &mut RemoteWriter,
        relation: &Relation,
    ) -> Result<bool, WriteError> {
        let source = &relation.source;
        let shapes = self.shapes.as_ref();
        let reason = shapes.and_then(|shapes| shapes.reason(relation, self.has_columns()));
        let joins = !self.routes.is_copied(source);
        if reason.is_none() && !joins {
            return Ok(false);
        }
        let oids = [relation.oid];
        let found = self.setup.runtime.block_on(look_up(&self.setup, &oids));
        let found = found.map_err(of_source)?;
        match found.into_iter().next() {
            Some(table) if table.relation.source == *source => {
                let mode = match &reason {
                    Some(reason) => {
                        tracing::info!(lane = %self.setup.name(), "{reason}; copying it again");
                        LoadMode::Replace
                    }
                    None => {
                        tracing::info!(lane = %self.setup.name(), table = %source,
                            "table joins in the middle of the stream; copying it");
                        self.first_copy()
                    }
                };
                self.take_back(writer)?;
                self.copy(writer, vec![table.clone()], mode)?;
                if joins {
                    self.setup.tables.push(table);
                }
                Ok(true)
            }
            // Its rows belong to another name, under which they are copied; or to none.
            found if joins || found.is_some() => {
                tracing::info!(lane = %self.setup.name(), table = %source,
                    "table is not in the source under that name any more; leaving its changes out");
                self.take_back(writer)?;
                self.routes.leave_out(relation.version);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// How a table is copied that the target does not have from this sync.
    pub(super) fn first_copy(&self) -> LoadMode {
        match self.setup.sync.existing {
            Existing::Refuse => LoadMode::Fresh,
            Existing::Replace => LoadMode::Replace,
        }
    }

    /// Takes up tables that have joined in the middle of the stream since the engine has read the
    /// source's catalog: the target's marks tell of them.
    pub(super) fn find_joined(
        &mut self,
        copied_to: &BTreeMap<String, Lsn>,
    ) -> Result<(), WriteError> {
        let setup = &self.setup;
        let is_known = |name: &str| {
            let mut tables = setup.tables.iter();
            tables.any(|table| table.relation.source.to_string() == name)
        };
        let marks = copied_to.iter().filter(|(_, lsn)| **lsn != Lsn::ZERO);
        let strange: Vec<_> = marks.filter(|(name, _)| !is_known(name)).collect();
        if strange.is_empty() {
            return Ok(());
        }
        let joined = setup.runtime.block_on(async {
            let client = setup.url.connect_source(&setup.application).await?;
            let wanted = |table: &tahr_plugin_api::TableName| {
                let name = table.to_string();
                strange.iter().any(|(known, _)| **known == name) && setup.sync.selects(table)
            };
            let joined: Vec<Table> = catalog::tables(&client, &wanted).await?;
            Ok::<_, SourceError>(joined)
        });
        self.setup.tables.extend(joined.map_err(of_source)?);
        Ok(())
    }
}
