//! What tahr achieves on this machine, beside what PostgreSQL's own tools do with the same WAL.
//!
//! `make bench` runs it on a release build; by hand, names of targets restrict it to them. It starts
//! its own servers and prints:
//!
//! - backlog: one transaction of a million inserted rows, decoded by `pg_recvlogical` and then
//!   brought into each target by an engine that starts with all of it waiting; and the most
//!   memory that the engine held; for MariaDB and MongoDB also the same rows sent by a bare client;
//! - latency: from a commit on an idle source to the row in Redis.

#![allow(clippy::print_stdout, reason = "it prints its measurements")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tahr_tests::{Database, Engine, MariaDb, Mongod, Postgres, Redis, eventually};

mod bare;

const ROWS: u32 = 1_000_000;
const SAMPLES: usize = 200;
/// A server of the usual size, not one of the many that tests start.
const MARIADB: &[(&str, &str)] = &[
    ("innodb-buffer-pool-size", "1G"),
    ("innodb-log-file-size", "512M"),
];
const TARGETS: [&str; 5] = ["sqlite", "redis", "postgres", "mysql", "mongodb"];

#[tokio::main]
async fn main() {
    let source = Postgres::own(None, &[("fsync", "on"), ("max_wal_size", "8GB")]);
    backlog(&source).await;
    latency(&source).await;
}

async fn prepare(source: &Postgres) -> Database {
    let database = source.database().await;
    let columns =
        "id bigint PRIMARY KEY, name text, price numeric, ok bool, at timestamptz, note text";
    database
        .execute(&format!("CREATE TABLE items ({columns})"))
        .await;
    database
}

