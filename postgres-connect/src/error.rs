//! What can be wrong with a URL, and why a connection could not be made.

use std::{error::Error as _, io};

use pgwire_replication::PgWireError;
use thiserror::Error;

use crate::Url;

/// A URL that can't be used. No message repeats a part that could be the password.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// Not a PostgreSQL URL.
    #[error("the URL doesn't begin with postgres://")]
    Scheme,
    /// Host or port can't be read.
    #[error("host and port in the URL can't be read")]
    Address,
    /// Several hosts.
    #[error("the URL names several hosts")]
    SeveralHosts,
    /// No user anywhere.
    #[error("the URL names no user")]
    NoUser,
    /// A `%` that isn't followed by two hexadecimal digits, or bytes that aren't text.
    #[error("the {part} in the URL is not percent-encoded text")]
    Encoding {
        /// Which part.
        part: &'static str,
    },
    /// Something after `?` that isn't `name=value`.
    #[error("a parameter in the URL is not name=value")]
    Parameter,
    /// A parameter that tahr doesn't know.
    #[error("unknown parameter \"{parameter}\" in the URL")]
    UnknownParameter {
        /// Its name.
        parameter: String,
    },
    /// A parameter with a value it can't have.
    #[error("parameter \"{parameter}\" in the URL is not {expected}")]
    Value {
        /// Its name.
        parameter: String,
        /// What it may be.
        expected: &'static str,
    },
    /// One of a pair without the other.
    #[error("the URL has {given} without {missing}")]
    Alone {
        /// The one that is there.
        given: &'static str,
        /// The one that isn't.
        missing: &'static str,
    },
    /// `sslmode=require` or stronger over a Unix socket.
    #[error("the URL asks for TLS over a Unix socket")]
    SslOverSocket,
    /// `sslrootcert=system` with a mode that doesn't check the host's name.
    #[error("sslrootcert=system needs sslmode=verify-full")]
    WeakSystemRoots,
    /// Nothing to verify a certificate with.
    #[error("no file of trusted authorities for sslmode=verify-ca or verify-full")]
    NoRoots,
}

impl UrlError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Scheme => "postgres://user:password@host:5432/database",
            Self::Address | Self::Parameter | Self::Encoding { .. } => {
                "write special characters of user and password percent-encoded: / is %2F, ? is %3F, \
                 % is %25, @ is %40"
            }
            Self::SeveralHosts => "name one host: tahr must always read the same server",
            Self::NoUser => "postgres://user@host/database, or set PGUSER",
            Self::UnknownParameter { .. } => {
                "known: host, port, user, password, dbname, sslmode, sslrootcert, sslcert, sslkey, \
                 passfile, connect_timeout, application_name, options, keepalives, keepalives_idle, \
                 keepalives_interval, keepalives_count"
            }
            Self::Value { .. } => "correct the value, or leave the parameter out",
            Self::Alone { .. } => "give both sslcert and sslkey, or none",
            Self::SslOverSocket => "leave sslmode out, or name a TCP host",
            Self::WeakSystemRoots => "sslmode=verify-full&sslrootcert=system",
            Self::NoRoots => "sslrootcert=/path/to/authority.pem",
        }
    }
}

/// What kept a connection from being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// Nobody answers there: refused, no route, unknown host, no socket file.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The server is starting, stopping, or full.
    Busy,
    /// The slot is read by somebody else.
    InUse,
    /// The connection broke while it was made.
    Broken,
    /// Password or `pg_hba.conf`.
    Authentication,
    /// No such database.
    Database,
    /// The role lacks a right, such as `REPLICATION`.
    Permission,
    /// TLS: not offered, not trusted, or a file that can't be read.
    Tls,
    /// A connection pooler stands where PostgreSQL should.
    Pooler,
    /// Anything else.
    Other,
}

/// A connection that could not be made: where to, and why.
#[derive(Clone, Debug, Error)]
#[error("{url}: {message}")]
pub struct ConnectError {
    kind: ConnectErrorKind,
    url: String,
    message: String,
    hint: String,
}

impl ConnectError {
    pub(crate) fn new(url: &Url, kind: ConnectErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        let hint = hint(url, kind, &message);
        Self {
            kind,
            url: url.redacted(),
            message,
            hint,
        }
    }

    /// Nobody at `url` answered within its [`Url::connect_timeout`].
    #[must_use]
    pub fn timeout(url: &Url) -> Self {
        let message = format!("no answer within {} s", url.connect_timeout.as_secs());
        Self::new(url, ConnectErrorKind::Timeout, message)
    }

