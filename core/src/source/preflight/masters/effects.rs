//! Triggers and cascades that answer to applied rows.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::{
    super::{Finding, server::Role},
    failed, lists, oids,
};
use crate::source::{SourceError, Table, quote_identifier};

/// From here on a role that is no superuser can be given the right to a setting.
const GRANTED_SETTINGS: u32 = 150_000;

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

/// A warning for each table that has any, naming them.
pub(super) async fn check(
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
