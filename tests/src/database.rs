//! A PostgreSQL database of a test's own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::proxy::Proxy;
use crate::run::unique;

/// A row as text; a missing value is `None`.
pub type Row = Vec<Option<String>>;

/// What the harness's own sessions pin, whatever the server's defaults are.
const PINNED: &str = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres \
                      -c bytea_output=hex -c extra_float_digits=1";

/// A database that no other test sees. Dropped with its slots and sessions when the value is.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
    /// URL of the server's maintenance database.
    server: String,
    /// The session of [`execute`](Self::execute) and the others, opened at first use.
    session: Mutex<Option<Arc<Client>>>,
}

impl Database {
    /// `options` are those of `CREATE DATABASE`.
    pub(crate) async fn create(server: &str, options: &str) -> Self {
        let name = format!("tahr_{}", unique());
        let maintenance = connect(server)
            .await
            .expect("connect to the PostgreSQL server");
        let created = maintenance
            .batch_execute(&format!("CREATE DATABASE {name} {options}"))
            .await;
        created.unwrap_or_else(|error| panic!("create database: {}", describe(&error)));
        let url = with_database(server, &name);
        Self {
            name,
            url,
            server: server.to_owned(),
            session: Mutex::new(None),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, as a superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its URL through a proxy.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        let (scheme, rest) = self.url.split_once("://").expect("a URL");
        let (authority, path) = rest.split_once('/').expect("a URL with a database");
        let user = authority
            .rsplit_once('@')
            .map_or("postgres", |(user, _)| user);
        format!("{scheme}://{user}@{}/{path}", proxy.address())
    }

    /// Its URL as another role.
    pub fn url_as(&self, role: &str) -> String {
        let (scheme, rest) = self.url.split_once("://").expect("a URL");
        let host = rest.split_once('@').map_or(rest, |(_, host)| host);
        format!("{scheme}://{role}@{host}")
    }

    /// A new session, for a transaction that stays open or for parameters.
    pub async fn connect(&self) -> Client {
        connect(&self.url)
            .await
            .unwrap_or_else(|error| panic!("connect to {}: {}", self.name, describe(&error)))
    }

    /// Runs statements, separated by semicolons, as one transaction unless they say otherwise.
    pub async fn execute(&self, statements: &str) {
        if let Err(fault) = self.try_execute(statements).await {
            panic!("{fault}");
        }
    }

    /// As [`execute`](Self::execute), giving the server's error.
    pub async fn try_execute(&self, statements: &str) -> Result<(), String> {
        self.try_query(statements).await.map(drop)
    }

    /// The rows of a query, as text.
    pub async fn query(&self, query: &str) -> Vec<Row> {
        self.try_query(query)
            .await
            .unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// As [`query`](Self::query), giving the server's error.
    pub async fn try_query(&self, query: &str) -> Result<Vec<Row>, String> {
        let session = self.session().await?;
        let messages = session.simple_query(query).await;
        let messages = messages.map_err(|error| format!("{}: {query}", describe(&error)))?;
        Ok(messages.iter().filter_map(row).collect())
    }

    /// The only value of a query's only row; not null.
    pub async fn value(&self, query: &str) -> String {
        let rows = self.query(query).await;
        match rows.as_slice() {
            [row] if row.len() == 1 && row[0].is_some() => row[0].clone().unwrap_or_default(),
            _ => panic!("{query}: not one value but {rows:?}"),
        }
    }

    async fn session(&self) -> Result<Arc<Client>, String> {
        let mut session = self.session.lock().await;
        match session.as_ref().filter(|client| !client.is_closed()) {
            Some(client) => Ok(Arc::clone(client)),
            None => {
                let client = connect(&self.url).await.map_err(|error| describe(&error))?;
                Ok(Arc::clone(session.insert(Arc::new(client))))
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A runtime can't wait for another on the same thread.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let limit = Duration::from_secs(20);
            // A server that is gone took the database with it.
            let _gone = runtime
                .block_on(async { tokio::time::timeout(limit, remove(&server, &name)).await });
            Ok::<_, std::io::Error>(())
        });
        drop(removal.join());
    }
}

/// Drops a database, its slots first: they would not let it go.
async fn remove(server: &str, name: &str) -> Result<(), tokio_postgres::Error> {
    let maintenance = connect(server).await?;
    // A walsender takes a moment to end, and an engine that still runs may open another.
    for _ in 0..100 {
        let sweep = format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots \
             WHERE database = '{name}' AND active_pid IS NOT NULL; \
             SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
             WHERE database = '{name}' AND active_pid IS NULL"
        );
        let swept = maintenance.batch_execute(&sweep).await;
        let dropped = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        if swept.is_ok() && maintenance.batch_execute(&dropped).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config: Config = url.parse()?;
    config.options(PINNED).application_name("tahr-tests");
    config.connect_timeout(Duration::from_secs(10));
    let (client, connection) = config.connect(NoTls).await?;
    // Ends with the client, or with the server; either shows in the client.
    tokio::spawn(connection);
    Ok(client)
}

fn row(message: &SimpleQueryMessage) -> Option<Row> {
    match message {
        SimpleQueryMessage::Row(row) => Some(
            (0..row.len())
                .map(|i| row.get(i).map(str::to_owned))
                .collect(),
        ),
        _ => None,
    }
}

/// tokio-postgres keeps the server's words in the error's source.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} {}: {}", db.severity(), db.code().code(), db.message()),
        None => {
            let cause = std::error::Error::source(error);
            cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        }
    }
}

/// The URL with another database in it.
fn with_database(url: &str, name: &str) -> String {
    let (base, parameters) = url
        .split_once('?')
        .map_or((url, None), |(b, p)| (b, Some(p)));
    let (scheme, rest) = base.split_once("://").expect("a PostgreSQL URL");
    let authority = rest
        .split_once('/')
        .map_or(rest, |(authority, _)| authority);
    match parameters {
        Some(parameters) => format!("{scheme}://{authority}/{name}?{parameters}"),
        None => format!("{scheme}://{authority}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_of_a_url_is_replaced_and_its_parameters_stay() {
        let replaced = with_database("postgres://u:p@h:1/postgres?sslmode=disable", "mine");
        assert_eq!(replaced, "postgres://u:p@h:1/mine?sslmode=disable");
        assert_eq!(
            with_database("postgresql://h", "mine"),
            "postgresql://h/mine"
        );
    }
}
