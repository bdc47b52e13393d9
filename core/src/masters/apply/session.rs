//! The session that orders are written in.

use std::{collections::HashMap, time::Duration};

use tokio_postgres::{Client, Error, Statement};

use super::{
    Order, Setup,
    catalog::Catalog,
    error::{Failure, What, explain, made},
    table::TableSql,
};
use crate::{
    lane::Fault,
    masters::checkpoint::{Notes, setup_script},
    reconcile::TableId,
    source::quote_identifier,
};

/// An open session with the settings that writing depends on.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: tahr_postgres_connect::Session,
    /// Its process on the server.
    pub(super) pid: i32,
    /// Whether triggers and foreign keys run.
    pub(super) fires_triggers: bool,
    /// Whether some foreign key among the tables can be deferred, and it has to be.
    pub(super) defers: bool,
    /// Whether the source knows when its rows were committed.
    pub(super) tracks_time: bool,
    pub(super) tables: HashMap<TableId, TableSql>,
    /// The role that it writes as, quoted.
    pub(super) role: String,
    marker: Statement,
    notes: Statement,
    engine: String,
    sync: String,
}

/// The first change of an order. Fails where it changes nothing, so that what follows can be sent
/// without waiting for its answer.
const MARKER: &str = "WITH changed AS (UPDATE tahr.checkpoint SET sequence = $3, notes = NULL \
     WHERE engine = $1 AND sync = $2 AND sequence < $3 RETURNING 1) SELECT 1 / count(*) FROM changed";

const NOTES: &str = "UPDATE tahr.checkpoint SET notes = $3 WHERE engine = $1 AND sync = $2";

/// A session that is idle in a transaction has no engine any more.
const SETTINGS: &str = "SET synchronous_commit = on; SET xmloption = 'content'; \
     SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; \
     SET default_transaction_deferrable = off; SET client_min_messages = 'warning'; \
     SET idle_in_transaction_session_timeout = '60s'; \
     SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// Begins an order.
pub(super) const BEGIN: &str = "BEGIN";

/// How long a row that somebody else holds is waited for, at most; shorter than the time after
/// which the server looks for deadlocks, so that an applier is never the one that is found.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

impl Session {
    /// Connects, sets up, and waits until no other session applies the sync; `former` is this
    /// engine's own session before, which may be ended.
    pub(super) async fn open(setup: &Setup, former: Option<i32>) -> Result<Self, Fault> {
        let named = |mut fault: Fault| {
            fault.message = format!("source \"{}\": {}", setup.source, fault.message);
            fault
        };
        let client = setup.url.connect_source(&setup.application).await;
        let client = client.map_err(|error| {
            let mut fault = made(error.to_string());
            error.hint().clone_into(&mut fault.hint);
            named(fault)
        })?;
        let opened = Box::pin(Self::set_up(client, setup, former)).await;
        opened.map_err(named)
    }

    async fn set_up(
        client: tahr_postgres_connect::Session,
        setup: &Setup,
        former: Option<i32>,
    ) -> Result<Self, Fault> {
        let failed = |error: Error| explain("set up the session", &error);
        client.batch_execute(SETTINGS).await.map_err(failed)?;
        let known = "SELECT pg_catalog.pg_backend_pid(), s.setting::int, \
             pg_catalog.current_setting('track_commit_timestamp')::bool \
             FROM pg_catalog.pg_settings s WHERE s.name = 'deadlock_timeout'";
        let row = client.query_one(known, &[]).await.map_err(failed)?;
        let (pid, deadlock): (i32, i32) = (row.get(0), row.get(1));
        let limit = LOCK_TIMEOUT
            .as_millis()
            .min(u128::from(deadlock.max(2).unsigned_abs()) / 2);
        let text = format!("SET lock_timeout = {limit}");
        client.batch_execute(&text).await.map_err(failed)?;
        let replica = client
            .batch_execute("SET session_replication_role = replica")
            .await;
        let fires_triggers = match replica {
            Ok(()) => false,
            Err(error) if error.code().is_some_and(|code| code.code() == "42501") => true,
            Err(error) => return Err(failed(error)),
        };
        seize(&client, setup, former).await?;
        let marked = |error: Error| missing_row(explain("open tahr.checkpoint", &error), setup);
        let marker = client.prepare(MARKER).await.map_err(marked)?;
        let notes = client.prepare(NOTES).await.map_err(marked)?;
        let catalog = Catalog::read(&client, &setup.tables)
            .await
            .map_err(|error| explain("read the catalog", &error))?;
        let mut tables = HashMap::new();
        for (shared, found) in setup.tables.iter().zip(&catalog.tables) {
            let name = &shared.name;
            let table = match found.as_ref().map(|found| TableSql::new(shared, found)) {
                Some(Ok(table)) => table,
                Some(Err(columns)) => {
                    return Err(broken(format!(
                        "table {name} has no column {} any more",
                        columns.join(", ")
                    )));
                }
                None => return Err(broken(format!("table {name} is gone"))),
            };
            tables.insert(shared.id, table);
        }
        Ok(Self {
            client,
            pid,
            fires_triggers,
            defers: fires_triggers && catalog.is_deferrable,
            tracks_time: row.get(2),
            tables,
            role: quote_identifier(setup.url.user()),
            marker,
            notes,
            engine: setup.engine.clone(),
            sync: setup.sync.clone(),
        })
    }

