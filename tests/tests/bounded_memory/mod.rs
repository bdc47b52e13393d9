//! However large a transaction is, the engine's memory is not: SQL targets get it as one transaction,
//! of which nobody ever sees a part, the others in parts, from which they go on after a `kill -9`.
//!
//! `make large` runs it with ten million rows, or `TAHR_LARGE_ROWS`, on a release build.

mod copy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tahr::lane::{State, Status};
use tahr_tests::{Database, Engine, Postgres, Running, eventually};

use copy::{Copy, Seen};

const MIB: u64 = 1 << 20;

/// What the engine may come to hold where nobody asks for a certain number of rows: a few parts of
/// the transaction beside its budget of 2 MiB, and not the 75 MiB that the whole of it takes.
const SMALL: Bound = Bound::Growth(48 * MIB);

/// Its memory in all, whatever the number of rows.
const LARGE: Bound = Bound::Total(256 * MIB);

#[derive(Clone, Copy)]
enum Bound {
    /// More than before the transaction: a debug build is large by itself.
    Growth(u64),
    Total(u64),
}

/// A source with two tables, and an engine that copies them into one target.
struct Setting {
    rows: u64,
    /// Length of each row's text.
    width: usize,
    bound: Bound,
    source: Database,
    copy: Arc<Copy>,
    engine: Engine,
    /// Private ones end with the test.
    _server: Postgres,
}

impl Setting {
    async fn new(plugin: &'static str) -> Self {
        let asked = std::env::var("TAHR_LARGE_ROWS").ok();
        let asked: Option<u64> = asked.map(|rows| rows.parse().expect("a number of rows"));
        let server = match asked {
            Some(_) => Postgres::own(None, &[("max_wal_size", "8GB")]),
            None => Postgres::shared(),
        };
        let source = server.database().await;
        source
            .execute(
                "CREATE TABLE t (id int PRIMARY KEY, v text);
                 CREATE TABLE total (id int PRIMARY KEY, n bigint); INSERT INTO total VALUES (1, 0)",
            )
            .await;
        let copy = Copy::new(plugin, &server, asked.is_some()).await;
        let config = format!(
            "[sources.src]\nurl = '{}'\nredo = '200ms'\n\
             [targets.copy]\nplugin = '{plugin}'\noptions = {}\n\
             [syncs.s]\nsources = ['src']\ntargets = ['copy']\ntables = ['public.*']\n",
            source.url(),
            copy.options()
        );
        let builder = Engine::builder().config(config);
        let builder = match asked {
            Some(_) => builder,
            None => builder.setting("memory = \"2MiB\""),
        };
        Self {
            rows: asked.unwrap_or(300_000),
            width: if asked.is_some() { 36 } else { 180 },
            bound: if asked.is_some() { LARGE } else { SMALL },
            source,
            copy: Arc::new(copy),
            engine: builder.build(),
            _server: server,
        }
    }

    /// An hour for the ten million, some minutes for less.
    fn patience(&self) -> Duration {
        Duration::from_secs(120 + self.rows / 3000)
    }

    async fn start(&self) -> (Running, u64) {
        let running = self.engine.start();
        self.engine.await_lane("copy", State::Streaming).await;
        let memory = running.process().peak_memory();
        (running, memory)
    }

    /// Makes the transaction; returns when it was committed.
    async fn change(&self) -> Instant {
        let (rows, width) = (self.rows, self.width);
        self.source
            .execute(&format!(
                "BEGIN; INSERT INTO t SELECT g, lpad(g::text, {width}, '0') FROM generate_series(1, {rows}) g;
                 UPDATE total SET n = n + {rows}; COMMIT"
            ))
            .await;
        Instant::now()
    }

    /// Waits until all is stored.
    async fn stored(&self) -> Status {
        eventually(self.patience(), "all is stored", async || {
            let lane = self.engine.lane("copy")?;
            let is_stored = lane.stored.as_ref().is_some_and(|at| !at.is_inside());
            match self.copy.seen(self.rows).await? {
                Seen::All if is_stored && lane.changes > 0 => Ok(lane),
                seen => Err(format!("{seen:?}, {lane:?}")),
            }
        })
        .await
    }

