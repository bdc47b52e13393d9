//! The row that marks tahr's own transactions on a source.
//!
//! Each apply first updates its sync's row in `tahr.checkpoint`, and with it what the others need to
//! know: [`Notes`]. The table is published, so the stream shows the row's change inside the
//! transaction that it marks, and WAL order says what came before it and what after.
//!
//! The row is made by [`ensure`] when a source is opened, and removed by [`remove`] with the sync. A
//! role that may not create the schema is given [`setup_script`] to show to who may.

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Error, error::SqlState};

use crate::{
    reconcile::{Blob, Key, Origin},
    source::{SourceError, quote_identifier, quote_literal},
};

/// The schema of tahr's own table on a source of several.
pub const SCHEMA: &str = "tahr";
/// The table.
pub const TABLE: &str = "checkpoint";

/// How tahr recognizes what it made itself.
const COMMENT: &str = "made by tahr: marks its own transactions";

const TABLE_TEXT: &str = "CREATE TABLE IF NOT EXISTS tahr.checkpoint (engine text, sync text, \
     sequence bigint NOT NULL, notes bytea, PRIMARY KEY (engine, sync))";

/// What an apply tells beside its rows, in the column `notes` of its row: written by the last
/// statement of the transaction, where there is anything to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Keys of the plan that were left out.
    pub left: Vec<Left>,
    /// Where each row came from, for the other syncs of this source; empty where it has none.
    pub origins: Vec<(Key, Origin)>,
}

/// A key that an apply left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The key.
    pub key: Key,
    /// The key and the row that has what this one may not have too, and when it was committed;
    /// none where the row was locked.
    pub holder: Option<(Key, Blob, Option<i64>)>,
}

impl Notes {
    /// As they are stored; nothing where there is nothing to tell.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        if self.left.is_empty() && self.origins.is_empty() {
            return None;
        }
        postcard::to_stdvec(self).ok()
    }

    /// What was stored; none where these are no notes of this version of tahr.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

/// Makes the row of `sync`, with the schema and the table where they are missing, and returns the
/// number of its last apply. Where all is there, it only looks.
///
/// # Errors
///
/// The role may not create what is missing, what is there is no table of tahr's, or the connection
/// broke.
pub async fn ensure(client: &Client, engine: &str, sync: &str) -> Result<u64, SourceError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match make(client, engine, sync).await {
            Ok(sequence) => return Ok(sequence),
            Err(error) => error,
        };
        // Another sync makes the same at the same moment, and was first.
        let is_race = matches!(
            error.code().map(SqlState::code),
            Some("23505" | "42P06" | "42P07" | "XX000")
        );
        if is_race && attempts < 4 {
            continue;
        }
        let made = SourceError::sql("make tahr.checkpoint", &error);
        return Err(match error.code() {
            Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => made.hint(format!(
                "as a role that may: {}",
                setup_script("THE_ROLE", engine, &[sync]).replace('\n', " ")
            )),
            Some(code) if *code == SqlState::UNDEFINED_COLUMN => {
                made.hint("a table of this name that is not tahr's is in the way: rename it")
            }
            _ => made,
        });
    }
}

async fn make(client: &Client, engine: &str, sync: &str) -> Result<u64, Error> {
    if let Some(sequence) = read(client, engine, sync).await? {
        return Ok(sequence);
    }
    if !exists(client).await? {
        // Even IF NOT EXISTS asks for the right to create one.
        let schema = "SELECT pg_catalog.to_regnamespace('tahr') IS NULL";
        if client.query_one(schema, &[]).await?.get(0) {
            let text = format!(
                "CREATE SCHEMA IF NOT EXISTS tahr; COMMENT ON SCHEMA tahr IS {}",
                quote_literal(COMMENT)
            );
            client.batch_execute(&text).await?;
        }
        let text = format!(
            "{TABLE_TEXT}; COMMENT ON TABLE tahr.checkpoint IS {}",
            quote_literal(COMMENT)
        );
        client.batch_execute(&text).await?;
    }
    let insert = "INSERT INTO tahr.checkpoint (engine, sync, sequence) VALUES ($1, $2, 0) \
                  ON CONFLICT DO NOTHING";
    client.execute(insert, &[&engine, &sync]).await?;
    Ok(read(client, engine, sync).await?.unwrap_or(0))
}

