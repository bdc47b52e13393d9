//! The checkpoint in the target: table `public.tahr_checkpoint`.
//!
//! One row per stream with an empty `table` holds the position; one more per source table holds the
//! point that its copy stands for (`0/0` while the copy is under way).

use tahr_plugin_api::{Checkpoint, Lsn, Position, StreamId, WriteError};
use tokio_postgres::{Client, Error};

use crate::error::{COPY_ANEW, code, explain};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS public.tahr_checkpoint (\
    sync text NOT NULL, source text NOT NULL, \"table\" text NOT NULL, \
    stream text NOT NULL, \"position\" text NOT NULL, PRIMARY KEY (sync, source, \"table\"))";

/// Fails with [`NO_ROW`](crate::error::NO_ROW) where the position is not the expected one.
pub(crate) const COMPARE_AND_SET: &str = "WITH changed AS (\
    UPDATE public.tahr_checkpoint SET \"position\" = $4, stream = $5 \
    WHERE sync = $1 AND source = $2 AND \"table\" = '' AND \"position\" = $3 RETURNING 1) \
    SELECT 1 / count(*) FROM changed";

const INSERT: &str = "INSERT INTO public.tahr_checkpoint VALUES ($1, $2, '', $4, $3) \
    ON CONFLICT DO NOTHING";

const MARK: &str = "INSERT INTO public.tahr_checkpoint VALUES ($1, $2, $3, $5, $4) \
    ON CONFLICT (sync, source, \"table\") DO UPDATE \
    SET \"position\" = EXCLUDED.\"position\", stream = EXCLUDED.stream";

/// The checkpoint rows of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckpointRows {
    /// The stream.
    pub(crate) stream: StreamId,
    /// The same as JSON.
    pub(crate) stream_text: String,
}

fn failed(error: &Error) -> WriteError {
    explain(error, "table \"public.tahr_checkpoint\"")
}

impl CheckpointRows {
    /// The rows of `stream`.
    pub(crate) fn new(stream: &StreamId) -> Self {
        Self {
            stream: stream.clone(),
            stream_text: serde_json::to_string(stream).unwrap_or_default(),
        }
    }

    /// Creates the table.
    pub(crate) async fn create(client: &Client) -> Result<(), WriteError> {
        // `IF NOT EXISTS` needs the right to create even where it exists.
        let found = client
            .query_one(
                "SELECT to_regclass('public.tahr_checkpoint') IS NOT NULL",
                &[],
            )
            .await
            .map_err(|error| failed(&error))?;
        if found.get(0) {
            return Ok(());
        }
        let created = match client.batch_execute(CREATE).await {
            // Another lane has made it at the same moment.
            Err(error) if matches!(code(&error), "23505" | "42P07" | "42710") => Ok(()),
            created => created,
        };
        created.map_err(|error| {
            let error = failed(&error);
            let hint = format!("as the target's owner: {CREATE}; and grant the role its use");
            if error.is_transient() {
                error
            } else {
                error.hint(hint)
            }
        })
    }

    /// What the target holds.
    pub(crate) async fn read(&self, client: &Client) -> Result<Option<Checkpoint>, WriteError> {
        let rows = client
            .query(
                "SELECT \"table\", stream, \"position\" FROM public.tahr_checkpoint \
                 WHERE sync = $1 AND source = $2 ORDER BY \"table\"",
                &[&self.stream.sync, &self.stream.source],
            )
            .await;
        let rows = match rows {
            Err(error) if matches!(code(&error), "42P01" | "3F000") => return Ok(None),
            rows => rows.map_err(|error| failed(&error))?,
        };
        let damaged = |what: String| {
            WriteError::rejected(format!("table \"public.tahr_checkpoint\": {what}"))
                .hint(COPY_ANEW)
        };
        let mut checkpoint: Option<Checkpoint> = None;
        for row in rows {
            let (table, stream, position): (String, &str, &str) =
                (row.get(0), row.get(1), row.get(2));
            let checkpoint = match &mut checkpoint {
                Some(checkpoint) => checkpoint,
                none => none.insert(Checkpoint {
                    // The stream's own row comes first, where there is one.
                    stream: serde_json::from_str(stream)
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
    pub(crate) async fn position(&self, client: &Client) -> Result<Option<Position>, WriteError> {
        let found = self.read(client).await?;
        Ok(found.and_then(|checkpoint| checkpoint.position))
    }

    /// Stores the first position; false where there is one.
    pub(crate) async fn insert(
        &self,
        client: &Client,
        position: &Position,
    ) -> Result<bool, WriteError> {
        Self::create(client).await?;
        let (sync, source) = (&self.stream.sync, &self.stream.source);
        let rows = client
            .execute(
                INSERT,
                &[sync, source, &position.to_string(), &self.stream_text],
            )
            .await;
        Ok(rows.map_err(|error| failed(&error))? == 1)
    }

    /// Stores the point that the copy of `table` stands for.
    pub(crate) async fn mark(
        &self,
        client: &Client,
        table: &str,
        copied_to: Lsn,
    ) -> Result<(), WriteError> {
        let (sync, source) = (&self.stream.sync, &self.stream.source);
        let copied_to = copied_to.to_string();
        client
            .execute(MARK, &[sync, source, &table, &copied_to, &self.stream_text])
            .await
            .map_err(|error| failed(&error))?;
        Ok(())
    }

    /// Removes the stream's rows, and the table with the last of them.
    pub(crate) async fn forget(&self, client: &Client) -> Result<(), WriteError> {
        let deleted = client
            .execute(
                "DELETE FROM public.tahr_checkpoint WHERE sync = $1 AND source = $2",
                &[&self.stream.sync, &self.stream.source],
            )
            .await;
        match deleted {
            Err(error) if matches!(code(&error), "42P01" | "3F000") => return Ok(()),
            deleted => deleted.map_err(|error| failed(&error))?,
        };
        // Another stream at work holds a lock on it, and needs it.
        let dropped = client
            .batch_execute(
                "BEGIN; LOCK TABLE public.tahr_checkpoint IN ACCESS EXCLUSIVE MODE NOWAIT; \
                 SELECT 1 / (NOT EXISTS (SELECT FROM public.tahr_checkpoint))::int; \
                 DROP TABLE public.tahr_checkpoint; COMMIT",
            )
            .await;
        let Err(error) = dropped else { return Ok(()) };
        client
            .batch_execute("ROLLBACK")
            .await
            .map_err(|error| failed(&error))?;
        match code(&error) {
            // In use, not empty, gone, not ours to drop.
            "55P03" | "22012" | "42P01" | "42501" => Ok(()),
            _ => Err(failed(&error)),
        }
    }
}
