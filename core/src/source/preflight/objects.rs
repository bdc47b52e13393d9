//! The publication and the slot, tahr's own or a DBA's.

use tahr_plugin_api::TableName;
use tokio_postgres::Client;

use super::{Finding, Request, server::Role};
use crate::source::{
    Publication, Slot, SourceError, Table, TableKind, own_table, publication::creation,
    quote_identifier, quote_literal, quote_table,
};

/// Checks `publication`, which has or should have this `name`, against the tables that it must carry.
pub(super) fn publication(
    request: &Request<'_>,
    name: &str,
    publication: Option<Publication>,
    tables: &[Table],
    found: &mut Vec<Finding>,
) {
    let object = format!("publication {name}");
    let quoted = quote_identifier(name);
    if request.publication.is_none() {
        // Our own: missing tables are added when it starts.
        match publication {
            Some(publication) if !publication.belongs_to(request.owner) => {
                let kind = if publication.all_tables {
                    " FOR ALL TABLES"
                } else {
                    ""
                };
                // Whoever made it may need it: no script drops it.
                let message = format!(
                    "exists{kind} and was not made by this engine: if it is meant for tahr, name it in \
                     the source (publication = {name:?}); else drop it, or give the engine another name"
                );
                found.push(Finding::error(object, message));
            }
            _ => {}
        }
        return;
    }
    let own = request.shared.map(|_| own_table());
    let all = tables.iter().map(|table| &table.relation.source);
    let all: Vec<&TableName> = all.chain(&own).collect();
    let list = |names: &[&TableName]| {
        let names: Vec<_> = names
            .iter()
            .map(|name| format!("ONLY {}", quote_table(name)))
            .collect();
        names.join(", ")
    };
    let Some(publication) = publication else {
        let mut finding = Finding::error(object, "doesn't exist");
        if !all.is_empty() {
            let all: Vec<_> = all.into_iter().cloned().collect();
            finding = finding.fix(creation(name, None, &all));
        }
        found.push(finding);
        return;
    };
    let missing: Vec<_> = all
        .iter()
        .copied()
        .filter(|name| !publication.tables.contains(name))
        .collect();
    // Without `publish_via_partition_root` a partitioned table is missing under its own name.
    let needs_root = tables
        .iter()
        .any(|table| table.kind == TableKind::Partitioned);
    if needs_root && !publication.via_root {
        found.push(
            Finding::error(&object, "publishes partitions under their own names").fix(format!(
                "ALTER PUBLICATION {quoted} SET (publish_via_partition_root = true);"
            )),
        );
    } else if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
        found.push(
            Finding::error(&object, format!("lacks {}", names.join(", "))).fix(format!(
                "ALTER PUBLICATION {quoted} ADD TABLE {};",
                list(&missing)
            )),
        );
    }
    if !publication.all_operations {
        found.push(
            Finding::error(&object, "doesn't publish every operation").fix(format!(
                "ALTER PUBLICATION {quoted} SET (publish = 'insert, update, delete, truncate');"
            )),
        );
    }
    for table in publication
        .partial
        .iter()
        .filter(|&table| all.contains(&table))
    {
        let quoted_table = quote_table(table);
        found.push(
            Finding::error(
                &object,
                format!("publishes only some rows or columns of {table}"),
            )
            .fix(format!(
                "ALTER PUBLICATION {quoted} DROP TABLE ONLY {quoted_table}; \
                     ALTER PUBLICATION {quoted} ADD TABLE ONLY {quoted_table};"
            )),
        );
    }
}

/// Checks the slot `name`.
pub(super) async fn slot(
    client: &Client,
    request: &Request<'_>,
    name: &str,
    role: &Role,
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    let object = format!("slot {name}");
    let literal = quote_literal(name);
    let create = format!("SELECT pg_create_logical_replication_slot({literal}, 'pgoutput');");
    let Some(slot) = Slot::find(client, name).await? else {
        if request.slot.is_some() {
            found.push(Finding::error(object, "doesn't exist").fix(create));
        }
        return Ok(());
    };
    let again = format!("SELECT pg_drop_replication_slot({literal}); {create}");
    match (slot.plugin.as_deref(), slot.database.as_deref()) {
        (Some("pgoutput"), Some(database)) if database == role.database => {}
        (Some("pgoutput"), Some(database)) => found.push(Finding::error(
            &object,
            format!("belongs to database {database}, not {}", role.database),
        )),
        (Some(plugin), _) => found.push(
            Finding::error(&object, format!("has output plugin {plugin}, not pgoutput"))
                .fix(&again),
        ),
        (None, _) => found.push(Finding::error(
            &object,
            "is a physical slot, not a logical one",
        )),
    }
    if let Some(reason) = &slot.invalidated {
        found.push(Finding::error(
            &object,
            format!("is invalidated ({reason}): changes are lost, the tables must be copied again"),
        )
        .fix(match request.slot {
            Some(_) => again,
            None => format!(
                "SELECT pg_drop_replication_slot({literal}); -- then start tahr: each lane has a gap, \
                 which `on_gap` or `tahr resync` mends"
            ),
        }));
    }
    if let Some(pid) = slot.active_pid
        && slot.active_application.as_deref() != Some(request.application)
    {
        let who = match slot.active_application.as_deref() {
            Some(application) if !application.is_empty() => format!("pid {pid} ({application})"),
            _ => format!("pid {pid}"),
        };
        found.push(
            Finding::error(&object, format!("is in use by {who}"))
                .fix(format!("SELECT pg_terminate_backend({pid});")),
        );
    }
    Ok(())
}