async fn exists(client: &Client) -> Result<bool, Error> {
    let text = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
                ON n.oid = c.relnamespace WHERE n.nspname = 'tahr' AND c.relname = 'checkpoint')";
    Ok(client.query_one(text, &[]).await?.get(0))
}

async fn read(client: &Client, engine: &str, sync: &str) -> Result<Option<u64>, Error> {
    if !exists(client).await? {
        return Ok(None);
    }
    let text = "SELECT sequence FROM tahr.checkpoint WHERE engine = $1 AND sync = $2";
    let row = client.query_opt(text, &[&engine, &sync]).await?;
    Ok(row.map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap_or(0)))
}

/// The number of the last apply of `sync`; none where its row, or the table, is missing.
///
/// # Errors
///
/// The connection broke, or the table can't be read.
pub async fn sequence(
    client: &Client,
    engine: &str,
    sync: &str,
) -> Result<Option<u64>, SourceError> {
    read(client, engine, sync)
        .await
        .map_err(|error| SourceError::sql("read tahr.checkpoint", &error))
}

/// Removes the row of `sync`, and with the last row the table and the schema, if tahr made them and
/// this role may.
///
/// # Errors
///
/// The connection broke, or the row can't be deleted.
pub async fn remove(client: &Client, engine: &str, sync: &str) -> Result<(), SourceError> {
    let result = unmake(client, engine, sync).await;
    result.map_err(|error| SourceError::sql("remove from tahr.checkpoint", &error))
}

async fn unmake(client: &Client, engine: &str, sync: &str) -> Result<(), Error> {
    const IS_OURS: &str = "SELECT pg_catalog.obj_description(c.oid, 'pg_class') = $1 \
         AND pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'tahr' AND c.relname = 'checkpoint'";
    const IS_LEFT: &str = "SELECT pg_catalog.obj_description(n.oid, 'pg_namespace') = $1 \
         AND pg_catalog.pg_has_role(n.nspowner, 'USAGE') \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid) \
         FROM pg_catalog.pg_namespace n WHERE n.nspname = 'tahr'";
    let is_true = |row: Option<tokio_postgres::Row>| {
        row.and_then(|row| row.get::<_, Option<bool>>(0)) == Some(true)
    };
    if exists(client).await? {
        let delete = "DELETE FROM tahr.checkpoint WHERE engine = $1 AND sync = $2";
        client.execute(delete, &[&engine, &sync]).await?;
        if is_true(client.query_opt(IS_OURS, &[&COMMENT]).await?) {
            // Locked first, so that no other engine's row comes into a table that goes.
            let drop = "BEGIN; SET LOCAL lock_timeout = '5s'; \
                 LOCK TABLE tahr.checkpoint IN ACCESS EXCLUSIVE MODE; \
                 DO $$ BEGIN IF NOT EXISTS (SELECT FROM tahr.checkpoint) THEN \
                 DROP TABLE tahr.checkpoint; END IF; END $$; COMMIT";
            if let Err(error) = client.batch_execute(drop).await {
                client.batch_execute("ROLLBACK").await?;
                return Err(error);
            }
        }
    }
    if is_true(client.query_opt(IS_LEFT, &[&COMMENT]).await?) {
        let dropped = client.batch_execute("DROP SCHEMA tahr").await;
        let is_used =
            |error: &Error| error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
        dropped.or_else(|error| if is_used(&error) { Ok(()) } else { Err(error) })?;
    }
    Ok(())
}

/// What makes the schema, the table and the rows of `syncs` for a role that may not.
#[must_use]
pub fn setup_script(role: &str, engine: &str, syncs: &[&str]) -> String {
    let (role, comment) = (quote_identifier(role), quote_literal(COMMENT));
    let mut script = format!(
        "CREATE SCHEMA IF NOT EXISTS tahr AUTHORIZATION {role};\n\
         COMMENT ON SCHEMA tahr IS {comment};\n\
         {TABLE_TEXT};\n\
         COMMENT ON TABLE tahr.checkpoint IS {comment};\n\
         ALTER TABLE tahr.checkpoint OWNER TO {role};\n\
         GRANT USAGE, CREATE ON SCHEMA tahr TO {role};\n"
    );
    for sync in syncs {
        script.push_str(&format!(
            "INSERT INTO tahr.checkpoint (engine, sync, sequence) VALUES ({}, {}, 0) \
             ON CONFLICT DO NOTHING;\n",
            quote_literal(engine),
            quote_literal(sync)
        ));
    }
    script
}
