//! A parsed PostgreSQL URL.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{UrlError, parse};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A host name or an address (IPv6 without brackets).
    Tcp(String),
    /// The folder of a Unix socket.
    Socket(PathBuf),
}

/// How a connection is encrypted and whom it trusts, as `libpq` defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted where the server offers it, and nobody is verified. `allow` is read as this.
    Prefer,
    /// Encrypted, nobody is verified. With an `sslrootcert` it is `VerifyCa`, as for `libpq`.
    Require,
    /// Encrypted, and the server's certificate is signed by a trusted authority.
    VerifyCa,
    /// Like `VerifyCa`, and the certificate is for the host of the URL.
    VerifyFull,
}

/// Encryption, and the files it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ssl {
    pub(crate) mode: SslMode,
    /// Trusted authorities; always there when `mode` verifies.
    pub(crate) root: Option<PathBuf>,
    /// The client's own certificate and key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    /// A name that the server's certificate is for, once seen and where it isn't the host's: under
    /// `VerifyCa` the replication client compares names too, so it is given this one.
    pub(crate) certificate_name: Arc<OnceLock<String>>,
}

/// A PostgreSQL URL, understood and complete: what it didn't say comes from the environment
/// (`PGUSER`, `PGPASSWORD`, `PGPASSFILE`) or is `libpq`'s default.
///
/// `Display` is the URL without password and parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) database: String,
    pub(crate) ssl: Ssl,
    pub(crate) connect_timeout: Duration,
    pub(crate) application_name: Option<String>,
    pub(crate) options: Option<String>,
    pub(crate) keepalives: Keepalives,
    /// Why a password file was not used.
    pub(crate) passfile_note: Option<String>,
}

/// TCP keepalives; a dead peer is noticed within a minute unless the URL says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keepalives {
    pub(crate) enabled: bool,
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
}

impl Default for Keepalives {
    fn default() -> Self {
        let (idle, interval) = (Duration::from_secs(30), Duration::from_secs(10));
        Self {
            enabled: true,
            idle,
            interval,
            count: 3,
        }
    }
}

impl Url {
    /// Reads `postgres://user:password@host:port/database?parameter=value&…`.
    ///
    /// # Errors
    /// Anything that can't be understood, each with a hint.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        parse::parse(text, &|name| {
            std::env::var(name).ok().filter(|value| !value.is_empty())
        })
    }

    /// Where the server listens.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The server's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The role to connect as.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database to connect to.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The encryption in force.
    #[must_use]
    pub fn ssl_mode(&self) -> SslMode {
        self.ssl.mode
    }

    /// How long one connection attempt may take; 10 seconds unless the URL says otherwise.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// How long a server that is connected to may be silent when it is asked something: as long as TCP
    /// keepalives take to tell that it is gone, a minute unless the URL says otherwise; a day where it
    /// switches them off.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let Keepalives {
            enabled,
            idle,
            interval,
            count,
        } = self.keepalives;
        match enabled {
            true => idle + interval * count,
            false => Duration::from_secs(24 * 3600),
        }
    }

    /// The URL for logs and messages: user, host, port and database, no password.
    #[must_use]
    pub fn redacted(&self) -> String {
        let user = parse::encode(&self.user);
        let host = match &self.host {
            Host::Tcp(host) if host.contains(':') => format!("[{host}]"),
            Host::Tcp(host) => host.clone(),
            Host::Socket(folder) => parse::encode(&folder.to_string_lossy()),
        };
        format!(
            "postgres://{user}@{host}:{}/{}",
            self.port,
            parse::encode(&self.database)
        )
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Url")
            .field("url", &self.redacted())
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("ssl", &self.ssl)
            .finish_non_exhaustive()
    }
}
