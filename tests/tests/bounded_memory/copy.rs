//! The target of a large transaction, as a reader sees it.

use std::path::PathBuf;

use mongodb::bson::doc;
use tahr_tests::{
    Database, MariaDatabase, MariaDb, MongoDatabase, Mongod, Postgres, Redis, RedisDatabase, Row,
    Run,
};

/// Rows that a reader looks for, from the first to the last.
const SAMPLES: u64 = 100;

/// A server of the usual size, not one of the many that tests start.
const MARIADB: &[(&str, &str)] = &[
    ("innodb-buffer-pool-size", "1G"),
    ("innodb-log-file-size", "1G"),
];

/// What a reader found of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Nothing,
    /// So many of its rows of those that were looked for, and what its last row says.
    Part(u64, u64),
    All,
}

/// A target; with its server, where that is private, both end.
#[derive(Debug)]
#[expect(dead_code, reason = "servers are held, not asked")]
pub(super) enum Copy {
    Sqlite(PathBuf),
    Postgres(Database),
    Maria(MariaDatabase, MariaDb),
    Redis(RedisDatabase, Redis),
    Mongo(MongoDatabase, Mongod),
}

impl Copy {
    /// A target for `plugin`, beside `server`; one that `is_large` has a server of its own.
    pub(super) async fn new(plugin: &str, server: &Postgres, is_large: bool) -> Self {
        match plugin {
            "sqlite" => Self::Sqlite(Run::current().make_folder("sqlite").join("copy.db")),
            "mysql" => {
                let server = match is_large {
                    true => MariaDb::own(MARIADB),
                    false => MariaDb::shared(),
                };
                Self::Maria(server.database().await, server)
            }
            "redis" => {
                let server = match is_large {
                    true => Redis::own(&[]),
                    false => Redis::shared(),
                };
                Self::Redis(server.database(), server)
            }
            "mongodb" => {
                let server = match is_large {
                    true => Mongod::own(&[]),
                    false => Mongod::shared(),
                };
                Self::Mongo(server.database(), server)
            }
            _ => Self::Postgres(server.database().await),
        }
    }

