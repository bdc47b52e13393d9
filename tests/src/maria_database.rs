//! A MariaDB or MySQL database of a test's own.

use std::time::Duration;

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, Value};

use crate::database::Row;
use crate::proxy::Proxy;
use crate::run::unique;

/// What the harness's own sessions pin, whatever the server's defaults are.
const PINNED: &str = "SET NAMES utf8mb4; SET sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00', \
    default_storage_engine = InnoDB; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// A database of a test's own, dropped at the end.
#[derive(Debug)]
pub struct MariaDatabase {
    url: String,
    server: String,
    name: String,
}

impl MariaDatabase {
    pub(crate) async fn create(server: &str) -> Self {
        let name = format!("tahr_{}", unique());
        execute(server, &format!("CREATE DATABASE {name}"))
            .await
            .unwrap_or_else(|fault| panic!("create database: {fault}"));
        Self {
            url: with_database(server, &name),
            server: server.to_owned(),
            name,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, as a user that may do everything.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its URL through a proxy.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        let (scheme, rest) = self.url.split_once("://").expect("a URL");
        let (authority, path) = rest.split_once('/').expect("a URL with a database");
        let user = authority.rsplit_once('@').map_or("root", |(user, _)| user);
        format!("{scheme}://{user}@{}/{path}", proxy.address())
    }

    /// Its URL as another user: `name` or `name:password`.
    pub fn url_as(&self, user: &str) -> String {
        let (scheme, rest) = self.url.split_once("://").expect("a URL");
        let host = rest.split_once('@').map_or(rest, |(_, host)| host);
        format!("{scheme}://{user}@{host}")
    }

    /// A new session.
    pub async fn connect(&self) -> Conn {
        connect(&self.url)
            .await
            .unwrap_or_else(|error| panic!("connect to {}: {error}", self.name))
    }

    /// Runs statements, separated by semicolons.
    pub async fn execute(&self, statements: &str) {
        if let Err(fault) = self.try_execute(statements).await {
            panic!("{fault}");
        }
    }

    /// As [`execute`](Self::execute), giving the server's error.
    pub async fn try_execute(&self, statements: &str) -> Result<(), String> {
        execute(&self.url, statements).await
    }

    /// The rows of a query, as text; bytes as PostgreSQL writes them.
    pub async fn query(&self, query: &str) -> Vec<Row> {
        self.try_query(query)
            .await
            .unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// As [`query`](Self::query), giving the server's error.
    pub async fn try_query(&self, query: &str) -> Result<Vec<Row>, String> {
        self::query(&self.url, query).await
    }

    /// The only value of a query's only row; not null.
    pub async fn value(&self, query: &str) -> String {
        let rows = self.query(query).await;
        match rows.as_slice() {
            [row] if row.len() == 1 && row[0].is_some() => row[0].clone().unwrap_or_default(),
            _ => panic!("{query}: not one value but {rows:?}"),
        }
    }
}

impl Drop for MariaDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A runtime can't wait for another on the same thread.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let drop = format!("DROP DATABASE IF EXISTS {name}");
            let limit = Duration::from_secs(10);
            // A server that is gone took the database with it.
            let _gone = runtime
                .block_on(async { tokio::time::timeout(limit, execute(&server, &drop)).await });
            Ok::<_, std::io::Error>(())
        });
        drop(removal.join());
    }
}

async fn connect(url: &str) -> mysql_async::Result<Conn> {
    let opts = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false);
    let mut conn = Conn::new(opts).await?;
    conn.query_drop(PINNED).await?;
    Ok(conn)
}

async fn execute(url: &str, statements: &str) -> Result<(), String> {
    let run = async {
        let mut conn = connect(url).await?;
        conn.query_drop(statements).await?;
        conn.disconnect().await
    };
    run.await.map_err(|error| format!("{error}: {statements}"))
}

pub(crate) async fn query(url: &str, query: &str) -> Result<Vec<Row>, String> {
    let run = async {
        let mut conn = connect(url).await?;
        let rows: Vec<mysql_async::Row> = conn.query(query).await?;
        conn.disconnect().await?;
        Ok::<_, mysql_async::Error>(rows)
    };
    let rows = run.await.map_err(|error| format!("{error}: {query}"))?;
    Ok(rows.into_iter().map(texts).collect())
}

fn texts(row: mysql_async::Row) -> Row {
    let columns = row.columns();
    let is_bytes: Vec<bool> = (columns.iter())
        .map(|column| {
            // The number of the character set `binary`.
            column.character_set() == 63
                && column.flags().contains(ColumnFlags::BINARY_FLAG)
                && matches!(
                    column.column_type(),
                    ColumnType::MYSQL_TYPE_BLOB
                        | ColumnType::MYSQL_TYPE_VAR_STRING
                        | ColumnType::MYSQL_TYPE_STRING
                        | ColumnType::MYSQL_TYPE_LONG_BLOB
                )
        })
        .collect();
    let values = row.unwrap().into_iter().zip(is_bytes);
    values
        .map(|(value, is_bytes)| match value {
            Value::NULL => None,
            Value::Bytes(bytes) if is_bytes => {
                let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
                Some(format!("\\x{}", digits.collect::<String>()))
            }
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            other => Some(other.as_sql(true)),
        })
        .collect()
}

pub(crate) fn without_database(url: &str) -> String {
    let (base, _) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = base.split_once("://").expect("a MySQL URL");
    let authority = rest.split('/').next().unwrap_or(rest);
    format!("{scheme}://{authority}")
}

fn with_database(url: &str, name: &str) -> String {
    format!("{}/{name}", without_database(url))
}

#[cfg(test)]
mod tests {
    use super::{with_database, without_database};

    #[test]
    fn the_database_of_a_url_is_replaced() {
        assert_eq!(
            with_database("mysql://u:p@h:1/mysql?require_ssl=true", "mine"),
            "mysql://u:p@h:1/mine"
        );
        assert_eq!(without_database("mysql://h:1"), "mysql://h:1");
    }
}
