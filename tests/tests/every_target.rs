//! One source feeds a target of every kind at once, the engine is killed now and then, and all of them
//! hold what the source holds.
//!
//! Random transactions do everything that a row can suffer: inserts, updates that leave a long value
//! unsent, deletes, keys that move and change places, composite keys, truncates; some of them are
//! large enough to come in parts. Values are plain ones: how each type looks in each target is the
//! value matrix's part.

use std::path::PathBuf;
use std::time::Duration;

use tahr_tests::{
    Database, Engine, MariaDatabase, MariaDb, MongoDatabase, Mongod, OracleStandIn, Postgres,
    Random, Redis, RedisDatabase, Rows, Run, Running, eventually,
};

use crate::scene::{clean, fail_if_parked};

/// How long six targets may take to follow.
const PATIENCE: Duration = Duration::from_secs(60);
const TRANSACTIONS: u64 = 120;
const KILLS: u64 = 3;
/// Rows that the tables begin with.
const COPIED: u64 = 300;

/// Tables with their columns, all of whose values print alike in every target (Oracle drops zeros at the end).
const TABLES: [(&str, &[&str]); 3] = [
    ("items", &["id", "name", "price", "big"]),
    ("pairs", &["a", "b", "n"]),
    ("notes", &["id", "line"]),
];

const SETUP: &str = "
    CREATE TABLE items (id int PRIMARY KEY, name varchar(100), price numeric(10,2), big text);
    ALTER TABLE items ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE pairs (a varchar(20), b int, n bigint, PRIMARY KEY (a, b));
    CREATE TABLE notes (id int PRIMARY KEY, line varchar(200));
    INSERT INTO items SELECT g, 'name ' || g, g + 0.25, repeat(md5(g::text), 200)
      FROM generate_series(1, 300) g;
    INSERT INTO pairs SELECT 'p' || g % 7, g, 0 FROM generate_series(1, 300) g;
    INSERT INTO notes SELECT g, 'line ' || g FROM generate_series(1, 300) g";

struct Targets {
    postgres: Database,
    sqlite: PathBuf,
    redis: RedisDatabase,
    mysql: MariaDatabase,
    mongodb: MongoDatabase,
    oracle: OracleStandIn,
}

impl Targets {
    async fn new(server: &Postgres) -> Self {
        Self {
            postgres: server.database().await,
            sqlite: Run::current().make_folder("sqlite").join("target.db"),
            redis: Redis::shared().database(),
            mysql: MariaDb::shared().database().await,
            mongodb: Mongod::shared().database(),
            oracle: OracleStandIn::new(),
        }
    }

    fn config(&self, source: &Database) -> String {
        let targets = [
            ("postgres", format!("url = '{}'", self.postgres.url())),
            ("sqlite", format!("path = '{}'", self.sqlite.display())),
            ("redis", format!("url = '{}'", self.redis.url())),
            ("mysql", format!("url = '{}'", self.mysql.url())),
            ("mongodb", format!("url = '{}'", self.mongodb.url())),
            (
                "oracle",
                format!(
                    "connect = '{}', user = '{}', password = '{}', client_dir = '{}'",
                    self.oracle.connect_string(),
                    self.oracle.user(),
                    self.oracle.password(),
                    OracleStandIn::client_dir().display()
                ),
            ),
        ];
        let sections = targets.iter().map(|(plugin, options)| {
            format!("[targets.{plugin}]\nplugin = '{plugin}'\noptions = {{ {options} }}\n")
        });
        let names: Vec<&str> = targets.iter().map(|(plugin, _)| *plugin).collect();
        format!(
            "[sources.src]\nurl = '{}'\n{}[syncs.s]\nsources = ['src']\ntargets = {names:?}\n\
             tables = ['public.*']\n",
            source.url(),
            sections.collect::<String>()
        )
    }

