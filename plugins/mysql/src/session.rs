//! The connection to the target.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mysql_async::{
    ClientIdentity, Conn, Error, Opts, OptsBuilder, SslOpts, prelude::Queryable as _,
};
use tahr_plugin_api::{Role, WriteError};
use tokio::{sync::Notify, time::timeout};

use crate::{error::explain, options::Options};

/// Statements may be this much smaller than `max_allowed_packet`: header, end of statement.
const SLACK: usize = 1024;

/// What the writer has to know of the server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// The collation that tells all texts apart, trailing spaces included; none before MySQL 8.0.17.
    exact: Option<String>,
    /// Bytes of the longest statement.
    pub(crate) max_statement: usize,
    /// Whether it takes `LOAD DATA LOCAL`.
    pub(crate) takes_local_data: bool,
    /// Whether tables' names that differ in case are one.
    pub(crate) folds_names: bool,
}

impl Default for Server {
    /// A MariaDB as it comes.
    fn default() -> Self {
        Self {
            exact: Some("utf8mb4_nopad_bin".to_owned()),
            max_statement: (16 << 20) - SLACK,
            takes_local_data: true,
            folds_names: false,
        }
    }
}

impl Server {
    /// The collation of tables that tahr makes.
    pub(crate) fn collation(&self) -> &str {
        self.exact.as_deref().unwrap_or("utf8mb4_bin")
    }

    /// The type of a text column, from its name without a character set.
    pub(crate) fn text(&self, name: &str) -> String {
        format!("{name} CHARACTER SET utf8mb4 COLLATE {}", self.collation())
    }

    /// The type of a text column of a key. Where every collation of the server pads with spaces, bytes
    /// alone tell `a` from `a `.
    pub(crate) fn key_text(&self, length: u64) -> String {
        match self.exact {
            Some(_) => self.text(&format!("VARCHAR({length})")),
            None => format!("VARBINARY({})", length * 4),
        }
    }
}

/// An open session with the settings that the writer depends on.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) conn: Conn,
    pub(crate) server: Server,
}

/// Interrupts the session of a writer from other threads.
#[derive(Default)]
pub(crate) struct Interrupt {
    /// Wakes the blocked call.
    pub(crate) notify: Notify,
    session: Mutex<Option<Address>>,
}

/// How to reach a session's server, and which session of it.
#[derive(Clone)]
struct Address {
    opts: Opts,
    id: u32,
    /// Our end of the connection as the server sees it, which with the number names this very
    /// session.
    host: String,
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupt")
    }
}

impl Interrupt {
    /// Makes the blocked call end, and the server end the session with all that it runs.
    pub(crate) fn interrupt(&self) {
        self.notify.notify_one();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let (Some(address), Ok(runtime)) = (self.address(), runtime) {
            runtime.block_on(Box::pin(address.end_session()));
        }
    }

    fn address(&self) -> Option<Address> {
        let session = self.session.lock();
        session.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the session that broke, so that its transaction and locks don't outlive it on the server.
    pub(crate) async fn end_broken(&self) {
        if let Some(address) = self.address() {
            address.end_session().await;
        }
    }
}

impl Address {
    /// Ends the session where it still is the one that was meant. Where the server can't be reached it
    /// notices by itself.
    async fn end_session(&self) {
        // Over a Unix socket nothing but a number tells sessions apart, and numbers come again.
        if !self.host.contains(':') {
            return;
        }
        let end = async {
            let mut conn = Conn::new(self.opts.clone()).await?;
            let find = format!(
                "SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = {}",
                self.id
            );
            let found: Option<String> = conn.query_first(find).await?;
            if found.as_ref() == Some(&self.host) {
                conn.query_drop(format!("KILL {}", self.id)).await?;
            }
            conn.disconnect().await
        };
        let _noticed_later = timeout(Duration::from_secs(5), end).await;
    }
}

impl Session {
    /// Connects and sets the session up.
    pub(crate) async fn open(
        options: &Options,
        role: Role,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Self, WriteError> {
        // Each plugin has a rustls of its own; who comes second finds the same one there.
        let _same = rustls::crypto::ring::default_provider().install_default();
        let opts = opts(options)?;
        let place = match opts.socket() {
            Some(socket) => socket.to_owned(),
            None => format!("{}:{}", opts.ip_or_hostname(), opts.tcp_port()),
        };
        let doing = format!("connect to {place}");
        let connecting = timeout(options.connect_timeout.0, Conn::new(opts.clone())).await;
        let mut conn = connecting
            .map_err(|_| {
                WriteError::transient(format!("{doing}: no answer in time"))
                    .hint("check host and port in `url`, or raise `connect_timeout`")
            })?
            .map_err(|error| explain(&error, &doing))?;
        let failed = |error: Error| explain(&error, "set up the session");
        set_up(&mut conn, options, role).await.map_err(failed)?;
        let server = ask(&mut conn).await.map_err(failed)?;
        let host: Option<String> = conn
            .query_first(
                "SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()",
            )
            .await
            .map_err(failed)?;
        let address = Address {
            opts,
            id: conn.id(),
            host: host.unwrap_or_default(),
        };
        let session = interrupt.session.lock();
        *session.unwrap_or_else(PoisonError::into_inner) = Some(address);
        Ok(Self { conn, server })
    }

    /// Runs one statement and says how many rows it matched.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<u64, Error> {
        let result = self.conn.query_iter(sql).await?;
        let rows = result.affected_rows();
        result.drop_result().await?;
        Ok(rows)
    }