    pub(super) fn plugin(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
            Self::Maria(..) => "mysql",
            Self::Redis(..) => "redis",
            Self::Mongo(..) => "mongodb",
        }
    }

    /// The target's options, in TOML.
    pub(super) fn options(&self) -> String {
        let url = match self {
            Self::Sqlite(file) => return format!("{{ path = '{}' }}", file.display()),
            Self::Postgres(database) => database.url(),
            Self::Maria(database, _) => database.url(),
            Self::Redis(database, _) => database.url(),
            Self::Mongo(database, _) => database.url(),
        };
        format!("{{ url = '{url}' }}")
    }

    /// The rows of an SQL query.
    async fn query(&self, sql: &str) -> Result<Vec<Row>, String> {
        match self {
            Self::Sqlite(file) => sqlite(file.clone(), sql.to_owned()).await,
            Self::Postgres(database) => database.try_query(sql).await,
            Self::Maria(database, _) => database.try_query(sql).await,
            Self::Redis(..) | Self::Mongo(..) => Err("it has no SQL".to_owned()),
        }
    }

    /// What a reader finds now of the transaction of `rows` rows.
    pub(super) async fn seen(&self, rows: u64) -> Result<Seen, String> {
        let ids: Vec<u64> = (0..SAMPLES)
            .map(|sample| 1 + sample * (rows - 1) / (SAMPLES - 1))
            .collect();
        let (found, total) = match self {
            Self::Redis(database, _) => {
                let mut exists = redis::cmd("EXISTS");
                exists.arg(ids.iter().map(|id| format!("t:{id}")).collect::<Vec<_>>());
                let mut session = database.connect();
                let found: redis::RedisResult<u64> = exists.query(&mut session);
                let total: redis::RedisResult<u64> = redis::cmd("HGET")
                    .arg("total:1")
                    .arg("n")
                    .query(&mut session);
                let text = |error: redis::RedisError| error.to_string();
                (found.map_err(text)?, total.map_err(text)?)
            }
            Self::Mongo(database, _) => {
                let ids: Vec<i64> = ids.iter().map(|&id| id.cast_signed()).collect();
                let count = doc! { "count": "t", "query": { "_id": { "$in": ids } } };
                let count = database.try_command(count)?;
                let total = database.try_documents("total")?;
                let total = total.first().and_then(|total| total.get_i64("n").ok());
                let found = count.get_i32("n").unwrap_or_default();
                (
                    u64::from(found.cast_unsigned()),
                    total.unwrap_or(0).cast_unsigned(),
                )
            }
            _ => {
                let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
                let sql = format!(
                    "SELECT (SELECT count(*) FROM t WHERE id IN ({})), (SELECT n FROM total)",
                    ids.join(", ")
                );
                let row = self.query(&sql).await?.pop().unwrap_or_default();
                let number = |cell: &Option<String>| cell.as_ref().and_then(|n| n.parse().ok());
                match row
                    .iter()
                    .map(number)
                    .collect::<Option<Vec<u64>>>()
                    .as_deref()
                {
                    Some(&[found, total]) => (found, total),
                    _ => return Err(format!("{row:?}")),
                }
            }
        };
        Ok(match (found, total) {
            (0, 0) => Seen::Nothing,
            (SAMPLES, total) if total == rows => Seen::All,
            (found, total) => Seen::Part(found, total),
        })
    }

    /// Whether it holds every row, and no other.
    pub(super) async fn holds(&self, rows: u64, width: usize) -> Result<(), String> {
        let is_right = match self {
            Self::Sqlite(_) => format!("v = printf('%0{width}d', id)"),
            _ => format!("v = lpad(id, {width}, '0')"),
        };
        let is_right = match self {
            Self::Postgres(_) => is_right.replace("(id", "(id::text"),
            _ => is_right,
        };
        let sum = rows * (rows + 1) / 2;
        let (found, expected) = match self {
            Self::Redis(database, _) => {
                let mut session = database.connect();
                let keys: u64 = redis::cmd("DBSIZE")
                    .query(&mut session)
                    .map_err(|error| error.to_string())?;
                // The total, and the checkpoint.
                (vec![keys], vec![rows + 2])
            }
            Self::Mongo(database, _) => {
                let count = database.try_command(doc! { "count": "t" })?;
                let found = count.get_i32("n").unwrap_or_default();
                (vec![u64::from(found.cast_unsigned())], vec![rows])
            }
            _ => {
                let sql = format!(
                    "SELECT count(*), sum(id), sum(CASE WHEN {is_right} THEN 1 ELSE 0 END) FROM t"
                );
                let row = self.query(&sql).await?.pop().unwrap_or_default();
                let number = |cell: &Option<String>| cell.as_ref().and_then(|n| n.parse().ok());
                let found: Option<Vec<u64>> = row.iter().map(number).collect();
                (found.unwrap_or_default(), vec![rows, sum, rows])
            }
        };
        match found == expected {
            true => Ok(()),
            false => Err(format!("{found:?} instead of {expected:?}")),
        }
    }
}

/// The rows of a query on a file that others may be writing.
async fn sqlite(file: PathBuf, sql: String) -> Result<Vec<Row>, String> {
    let query = move || {
        let session = rusqlite::Connection::open(file)?;
        session.busy_timeout(std::time::Duration::from_secs(30))?;
        let mut statement = session.prepare(&sql)?;
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cell = |column| {
                row.get(column)
                    .map(|n: Option<i64>| n.map(|n| n.to_string()))
            };
            (0..columns).map(cell).collect::<Result<Row, _>>()
        })?;
        rows.collect::<Result<Vec<Row>, rusqlite::Error>>()
    };
    let done = tokio::task::spawn_blocking(query).await;
    let done = done.map_err(|error| error.to_string())?;
    done.map_err(|error| error.to_string())
}
