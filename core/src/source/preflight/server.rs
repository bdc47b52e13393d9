//! The server's settings and the role's rights.

use tahr_postgres_connect::{ConnectError, ConnectErrorKind, Url};
use tokio_postgres::Client;

use super::{Finding, Request};
use crate::source::{SourceError, quote_identifier, snapshot};

/// The oldest version that works, as `server_version_num`.
const OLDEST: u32 = 140_000;

/// Who we are.
pub(super) struct Role {
    pub(super) name: String,
    pub(super) is_superuser: bool,
    pub(super) may_create: bool,
    pub(super) database: String,
    pub(super) in_recovery: bool,
    /// `server_version_num`.
    pub(super) version: u32,
}

impl Role {
    pub(super) async fn read(client: &Client) -> Result<Self, SourceError> {
        let sql = "
            SELECT r.rolname::text, r.rolsuper, pg_catalog.current_database()::text,
                   pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
                   pg_catalog.pg_is_in_recovery(),
                   pg_catalog.current_setting('server_version_num')::int
            FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";
        let row = client.query_one(sql, &[]).await.map_err(failed)?;
        Ok(Self {
            name: row.get(0),
            is_superuser: row.get(1),
            database: row.get(2),
            may_create: row.get(3),
            in_recovery: row.get(4),
            version: u32::try_from(row.get::<_, i32>(5)).unwrap_or_default(),
        })
    }
}

fn failed(error: tokio_postgres::Error) -> SourceError {
    SourceError::sql("check the server", &error)
}

/// Whether the server is new enough for the other checks to make sense.
pub(super) async fn version(
    client: &Client,
    found: &mut Vec<Finding>,
) -> Result<bool, SourceError> {
    let sql = "SELECT pg_catalog.current_setting('server_version_num')::int, \
               pg_catalog.current_setting('server_version')";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    let is_new = u32::try_from(row.get::<_, i32>(0)).is_ok_and(|version| version >= OLDEST);
    if !is_new {
        let version: &str = row.get(1);
        found.push(Finding::error(
            "server",
            format!("is PostgreSQL {version}, not 14 or later"),
        ));
    }
    Ok(is_new)
}

/// Checks all that isn't about tables.
pub(super) async fn check(
    url: &Url,
    client: &Client,
    role: &Role,
    request: &Request<'_>,
    slot: &str,
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    if role.in_recovery {
        found.push(Finding::error(
            "server",
            "is a standby: name the primary in the source's url",
        ));
    }
    settings(client, slot, found).await?;
    replication(url, role, request, found).await
}

async fn settings(
    client: &Client,
    slot: &str,
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    let sql = "
        SELECT pg_catalog.current_setting('wal_level'),
               (SELECT pending_restart FROM pg_catalog.pg_settings WHERE name = 'wal_level'),
               pg_catalog.current_setting('rds.logical_replication', true) IS NOT NULL,
               pg_catalog.current_setting('max_replication_slots')::int,
               pg_catalog.current_setting('max_wal_senders')::int,
               (SELECT count(*) FROM pg_catalog.pg_replication_slots)::int,
               (SELECT count(*) FROM pg_catalog.pg_stat_replication)::int,
               EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1),
               EXISTS (SELECT FROM pg_catalog.pg_replication_slots
                       WHERE slot_name = $1 AND active)";
    let row = client.query_one(sql, &[&slot]).await.map_err(failed)?;
    let level: String = row.get(0);
    if level != "logical" {
        let (pending, managed): (bool, bool) = (row.get(1), row.get(2));
        let finding = |message: String| Finding::error("setting wal_level", message);
        found.push(match (pending, managed) {
            (true, _) => finding(format!(
                "was changed, but is {level} until PostgreSQL is restarted"
            )),
            (_, true) => finding(format!(
                "is {level}, not logical: set rds.logical_replication = 1 in the parameter group \
                 and restart the instance"
            )),
            _ => finding(format!("is {level}, not logical"))
                .fix("ALTER SYSTEM SET wal_level = 'logical'; -- then restart PostgreSQL"),
        });
    }
    // One slot for the stream and, while copying, one for the snapshot; as many senders.
    let (exists, streams): (bool, bool) = (row.get(7), row.get(8));
    for (setting, limit, used, held) in [
        ("max_replication_slots", 3, 5, exists),
        ("max_wal_senders", 4, 6, streams),
    ] {
        let (limit, used): (i32, i32) = (row.get(limit), row.get(used));
        let needed = if held { 1 } else { 2 };
        let free = (limit - used).max(0);
        if free < needed {
            found.push(
                Finding::error(
                    format!("setting {setting}"),
                    format!("is {limit} with {used} in use: {needed} must be free, {free} are"),
                )
                .fix(format!(
                    "ALTER SYSTEM SET {setting} = {}; -- then restart PostgreSQL",
                    used + needed
                )),
            );
        }
    }
    Ok(())
}

/// Opens a replication connection, as the only sure way to know whether we may: managed services
/// give the right by membership of a role, and `pg_hba.conf` has a word in it too.
async fn replication(
    url: &Url,
    role: &Role,
    request: &Request<'_>,
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    let error = match snapshot::open_gated(url, request.application).await {
        Ok(mut client) => {
            let answer = client.simple_query("SHOW extra_float_digits").await;
            let pinned = answer.is_ok_and(|rows| {
                rows.first().and_then(|row| row.first()?.as_deref()) == Some(b"3")
            });
            if !pinned {
                found.push(pooler(url));
            }
            return Ok(());
        }
        Err(error) => error,
    };
    let name = &role.name;
    found.push(match error.kind() {
        ConnectErrorKind::Pooler => pooler(url),
        ConnectErrorKind::Permission => Finding::error(format!("role {name}"), "may not replicate")
            .fix(format!(
                "ALTER ROLE {} REPLICATION;",
                quote_identifier(name)
            )),
        // Senders are counted already, and said so better.
        ConnectErrorKind::Busy if found.iter().any(|f| f.object.contains("max_wal_senders")) => {
            return Ok(());
        }
        _ if error.is_transient() => return Err(error.into()),
        _ => Finding::error(
            "replication connection",
            format!("refused: {}", text(&error)),
        ),
    });
    Ok(())
}

fn text(error: &ConnectError) -> String {
    match error.hint() {
        "" => error.message().to_owned(),
        hint => format!("{} ({hint})", error.message()),
    }
}

fn pooler(url: &Url) -> Finding {
    Finding::error(
        format!("server {url}"),
        "is a connection pooler (pgbouncer), which can't replicate: name PostgreSQL's own host and \
         port in the source's url",
    )
}
