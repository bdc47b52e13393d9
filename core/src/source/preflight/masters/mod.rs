//! What a source needs that other sources replicate to: tahr's own table, the rights to write, and
//! keys by which rows are told apart.

mod bookkeeping;
mod effects;
mod rights;

use std::collections::BTreeMap;

use tahr_plugin_api::{ReplicaIdentity, TableName};
use tokio_postgres::Client;

use super::{Finding, Request, Severity, Shared, server::Role};
use crate::source::{SourceError, Table, quote_table};

fn failed(error: tokio_postgres::Error) -> SourceError {
    SourceError::sql("check the rights to write", &error)
}

/// Checks what applies need, to those of `tables` that are `shared`.
pub(super) async fn check(
    client: &Client,
    role: &Role,
    request: &Request<'_>,
    shared: &Shared<'_>,
    tables: &[Table],
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    bookkeeping::check(client, role, (request, shared), found).await?;
    let tables: Vec<&Table> = tables
        .iter()
        .filter(|table| (shared.tables)(&table.relation.source))
        .collect();
    // Whoever is given the owner's rights, to publish a table, may do the rest too.
    let publish = request.publication.is_none();
    let is_lent = |table: &&Table| publish && !table.owner_is_superuser && !table.owned;
    let own = tables.iter().copied().filter(|table| !is_lent(table));
    let own: Vec<&Table> = own.collect();
    rights::tables(client, role, &own, found).await?;
    rights::sequences(client, role, shared, &own, found).await?;
    effects::check(client, role, &tables, found).await
}

/// What is wrong with the key of a table whose rows are to be told apart on several sources.
pub(super) fn key(table: &Table) -> Option<Finding> {
    let (relation, name) = (&table.relation, &table.relation.source);
    let error = |message: String| Finding::error(format!("table {name}"), message);
    if relation.primary_key.is_empty() {
        let (lacks, instead) = match table.deferrable_key {
            // PostgreSQL gives a table no second one.
            true => (
                "has a deferrable primary key, which can't tell",
                "DROP CONSTRAINT …, ",
            ),
            false => ("has no primary key to tell", ""),
        };
        return Some(
            error(format!(
                "{lacks} its rows apart on several sources; give it one on each, or exclude it: \
                 \"!{name}\""
            ))
            .fix(format!(
                "-- ALTER TABLE {} {instead}ADD PRIMARY KEY (…);",
                quote_table(name)
            )),
        );
    }
    let is_key = relation
        .columns
        .iter()
        .enumerate()
        .all(|(place, column)| column.in_identity == relation.primary_key.contains(&place));
    if relation.replica_identity == ReplicaIdentity::Index && table.has_identity && !is_key {
        return Some(
            error(
                "has a replica identity other than its primary key, by which its rows are told \
                 apart on several sources"
                    .to_owned(),
            )
            .fix(format!(
                "ALTER TABLE {} REPLICA IDENTITY DEFAULT;",
                quote_table(name)
            )),
        );
    }
    None
}

fn oids(tables: &[&Table]) -> Vec<u32> {
    tables.iter().map(|table| table.relation.oid).collect()
}

async fn lists(
    client: &Client,
    sql: &str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<BTreeMap<u32, Vec<String>>, SourceError> {
    let rows = client.query(sql, parameters).await.map_err(failed)?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Whether `found` says that the table `name` can't be used at all.
pub fn is_refused(found: &[Finding], name: &TableName) -> bool {
    let object = format!("table {name}");
    let mut errors = found
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    errors.any(|finding| finding.object == object)
}
