//! The copy: a moment of the source that several sessions read in parallel.
//!
//! ```text
//! replication session: temporary slot, EXPORT_SNAPSHOT ─▶ consistent point = copied_to
//!         │ imports
//!         ▼
//! keeper: REPEATABLE READ, exports again ─▶ the replication session closes; its slot goes with it
//!         │ import
//!         ▼
//! workers: COPY … TO STDOUT of ranges of pages, each checked for a rewrite first
//! ```
//!
//! The temporary slot can't stay for the time of the copy, since it would hold back all WAL
//! written meanwhile; so the keeper's transaction keeps the snapshot instead.
//!
//! Invariant: a row is in the copy if and only if the transaction that wrote it last committed
//! before `copied_to`. A table that is rewritten after that (`TRUNCATE`, most of `ALTER TABLE …
//! TYPE`, `VACUUM FULL`) reads as *empty* or as newer than the snapshot, without any error: that
//! is what [`Worker::copy`] checks for.

mod plan;
mod worker;

use std::{sync::Arc, time::Duration};

use pgwire_replication::ReplicationClient;
use tahr_plugin_api::Lsn;
use tahr_postgres_connect::{ConnectError, Replication, Session, Url};

pub use plan::CopyRange;
pub use worker::{Copied, Rows, Worker};

use super::{
    SourceError, Table, Waiting,
    identity::lsn,
    quote_identifier, quote_literal,
    slot::{FREE_A_SLOT, NOTICE_LOSS},
    temporary_slot_name,
    wait::watched,
};

/// A moment of the source, kept open for workers until it is dropped.
pub struct Snapshot {
    copied_to: Lsn,
    name: String,
    keeper: Session,
    /// A session outside the snapshot, which sees the present.
    observer: Arc<Session>,
}

impl Snapshot {
    /// Takes a snapshot. The tables must be in the publication, committed, before.
    ///
    /// Like creating a slot this waits for all open transactions of the source.
    ///
    /// # Errors
    /// No slot or sender is free, the role may not replicate, or it took longer than `timeout`.
    pub async fn open(
        url: &Url,
        application: &str,
        timeout: Duration,
        waiting: Waiting<'_>,
    ) -> Result<Self, SourceError> {
        let what = "take a snapshot";
        let observer = url.connect_source(application).await?;
        let mut exporter = open_gated(url, application).await?;
        let failed = |error| SourceError::replication(url, &error);
        exporter.simple_query(NOTICE_LOSS).await.map_err(failed)?;
        // Only newer servers know this one. The session stays usable after an error.
        let _ = exporter.simple_query("SET transaction_timeout = 0").await;
        let rows = exporter
            .simple_query("SELECT pg_catalog.pg_backend_pid()")
            .await
            .map_err(failed)?;
        let pid = field(&rows, 0)?.parse().map_err(|_| unexpected())?;
        let sql = format!(
            "CREATE_REPLICATION_SLOT {} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT",
            quote_identifier(&temporary_slot_name())
        );
        let work = async {
            exporter.simple_query(&sql).await.map_err(|error| {
                let made = SourceError::replication(url, &error);
                match made.message.contains("replication slots are in use") {
                    true => SourceError::unusable(made.message).hint(FREE_A_SLOT),
                    false => made,
                }
            })
        };
        let rows = watched(&observer, pid, what, timeout, waiting, work).await?;
        let (copied_to, exported) = (lsn(&field(&rows, 1)?)?, field(&rows, 2)?);

        let keeper = import(url, application, &exported).await?;
        let row = keeper
            .query_one("SELECT pg_catalog.pg_export_snapshot()", &[])
            .await;
        let name = row.map_err(|error| SourceError::sql(what, &error))?.get(0);
        // Ends the session, and the temporary slot with it.
        drop(exporter);
        Ok(Self {
            copied_to,
            name,
            keeper,
            observer: Arc::new(observer),
        })
    }

    /// What commits before it is in the copy; what commits at or after it is in the stream.
    #[must_use]
    pub fn copied_to(&self) -> Lsn {
        self.copied_to
    }

