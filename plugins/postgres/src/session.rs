//! The connection to the target.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tahr_plugin_api::{Host, Role, WriteError};
use tahr_postgres_connect::{ConnectError, Url};
use tokio::sync::Notify;
use tokio_postgres::{CancelToken, Client};

use crate::{
    error::{self, explain},
    options::{Options, ReplicationRole},
    statements::quote,
};

/// An open session with the settings that the writer depends on.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: tahr_postgres_connect::Session,
    /// Whether triggers and foreign keys don't run for what this session writes.
    pub(crate) is_replica: bool,
    /// The role that it is the session of, quoted.
    pub(crate) role: String,
    /// Its database, quoted.
    pub(crate) database: String,
}

/// Interrupts the session of a writer from other threads.
#[derive(Default)]
pub(crate) struct Interrupt {
    /// Wakes the blocked call.
    pub(crate) notify: Notify,
    /// How to reach the server, and which session of it.
    session: Mutex<Option<(Url, CancelToken)>>,
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
        let session = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let (Some((url, token)), Ok(runtime)) = (session, runtime) {
            // The call ends even where the server can't be reached any more.
            let _ = runtime.block_on(Box::pin(url.cancel(token)));
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
        let url = Url::parse(&options.url).map_err(|error| {
            WriteError::options(format!("option url: {error}")).hint(error.hint())
        })?;
        let client = Box::pin(url.connect("tahr"))
            .await
            .map_err(|error| connecting(&url, &error))?;
        *interrupt
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((url.clone(), client.cancel_token()));
        let user = quote(url.user());
        let is_replica = set_up(&client, options, role, &user, host).await?;
        Ok(Self {
            client,
            is_replica,
            role: user,
            database: quote(url.database()),
        })
    }
}

fn connecting(url: &Url, error: &ConnectError) -> WriteError {
    let text = format!("connect to {url}: {}", error.message());
    let result = if error.is_transient() {
        WriteError::transient(text)
    } else {
        WriteError::rejected(text)
    };
    result.hint(error.hint())
}

/// Beside the settings that every session of tahr has.
///
/// An empty `search_path` makes the names of types print with their schema, and keeps other
/// schemas' functions out of what triggers run; PostgreSQL's own apply workers do the same.
const SETTINGS: &str = "SET search_path = ''; SET lc_monetary = 'C'; SET row_security = off; \
    SET xmloption = 'content'; SET default_transaction_isolation = 'read committed'; \
    SET client_min_messages = 'warning'";

async fn set_up(
    client: &Client,
    options: &Options,
    role: Role,
    user: &str,
    host: &Host,
) -> Result<bool, WriteError> {
    let failed = |error: tokio_postgres::Error| explain(&error, "set up the session");
    client.batch_execute(SETTINGS).await.map_err(failed)?;
    client
        .execute(
            "SELECT set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false)",
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
            let hint = silence(user);
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

/// What lets a role that is no superuser, quoted, switch triggers off.
pub(crate) fn silence(role: &str) -> String {
    format!(
        "as superuser on PostgreSQL 15 or later: GRANT SET ON PARAMETER session_replication_role TO \
         {role}; or set session_replication_role = \"origin\""
    )
}
