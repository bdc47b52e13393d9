//! SQL connections, and cancelling what runs on one.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use tokio::task::JoinHandle;
use tokio_postgres::{CancelToken, Client, Config, config};

use crate::{
    ConnectError, ConnectErrorKind, Host, SESSION, SOURCE_SESSION, SslMode, Url, session, tls,
};

/// An open SQL session. Dropping it closes the connection at once, whatever runs on it; a bare
/// [`Client`] would let its last statement go on to the end, a copy of a large table included.
pub struct Session {
    client: Client,
    /// Moves the bytes.
    driver: JoinHandle<()>,
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("closed", &self.client.is_closed())
            .finish()
    }
}

impl Url {
    /// Opens an SQL session with the [`SESSION`] settings.
    ///
    /// `application` is the session's `application_name` unless the URL has one. Must be called on
    /// a tokio runtime, which must keep running for as long as the session is used.
    ///
    /// # Errors
    /// Why the session could not be opened.
    pub async fn connect(&self, application: &str) -> Result<Session, ConnectError> {
        self.open(application, &[SESSION]).await
    }

    /// Like [`connect`](Self::connect), with the [`SOURCE_SESSION`] settings too.
    ///
    /// # Errors
    /// Why the session could not be opened.
    pub async fn connect_source(&self, application: &str) -> Result<Session, ConnectError> {
        self.open(application, &[SESSION, SOURCE_SESSION]).await
    }

    async fn open(
        &self,
        application: &str,
        settings: &[&[(&str, &str)]],
    ) -> Result<Session, ConnectError> {
        let attempt = Box::pin(self.attempt(application, settings));
        match tokio::time::timeout(self.connect_timeout, attempt).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::timeout(self)),
        }
    }

    async fn attempt(
        &self,
        application: &str,
        settings: &[&[(&str, &str)]],
    ) -> Result<Session, ConnectError> {
        let connector = tls::connector(&self.ssl)
            .map_err(|message| ConnectError::new(self, ConnectErrorKind::Tls, message))?;
        let explain = |error| ConnectError::sql(self, &error);
        let (client, connection) = self
            .config(application)
            .connect(connector)
            .await
            .map_err(explain)?;
        // What breaks the connection reaches the client with its next statement.
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        let session = Session { client, driver };
        // By statement and not in the startup packet, which poolers in front of targets refuse.
        session
            .batch_execute(&session::statements(settings))
            .await
            .map_err(explain)?;
        Ok(session)
    }

    /// Asks the server to cancel what runs on the session that `token` is from. The server doesn't
    /// say whether it did: the statement itself ends with an error, or was done already.
    ///
    /// # Errors
    /// Why the request could not be sent.
    pub async fn cancel(&self, token: CancelToken) -> Result<(), ConnectError> {
        let connector = tls::connector(&self.ssl)
            .map_err(|message| ConnectError::new(self, ConnectErrorKind::Tls, message))?;
        match tokio::time::timeout(self.connect_timeout, token.cancel_query(connector)).await {
            Ok(result) => result.map_err(|error| ConnectError::sql(self, &error)),
            Err(_) => Err(ConnectError::new(
                self,
                ConnectErrorKind::Timeout,
                "no answer",
            )),
        }
    }

    fn config(&self, application: &str) -> Config {
        let mut config = Config::new();
        match &self.host {
            Host::Tcp(host) => config.host(host),
            Host::Socket(folder) => config.host_path(folder),
        };
        config
            .port(self.port)
            .user(&self.user)
            .dbname(&self.database)
            .application_name(self.application_name.as_deref().unwrap_or(application))
            .connect_timeout(self.connect_timeout)
            .keepalives(self.keepalives.enabled)
            .keepalives_idle(self.keepalives.idle)
            .keepalives_interval(self.keepalives.interval)
            .keepalives_retries(self.keepalives.count)
            .ssl_mode(match self.ssl.mode {
                SslMode::Disable => config::SslMode::Disable,
                SslMode::Prefer => config::SslMode::Prefer,
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                    config::SslMode::Require
                }
            });
        if self.keepalives.enabled {
            // They rest while a question is under way; then this tells that nobody hears it.
            config.tcp_user_timeout(self.silence());
        }
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(options) = &self.options {
            config.options(options);
        }
        config
    }
}
