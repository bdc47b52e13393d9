//! What a source needs that other sources replicate to: tahr's own table, and the rights to write.

use std::collections::BTreeMap;

use tahr_plugin_api::{ReplicaIdentity, TableName};
use tokio_postgres::Client;

use super::{Finding, Request, Severity, Shared, server::Role};
use crate::{
    masters::checkpoint,
    source::{SourceError, Table, own_table, quote_identifier, quote_table},
};

/// From here on a role that is no superuser can be given the right to a setting.
const GRANTED_SETTINGS: u32 = 150_000;

/// tahr's table as it is, if it is, and what the role may do with it.
const OWN_TABLE: &str = "
SELECT n.oid IS NOT NULL, c.oid IS NOT NULL,
       coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false),
       coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false),
       coalesce(pg_catalog.pg_has_role(c.relowner, 'USAGE'), false),
       coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT')
                AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
                AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')
                AND pg_catalog.has_table_privilege(c.oid, 'DELETE'), false),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM (SELECT) AS one
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2";

const COLUMNS: [&str; 4] = ["engine", "sync", "sequence", "notes"];

const RIGHTS: &str = "
SELECT c.oid, ARRAY(SELECT r.name FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'])
                        WITH ORDINALITY AS r(name, place)
                    WHERE NOT pg_catalog.has_table_privilege(c.oid, r.name) ORDER BY r.place)
FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1)";

/// Triggers of tables and their partitions that are enabled in one of these ways.
const TRIGGERS: &str = "
SELECT w.oid, array_agg(DISTINCT t.tgname::text)
FROM unnest($1::oid[]) AS w(oid)
CROSS JOIN LATERAL (SELECT w.oid UNION SELECT p.relid::oid FROM pg_catalog.pg_partition_tree(w.oid) p)
    AS l(oid)
JOIN pg_catalog.pg_trigger t ON t.tgrelid = l.oid
WHERE NOT t.tgisinternal AND t.tgenabled::text = ANY ($2)
GROUP BY w.oid";

/// Foreign keys that change rows of another table when one of these tables changes.
const CASCADES: &str = "
SELECT k.confrelid,
       array_agg(k.conname::text || ' of ' || n.nspname::text || '.' || c.relname::text
                 ORDER BY k.conname)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.confrelid = ANY ($1) AND k.conparentid = 0
  AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))
GROUP BY k.confrelid";

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
    bookkeeping(client, role, (request, shared), found).await?;
    let tables: Vec<&Table> = tables
        .iter()
        .filter(|table| (shared.tables)(&table.relation.source))
        .collect();
    rights(client, role, request, &tables, found).await?;
    effects(client, role, &tables, found).await
}