    /// Says what was measured, and holds it against the bound.
    #[expect(clippy::print_stdout, reason = "it says what it measured")]
    fn report(&self, running: &Running, before: u64, (rows, taken): (u64, Duration), how: &str) {
        let peak = running.process().peak_memory();
        let rate = Duration::from_secs(rows).as_secs_f64() / taken.as_secs_f64();
        println!(
            "{:<9} {rows} rows, {how}: {rate:.0} rows/s, engine {} MiB at most, {} MiB more than before",
            self.copy.plugin(),
            peak / MIB,
            (peak - before) / MIB,
        );
        match self.bound {
            Bound::Total(most) => assert!(peak < most, "{} MiB", peak / MIB),
            Bound::Growth(most) => {
                assert!(peak - before < most, "{} MiB more", (peak - before) / MIB);
            }
        }
    }

    async fn is_whole(&self) {
        let held = self.copy.holds(self.rows, self.width).await;
        held.expect("the target holds every row");
    }
}

/// Looks at the target again and again until it is told to stop; what it saw, without repetitions.
async fn watch(copy: Arc<Copy>, rows: u64, stop: Arc<AtomicBool>) -> Vec<Seen> {
    let mut all = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let seen = copy.seen(rows).await.expect("look at the target");
        if !all.contains(&seen) {
            all.push(seen);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    all
}

async fn comes_whole(plugin: &'static str) {
    let setting = Setting::new(plugin).await;
    let (running, before) = setting.start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(watch(
        Arc::clone(&setting.copy),
        setting.rows,
        Arc::clone(&stop),
    ));
    let committed = setting.change().await;
    let lane = setting.stored().await;
    let taken = committed.elapsed();
    stop.store(true, Ordering::Relaxed);
    let seen = watching.await.expect("the reader");
    let done = (setting.rows, taken);
    setting.report(&running, before, done, "one transaction");
    assert!(seen.contains(&Seen::Nothing), "{seen:?}");
    let partly = seen.iter().find(|seen| matches!(seen, Seen::Part(..)));
    assert!(partly.is_none(), "a reader saw a part: {partly:?}");
    assert_eq!(lane.changes, setting.rows + 1, "each once");
    setting.is_whole().await;
    running.terminate().assert_success();
}

async fn goes_on_from_a_part(plugin: &'static str) {
    let setting = Setting::new(plugin).await;
    let (running, before) = setting.start().await;
    let committed = setting.change().await;
    let done = eventually(setting.patience(), "a third is stored", async || {
        let lane = setting.engine.lane("copy")?;
        let done = lane.stored.map_or(0, |stored| stored.ordinal);
        (done > setting.rows / 3)
            .then_some(done)
            .ok_or_else(|| format!("{done} rows"))
    })
    .await;
    let first = (done, committed.elapsed());
    setting.report(&running, before, first, "until killed");
    running.kill9();
    let seen = setting.copy.seen(setting.rows).await;
    assert!(matches!(seen, Ok(Seen::Part(..))), "{seen:?}");

    let started = Instant::now();
    let (running, before) = setting.start().await;
    let lane = setting.stored().await;
    let rest = (setting.rows - done, started.elapsed());
    setting.report(&running, before, rest, "the rest");
    assert!(
        lane.changes <= setting.rows + 1 - done,
        "{} changes after {done}: it began anew",
        lane.changes
    );
    setting.is_whole().await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_comes_into_sqlite_as_one() {
    comes_whole("sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_comes_into_postgres_as_one() {
    comes_whole("postgres").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_comes_into_mysql_as_one() {
    comes_whole("mysql").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_comes_into_redis_in_parts_and_goes_on_after_a_kill() {
    goes_on_from_a_part("redis").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_comes_into_mongodb_in_parts_and_goes_on_after_a_kill() {
    goes_on_from_a_part("mongodb").await;
}