    /// Sends the marker.
    pub(super) async fn mark(&self, sequence: u64) -> Result<u64, Error> {
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&self.engine, &self.sync, &sequence];
        self.client.execute(&self.marker, &parameters).await
    }

    /// Sends the notes.
    pub(super) async fn note(&self, notes: Vec<u8>) -> Result<u64, Error> {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&self.engine, &self.sync, &notes];
        self.client.execute(&self.notes, &parameters).await
    }

    /// Runs plain statements.
    pub(super) async fn run(&self, text: &str) -> Result<(), Failure<'_>> {
        let done = self.client.batch_execute(text).await;
        done.map_err(Failure::session)
    }

    /// What to send beside the marker at the beginning.
    pub(super) fn begin(&self) -> String {
        match self.defers {
            true => format!("{BEGIN}; SET CONSTRAINTS ALL DEFERRED"),
            false => BEGIN.to_owned(),
        }
    }

    /// The notes that are known beforehand.
    pub(super) fn origins(order: &Order) -> Option<Vec<u8>> {
        if order.origins.is_empty() {
            return None;
        }
        let origins = order.origins.clone();
        let notes = Notes {
            origins,
            ..Notes::default()
        };
        notes.encode()
    }

    /// Whether an order that the marker refused was applied.
    ///
    /// # Errors
    ///
    /// The marker's row is missing, or the connection broke.
    pub(super) async fn was_applied(&self, setup: &Setup, sequence: u64) -> Result<(), Fault> {
        let named = |mut fault: Fault| {
            fault.message = format!("source \"{}\": {}", setup.source, fault.message);
            fault
        };
        let text = "SELECT sequence FROM tahr.checkpoint WHERE engine = $1 AND sync = $2";
        let found = self
            .client
            .query_opt(text, &[&self.engine, &self.sync])
            .await;
        let row = found.map_err(|error| named(explain("read tahr.checkpoint", &error)))?;
        let Some(row) = row else {
            let fault = made("its row in tahr.checkpoint is gone".to_owned());
            return Err(named(missing_row(fault, setup)));
        };
        let stored: i64 = row.get(0);
        if u64::try_from(stored).is_ok_and(|stored| stored >= sequence) {
            return Ok(());
        }
        // Somebody has set it back since.
        Err(named(made(format!(
            "tahr.checkpoint holds apply {stored}, which is not the one expected"
        ))))
    }
}

impl<'a> Failure<'a> {
    /// A failure of the marker.
    pub(super) fn marker(error: Error) -> Self {
        Self::sql(What::Marker, error)
    }

    /// A failure of the notes.
    pub(super) fn notes(error: Error) -> Self {
        Self::sql(What::Notes, error)
    }
}

fn broken(message: String) -> Fault {
    let mut fault = made(message);
    fault.hint = "bring it back, or leave the table out of the sync and `tahr reload`".to_owned();
    fault
}

fn missing_row(mut fault: Fault, setup: &Setup) -> Fault {
    let role = setup.url.user();
    fault.hint = format!(
        "`tahr reload` makes it, or by hand: {}",
        setup_script(role, &setup.engine, &[&setup.sync]).replace('\n', " ")
    );
    fault
}

/// Takes the advisory lock that says that no other session applies the sync.
async fn seize(client: &Client, setup: &Setup, former: Option<i32>) -> Result<(), Fault> {
    const TRIES: u32 = 20;
    const PAUSE: Duration = Duration::from_millis(100);
    let failed = |error: Error| explain("lock the sync", &error);
    let text = format!("tahr {} {}", setup.engine, setup.sync);
    let key = xxhash_rust::xxh3::xxh3_64(text.as_bytes()).cast_signed();
    for attempt in 0..TRIES {
        let row = client
            .query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &[&key])
            .await
            .map_err(failed)?;
        if row.get(0) {
            return Ok(());
        }
        // A session whose connection broke unnoticed ends when it is told to; it is this engine's.
        if let (0, Some(former)) = (attempt, former) {
            let end = "SELECT pg_catalog.pg_terminate_backend(a.pid) \
                 FROM pg_catalog.pg_stat_activity a WHERE a.pid = $1 AND EXISTS \
                 (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory' \
                 AND l.classid = ($2::bigint >> 32 & 4294967295)::oid \
                 AND l.objid = ($2::bigint & 4294967295)::oid)";
            // Without the right to, it is waited for.
            let _ = client.execute(end, &[&former, &key]).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let holder = "SELECT a.pid, a.application_name FROM pg_catalog.pg_locks l \
         JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted \
         AND l.classid = ($1::bigint >> 32 & 4294967295)::oid \
         AND l.objid = ($1::bigint & 4294967295)::oid LIMIT 1";
    let holder = client.query_opt(holder, &[&key]).await.map_err(failed)?;
    let who = holder.map_or_else(String::new, |row| {
        let (pid, name): (i32, Option<String>) = (row.get(0), row.get(1));
        format!(" (process {pid}, \"{}\")", name.unwrap_or_default())
    });
    let mut fault = made(format!(
        "another engine \"{}\" applies sync \"{}\"{who}",
        setup.engine, setup.sync
    ));
    fault.hint = "stop it, or give one of them another [engine] name".to_owned();
    Err(fault)
}