/// What is wrong with the key of a table whose rows are to be told apart on several sources.
pub(super) fn key(table: &Table) -> Option<Finding> {
    let (relation, name) = (&table.relation, &table.relation.source);
    let error = |message: String| Finding::error(format!("table {name}"), message);
    if relation.primary_key.is_empty() {
        let lacks = match table.deferrable_key {
            true => "has a deferrable primary key, which can't tell",
            false => "has no primary key to tell",
        };
        return Some(
            error(format!(
                "{lacks} its rows apart on several sources; give it one on each, or exclude it: \
                 \"!{name}\""
            ))
            .fix(format!(
                "-- ALTER TABLE {} ADD PRIMARY KEY (…);",
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

/// tahr's own table: it is there and of use, or can be made.
async fn bookkeeping(
    client: &Client,
    role: &Role,
    (request, shared): (&Request<'_>, &Shared<'_>),
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    let (schema, table) = (checkpoint::SCHEMA, own_table());
    let row = client
        .query_one(OWN_TABLE, &[&schema, &checkpoint::TABLE])
        .await
        .map_err(failed)?;
    let [
        has_schema,
        has_table,
        may_use,
        may_create,
        is_owned,
        may_write,
    ] = [0, 1, 2, 3, 4, 5].map(|index| row.get::<_, bool>(index));
    let (to, quoted) = (quote_identifier(&role.name), quote_table(&table));
    let quoted_schema = quote_identifier(schema);
    let of_table = |message: String| Finding::error(format!("table {table}"), message);
    let name = &role.name;
    let setup = || {
        let engine = &request.owner.engine;
        checkpoint::setup_script(name, engine, shared.syncs)
            .trim_end()
            .to_owned()
    };
    if !has_table {
        if let Some(publication) = request.publication {
            // Before a DBA can add it to the publication it has to be there.
            found.push(
                of_table(format!(
                    "doesn't exist, and publication {publication} has to carry it"
                ))
                .fix(setup()),
            );
        } else if !has_schema && !role.may_create {
            found.push(
                Finding::error(
                    format!("schema {schema}"),
                    format!("doesn't exist, and role {name} may not create it"),
                )
                .fix(setup()),
            );
        } else if has_schema && !(may_use && may_create) {
            found.push(
                Finding::error(
                    format!("schema {schema}"),
                    format!("exists, and role {name} may not create tahr's table in it"),
                )
                .fix(format!(
                    "GRANT USAGE, CREATE ON SCHEMA {quoted_schema} TO {to};"
                )),
            );
        }
        return Ok(());
    }
    let columns: Vec<String> = row.get(6);
    let lacks = COLUMNS
        .iter()
        .filter(|name| !columns.iter().any(|has| has == *name));
    let lacks: Vec<_> = lacks.copied().collect();
    if !lacks.is_empty() {
        found.push(of_table(format!(
            "is not tahr's: it has no column {}; rename it",
            lacks.join(", ")
        )));
        return Ok(());
    }
    // Only an owner may publish it.
    if request.publication.is_none() && !is_owned {
        found.push(
            of_table(format!(
                "does not belong to role {name}, so it can't be published"
            ))
            .fix(format!(
                "ALTER TABLE {quoted} OWNER TO {to}; GRANT USAGE ON SCHEMA {quoted_schema} TO {to};"
            )),
        );
    } else if !(may_use && may_write) {
        found.push(
            of_table(format!("can't be written by role {name}")).fix(format!(
                "GRANT USAGE ON SCHEMA {quoted_schema} TO {to}; \
                 GRANT SELECT, INSERT, UPDATE, DELETE ON {quoted} TO {to};"
            )),
        );
    }
    Ok(())
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

/// Whether the role may write to the tables.
async fn rights(
    client: &Client,
    role: &Role,
    request: &Request<'_>,
    tables: &[&Table],
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    let missing = lists(client, RIGHTS, &[&oids(tables)]).await?;
    for table in tables {
        let name = &table.relation.source;
        let lacks = missing.get(&table.relation.oid);
        let Some(lacks) = lacks.filter(|lacks| !lacks.is_empty()) else {
            continue;
        };
        // Whoever is given the owner's rights, to publish it, may write too.
        let is_lent = request.publication.is_none() && !table.owner_is_superuser;
        if is_lent && !table.owned {
            continue;
        }
        let lacks = lacks.join(", ");
        let (schema, to) = (quote_identifier(&name.schema), quote_identifier(&role.name));
        found.push(
            Finding::error(
                format!("table {name}"),
                format!("can't be written by role {}, who lacks {lacks}", role.name),
            )
            .fix(format!(
                "GRANT USAGE ON SCHEMA {schema} TO {to}; GRANT {lacks} ON {} TO {to};",
                quote_table(name)
            )),
        );
    }
    Ok(())
}

/// Triggers and cascades that answer to applied rows.
async fn effects(
    client: &Client,
    role: &Role,
    tables: &[&Table],
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    let is_silent = may_silence(client).await?;
    let (ways, cause) = match is_silent {
        true => (["A", "R"], "even for a replica's session"),
        false => (
            ["O", "A"],
            "since the role may not set session_replication_role",
        ),
    };
    let oids = oids(tables);
    let triggers = lists(client, TRIGGERS, &[&oids, &&ways[..]]).await?;
    let cascades = match is_silent {
        true => BTreeMap::new(),
        false => lists(client, CASCADES, &[&oids]).await?,
    };
    for table in tables {
        let name = &table.relation.source;
        let of = |all: &BTreeMap<u32, Vec<String>>, what: &str| {
            let names = all.get(&table.relation.oid)?;
            Some(format!("{what} {}", names.join(", ")))
        };
        let all = [
            of(&triggers, "triggers"),
            of(&cascades, "cascades of foreign keys"),
        ];
        let all: Vec<_> = all.into_iter().flatten().collect();
        if all.is_empty() {
            continue;
        }
        let finding = Finding::warning(
            format!("table {name}"),
            format!(
                "answers to rows that tahr applies, {cause}: {}; `trigger_effects` decides what \
                 becomes of what they do",
                all.join("; ")
            ),
        );
        let to = quote_identifier(&role.name);
        found.push(match (is_silent, role.version >= GRANTED_SETTINGS) {
            (true, _) => finding,
            (false, true) => finding.fix(format!(
                "GRANT SET ON PARAMETER session_replication_role TO {to};"
            )),
            (false, false) => finding
                .fix("before PostgreSQL 15 only a superuser may set session_replication_role"),
        });
    }
    Ok(())
}

/// Whether sessions may say that they replicate. Managed services have ways of their own to allow
/// it, so it is tried.
async fn may_silence(client: &Client) -> Result<bool, SourceError> {
    let tried = client
        .batch_execute("BEGIN; SET LOCAL session_replication_role = 'replica'; ROLLBACK")
        .await;
    match tried {
        Ok(()) => Ok(true),
        Err(error) if error.as_db_error().is_some() => {
            client.batch_execute("ROLLBACK").await.map_err(failed)?;
            Ok(false)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whether `found` says that the table `name` can't be used at all.
pub fn is_refused(found: &[Finding], name: &TableName) -> bool {
    let object = format!("table {name}");
    let mut errors = found
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    errors.any(|finding| finding.object == object)
}
