//! A target of every kind for one source, and whether they hold what it holds.

use std::path::PathBuf;
use std::time::Duration;

use tahr_tests::{
    Database, MariaDatabase, MariaDb, MongoDatabase, Mongod, Postgres, Random, Redis,
    RedisDatabase, Rows, Run, Running, eventually,
};

use super::load::{KEYLESS, TABLES};
use crate::scene::fail_if_parked;

/// What the sum of all counters is after every transaction.
const SUM: &str = "SELECT coalesce(sum(n), 0) FROM counters";

/// Servers with nothing in the way of being killed, or those that the run's tests share.
pub(super) struct Servers {
    source: Postgres,
    postgres: Postgres,
    mysql: MariaDb,
    mongodb: Mongod,
    redis: Redis,
}

/// One database on each.
pub(super) struct Targets {
    pub(super) postgres: Database,
    pub(super) sqlite: PathBuf,
    pub(super) mysql: MariaDatabase,
    pub(super) mongodb: MongoDatabase,
    pub(super) redis: RedisDatabase,
}

impl Servers {
    /// Those that all tests share.
    pub(super) fn shared() -> Self {
        Self {
            source: Postgres::shared(),
            postgres: Postgres::shared(),
            mysql: MariaDb::shared(),
            mongodb: Mongod::shared(),
            redis: Redis::shared(),
        }
    }

    /// Some of the test's own, which keep what they said is stored when they are killed.
    pub(super) fn own() -> Self {
        Self {
            source: Postgres::own(None, &[]),
            postgres: Postgres::own(None, &[]),
            mysql: MariaDb::own(&[]),
            mongodb: Mongod::own(&[]),
            redis: Redis::own(&["--appendonly", "yes"]),
        }
    }

    pub(super) async fn source(&self) -> Database {
        self.source.database().await
    }

    pub(super) async fn targets(&self) -> Targets {
        Targets {
            postgres: self.postgres.database().await,
            sqlite: Run::current().make_folder("sqlite").join("target.db"),
            mysql: self.mysql.database().await,
            mongodb: self.mongodb.database(),
            redis: self.redis.database(),
        }
    }

    /// Restarts or kills one of them, and says which.
    pub(super) fn strike(&mut self, random: &mut Random) -> &'static str {
        match random.below(6) {
            0 => {
                self.source.restart();
                "source restarted"
            }
            1 => {
                self.source.kill();
                self.source.start();
                "source killed"
            }
            2 => {
                self.postgres.kill();
                self.postgres.start();
                "postgres killed"
            }
            3 => {
                self.mysql.kill();
                self.mysql.start();
                "mysql killed"
            }
            4 => {
                self.mongodb.kill();
                self.mongodb.start();
                "mongodb killed"
            }
            _ => {
                self.redis.kill();
                self.redis.start();
                "redis killed"
            }
        }
    }
}

impl Targets {
    /// The config: one sync of all tables, and one of those with keys, since Redis takes no others.
    pub(super) fn config(&self, source: &Database) -> String {
        let targets = [
            ("postgres", "url", self.postgres.url().to_owned()),
            ("sqlite", "path", self.sqlite.display().to_string()),
            ("mysql", "url", self.mysql.url().to_owned()),
            ("mongodb", "url", self.mongodb.url().to_owned()),
            ("redis", "url", self.redis.url().to_owned()),
        ];
        let sections = targets.iter().map(|(plugin, option, value)| {
            format!(
                "[targets.{plugin}]\nplugin = '{plugin}'\noptions = {{ {option} = '{value}' }}\n"
            )
        });
        let keyed = TABLES.iter().map(|(name, _)| format!("public.{name}"));
        let keyed: Vec<String> = keyed.filter(|name| !name.ends_with(KEYLESS)).collect();
        format!(
            "[sources.src]\nurl = '{}'\nredo = '200ms'\n{}\
             [syncs.all]\nsources = ['src']\ntargets = ['postgres', 'sqlite', 'mysql', 'mongodb']\n\
             tables = ['public.*']\n\
             [syncs.keyed]\nsources = ['src']\ntargets = ['redis']\ntables = {keyed:?}\n",
            source.url(),
            sections.collect::<String>()
        )
    }

    /// Whether all hold what the source holds, each row as often.
    pub(super) async fn compare(&self, source: &Database) -> Result<(), String> {
        for (table, columns) in TABLES {
            let query = format!("SELECT {} FROM {table}", columns.join(", "));
            let expected = Rows::postgres(source, &query).await?;
            let mut all = vec![
                ("postgres", Rows::postgres(&self.postgres, &query).await),
                ("sqlite", Rows::sqlite(&self.sqlite, &query)),
                ("mysql", Rows::mysql(self.mysql.url(), &query).await),
                ("mongodb", Rows::mongodb(&self.mongodb, table, columns)),
            ];
            if table != KEYLESS {
                let prefix = format!("{table}:");
                all.push(("redis", Rows::redis(&self.redis, &prefix, columns)));
            }
            for (target, found) in all {
                let same = found.and_then(|found| expected.same_as(&found));
                same.map_err(|fault| format!("{table} in {target}: {fault}"))?;
            }
        }
        Ok(())
    }

    /// Waits until they do.
    #[track_caller]
    pub(super) fn settle(
        &self,
        running: &Running,
        source: &Database,
        patience: Duration,
    ) -> impl Future<Output = ()> {
        eventually(
            patience,
            "every target holds what the source holds",
            async move || {
                fail_if_parked(running);
                self.compare(source).await
            },
        )
    }

    /// Panics where a target with transactions shows half of one. A server that is just coming up
    /// is not asked.
    pub(super) async fn assert_whole(&self) {
        let whole = Rows::new(vec![vec![Some("0".to_owned())]]);
        for (target, found) in [
            ("postgres", Rows::postgres(&self.postgres, SUM).await),
            ("sqlite", Rows::sqlite(&self.sqlite, SUM)),
            ("mysql", Rows::mysql(self.mysql.url(), SUM).await),
        ] {
            let Ok(found) = found else { continue };
            if let Err(fault) = whole.same_as(&found) {
                panic!("{target} shows half of a transaction: {fault}");
            }
        }
    }
}
