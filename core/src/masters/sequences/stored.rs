//! What sequences were before: the table `tahr.sequence` on each source.

use tokio_postgres::Client;

use super::found::{Drawer, Found, stored};
use crate::{
    masters::checkpoint::SCHEMA,
    source::{SourceError, quote_identifier},
};

/// Its name, with its schema.
const TABLE: &str = "tahr.sequence";

/// A sequence that is interleaved now.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) engine: String,
    pub(super) sync: String,
    pub(super) schema: String,
    pub(super) name: String,
    /// What it was.
    pub(super) increment: i64,
    /// What it was made.
    stride: i64,
}

/// Makes the table where it is missing.
pub(super) async fn ensure(client: &Client) -> Result<(), SourceError> {
    if exists(client).await? {
        return Ok(());
    }
    // Making a schema that is there needs the right to make one.
    let sql = format!(
        "DO $$ BEGIN IF pg_catalog.to_regnamespace('{SCHEMA}') IS NULL THEN CREATE SCHEMA {SCHEMA}; \
         END IF; END $$;
         CREATE TABLE IF NOT EXISTS {TABLE} (engine text, sync text, schema text, name text, \
         increment bigint NOT NULL, stride bigint NOT NULL, \
         PRIMARY KEY (engine, sync, schema, name))"
    );
    let made = client.batch_execute(&sql).await;
    made.map_err(|error| SourceError::sql(format!("create table {TABLE}"), &error))
}

async fn exists(client: &Client) -> Result<bool, SourceError> {
    let sql = "SELECT pg_catalog.to_regclass('tahr.sequence') IS NOT NULL";
    let row = client.query_one(sql, &[]).await;
    let row = row.map_err(|error| SourceError::sql(format!("look for table {TABLE}"), &error))?;
    Ok(row.get(0))
}

/// All that is kept on the source, of every engine and sync.
pub(super) async fn all(client: &Client) -> Result<Vec<Kept>, SourceError> {
    if !exists(client).await? {
        return Ok(Vec::new());
    }
    let sql =
        "SELECT engine, sync, schema, name, increment, stride FROM tahr.sequence ORDER BY 3, 4";
    let rows = client.query(sql, &[]).await;
    let rows = rows.map_err(|error| SourceError::sql(format!("read table {TABLE}"), &error))?;
    let kept = rows.iter().map(|row| Kept {
        engine: row.get(0),
        sync: row.get(1),
        schema: row.get(2),
        name: row.get(3),
        increment: row.get(4),
        stride: row.get(5),
    });
    Ok(kept.collect())
}

/// Notes what a sequence was, unless that is noted, and what it is now.
pub(super) async fn keep(
    client: &Client,
    (engine, sync): (&str, &str),
    found: &Found,
    stride: i64,
) -> Result<(), SourceError> {
    let sql = "INSERT INTO tahr.sequence AS t VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (engine, sync, schema, name) DO UPDATE SET stride = excluded.stride";
    let increment = found.place.increment;
    let kept = client
        .execute(
            sql,
            &[
                &engine,
                &sync,
                &found.schema,
                &found.name,
                &increment,
                &stride,
            ],
        )
        .await;
    kept.map_err(|error| SourceError::sql(format!("write to table {TABLE}"), &error))?;
    Ok(())
}

/// Where a sequence stands, and the columns with whole numbers that draw from it.
const LOOK: &str = "
SELECT s.seqrelid, s.seqincrement, s.seqmin, s.seqmax,
       coalesce(u.schemas, '{}'), coalesce(u.tables, '{}'), coalesce(u.columns, '{}')
FROM pg_catalog.pg_sequence s
JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT array_agg(tn.nspname::text ORDER BY t.oid, a.attnum) AS schemas,
           array_agg(t.relname::text ORDER BY t.oid, a.attnum) AS tables,
           array_agg(a.attname::text ORDER BY t.oid, a.attnum) AS columns
    FROM (SELECT d.refobjid AS relation, d.refobjsubid AS number FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.seqrelid
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
          UNION
          SELECT f.adrelid, f.adnum::int FROM pg_catalog.pg_depend d
          JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid
          WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.refobjid = s.seqrelid
            AND d.refclassid = 'pg_catalog.pg_class'::regclass) x
    JOIN pg_catalog.pg_class t ON t.oid = x.relation
    JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.number
    WHERE a.atttypid IN (20, 21, 23) AND pg_catalog.has_table_privilege(t.oid, 'SELECT')
) u ON true
WHERE n.nspname = $1 AND c.relname = $2";