    /// Runs statements, separated by semicolons, whose results don't matter.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), Error> {
        self.conn.query_drop(sql).await
    }
}

fn opts(options: &Options) -> Result<Opts, WriteError> {
    let hint = "url = \"mysql://user:password@host:3306/database\"";
    let opts = Opts::from_url(&options.url)
        .map_err(|error| WriteError::options(format!("option url: {error}")).hint(hint))?;
    if opts.db_name().is_none_or(str::is_empty) {
        return Err(WriteError::options("option url names no database").hint(hint));
    }
    let ssl = opts.ssl_opts().cloned();
    let files = [&options.ca_file, &options.cert_file, &options.key_file];
    if ssl.is_none() && files.iter().any(|file| file.is_some()) {
        let fault = "certificates are of no use without TLS";
        return Err(WriteError::options(fault).hint("add `?require_ssl=true` to `url`"));
    }
    let identity = match (&options.cert_file, &options.key_file) {
        (Some(cert), Some(key)) => {
            Some(ClientIdentity::new(cert.clone().into(), key.clone().into()))
        }
        (None, None) => None,
        _ => {
            return Err(
                WriteError::options("of cert_file and key_file one is missing")
                    .hint("set both, or none"),
            );
        }
    };
    let ssl = ssl.map(|mut ssl: SslOpts| {
        if let Some(file) = &options.ca_file {
            ssl = ssl
                .with_root_certs(vec![file.clone().into()])
                .with_disable_built_in_roots(true);
        }
        ssl.with_client_identity(identity)
    });
    Ok(OptsBuilder::from_opts(opts)
        .ssl_opts(ssl)
        // The address in the URL is the address that is meant.
        .prefer_socket(false)
        .tcp_nodelay(true)
        // An update that changes nothing still matches its row.
        .client_found_rows(true)
        .connect_attribute("program_name", "tahr")
        .into())
}

/// Strict, and without what would alter values or make up new ones.
const SQL_MODE: &str = "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
    NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO";

/// What not every server has, or lets every user set; the writer works without.
const WISHES: [&str; 4] = [
    // Else a table of many texts is refused for what its rows might hold, not for what they do.
    "SET SESSION innodb_strict_mode = OFF",
    // A large source transaction stays open over its parts, and the source may be slow.
    "SET SESSION idle_transaction_timeout = 0",
    "SET SESSION idle_write_transaction_timeout = 0",
    "SET SESSION max_statement_time = 0",
];

async fn set_up(conn: &mut Conn, options: &Options, role: Role) -> Result<(), Error> {
    let lock_wait = options.lock_timeout.seconds();
    let settings = format!(
        "SET NAMES utf8mb4; SET SESSION sql_mode = '{SQL_MODE}', time_zone = '+00:00', \
         foreign_key_checks = 0, unique_checks = 1, autocommit = 1, sql_safe_updates = 0, \
         completion_type = 0, innodb_lock_wait_timeout = {lock_wait}, \
         lock_wait_timeout = {lock_wait}, wait_timeout = 86400, net_read_timeout = 3600, \
         net_write_timeout = 3600; \
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
    );
    conn.query_drop(settings).await?;
    if role == Role::Check {
        return Ok(());
    }
    conn.query_drop("SET SESSION TRANSACTION READ WRITE")
        .await?;
    for wish in WISHES {
        match conn.query_drop(wish).await {
            Ok(()) | Err(Error::Server(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn ask(conn: &mut Conn) -> Result<Server, Error> {
    let row: Option<(u64, bool, u8)> = conn
        .query_first("SELECT @@max_allowed_packet, @@local_infile, @@lower_case_table_names")
        .await?;
    let (max_packet, takes_local_data, folding) = row.unwrap_or((1 << 20, false, 0));
    // MySQL's name comes first in the alphabet; a MariaDB that knows both knows its own better.
    let exact: Option<String> = conn
        .query_first(
            "SELECT MAX(COLLATION_NAME) FROM information_schema.COLLATIONS \
             WHERE COLLATION_NAME IN ('utf8mb4_0900_bin', 'utf8mb4_nopad_bin')",
        )
        .await?
        .flatten();
    let max_packet = usize::try_from(max_packet).unwrap_or(usize::MAX);
    Ok(Server {
        exact,
        max_statement: max_packet.saturating_sub(SLACK),
        takes_local_data,
        folds_names: folding != 0,
    })
}
