//! Which database this is.

use tahr_plugin_api::Lsn;
use tokio_postgres::Client;

use super::SourceError;

/// Which database a source is, so that a restored or promoted one isn't taken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's system identifier, decimal.
    pub system_id: String,
    /// The timeline that WAL is written on now.
    pub timeline: u32,
    /// The database's OID.
    pub database_oid: u32,
    /// The database's name.
    pub database: String,
    /// `server_version_num`: 150018 is 15.18.
    pub version: u32,
    /// Where WAL is written now.
    pub wal_lsn: Lsn,
}

/// The name of the WAL file begins with the timeline; the control file knows it only since the
/// last checkpoint, which may lie before a promotion.
const QUERY: &str = "
SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system())::text,
       pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()),
       d.oid, d.datname::text, pg_catalog.current_setting('server_version_num'),
       pg_catalog.pg_current_wal_lsn()::text
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

impl Identity {
    /// Asks a primary who it is.
    ///
    /// # Errors
    /// The server is a standby, or the connection broke.
    pub async fn read(client: &Client) -> Result<Self, SourceError> {
        let row = client
            .query_one(QUERY, &[])
            .await
            .map_err(|error| SourceError::sql("read the server's identity", &error))?;
        let unreadable = |what: &str| SourceError::unusable(format!("{what} can't be read"));
        let file: &str = row.get(1);
        let timeline = file
            .get(..8)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .ok_or_else(|| unreadable("the server's timeline"))?;
        Ok(Self {
            system_id: row.get(0),
            timeline,
            database_oid: row.get(2),
            database: row.get(3),
            version: row
                .get::<_, &str>(4)
                .parse()
                .map_err(|_| unreadable("the server's version"))?,
            wal_lsn: lsn(row.get(5))?,
        })
    }

    /// Where WAL is written now, on a session that is open already.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn wal_lsn(client: &Client) -> Result<Lsn, SourceError> {
        position(client, "SELECT pg_catalog.pg_current_wal_lsn()::text").await
    }

    /// Where what its WAL can send ends.
    ///
    /// # Errors
    /// The connection broke, or the server is a standby.
    pub(super) async fn flushed_lsn(client: &Client) -> Result<Lsn, SourceError> {
        position(client, "SELECT pg_catalog.pg_current_wal_flush_lsn()::text").await
    }
}

async fn position(client: &Client, sql: &str) -> Result<Lsn, SourceError> {
    let row = client.query_one(sql, &[]).await;
    let row = row.map_err(|error| SourceError::sql("read the WAL position", &error))?;
    lsn(row.get(0))
}

/// An LSN that the server printed.
pub(super) fn lsn(text: &str) -> Result<Lsn, SourceError> {
    text.parse()
        .map_err(|error| SourceError::unusable(format!("the server answered {error}")))
}