    /// About how many rows these tables hold together: the planner's guess.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn estimate(&self, oids: &[u32]) -> Result<u64, SourceError> {
        let row = self.observer.query_one(ESTIMATE, &[&oids]).await;
        let row = row.map_err(|error| SourceError::sql("estimate the rows", &error))?;
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
    }

    /// Whether it can still be read; after a lost connection a new one must be taken.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.keeper.is_closed()
    }

    /// Waits for `answer`, and asks for a sign of life where it takes long: a worker may have to wait for
    /// a lock or look for rows, and a network that swallows everything keeps it waiting for ever.
    ///
    /// # Errors
    /// The server is out of reach.
    pub async fn heard<T>(
        &self,
        silence: Duration,
        answer: impl Future<Output = T>,
    ) -> Result<T, SourceError> {
        let mut answer = std::pin::pin!(answer);
        loop {
            if let Ok(answer) = tokio::time::timeout(silence, &mut answer).await {
                return Ok(answer);
            }
            let sign = tokio::time::timeout(silence, self.observer.simple_query("")).await;
            let sign = sign.map_err(|_| SourceError::silent(silence))?;
            sign.map_err(|error| SourceError::sql("ask for a sign of life", &error))?;
        }
    }

    /// Divides `tables` among `workers`. Ranges of a table follow each other; a partitioned table
    /// without partitions has none.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn plan(
        &self,
        tables: &[Table],
        workers: usize,
    ) -> Result<Vec<CopyRange>, SourceError> {
        plan::plan(&self.keeper, tables, workers).await
    }
}

/// Makes a session send text as it is stored, where the database doesn't know what it is: such text need
/// not be UTF-8, and is carried as bytes then. Other encodings are converted by the server.
pub(super) const RAW_TEXT: &str = "
SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', false)
WHERE pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'";

/// Partitions instead of their roots, which have no rows of their own.
const ESTIMATE: &str = "
SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::int8
FROM unnest($1::oid[]) AS t(oid)
CROSS JOIN LATERAL (
    SELECT t.oid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(t.oid) p WHERE p.isleaf
) l(oid) JOIN pg_catalog.pg_class c ON c.oid = l.oid AND c.relkind = 'r'";

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("copied_to", &self.copied_to)
            .finish_non_exhaustive()
    }
}

/// A replication session that takes statements and doesn't stream.
pub(super) async fn open_gated(
    url: &Url,
    application: &str,
) -> Result<ReplicationClient, ConnectError> {
    let config = url.replication(&Replication {
        slot: "",
        publication: "",
        start_lsn: 0,
        ack_lsn: 0,
        application,
        buffer_events: 1,
        max_message_size: 1 << 20,
    });
    let explain = |error| ConnectError::replication(url, &error);
    let mut client = ReplicationClient::connect_gated(config)
        .await
        .map_err(explain)?;
    // Connecting happens in the background; the first answer says how it went.
    match tokio::time::timeout(url.connect_timeout(), client.simple_query("SELECT 1")).await {
        Ok(answer) => answer.map_err(explain)?,
        Err(_) => return Err(ConnectError::timeout(url)),
    };
    Ok(client)
}

/// A session inside the snapshot `name`.
async fn import(url: &Url, application: &str, name: &str) -> Result<Session, SourceError> {
    let client = url.connect_source(application).await?;
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
        quote_literal(name)
    );
    client.batch_execute(&sql).await.map_err(|error| {
        // The one who exported it is gone: a new snapshot will do.
        SourceError::transient(SourceError::sql("import the snapshot", &error).message)
    })?;
    Ok(client)
}

fn field(rows: &[pgwire_replication::QueryRow], index: usize) -> Result<String, SourceError> {
    rows.first()
        .and_then(|row| row.get(index)?.as_ref())
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .ok_or_else(unexpected)
}

fn unexpected() -> SourceError {
    SourceError::unusable("the server's answer to a replication command can't be read")
}