    /// Explains an error of an SQL connection to `url`.
    pub(crate) fn sql(url: &Url, error: &tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self::server(url, db.code().code(), db.message());
        }
        let io = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>());
        if let Some(io) = io {
            return Self::io(url, io);
        }
        let mut text = error.to_string();
        if let Some(source) = error.source() {
            text = format!("{text}: {source}");
        }
        let kind = if text.contains("TLS") || text.contains("certificate") {
            ConnectErrorKind::Tls
        } else if text.contains("password") || text.contains("authentication") {
            ConnectErrorKind::Authentication
        } else if text.contains("timed out") {
            ConnectErrorKind::Timeout
        } else if error.is_closed() {
            ConnectErrorKind::Broken
        } else {
            ConnectErrorKind::Other
        };
        Self::new(url, kind, text)
    }

    /// Explains an error of a replication connection to `url`, also one that broke later.
    #[must_use]
    pub fn replication(url: &Url, error: &PgWireError) -> Self {
        match error {
            PgWireError::Io(io) => Self::io(url, io),
            PgWireError::Server(text) => {
                let (message, code) = split_code(text);
                Self::server(url, code, message)
            }
            PgWireError::Auth(text) => Self::new(url, ConnectErrorKind::Authentication, text),
            PgWireError::Tls(text) => Self::new(url, ConnectErrorKind::Tls, text),
            PgWireError::Task(text) => Self::new(url, ConnectErrorKind::Broken, text),
            other => Self::new(url, ConnectErrorKind::Other, other.to_string()),
        }
    }

    fn io(url: &Url, error: &io::Error) -> Self {
        use io::ErrorKind;
        let text = error.to_string();
        let tls = error
            .get_ref()
            .is_some_and(|inner| inner.is::<rustls::Error>())
            || text.contains("certificate");
        let kind = match error.kind() {
            _ if tls => ConnectErrorKind::Tls,
            ErrorKind::TimedOut => ConnectErrorKind::Timeout,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => ConnectErrorKind::Broken,
            _ => ConnectErrorKind::Unreachable,
        };
        Self::new(url, kind, text)
    }

    fn server(url: &Url, code: &str, message: &str) -> Self {
        let kind = match code {
            // What pgbouncer says to `options` and to `replication`.
            _ if message.contains("unsupported startup parameter")
                || message.contains("pgbouncer") =>
            {
                ConnectErrorKind::Pooler
            }
            "28P01" | "28000" => ConnectErrorKind::Authentication,
            "3D000" => ConnectErrorKind::Database,
            "42501" => ConnectErrorKind::Permission,
            "53300" | "57P01" | "57P02" | "57P03" => ConnectErrorKind::Busy,
            "55006" => ConnectErrorKind::InUse,
            _ if code.starts_with("53") => ConnectErrorKind::Busy,
            _ if code.starts_with("08") => ConnectErrorKind::Broken,
            _ => ConnectErrorKind::Other,
        };
        Self::new(url, kind, message)
    }

    /// What kept it from being made.
    #[must_use]
    pub fn kind(&self) -> ConnectErrorKind {
        self.kind
    }

    /// What went wrong, without the URL.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it; may be empty.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use ConnectErrorKind::{Broken, Busy, InUse, Timeout, Unreachable};
        matches!(self.kind, Unreachable | Timeout | Busy | InUse | Broken)
    }
}

/// The message and the SQLSTATE of `message (SQLSTATE code)`.
fn split_code(text: &str) -> (&str, &str) {
    text.strip_suffix(')')
        .and_then(|text| text.rsplit_once(" (SQLSTATE "))
        .unwrap_or((text, ""))
}