async fn backlog(source: &Postgres) {
    println!("backlog: one transaction of {ROWS} rows");
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |target: &&str| asked.is_empty() || asked.iter().any(|name| name == target);
    for target in TARGETS.into_iter().filter(is_asked) {
        let database = prepare(source).await;
        let copy = source.database().await;
        let redis = Redis::own(&[]);
        let maria_server = MariaDb::own(MARIADB);
        let maria = maria_server.database().await;
        let mongo_server = Mongod::own(&[]);
        let mongo = mongo_server.database();
        let options = match target {
            "mysql" => format!(r#"{{ url = "{}" }}"#, maria.url()),
            "mongodb" => format!(r#"{{ url = "{}" }}"#, mongo.url()),
            "sqlite" => r#"{ path = "items.db" }"#.to_owned(),
            "redis" => format!(r#"{{ url = "{}" }}"#, redis.database().url()),
            _ => format!(r#"{{ url = "{}" }}"#, copy.url()),
        };
        let engine = engine(&database, target, &options);
        engine.run_once().assert_success();
        let slots = ["before", "after"].map(|when| format!("raw_{when}_{}", engine.name()));
        let publication = format!("tahr_{}_s", engine.name());
        for slot in &slots {
            let made = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
            database.query(&made).await;
        }
        database
            .execute(&format!(
                "INSERT INTO items SELECT i, 'name of item ' || i, i * 1.25, i % 2 = 0,
                        now() - i * interval '1 second', repeat(md5(i::text), 2)
                 FROM generate_series(1, {ROWS}) i"
            ))
            .await;
        let end = database.value("SELECT pg_current_wal_lsn()").await;
        let before = receive(&database, &slots[0], &publication, &end);

        let start = Instant::now();
        let running = engine.start();
        let stored = eventually(
            Duration::from_secs(120),
            "all rows are stored",
            async || {
                let lane = engine.lane(target)?;
                (lane.changes >= u64::from(ROWS))
                    .then_some(lane)
                    .ok_or("not yet".to_owned())
            },
        );
        let lane = stored.await;
        let taken = start.elapsed();
        let memory = running.process().peak_memory() >> 20;
        running.terminate().assert_success();
        // The first reader finds colder caches than the second: the better of both counts.
        let raw = before.min(receive(&database, &slots[1], &publication, &end));
        for slot in &slots {
            let dropped = format!("SELECT pg_drop_replication_slot('{slot}')");
            database.query(&dropped).await;
        }
        assert_eq!(lane.changes, u64::from(ROWS), "each row once");
        println!(
            "  {target:<9} {:>8.0} rows/s   pg_recvlogical {:>8.0} rows/s   {:>3.0} %   {memory} MiB",
            rate(taken),
            rate(raw),
            100.0 * raw.as_secs_f64() / taken.as_secs_f64(),
        );
        if target == "mysql" {
            let bare = bare::mysql(&maria, &bare::rows(&database).await).await;
            beside("1000-row upserts", bare, taken);
        }
        if target == "mongodb" {
            let rows = bare::rows(&database).await;
            let (inserts, replacements) = bare::mongodb(&mongo, &rows).await;
            beside("1000-row inserts", inserts, taken);
            beside("1000-row replacements", replacements, taken);
        }
    }
}

/// Shows what a bare client took for the same rows.
fn beside(what: &str, bare: Duration, taken: Duration) {
    println!(
        "    a bare client's {what}: {:>8.0} rows/s; tahr {:>3.0} % of it",
        rate(bare),
        100.0 * bare.as_secs_f64() / taken.as_secs_f64(),
    );
}

fn engine(database: &Database, target: &str, options: &str) -> Engine {
    Engine::builder()
        .config(format!(
            r#"
            [sources.s]
            url = "{}"
            [targets.{target}]
            plugin = "{target}"
            options = {options}
            [syncs.s]
            sources = ["s"]
            targets = ["{target}"]
            tables = ["public.*"]
            "#,
            database.url()
        ))
        .build()
}

/// How long `pg_recvlogical` takes to read the slot up to `end`.
fn receive(database: &Database, slot: &str, publication: &str, end: &str) -> Duration {
    let start = Instant::now();
    let status = Command::new(find("pg_recvlogical"))
        .args([
            "-d",
            database.url(),
            "--slot",
            slot,
            "--start",
            "--no-loop",
            "-f",
            "/dev/null",
        ])
        .args(["--endpos", end, "-o", "proto_version=1"])
        .args(["-o", &format!("publication_names={publication}")])
        .stderr(Stdio::null())
        .status()
        .expect("run pg_recvlogical");
    assert!(status.success(), "pg_recvlogical failed");
    start.elapsed()
}

/// A program of PostgreSQL, which Debian keeps outside of the path.
fn find(program: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(program)))
        .filter(|path| path.exists())
        .collect();
    folders.sort();
    folders.pop().unwrap_or_else(|| program.into())
}

fn rate(taken: Duration) -> f64 {
    f64::from(ROWS) / taken.as_secs_f64()
}

async fn latency(source: &Postgres) {
    let database = prepare(source).await;
    let redis = Redis::own(&[]);
    let keys = redis.database();
    let engine = engine(
        &database,
        "redis",
        &format!(r#"{{ url = "{}" }}"#, keys.url()),
    );
    let running = engine.start();
    engine
        .await_lane("redis", tahr::lane::State::Streaming)
        .await;
    let client = database.connect().await;
    let mut connection = keys.connect();
    let mut samples = Vec::with_capacity(SAMPLES);
    for id in 0..SAMPLES {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let insert = format!("INSERT INTO items VALUES ({id}, 'x', 1.5, true, now(), 'y')");
        client.batch_execute(&insert).await.expect("insert a row");
        let committed = Instant::now();
        loop {
            let found: bool = redis::cmd("EXISTS")
                .arg(format!("items:{id}"))
                .query(&mut connection)
                .expect("ask Redis");
            if found {
                break;
            }
            assert!(
                committed.elapsed() < Duration::from_secs(10),
                "row {id} does not arrive"
            );
        }
        samples.push(committed.elapsed());
    }
    running.terminate().assert_success();
    samples.sort();
    println!(
        "latency: commit to Redis, {SAMPLES} rows: median {:.2} ms, 99th percentile {:.2} ms",
        samples[SAMPLES / 2].as_secs_f64() * 1000.0,
        samples[SAMPLES * 99 / 100].as_secs_f64() * 1000.0,
    );
}
