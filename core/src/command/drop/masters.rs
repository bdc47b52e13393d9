//! What a sync of several sources has made on each of them.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use super::Plan;
use crate::{
    command::Output,
    masters::{checkpoint, sequences},
    source::SourceError,
};

/// Whether there is such a table, which is tahr's by its columns and may be read.
const IS_THERE: &str = "
SELECT count(*) = 2 FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('engine', 'sync')
WHERE n.nspname = $1 AND c.relname = $2 AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  AND pg_catalog.has_table_privilege(c.oid, 'SELECT')";

/// Sets the sequences of the source `name` back and removes tahr's rows on it, and with the last one
/// their table: those of the dropped syncs, and of syncs that the config doesn't have any more.
pub(super) async fn leave(
    plan: &Plan<'_>,
    name: &str,
    client: &Client,
    output: &mut Output,
) -> Result<(), SourceError> {
    let engine = &plan.config.engine.name;
    let failed = |error| SourceError::sql("read tahr.checkpoint", &error);
    let dropped = plan.dropped.iter();
    let dropped = dropped
        .filter(|(_, sync)| sync.has_masters() && sync.sources.iter().any(|source| source == name));
    let mut gone: BTreeSet<String> = dropped.map(|(sync, _)| sync.clone()).collect();
    let there = client
        .query_one(IS_THERE, &[&checkpoint::SCHEMA, &checkpoint::TABLE])
        .await
        .map_err(failed)?;
    let mut marked = BTreeSet::new();
    if there.get(0) {
        let sql = "SELECT sync FROM tahr.checkpoint WHERE engine = $1";
        let rows = client.query(sql, &[engine]).await.map_err(failed)?;
        marked.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    let stays = |sync: &String| plan.rest.masters_of(name).any(|(rest, _)| rest == sync);
    gone.extend(marked.iter().filter(|sync| !stays(sync)).cloned());
    for sync in &gone {
        let restored = sequences::restore(client, engine, sync).await?;
        if restored != 0 {
            plan.note_found();
            output.line(format!(
                "source \"{name}\": gave {restored} sequences of sync \"{sync}\" their increment back"
            ));
        }
        checkpoint::remove(client, engine, sync).await?;
        if marked.contains(sync) {
            plan.note_found();
            output.line(format!(
                "source \"{name}\": forgot sync \"{sync}\" of several sources"
            ));
        }
    }
    Ok(())
}