fn hint(url: &Url, kind: ConnectErrorKind, message: &str) -> String {
    match kind {
        ConnectErrorKind::Unreachable => {
            format!(
                "is PostgreSQL running there and listening on port {}?",
                url.port
            )
        }
        ConnectErrorKind::Timeout => format!(
            "is port {} open in the firewall? a slow server needs a longer connect_timeout in the URL",
            url.port
        ),
        ConnectErrorKind::Authentication if message.contains("certificate") => {
            "name the client's certificate in the URL: sslcert=…&sslkey=…".to_owned()
        }
        ConnectErrorKind::Authentication if message.contains("pg_hba.conf") => format!(
            "add a line to pg_hba.conf for user \"{}\" and database \"{}\", then: SELECT \
             pg_reload_conf();",
            url.user, url.database
        ),
        // "Replication role to start walsender" up to 15, "to start WAL sender" from 16 on.
        ConnectErrorKind::Permission
            if message.contains("replication") || message.contains("WAL sender") =>
        {
            format!("ALTER ROLE {} REPLICATION;", role(url))
        }
        // Where the server asks for no password; else it hides that there is no such role.
        ConnectErrorKind::Authentication if message.ends_with(" does not exist") => {
            format!("CREATE ROLE {} LOGIN PASSWORD '…';", role(url))
        }
        ConnectErrorKind::Authentication if message.ends_with(" is not permitted to log in") => {
            format!("ALTER ROLE {} LOGIN;", role(url))
        }
        ConnectErrorKind::Authentication => match (&url.password, &url.passfile_note) {
            (None, Some(note)) => note.clone(),
            (None, None) => "the URL has no password: add it, or set PGPASSWORD or use a passfile \
                 (special characters percent-encoded)"
                .to_owned(),
            _ => format!(
                "check password and pg_hba.conf for user \"{}\" and database \"{}\"; perhaps there is \
                 no such role, which PostgreSQL does not tell: CREATE ROLE {} LOGIN PASSWORD '…';",
                url.user,
                url.database,
                role(url)
            ),
        },
        ConnectErrorKind::Database => "list the server's databases with: psql -l".to_owned(),
        ConnectErrorKind::Tls => {
            "check sslmode and sslrootcert in the URL; sslmode=require encrypts without verifying"
                .to_owned()
        }
        ConnectErrorKind::Pooler => {
            "this is a connection pooler (pgbouncer): name PostgreSQL's own host and port"
                .to_owned()
        }
        ConnectErrorKind::Busy => {
            "the server is starting, stopping or has no free connection".to_owned()
        }
        ConnectErrorKind::InUse => {
            "a reader that was killed ends there by itself soon; end any other, or give one of two \
             engines another name"
                .to_owned()
        }
        ConnectErrorKind::Broken | ConnectErrorKind::Permission | ConnectErrorKind::Other => {
            String::new()
        }
    }
}

/// The role's name, quoted.
fn role(url: &Url) -> String {
    format!("\"{}\"", url.user.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::{ConnectError, ConnectErrorKind, PgWireError};
    use crate::Url;

    #[test]
    fn server_errors_are_told_apart_by_their_code() {
        let url = Url::parse("postgres://u:secret@h/d?sslmode=disable").unwrap();
        let kind = |text: &str| {
            let error = ConnectError::replication(&url, &PgWireError::Server(text.to_owned()));
            assert!(!format!("{error} {error:?}").contains("secret"));
            (
                error.kind(),
                error.is_transient(),
                error.message().to_owned(),
            )
        };
        assert_eq!(
            kind("password authentication failed (SQLSTATE 28P01)"),
            (
                ConnectErrorKind::Authentication,
                false,
                "password authentication failed".to_owned()
            )
        );
        assert_eq!(kind("x (SQLSTATE 57P03)").0, ConnectErrorKind::Busy);
        assert_eq!(kind("x (SQLSTATE 3D000)").0, ConnectErrorKind::Database);
        let pooler = kind("unsupported startup parameter: replication (SQLSTATE 08P01)");
        assert_eq!((pooler.0, pooler.1), (ConnectErrorKind::Pooler, false));
        assert_eq!(kind("no code").0, ConnectErrorKind::Other);
    }

    #[test]
    fn a_role_that_may_not_exist_is_named_ready_to_be_made() {
        let url = "postgres://a%22b:secret@h/d?sslmode=disable";
        let open = Url::parse(&url.replace(":secret", "")).unwrap();
        let url = Url::parse(url).unwrap();
        let create = "CREATE ROLE \"a\"\"b\" LOGIN PASSWORD '…';";
        let hint = |url: &Url, text: &str| {
            let error = ConnectError::replication(url, &PgWireError::Server(text.to_owned()));
            error.hint().to_owned()
        };
        for url in [&url, &open] {
            assert_eq!(
                hint(url, "role \"a\"b\" does not exist (SQLSTATE 28000)"),
                create
            );
            let text = "role \"a\"b\" is not permitted to log in (SQLSTATE 28000)";
            assert_eq!(hint(url, text), "ALTER ROLE \"a\"\"b\" LOGIN;");
        }
        let text = "password authentication failed for user \"a\"b\" (SQLSTATE 28P01)";
        let hint = hint(&url, text);
        assert!(hint.starts_with("check password and pg_hba.conf"), "{hint}");
        assert!(hint.ends_with(create), "{hint}");
    }
}
