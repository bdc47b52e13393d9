//! The replication slot: what the source keeps for us.

use std::time::{Duration, Instant};

use tahr_plugin_api::Lsn;
use tahr_postgres_connect::Url;
use tokio_postgres::{Client, error::SqlState};

use super::{SourceError, Waiting, identity::lsn, quote_literal, wait::watched};

/// A slot as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Its output plugin; none for a physical slot.
    pub plugin: Option<String>,
    /// Its database; none for a physical slot.
    pub database: Option<String>,
    /// The process that streams from it now.
    pub active_pid: Option<i32>,
    /// That session's `application_name`, where it can be seen.
    pub active_application: Option<String>,
    /// Where the source begins to read WAL for it; it holds WAL back from there.
    pub restart_lsn: Option<Lsn>,
    /// What it was told last.
    pub confirmed_flush: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: Option<String>,
    /// Bytes of WAL until it is lost, where the source limits that.
    pub safe_wal_size: Option<i64>,
    /// Why it can't be streamed from any more.
    pub invalidated: Option<String>,
}

/// As JSON the columns of newer servers may be missing.
const FIND: &str = "
SELECT s.slot_name::text, s.plugin::text, s.database::text, s.active_pid, a.application_name,
       s.restart_lsn::text, s.confirmed_flush_lsn::text, s.wal_status, s.safe_wal_size,
       coalesce(pg_catalog.to_jsonb(s) ->> 'invalidation_reason',
                CASE WHEN s.wal_status = 'lost' THEN 'its WAL was removed'
                     WHEN pg_catalog.to_jsonb(s) ->> 'conflicting' = 'true' THEN 'conflict' END)
FROM pg_catalog.pg_replication_slots s
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
WHERE s.slot_name = $1";

/// The session of a client that went away while it waits is ended, and with it the slot.
pub(super) const NOTICE_LOSS: &str = "SET client_connection_check_interval = '1s'";

impl Slot {
    /// The slot `name`, if there is one.
    ///
    /// # Errors
    /// The catalog could not be read.
    pub async fn find(client: &Client, name: &str) -> Result<Option<Self>, SourceError> {
        let row = client
            .query_opt(FIND, &[&name])
            .await
            .map_err(|error| SourceError::sql(format!("read slot \"{name}\""), &error))?;
        let Some(row) = row else { return Ok(None) };
        let place = |index| row.get::<_, Option<&str>>(index).map(lsn).transpose();
        Ok(Some(Self {
            name: row.get(0),
            plugin: row.get(1),
            database: row.get(2),
            active_pid: row.get(3),
            active_application: row.get(4),
            restart_lsn: place(5)?,
            confirmed_flush: place(6)?,
            wal_status: row.get(7),
            safe_wal_size: row.get(8),
            invalidated: row.get(9),
        }))
    }

    /// Creates the slot `name` and returns its consistent point: the stream begins there.
    ///
    /// This waits for all transactions that are open on the source; `waiting` is told for which,
    /// every second. After `timeout` it gives up, and no slot stays. PostgreSQL doesn't store when
    /// a slot was made, so the answer is the only trace of it.
    ///
    /// # Errors
    /// There is a slot of that name, none is free, or it took too long.
    pub async fn create(
        url: &Url,
        application: &str,
        name: &str,
        timeout: Duration,
        waiting: Waiting<'_>,
    ) -> Result<Lsn, SourceError> {
        let what = format!("create slot \"{name}\"");
        let client = url.connect_source(application).await?;
        let monitor = url.connect_source(application).await?;
        let failed = |error: tokio_postgres::Error| creation_failed(&what, &error);
        client.batch_execute(NOTICE_LOSS).await.map_err(failed)?;
        let row = client
            .query_one("SELECT pg_catalog.pg_backend_pid()", &[])
            .await;
        let pid: i32 = row.map_err(failed)?.get(0);
        let sql = format!(
            "SELECT lsn::text FROM pg_catalog.pg_create_logical_replication_slot({}, 'pgoutput')",
            quote_literal(name)
        );
        let work = async { client.query_one(&sql, &[]).await.map_err(failed) };
        match watched(&monitor, pid, &what, timeout, waiting, work).await {
            Ok(row) => lsn(row.get(0)),
            Err(error) => {
                Self::forgotten(&monitor, name, pid).await?;
                Err(error)
            }
        }
    }

    /// Waits until the server has removed the slot that its process `pid` did not complete, which it
    /// does only after it has told the error.
    async fn forgotten(client: &Client, name: &str, pid: i32) -> Result<(), SourceError> {
        let start = Instant::now();
        while start.elapsed() < FORGETTING {
            match Self::find(client, name).await? {
                Some(slot) if slot.active_pid == Some(pid) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Drops the slot `name`; says whether there was one. One that is in use is waited for until
    /// `patience` ends: our own stream needs a moment to be gone.
    ///
    /// # Errors
    /// It stays in use, or PostgreSQL refused.
    pub async fn drop(
        client: &Client,
        name: &str,
        patience: Duration,
    ) -> Result<bool, SourceError> {
        let start = Instant::now();
        loop {
            let sql = "SELECT pg_catalog.pg_drop_replication_slot($1)";
            let Err(error) = client.query(sql, &[&name]).await else {
                return Ok(true);
            };
            match error.code() {
                Some(&SqlState::UNDEFINED_OBJECT) => return Ok(false),
                Some(&SqlState::OBJECT_IN_USE) if start.elapsed() < patience => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Some(&SqlState::OBJECT_IN_USE) => {
                    let Some(slot) = Self::find(client, name).await? else {
                        return Ok(false);
                    };
                    return Err(slot.in_use().unwrap_or_else(|| {
                        SourceError::transient(format!("slot \"{name}\" was in use until now"))
                    }));
                }
                _ => return Err(SourceError::sql(format!("drop slot \"{name}\""), &error)),
            }
        }
    }

    /// The error that says who uses it, if someone does.
    #[must_use]
    pub fn in_use(&self) -> Option<SourceError> {
        let pid = self.active_pid?;
        let who = match self.active_application.as_deref() {
            Some(application) if !application.is_empty() => format!("pid {pid} ({application})"),
            _ => format!("pid {pid}"),
        };
        Some(
            SourceError::transient(format!("slot \"{}\" is in use by {who}", self.name)).hint(
                format!("stop that session, or: SELECT pg_terminate_backend({pid});"),
            ),
        )
    }
}

/// How long the server may take to remove a slot that it did not complete.
const FORGETTING: Duration = Duration::from_secs(10);

/// Explains why a slot was not created.
pub(super) fn creation_failed(what: &str, error: &tokio_postgres::Error) -> SourceError {
    let made = SourceError::sql(what, error);
    match error.code() {
        // "All replication slots are in use" doesn't pass by itself.
        Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED) => {
            SourceError::unusable(made.message).hint(FREE_A_SLOT)
        }
        _ => made,
    }
}

pub(super) const FREE_A_SLOT: &str = "drop a slot that nobody uses (SELECT slot_name, active FROM \
    pg_replication_slots), or raise max_replication_slots and restart PostgreSQL";
