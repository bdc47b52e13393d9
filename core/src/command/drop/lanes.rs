//! The targets' end: bookkeeping, and on request the copied rows.

use std::collections::BTreeMap;

use tahr_plugin_api::{Checkpoint, LoadMode, Lsn, Role, StreamId, WriteError, abi::RemoteWriter};

use super::{Plan, sources::Connected};
use crate::{
    Error,
    command::Output,
    config::Target,
    lane::{View, open_writer, views},
    plugin::{Plugin, Registry},
};

/// Makes each target of the dropped syncs forget its stream. One that is out of reach is an error,
/// and the others are done. Of several sources the targets follow one, and may have followed another
/// before.
pub(super) fn forget(
    plan: &Plan<'_>,
    registry: &Registry,
    sources: &BTreeMap<String, Connected>,
    errors: &mut Vec<Error>,
    output: &mut Output,
) {
    for (sync_name, sync) in &plan.dropped {
        for source in &sync.sources {
            let connected = sources.get(source);
            let stream = connected.map_or_else(
                // A target looks a stream up by these two.
                || StreamId {
                    sync: sync_name.clone(),
                    source: source.clone(),
                    ..StreamId::default()
                },
                |connected| connected.stream(sync_name, source),
            );
            let seen = connected.map(|connected| views(plan.config, source, &connected.tables).0);
            for name in &sync.targets {
                let target = &plan.config.targets[name];
                let plugin = match registry.of_target(name, target) {
                    Ok(plugin) => plugin,
                    Err(error) => {
                        errors.push(error);
                        continue;
                    }
                };
                let view = seen
                    .iter()
                    .flatten()
                    .find(|view| view.sync == *sync_name && view.target == *name);
                let lane = Lane {
                    name,
                    target,
                    plugin,
                    stream: &stream,
                    is_followed: sync.followed() == Some(source),
                    view,
                    all: seen.as_deref().unwrap_or_default(),
                };
                match lane.forget(plan.with_data, output) {
                    Ok(true) => plan.note_found(),
                    Ok(false) => {}
                    Err(error) => errors.push(describe(&error, name, sync_name)),
                }
            }
        }
    }
}

fn describe(error: &WriteError, target: &str, sync: &str) -> Error {
    let made = Error::target(format!(
        "target \"{target}\" still holds sync \"{sync}\": {error}"
    ));
    if error.hint.is_empty() {
        made
    } else {
        made.hint(error.hint.clone())
    }
}

struct Lane<'a> {
    name: &'a str,
    target: &'a Target,
    plugin: &'a Plugin,
    stream: &'a StreamId,
    /// Whether the target gets the changes of this source.
    is_followed: bool,
    /// None where the source is out of reach.
    view: Option<&'a View>,
    /// Those of all syncs of the source.
    all: &'a [View],
}

impl Lane<'_> {
    /// Whether the target held anything of it.
    fn forget(&self, with_data: bool, output: &mut Output) -> Result<bool, WriteError> {
        let (name, sync) = (self.name, &self.stream.sync);
        let target = (name, self.target);
        // A writer may make its target where it is absent, so one that makes nothing looks first.
        let (mut reader, _) = open_writer(target, self.plugin, Role::Check)?;
        if reader.checkpoint(self.stream)?.is_none() {
            if self.is_followed {
                output.line(format!(
                    "target \"{name}\": holds nothing of sync \"{sync}\""
                ));
            }
            return Ok(false);
        }
        std::mem::drop(reader);
        let (mut writer, _) = open_writer(target, self.plugin, Role::Stream)?;
        let Some(checkpoint) = writer.checkpoint(self.stream)? else {
            return Ok(false);
        };
        if with_data && self.is_followed {
            self.empty(&mut writer, &checkpoint, output)?;
        }
        writer.forget(self.stream)?;
        output.line(format!("target \"{name}\": forgot sync \"{sync}\""));
        Ok(true)
    }

    /// Empties the tables that were copied, as a copy of no rows does.
    fn empty(
        &self,
        writer: &mut RemoteWriter,
        checkpoint: &Checkpoint,
        output: &mut Output,
    ) -> Result<(), WriteError> {
        let Some(view) = self.view else {
            return Err(
                WriteError::transient("its tables can't be emptied without the source").hint(
                    "make the source reachable, or leave the rows: tahr drop without --with-data",
                ),
            );
        };
        for table in checkpoint.copied_to.keys() {
            let relation = view
                .relations
                .iter()
                .find(|relation| relation.source.to_string() == *table);
            let Some(relation) = relation else {
                let (name, sync) = (self.name, &self.stream.sync);
                output.line(match self.heir(table) {
                    // Which empties it, where it is dropped too.
                    Some(heir) => format!(
                        "target \"{name}\": left {table} to sync \"{heir}\", which has it now instead of \"{sync}\""
                    ),
                    None => format!(
                        "target \"{name}\": kept rows of {table}, which sync \"{sync}\" doesn't name any more"
                    ),
                });
                continue;
            };
            writer.begin_load(relation, LoadMode::Replace)?;
            writer.end_load(relation, Lsn::ZERO)?;
            output.line(format!(
                "target \"{}\": emptied {}",
                self.name, relation.target
            ));
        }
        Ok(())
    }
    /// Another sync that brings the source's table `table` to this target.
    fn heir(&self, table: &str) -> Option<&str> {
        let others = self.all.iter();
        let mut others = others.filter(|view| view.target == self.name);
        let has = |view: &&View| {
            let mut relations = view.relations.iter();
            relations.any(|relation| relation.source.to_string() == table)
        };
        others.find(has).map(|view| view.sync.as_str())
    }
}
