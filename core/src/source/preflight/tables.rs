//! The tables that are wanted.

use tahr_plugin_api::ReplicaIdentity;

use super::{Finding, Request, masters, publishing::Publishing, server::Role};
use crate::source::{Table, TableKind, quote_identifier, quote_table};

/// From here on an update under a replica identity with a computed column is an error.
const STRICT_GENERATED: u32 = 180_000;

/// Whether a publication takes it at all.
pub(super) fn can_be_published(table: &Table) -> bool {
    matches!(table.kind, TableKind::Plain | TableKind::Partitioned)
        && !table.unlogged
        && table.foreign_partitions.is_empty()
}

/// Checks `tables`. Where tahr makes the publication itself, that takes ownership.
pub(super) fn check(
    tables: &[Table],
    role: &Role,
    request: &Request<'_>,
    publishing: &Publishing,
    found: &mut Vec<Finding>,
) {
    if tables.is_empty() {
        found.push(Finding::error(
            format!("database {}", role.database),
            "has no table that the syncs' patterns match",
        ));
    }
    for table in tables {
        let name = &table.relation.source;
        let object = format!("table {name}");
        let quoted = quote_table(name);
        let exclude = format!("exclude it: \"!{name}\"");
        match table.kind {
            TableKind::Foreign => found.push(Finding::error(
                &object,
                format!(
                    "is a foreign table, whose changes are not in this server's WAL; {exclude}"
                ),
            )),
            TableKind::MaterializedView => found.push(Finding::warning(
                format!("materialized view {name}"),
                "is not replicated: its changes are not in the WAL",
            )),
            TableKind::Plain | TableKind::Partitioned if table.unlogged => found.push(
                Finding::error(&object, format!("is unlogged; {exclude}, or log it")).fix(
                    match table.kind {
                        TableKind::Plain => format!("ALTER TABLE {quoted} SET LOGGED;"),
                        _ => format!("-- set every unlogged partition of {quoted} LOGGED"),
                    },
                ),
            ),
            TableKind::Plain | TableKind::Partitioned => {}
        }
        if !table.foreign_partitions.is_empty() {
            let partitions = table.foreign_partitions.join(", ");
            found.push(Finding::error(
                &object,
                format!("has partitions that are foreign tables: {partitions}; {exclude}"),
            ));
        }
        if can_be_published(table) {
            let is_shared = request.shared.is_some_and(|shared| (shared.tables)(name));
            let key = is_shared.then(|| masters::key(table)).flatten();
            found.extend(key.or_else(|| identity(table, role)));
            found.extend(rights(table, role, publishing.needs_owners()));
            if !table.generated.is_empty() {
                found.push(Finding::warning(
                    object,
                    format!(
                        "has columns that the source computes, which are not replicated: {}",
                        table.generated.join(", ")
                    ),
                ));
            }
        }
    }
}

/// Without a usable replica identity, UPDATE and DELETE would fail *on the source* as soon as the
/// table is published.
fn identity(table: &Table, role: &Role) -> Option<Finding> {
    let name = &table.relation.source;
    let error = |message: &str| Finding::error(format!("table {name}"), message);
    let set = |what: &str| format!("ALTER TABLE {} REPLICA IDENTITY {what};", quote_table(name));
    if table.has_identity {
        if !table.generated_in_identity {
            return None;
        }
        let is_full = table.relation.replica_identity == ReplicaIdentity::Full;
        return if is_full && role.version < STRICT_GENERATED {
            None
        } else if is_full && !table.relation.primary_key.is_empty() {
            let message = "has REPLICA IDENTITY FULL and a computed column: UPDATE and DELETE would \
                           fail once it is published";
            Some(error(message).fix(set("DEFAULT")))
        } else {
            Some(error(
                "has a computed column in its replica identity, which is not sent; exclude it",
            ))
        };
    }
    let would_fail = "UPDATE and DELETE would fail once it is published";
    Some(match table.relation.replica_identity {
        ReplicaIdentity::Nothing if !table.relation.primary_key.is_empty() => {
            error(&format!("has REPLICA IDENTITY NOTHING: {would_fail}")).fix(set("DEFAULT"))
        }
        ReplicaIdentity::Nothing => {
            error(&format!("has REPLICA IDENTITY NOTHING: {would_fail}")).fix(set("FULL"))
        }
        ReplicaIdentity::Index => error(&format!(
            "has lost the index of its replica identity: {would_fail}"
        ))
        .fix(set("FULL")),
        _ if table.deferrable_key => error(&format!(
            "has a deferrable primary key, which can't identify a row: {would_fail}"
        ))
        .fix(set("FULL")),
        _ => error(&format!("has no primary key: {would_fail}")).fix(set("FULL")),
    })
}

/// `lent`: the rights of the tables' owners are given to the role, so that it can publish them.
fn rights(table: &Table, role: &Role, lent: bool) -> Vec<Finding> {
    let name = &table.relation.source;
    let (quoted, to) = (quote_table(name), quote_identifier(&role.name));
    let mut found = Vec::new();
    let mut say = |message: String, fix: String| {
        found.push(Finding::error(format!("table {name}"), message).fix(fix));
    };
    if lent && !table.owned && !role.is_superuser {
        say(
            format!(
                "belongs to {}: only its owner can publish it, or a DBA makes the publication",
                table.owner
            ),
            format!("GRANT {} TO {to};", quote_identifier(&table.owner)),
        );
    }
    // Who gets the owner's rights may read too.
    if !table.readable && (!lent || table.owned) {
        let schema = quote_identifier(&name.schema);
        say(
            format!("can't be read by role {}", role.name),
            format!("GRANT USAGE ON SCHEMA {schema} TO {to}; GRANT SELECT ON {quoted} TO {to};"),
        );
    }
    if table.row_security {
        say(
            format!(
                "has row security policies that hide rows from role {}",
                role.name
            ),
            format!("ALTER ROLE {to} BYPASSRLS;"),
        );
    }
    found
}
