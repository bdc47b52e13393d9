//! Waiting for the source's open transactions.
//!
//! A slot can only begin where no transaction is half-way, so making one waits until all that were
//! open have ended, however long that takes. Nothing is locked meanwhile, but a person who sees
//! nothing happen wants to know for whom it waits.

use std::{
    fmt,
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use tokio_postgres::Client;

use super::SourceError;

/// A transaction that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The session's process, none for a prepared transaction.
    pub pid: Option<i32>,
    /// Who it is: role and application, or the prepared transaction's name.
    pub who: String,
    /// Since when it is open; unknown where the role may not see it.
    pub since: Option<String>,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {pid} ({})", self.who)?,
            None => f.write_str(&self.who)?,
        }
        self.since
            .as_ref()
            .map_or(Ok(()), |since| write!(f, ", open since {since}"))
    }
}

impl Blocker {
    /// The statement that ends it.
    fn end(&self) -> String {
        match self.pid {
            Some(pid) => format!("SELECT pg_terminate_backend({pid});"),
            None => format!(
                "ROLLBACK PREPARED {};",
                self.who.trim_start_matches(PREPARED)
            ),
        }
    }
}

/// How a prepared transaction is told of; its quoted name follows.
const PREPARED: &str = "prepared transaction ";

/// Is told every second whom we wait for.
pub type Waiting<'a> = &'a mut (dyn FnMut(&[Blocker]) + Send);

const POLL: Duration = Duration::from_secs(1);
/// How long a cancelled statement may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Process 0 stands for a prepared transaction; only its own lock says which.
const BLOCKERS: &str = "
SELECT DISTINCT a.pid, a.usename || ', application ' || coalesce(nullif(a.application_name, ''), '-'),
       a.xact_start::text
FROM unnest(pg_catalog.pg_blocking_pids($1)) b(pid) JOIN pg_catalog.pg_stat_activity a USING (pid)
UNION ALL
SELECT NULL, 'prepared transaction ' || pg_catalog.quote_literal(p.gid), p.prepared::text
FROM pg_catalog.pg_prepared_xacts p
JOIN pg_catalog.pg_locks l ON l.locktype = 'transactionid' AND l.transactionid = p.transaction
WHERE l.pid = $1 AND NOT l.granted
ORDER BY 3";

/// Runs `work`, a statement of the session with process `pid` that makes `what`; tells `waiting`
/// for whom it waits, and gives up after `timeout`, so that nothing half-made stays.
pub(super) async fn watched<T>(
    monitor: &Client,
    pid: i32,
    what: &str,
    timeout: Duration,
    waiting: Waiting<'_>,
    work: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    let mut work = pin!(work);
    let start = Instant::now();
    let mut gave_up: Option<SourceError> = None;
    loop {
        tokio::select! {
            biased;
            // Made in the moment of giving up is made.
            result = &mut work => return match (result, gave_up) {
                (Err(_), Some(timed_out)) => Err(timed_out),
                (result, _) => result,
            },
            () = tokio::time::sleep(POLL.min(timeout)) => {}
        }
        if start.elapsed() > timeout + GRACE {
            return Err(
                gave_up.unwrap_or_else(|| SourceError::transient(format!("{what}: no answer")))
            );
        }
        let failed = |error| SourceError::sql(format!("{what}: see what it waits for"), &error);
        let rows = monitor.query(BLOCKERS, &[&pid]).await.map_err(failed)?;
        let blockers: Vec<Blocker> = rows
            .iter()
            .map(|row| Blocker {
                pid: row.get(0),
                who: row.get(1),
                since: row.get(2),
            })
            .collect();
        if !blockers.is_empty() {
            waiting(&blockers);
        }
        if start.elapsed() >= timeout && gave_up.is_none() {
            monitor
                .query("SELECT pg_catalog.pg_cancel_backend($1)", &[&pid])
                .await
                .map_err(failed)?;
            gave_up = Some(timed_out(what, timeout, blockers.first()));
        }
    }
}

fn timed_out(what: &str, timeout: Duration, blocker: Option<&Blocker>) -> SourceError {
    let waited = format!("{what}: gave up after {} s", timeout.as_secs_f32());
    match blocker {
        Some(blocker) => {
            SourceError::transient(format!("{waited} of waiting for {blocker}")).hint(blocker.end())
        }
        None => SourceError::transient(waited).hint("raise slot_timeout"),
    }
}
