//! The checkpoint in the target: table `tahr_checkpoint`.
//!
//! One row per stream with an empty `table` holds the position; one more per source table holds the
//! point that its copy stands for (`0/0` while the copy is under way).

use mysql_async::{Error, prelude::Queryable as _};
use tahr_plugin_api::{Checkpoint, Lsn, Position, StreamId, WriteError};

use crate::{
    catalog::tables_with_prefix,
    error::{COPY_ANEW, DENIED, DUPLICATE, NO_TABLE, code, explain},
    names::{LOAD_PREFIX, literal, quote},
    session::Session,
};

/// The checkpoint rows of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckpointRows {
    /// The stream as a literal of JSON.
    identity: String,
    /// `sync = '…' AND source = '…'`
    condition: String,
    /// `'…', '…'`: sync and source.
    values: String,
}

fn failed(error: &Error) -> WriteError {
    explain(error, "table \"tahr_checkpoint\"")
}

/// The statement that makes the table.
pub(crate) fn create_statement(session: &Session) -> String {
    let server = &session.server;
    format!(
        "CREATE TABLE IF NOT EXISTS tahr_checkpoint (sync {}, source {}, `table` {}, \
         stream {} NOT NULL, position {} NOT NULL, PRIMARY KEY (sync, source, `table`)) \
         ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {}",
        server.key_text(200),
        server.key_text(200),
        server.key_text(300),
        server.text("LONGTEXT"),
        server.text("LONGTEXT"),
        server.collation(),
    )
}

impl CheckpointRows {
    /// The rows of `stream`.
    pub(crate) fn new(stream: &StreamId) -> Self {
        let (sync, source) = (literal(&stream.sync), literal(&stream.source));
        Self {
            identity: literal(&serde_json::to_string(stream).unwrap_or_default()),
            condition: format!("sync = {sync} AND source = {source}"),
            values: format!("{sync}, {source}"),
        }
    }

    /// Moves the stream from `previous` to `next`: must match one row.
    pub(crate) fn compare_and_set(&self, previous: &Position, next: &Position) -> String {
        format!(
            "UPDATE tahr_checkpoint SET stream = {}, position = {} \
             WHERE {} AND `table` = '' AND position = {}",
            self.identity,
            literal(&next.to_string()),
            self.condition,
            literal(&previous.to_string()),
        )
    }

    /// Stores the point that the copy of `table` stands for.
    pub(crate) fn mark_statement(&self, table: &str, copied_to: Lsn) -> String {
        format!(
            "INSERT INTO tahr_checkpoint (sync, source, `table`, stream, position) \
             VALUES ({}, {}, {}, '{copied_to}') \
             ON DUPLICATE KEY UPDATE stream = VALUES(stream), position = VALUES(position)",
            self.values,
            literal(table),
            self.identity,
        )
    }

    /// As [`mark_statement`](Self::mark_statement), by itself.
    pub(crate) async fn mark(
        &self,
        session: &mut Session,
        table: &str,
        copied_to: Lsn,
    ) -> Result<(), WriteError> {
        let sql = self.mark_statement(table, copied_to);
        session.run(&sql).await.map_err(|error| failed(&error))
    }

    /// Creates the table.
    pub(crate) async fn create(session: &mut Session) -> Result<(), WriteError> {
        // `IF NOT EXISTS` needs the right to create even where it exists.
        match session.run("SELECT 1 FROM tahr_checkpoint LIMIT 0").await {
            Err(error) if code(&error) == NO_TABLE => {}
            found => return found.map_err(|error| failed(&error)),
        }
        let create = create_statement(session);
        session.run(&create).await.map_err(|error| {
            let is_denied = DENIED.contains(&code(&error));
            let error = failed(&error);
            if is_denied {
                error.hint(format!("as the database's owner: {create}"))
            } else {
                error
            }
        })
    }

