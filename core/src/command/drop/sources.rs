//! The sources' end: slots and publications, and what syncs of several sources have made.

use std::{collections::BTreeMap, time::Duration};

use tahr_plugin_api::{StreamId, TableName};
use tahr_postgres_connect::Session;

use super::{Plan, masters};
use crate::{
    Error,
    command::Output,
    config::Source,
    engine::of_source,
    lane::stream_id,
    source::{
        Identity, Publication, Slot, SourceError, Table, application, catalog, is_wanted, look,
        object_name, owner, parse, published,
    },
};

/// How long a slot may stay in use: the stream of an engine that was killed needs a moment to be
/// noticed as gone.
const PATIENCE: Duration = Duration::from_secs(15);

/// A source that can be reached.
pub(super) struct Connected {
    client: Session,
    identity: Identity,
    slot: String,
    /// The tables of its syncs.
    pub(super) tables: Vec<Table>,
}

impl Connected {
    /// The stream of the sync `sync` from it; `source` is its name.
    pub(super) fn stream(&self, sync: &str, source: &str) -> StreamId {
        stream_id(sync, source, &self.identity, &self.slot)
    }
}

/// Connects to the sources that the dropped syncs may have left something on.
pub(super) async fn connect(
    plan: &Plan<'_>,
    errors: &mut Vec<Error>,
) -> BTreeMap<String, Connected> {
    let mut sources = BTreeMap::new();
    for (name, source) in &plan.config.sources {
        let is_dropped = plan
            .dropped
            .values()
            .any(|sync| sync.sources.contains(name));
        // Of a source in no sync, an earlier config may have had one.
        if !is_dropped && plan.is_used(name) {
            continue;
        }
        match connect_to(plan, name, source).await {
            Ok(connected) => drop(sources.insert(name.clone(), connected)),
            Err(error) => errors.push(of_source(name, error)),
        }
    }
    sources
}

async fn connect_to(
    plan: &Plan<'_>,
    name: &str,
    source: &Source,
) -> Result<Connected, SourceError> {
    let owner = owner(plan.config, name);
    let client = parse(source)?
        .connect_source(&application(&owner.engine))
        .await?;
    let identity = Identity::read(&client).await?;
    let wanted = |table: &TableName| is_wanted(plan.config, name, table);
    let tables = catalog::tables(&client, &wanted).await?;
    let slot = source
        .slot
        .clone()
        .map_or_else(|| object_name(&owner), Ok)?;
    Ok(Connected {
        client,
        identity,
        slot,
        tables,
    })
}

/// Drops slot and publication of each source that no sync is left of, and takes the dropped syncs'
/// tables out of the publications of the others.
pub(super) async fn drop_objects(
    plan: &Plan<'_>,
    sources: &BTreeMap<String, Connected>,
    errors: &mut Vec<Error>,
    output: &mut Output,
) {
    for (name, connected) in sources {
        let source = &plan.config.sources[name];
        let done = match plan.is_used(name) {
            true => keep_to_the_rest(plan, (name, source), connected, output).await,
            false => drop_both(plan, (name, source), connected, output).await,
        };
        // The stream needs it as long as it lives.
        let left = match done {
            Ok(()) => masters::leave(plan, name, &connected.client, output).await,
            Err(error) => Err(error),
        };
        if let Err(error) = left {
            errors.push(of_source(name, error));
        }
    }
}

async fn drop_both(
    plan: &Plan<'_>,
    (name, source): (&str, &Source),
    connected: &Connected,
    output: &mut Output,
) -> Result<(), SourceError> {
    let owner = owner(plan.config, name);
    let made = object_name(&owner)?;
    let client = &connected.client;
    // Where the publication is another's, so is the slot of that name.
    if source.publication.is_none()
        && let Some(found) = Publication::find(client, &made).await?
        && !found.belongs_to(&owner)
    {
        return Err(SourceError::unusable(format!(
            "publication \"{made}\" was not made by this engine; it stays, and the slot of that name too"
        )));
    }
    match &source.slot {
        Some(slot) => output.line(format!("source \"{name}\": kept slot \"{slot}\", a DBA's")),
        None => {
            if drop_slot(name, &made, connected, output).await? {
                plan.note_found();
            }
        }
    }
    match &source.publication {
        Some(theirs) => {
            output.line(format!(
                "source \"{name}\": kept publication \"{theirs}\", a DBA's"
            ));
        }
        None => {
            let there = Publication::drop(client, &made, &owner).await?;
            if there {
                plan.note_found();
            }
            output.line(outcome(name, "publication", &made, there));
        }
    }
    Ok(())
}

/// Whether there was one.
async fn drop_slot(
    name: &str,
    slot: &str,
    connected: &Connected,
    output: &mut Output,
) -> Result<bool, SourceError> {
    let Some(found) = Slot::find(&connected.client, slot).await? else {
        output.line(outcome(name, "slot", slot, false));
        return Ok(false);
    };
    // Slots of all databases of a server share their names.
    if found.database.as_deref() != Some(&connected.identity.database) {
        let database = found.database.as_deref().unwrap_or("no database");
        output.line(format!(
            "source \"{name}\": kept slot \"{slot}\", which belongs to {database}"
        ));
        return Ok(false);
    }
    let there = Slot::drop(&connected.client, slot, PATIENCE).await?;
    output.line(outcome(name, "slot", slot, there));
    Ok(there)
}

fn outcome(source: &str, what: &str, object: &str, was_there: bool) -> String {
    match was_there {
        true => format!("source \"{source}\": dropped {what} \"{object}\""),
        false => format!("source \"{source}\": has no {what} \"{object}\""),
    }
}

async fn keep_to_the_rest(
    plan: &Plan<'_>,
    (name, source): (&str, &Source),
    connected: &Connected,
    output: &mut Output,
) -> Result<(), SourceError> {
    let owner = owner(plan.config, name);
    let made = object_name(&owner)?;
    let client = &connected.client;
    if source.publication.is_some() || Publication::find(client, &made).await?.is_none() {
        return Ok(());
    }
    let tables = look(&plan.rest, name, source).await?.tables;
    let tables = published(&plan.rest, name, &tables);
    // A publication of no table can't be written down; what it carries in vain harms nobody.
    if !tables.is_empty() {
        Publication::ensure(client, &made, &owner, &tables).await?;
    }
    plan.note_found();
    output.line(format!(
        "source \"{name}\": kept slot and publication \"{made}\", which other syncs use"
    ));
    Ok(())
}