    async fn compare(&self, source: &Database) -> Result<(), String> {
        for (table, columns) in TABLES {
            let query = format!("SELECT {} FROM {table}", columns.join(", "));
            let quoted: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
            let in_oracle = format!("SELECT {} FROM \"{table}\"", quoted.join(", "));
            let expected = Rows::postgres(source, &query).await?;
            for (target, found) in [
                ("postgres", Rows::postgres(&self.postgres, &query).await),
                ("sqlite", Rows::sqlite(&self.sqlite, &query)),
                (
                    "redis",
                    Rows::redis(&self.redis, &format!("{table}:"), columns),
                ),
                ("mysql", Rows::mysql(self.mysql.url(), &query).await),
                ("mongodb", Rows::mongodb(&self.mongodb, table, columns)),
                ("oracle", Rows::oracle(&self.oracle, &in_oracle)),
            ] {
                let same = found.and_then(|found| expected.same_as(&found));
                same.map_err(|fault| format!("{table} in {target}: {fault}"))?;
            }
        }
        Ok(())
    }

    async fn settle(&self, running: &Running, source: &Database) {
        eventually(
            PATIENCE,
            "every target holds what the source holds",
            async || {
                fail_if_parked(running);
                self.compare(source).await
            },
        )
        .await;
    }
}

/// Statements of one random transaction; new keys come from `next`.
fn transaction(random: &mut Random, next: &mut u64) -> String {
    let mut statements = String::from("BEGIN;");
    for _ in 0..=random.below(6) {
        let (id, other) = (random.below(COPIED) + 1, random.below(COPIED) + 1);
        *next += 1;
        let key = *next;
        statements += &match random.below(10) {
            0 | 1 => format!(
                "INSERT INTO items VALUES ({key}, 'new', {id}.25, repeat('{key} ', {}));",
                // Not empty, which Oracle can't tell from NULL.
                1 + random.below(2000)
            ),
            2 => format!("UPDATE items SET name = 'n{key}' WHERE id % 50 = {id} % 50;"),
            3 => format!("UPDATE items SET price = -price, big = NULL WHERE id = {id};"),
            4 => format!("DELETE FROM items WHERE id = {id}; DELETE FROM notes WHERE id = {id};"),
            5 => format!("UPDATE items SET id = {key} WHERE id = {id};"),
            6 if id != other => format!(
                "UPDATE items SET id = -1 WHERE id = {id}; UPDATE items SET id = {id} WHERE id = {other};
                 UPDATE items SET id = {other} WHERE id = -1;"
            ),
            // By whole thousands, so that no key is ever another row's: it is still below them what it was.
            7 => format!("UPDATE pairs SET b = b + {key} * 1000 WHERE b % 40 = {id} % 40;"),
            8 => format!("UPDATE pairs SET a = 'moved', n = n + 1 WHERE b = {id};"),
            _ => format!("INSERT INTO notes VALUES ({key}, 'line');"),
        };
    }
    if random.one_in(25) {
        statements += "TRUNCATE notes; INSERT INTO notes VALUES (1, 'after the truncate');";
    }
    statements + "COMMIT"
}

#[tokio::test(flavor = "multi_thread")]
async fn six_kinds_of_targets_hold_what_the_source_holds_whatever_happens() {
    let mut random = Random::new();
    let server = Postgres::shared();
    let source = server.database().await;
    source.execute(SETUP).await;
    let targets = Targets::new(&server).await;
    let engine = Engine::builder().config(targets.config(&source)).build();
    let mut running = engine.start();
    targets.settle(&running, &source).await;

    let mut next = 10 * COPIED;
    for kill in 0..KILLS {
        for _ in 0..TRANSACTIONS / KILLS {
            source.execute(&transaction(&mut random, &mut next)).await;
        }
        // One that comes in parts, under way when the engine dies.
        next += 20_000;
        let large = format!(
            "BEGIN; UPDATE items SET name = 'large {kill}' WHERE id % 3 = 0;
             INSERT INTO notes SELECT g, repeat('x', 150) FROM generate_series({}, {next}) g;
             DELETE FROM notes WHERE id % 10 <> 0; UPDATE pairs SET n = n + 1; COMMIT",
            next - 19_999
        );
        source.execute(&large).await;
        tokio::time::sleep(Duration::from_millis(random.below(400))).await;
        running.kill9();
        running = engine.start();
    }
    targets.settle(&running, &source).await;
    clean(&running.terminate().stderr);
    engine.tahr(&["drop", "--yes", "s"]).assert_success();
    targets.compare(&source).await.expect("copied rows stay");
}