    /// What the target holds.
    pub(crate) async fn read(
        &self,
        session: &mut Session,
    ) -> Result<Option<Checkpoint>, WriteError> {
        let sql = format!(
            "SELECT `table`, stream, position FROM tahr_checkpoint WHERE {} ORDER BY `table`",
            self.condition
        );
        let rows = session.conn.query::<(String, String, String), _>(sql).await;
        let rows = match rows {
            Err(error) if code(&error) == NO_TABLE => return Ok(None),
            rows => rows.map_err(|error| failed(&error))?,
        };
        let damaged = |what: String| {
            WriteError::rejected(format!("table \"tahr_checkpoint\": {what}")).hint(COPY_ANEW)
        };
        let mut checkpoint: Option<Checkpoint> = None;
        for (table, stream, position) in rows {
            let checkpoint = match &mut checkpoint {
                Some(checkpoint) => checkpoint,
                none => none.insert(Checkpoint {
                    // The stream's own row comes first, where there is one.
                    stream: serde_json::from_str(&stream)
                        .map_err(|error| damaged(format!("column stream: {error}")))?,
                    ..Checkpoint::default()
                }),
            };
            if table.is_empty() {
                let position: Position = position.parse().map_err(|e| damaged(format!("{e}")))?;
                checkpoint.position = Some(position);
            } else {
                let lsn: Lsn = position.parse().map_err(|e| damaged(format!("{e}")))?;
                checkpoint.copied_to.insert(table, lsn);
            }
        }
        Ok(checkpoint)
    }

    /// The position alone.
    pub(crate) async fn position(
        &self,
        session: &mut Session,
    ) -> Result<Option<Position>, WriteError> {
        let found = self.read(session).await?;
        Ok(found.and_then(|checkpoint| checkpoint.position))
    }

    /// Stores the first position; false where there is one.
    pub(crate) async fn insert(
        &self,
        session: &mut Session,
        position: &Position,
    ) -> Result<bool, WriteError> {
        Self::create(session).await?;
        let sql = format!(
            "INSERT INTO tahr_checkpoint (sync, source, `table`, stream, position) \
             VALUES ({}, '', {}, {})",
            self.values,
            self.identity,
            literal(&position.to_string()),
        );
        match session.run(&sql).await {
            Ok(()) => Ok(true),
            Err(error) if code(&error) == DUPLICATE => Ok(false),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Removes the stream's rows, and with the last of them all that is tahr's own.
    pub(crate) async fn forget(&self, session: &mut Session) -> Result<(), WriteError> {
        let sql = format!("DELETE FROM tahr_checkpoint WHERE {}", self.condition);
        match session.run(&sql).await {
            Err(error) if code(&error) == NO_TABLE => return Ok(()),
            deleted => deleted.map_err(|error| failed(&error))?,
        }
        // Another stream may begin this very moment; not every user may lock tables, though.
        let lock = "LOCK TABLES tahr_checkpoint WRITE";
        match session.run(lock).await {
            Err(error) if !DENIED.contains(&code(&error)) => return Err(failed(&error)),
            _ => {}
        }
        let dropped = drop_if_empty(session).await;
        session
            .run("UNLOCK TABLES")
            .await
            .map_err(|error| failed(&error))?;
        if !dropped.map_err(|error| failed(&error))? {
            return Ok(());
        }
        let tables = tables_with_prefix(session, LOAD_PREFIX).await;
        for table in tables.map_err(|error| failed(&error))? {
            let sql = format!("DROP TABLE IF EXISTS {}", quote(&table));
            session
                .run(&sql)
                .await
                .map_err(|error| explain(&error, &format!("drop table {table:?}")))?;
        }
        Ok(())
    }
}

async fn drop_if_empty(session: &mut Session) -> Result<bool, Error> {
    let left: Option<u64> = session
        .conn
        .query_first("SELECT COUNT(*) FROM tahr_checkpoint")
        .await?;
    if left != Some(0) {
        return Ok(false);
    }
    match session.run("DROP TABLE tahr_checkpoint").await {
        Ok(()) => Ok(true),
        // Empty, it does no harm.
        Err(error) if DENIED.contains(&code(&error)) => Ok(false),
        Err(error) => Err(error),
    }
}
