//! The connection to the target.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tahr_plugin_api::{Host, Role, WriteError};
use tokio::sync::Notify;
use tokio_postgres::{CancelToken, Client, config::SslMode};

use crate::{
    error::{self, explain},
    options::{Options, ReplicationRole},
};

/// An open session with the settings that the writer depends on.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Whether triggers and foreign keys don't run for what this session writes.
    pub(crate) is_replica: bool,
}

/// Interrupts the session of a writer from other threads.
#[derive(Default)]
pub(crate) struct Interrupt {
    /// Wakes the blocked call.
    pub(crate) notify: Notify,
    token: Mutex<Option<CancelToken>>,
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupt")
    }
}

impl Interrupt {
    /// Makes the blocked call end, and the server stop what it runs for it.
    pub(crate) fn interrupt(&self) {
        self.notify.notify_one();
        let token = self
            .token
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let (Some(token), Ok(runtime)) = (token, runtime) {
            // The call ends even where the server can't be reached any more.
            let _ = runtime.block_on(token.cancel_query(tokio_postgres::NoTls));
        }
    }
}

impl Session {
    /// Connects and sets the session up.
    pub(crate) async fn open(
        options: &Options,
        role: Role,
        host: &Host,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Self, WriteError> {
        let mut config: tokio_postgres::Config = options
            .url
            .parse()
            .map_err(|_| WriteError::rejected("option url is not a PostgreSQL URL"))?;
        config.ssl_mode(SslMode::Disable).application_name("tahr");
        let (client, connection) = config
            .connect(tokio_postgres::NoTls)
            .await
            .map_err(|error| explain(&error, "connect to the target"))?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        *interrupt
            .token
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(client.cancel_token());
        let is_replica = set_up(&client, options, role, host).await?;
        Ok(Self { client, is_replica })
    }
}

/// An empty `search_path` makes the names of types print with their schema, and keeps other
/// schemas' functions out of what triggers run; PostgreSQL's own apply workers do the same.
const SETTINGS: &str = "SET client_encoding = 'UTF8'; SET DateStyle = 'ISO'; \
    SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; SET extra_float_digits = 3; \
    SET bytea_output = 'hex'; SET standard_conforming_strings = on; SET lc_monetary = 'C'; \
    SET search_path = ''; SET row_security = off; SET xmloption = 'content'; \
    SET idle_in_transaction_session_timeout = 0; \
    SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'warning'";

async fn set_up(
    client: &Client,
    options: &Options,
    role: Role,
    host: &Host,
) -> Result<bool, WriteError> {
    let failed = |error: tokio_postgres::Error| explain(&error, "set up the session");
    client.batch_execute(SETTINGS).await.map_err(failed)?;
    client
        .execute(
            "SELECT set_config(name, CASE name WHEN 'lock_timeout' THEN $1 WHEN 'statement_timeout' \
             THEN $2 ELSE '0' END, false) FROM pg_settings WHERE name IN ('lock_timeout', \
             'statement_timeout', 'idle_session_timeout', 'transaction_timeout')",
            &[
                &options.lock_timeout,
                &options.statement_timeout.as_deref().unwrap_or("0"),
            ],
        )
        .await
        .map_err(failed)?;
    // A loader's rows count only once `end_load` is stored, which comes later in the target's log.
    if role == Role::Load || !options.synchronous_commit {
        client
            .batch_execute("SET synchronous_commit = off")
            .await
            .map_err(failed)?;
    }
    let wanted = options.session_replication_role;
    if wanted == ReplicationRole::Origin {
        return Ok(false);
    }
    let set = "SET session_replication_role = replica";
    match client.batch_execute(set).await {
        Ok(()) => Ok(true),
        Err(error) if error::code(&error) == "42501" => {
            let hint = format!(
                "as superuser on PostgreSQL 15 or later: {}; or set session_replication_role = \
                 \"origin\"",
                GRANT
            );
            if wanted == ReplicationRole::Replica {
                return Err(explain(&error, "session_replication_role").hint(hint));
            }
            if role == Role::Stream {
                host.warn(&format!(
                    "the target's triggers and foreign keys run for replicated rows; hint: {hint}"
                ));
            }
            Ok(false)
        }
        Err(error) => Err(failed(error)),
    }
}

/// What lets a role that is no superuser switch triggers off.
pub(crate) const GRANT: &str = "GRANT SET ON PARAMETER session_replication_role TO …";