/// Gives the sequences that this sync has interleaved their own increments back, each beyond the
/// highest value that its source has drawn or stored, and returns how many. One that is gone, or
/// that somebody has altered since, is left as it is. The table goes with its last row; its schema
/// stays.
///
/// # Errors
///
/// What PostgreSQL refused; what was done until then stays done.
pub async fn restore(client: &Client, engine: &str, sync: &str) -> Result<usize, SourceError> {
    let kept = all(client).await?;
    let mut count = 0;
    for kept in kept
        .iter()
        .filter(|kept| kept.engine == engine && kept.sync == sync)
    {
        let restored = restore_one(client, kept).await;
        if restored.is_err() {
            // The session may be used again.
            let _ = client.batch_execute("ROLLBACK").await;
        }
        count += usize::from(restored?);
    }
    // It may be empty from the start: an engine that ended after making it had noted nothing yet.
    if exists(client).await? {
        let sql = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM tahr.sequence) THEN \
                   DROP TABLE tahr.sequence; END IF; END $$";
        let dropped = client.batch_execute(sql).await;
        dropped.map_err(|error| SourceError::sql(format!("drop table {TABLE}"), &error))?;
    }
    Ok(count)
}

/// Whether it was restored; as one transaction with the end of its row.
async fn restore_one(client: &Client, kept: &Kept) -> Result<bool, SourceError> {
    let Kept {
        engine,
        sync,
        schema,
        name,
        ..
    } = kept;
    let shown = format!("{schema}.{name}");
    let failed = |error: tokio_postgres::Error| {
        SourceError::sql(format!("restore sequence {shown}"), &error)
    };
    let row = client
        .query_opt(LOOK, &[schema, name])
        .await
        .map_err(failed)?;
    let mut sql = "BEGIN; SET LOCAL lock_timeout = '5s';".to_owned();
    let row = row.filter(|row| row.get::<_, i64>(1) == kept.stride);
    if let Some(row) = &row {
        let (schemas, tables): (Vec<String>, Vec<String>) = (row.get(4), row.get(5));
        let columns: Vec<String> = row.get(6);
        let drawers = schemas.into_iter().zip(tables).zip(columns);
        let drawers = drawers.map(|((schema, table), column)| Drawer {
            schema,
            table,
            column,
        });
        let drawers: Vec<Drawer> = drawers.collect();
        let highest = stored(client, &shown, kept.increment > 0, drawers.iter()).await?;
        let bounds = row.get::<_, i64>(2)..=row.get(3);
        sql += &put_back(
            kept,
            row.get(0),
            highest.filter(|value| bounds.contains(value)),
        );
    } else {
        tracing::warn!(
            sequence = shown,
            "the sequence is gone or was altered, and is left as it is"
        );
    }
    client.batch_execute(&sql).await.map_err(failed)?;
    let sql = "DELETE FROM tahr.sequence \
               WHERE engine = $1 AND sync = $2 AND schema = $3 AND name = $4";
    client
        .execute(sql, &[engine, sync, schema, name])
        .await
        .map_err(failed)?;
    client.batch_execute("COMMIT").await.map_err(failed)?;
    Ok(row.is_some())
}

/// The statements that give a sequence its increment back, and a place beyond what is stored.
fn put_back(kept: &Kept, oid: u32, stored: Option<i64>) -> String {
    let increment = kept.increment;
    let name = format!(
        "{}.{}",
        quote_identifier(&kept.schema),
        quote_identifier(&kept.name)
    );
    let mut sql = format!("ALTER SEQUENCE {name} INCREMENT BY {increment};");
    if let Some(stored) = stored {
        let is_behind = if increment > 0 { "<" } else { ">" };
        // A value that waits to be drawn may be the one that is stored.
        sql += &format!(
            "SELECT pg_catalog.setval({oid}::regclass, {stored}) FROM {name} \
             WHERE last_value {is_behind} {stored} OR last_value = {stored} AND NOT is_called;"
        );
    }
    sql
}
