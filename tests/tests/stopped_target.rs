//! A target that stops for a while under load: the others don't notice, the source's slot moves on,
//! and it catches up by itself when it returns.
//!
//! `make lagging` stops it for a minute, or `TAHR_LAGGING_SECONDS`, on a release build, and holds the
//! others' lag against what it was before and after.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tahr::lane::State;
use tahr_plugin_api::Lsn;
use tahr_tests::{
    Database, Engine, MariaDatabase, MariaDb, Postgres, Redis, RedisDatabase, Run, Running, Signal,
    eventually,
};
use tokio::runtime::Handle;
use tokio::time::{interval, sleep};

/// 5,000 rows a second: far less than any of the targets takes.
const TRANSACTIONS_A_SECOND: u32 = 500;
const TRANSACTION: &str = "BEGIN;
    UPDATE accounts SET balance = balance + 1 WHERE aid = (SELECT 1 + (random() * 9999)::int);
    INSERT INTO history (aid, delta) SELECT g, 1 FROM generate_series(1, 9) g; COMMIT";
const SETUP: &str = "CREATE TABLE accounts (aid int PRIMARY KEY, balance int, filler char(84));
    INSERT INTO accounts SELECT g, 0, '' FROM generate_series(1, 10000) g;
    CREATE TABLE history (id bigserial PRIMARY KEY, aid int, delta int);
    CREATE TABLE beat (id int PRIMARY KEY, n bigint); INSERT INTO beat VALUES (1, 0)";

/// How often a row changes whose arrival is waited for.
const BEATS_EVERY: Duration = Duration::from_millis(10);
/// How often it is looked for.
const LOOKS_EVERY: Duration = Duration::from_millis(1);
/// What a 99th percentile may change by for reasons of the machine: the looks, and a turn of the
/// scheduler on each of the beat's stations.
const NOISE: Duration = Duration::from_millis(2);

const MIB: u64 = 1 << 20;
/// The source notes which transactions run only so often. Its slot keeps WAL from the note before the one that
/// it was told of last, and looks at no other until it was told of that: so it takes two of these and two of
/// `redo`.
const RESTARTS_EVERY: Duration = Duration::from_secs(15);
/// How often the reader tells the slot, and how long this test may take to ask.
const SLACK: Duration = Duration::from_secs(1);
/// How long the target may take to be where the others are.
const SOON: Duration = Duration::from_secs(120);

/// How the target stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It hangs, and its connections with it.
    Hangs,
    /// It is shut down, and started again.
    Ends,
}

/// Lengths of what happens.
struct Plan {
    /// Before the target stops, and after it has caught up.
    quiet: Duration,
    stopped: Duration,
    redo: Duration,
    /// Whether the others' lag is measured: only where nothing else runs.
    is_measured: bool,
}

impl Plan {
    fn new() -> Self {
        let asked = std::env::var("TAHR_LAGGING_SECONDS").ok();
        let asked = asked.map(|seconds| seconds.parse().expect("a number of seconds"));
        match asked.map(Duration::from_secs) {
            Some(stopped) => Self {
                quiet: stopped / 2,
                stopped,
                redo: Duration::from_secs(10),
                is_measured: true,
            },
            None => Self {
                quiet: Duration::from_secs(1),
                stopped: Duration::from_secs(8),
                redo: Duration::from_secs(1),
                is_measured: false,
            },
        }
    }
}

/// A number of the beat, and when it was committed or first seen.
type Moments = Vec<(u64, Instant)>;

/// Work that goes on until it is told to end, and then says when what happened.
struct Work {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Moments>,
}

impl Work {
    /// Runs a statement on the source every so often, and notes each.
    async fn statement(source: &Database, statement: &'static str, period: Duration) -> Self {
        let session = source.connect().await;
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            // What was missed is made up for: so much load it is in any case.
            let mut ticks = interval(period);
            let mut moments = Moments::new();
            while !is_over.load(Ordering::Relaxed) {
                ticks.tick().await;
                session.batch_execute(statement).await.expect("change rows");
                moments.push((moments.len() as u64 + 1, Instant::now()));
            }
            moments
        });
        Self { stop, task }
    }

    /// Asks a target again and again how far the beat is there.
    fn watch(mut look: impl FnMut() -> u64 + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let task = tokio::task::spawn_blocking(move || {
            let mut moments: Moments = vec![(0, Instant::now())];
            while !is_over.load(Ordering::Relaxed) {
                let beat = look();
                if moments.last().is_some_and(|(last, _)| *last < beat) {
                    moments.push((beat, Instant::now()));
                }
                thread::sleep(LOOKS_EVERY);
            }
            moments
        });
        Self { stop, task }
    }

    async fn end(self) -> Moments {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the work")
    }
}

/// From the commit of each beat to its arrival, for those committed between two moments; sorted.
fn lags(beats: &Moments, seen: &Moments, from: Instant, to: Instant) -> Vec<Duration> {
    let within = beats.iter().filter(|(_, at)| (from..to).contains(at));
    let mut lags: Vec<Duration> = within
        .filter_map(|(beat, committed)| {
            let arrived = seen.partition_point(|(seen, _)| seen < beat);
            let (_, arrived) = seen.get(arrived)?;
            Some(arrived.saturating_duration_since(*committed))
        })
        .collect();
    lags.sort();
    lags
}

fn percentile(lags: &[Duration], percent: usize) -> Duration {
    lags[lags.len() * percent / 100]
}

/// The source, the target that stops, and those that go on.
struct Setting {
    source_server: Postgres,
    source: Database,
    maria_server: MariaDb,
    maria: MariaDatabase,
    _copy_server: Postgres,
    copy: Database,
    redis_server: Redis,
    redis: RedisDatabase,
    file: PathBuf,
    engine: Engine,
}

impl Setting {
    async fn new(plan: &Plan) -> Self {
        // Of its own, so that all WAL there is is the load's.
        let source_server = Postgres::own(None, &[]);
        let source = source_server.database().await;
        source.execute(SETUP).await;
        let maria_server = MariaDb::own(&[]);
        let maria = maria_server.database().await;
        let copy_server = Postgres::own(None, &[]);
        let copy = copy_server.database().await;
        let redis_server = Redis::own(&[]);
        let redis = redis_server.database();
        let file = Run::current().make_folder("sqlite").join("copy.db");
        let config = format!(
            "[sources.src]\nurl = '{}'\nredo = '{}s'\n\
             [targets.maria]\nplugin = 'mysql'\noptions = {{ url = '{}' }}\n\
             [targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
             [targets.cache]\nplugin = 'redis'\noptions = {{ url = '{}' }}\n\
             [targets.lite]\nplugin = 'sqlite'\noptions = {{ path = '{}' }}\n\
             [syncs.s]\nsources = ['src']\ntargets = ['maria', 'pg', 'cache', 'lite']\n\
             tables = ['public.*']\n",
            source.url(),
            plan.redo.as_secs(),
            maria.url(),
            copy.url(),
            redis.url(),
            file.display(),
        );
        let engine = Engine::builder().config(config).build();
        Self {
            source_server,
            source,
            maria_server,
            maria,
            _copy_server: copy_server,
            copy,
            redis_server,
            redis,
            file,
            engine,
        }
    }

    async fn start(&self) -> Running {
        let running = self.engine.start();
        for target in ["maria", "pg", "cache", "lite"] {
            self.engine.await_lane(target, State::Streaming).await;
        }
        running
    }

    /// Looks for the beat in the targets that go on.
    async fn watch(&self) -> [(&'static str, Work); 3] {
        const LOOK: &str = "SELECT n FROM beat";
        let (session, runtime) = (self.copy.connect().await, Handle::current());
        let statement = session.prepare(LOOK).await.expect("prepare");
        let postgres = move || {
            let row = runtime.block_on(session.query_one(&statement, &[]));
            row.expect("look at PostgreSQL")
                .get::<_, i64>(0)
                .cast_unsigned()
        };
        let mut session = self.redis.connect();
        let redis = move || {
            let number = redis::cmd("HGET")
                .arg("beat:1")
                .arg("n")
                .query(&mut session);
            number.expect("look at Redis")
        };
        let session = open(&self.file);
        let sqlite = move || {
            let number = session
                .prepare_cached(LOOK)
                .and_then(|mut look| look.query_row([], |row| row.get::<_, i64>(0)));
            number.expect("look at SQLite").cast_unsigned()
        };
        [
            ("postgres", Work::watch(postgres)),
            ("redis", Work::watch(redis)),
            ("sqlite", Work::watch(sqlite)),
        ]
    }

    /// Waits until every target holds what the source does.
    async fn all_hold_all(&self) {
        let sums = "SELECT (SELECT sum(balance) FROM accounts), (SELECT count(*) FROM history),
                           (SELECT max(id) FROM history), (SELECT n FROM beat)";
        let expected = self.source.query(sums).await;
        eventually(SOON, "every target holds all", async || {
            let mut found = vec![
                self.copy.try_query(sums).await?,
                self.maria.try_query(sums).await?,
            ];
            let numbers = open(&self.file).query_row(sums, [], |row| {
                let text = |column| {
                    row.get::<_, i64>(column)
                        .map(|number| Some(number.to_string()))
                };
                (0..4).map(text).collect::<Result<Vec<_>, _>>()
            });
            found.push(vec![numbers.map_err(|error| error.to_string())?]);
            let keys: u64 = self.redis.try_command("DBSIZE")?;
            // Beside the history: the accounts, the beat and the checkpoint.
            let is_there = Some((keys - 10_002).to_string()) == expected[0][1];
            match is_there && found.iter().all(|found| *found == expected) {
                true => Ok(()),
                false => Err(format!("{found:?} instead of {expected:?}")),
            }
        })
        .await;
    }
}

fn open(file: &Path) -> rusqlite::Connection {
    let session = rusqlite::Connection::open(file).expect("open the file");
    session.busy_timeout(SOON).expect("set a timeout");
    session
}

/// How the source's log and the slot moved.
struct Slot {
    /// Where the log ended, when.
    ends: Vec<(Instant, Lsn)>,
    /// The most bytes that the slot's position, and the WAL that it keeps, were behind what `redo` (and
    /// the source's own habit) explains.
    confirmed: u64,
    kept: u64,
}

impl Slot {
    async fn look(&mut self, source: &Database, plan: &Plan) {
        let sql = format!(
            "SELECT pg_current_wal_lsn(), confirmed_flush_lsn, restart_lsn FROM pg_replication_slots
             WHERE database = '{}' AND NOT temporary",
            source.name()
        );
        let now = Instant::now();
        let rows = source.query(&sql).await;
        let lsn = |column: usize| -> Lsn {
            let text = rows[0][column].as_deref().expect("an LSN");
            text.parse().expect("an LSN")
        };
        self.ends.push((now, lsn(0)));
        let behind = |lsn: Lsn, explained: Duration| {
            let before = self
                .ends
                .iter()
                .rev()
                .find(|(at, _)| *at + explained <= now);
            before.map_or(0, |(_, end)| end.bytes_since(lsn))
        };
        self.confirmed = self.confirmed.max(behind(lsn(1), plan.redo + SLACK));
        let kept = 2 * (plan.redo + RESTARTS_EVERY) + SLACK;
        self.kept = self.kept.max(behind(lsn(2), kept));
    }

    /// Looks again and again for `length`.
    async fn watch(&mut self, source: &Database, plan: &Plan, length: Duration) {
        let until = Instant::now() + length;
        while Instant::now() < until {
            self.look(source, plan).await;
            sleep(Duration::from_millis(200)).await;
        }
    }
}

#[expect(clippy::print_stdout, reason = "it says what it measured")]
async fn run(stop: Stop) {
    let plan = Plan::new();
    let mut setting = Setting::new(&plan).await;
    let running = setting.start().await;
    let period = Duration::from_secs(1) / TRANSACTIONS_A_SECOND;
    let load = Work::statement(&setting.source, TRANSACTION, period).await;
    let beat = Work::statement(&setting.source, "UPDATE beat SET n = n + 1", BEATS_EVERY).await;
    let watches = setting.watch().await;
    let mut slot = Slot {
        ends: Vec::new(),
        confirmed: 0,
        kept: 0,
    };
    // What a start brings with it is over.
    slot.watch(&setting.source, &plan, Duration::from_secs(2))
        .await;
    let begun = Instant::now();
    slot.watch(&setting.source, &plan, plan.quiet).await;

    let stopped = Instant::now();
    let server = setting.maria_server.process().expect("its process");
    match stop {
        Stop::Hangs => server.signal(Signal::Stop),
        Stop::Ends => setting.maria_server.stop(),
    }
    slot.watch(&setting.source, &plan, plan.stopped).await;
    let lane = setting.engine.lane("maria").expect("the lane's status");
    let back = Instant::now();
    match stop {
        Stop::Hangs => server.signal(Signal::Cont),
        Stop::Ends => setting.maria_server.start(),
    }
    let caught_up = eventually(SOON, "it has caught up by itself", async || {
        let end = setting.source.value("SELECT n FROM beat").await;
        let found = setting.maria.try_query("SELECT n FROM beat").await?;
        let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
        let found = found[0][0].as_deref().unwrap_or_default();
        match number(&end)?.saturating_sub(number(found)?) {
            // A second of them.
            0..100 => Ok(Instant::now()),
            behind => Err(format!("{behind} beats behind")),
        }
    })
    .await;
    slot.watch(&setting.source, &plan, plan.quiet).await;
    let end = Instant::now();

    let transactions = load.end().await.len();
    let beats = beat.end().await;
    setting.all_hold_all().await;
    println!(
        "{stop:?} for {:?}: {:.0} transactions/s; the target lagged by {:?} s, had caught up {:?} after its \
         return; beyond what is explained the slot was {} KiB behind and held {} KiB",
        plan.stopped,
        Duration::from_secs(transactions as u64).as_secs_f64()
            / end.duration_since(begun).as_secs_f64(),
        lane.lag_seconds,
        caught_up.duration_since(back),
        slot.confirmed >> 10,
        slot.kept >> 10,
    );
    assert!(slot.confirmed < 4 * MIB, "{} bytes", slot.confirmed);
    assert!(slot.kept < 4 * MIB, "{} bytes", slot.kept);
    for (target, watch) in watches {
        let seen = watch.end().await;
        let quiet = [
            lags(&beats, &seen, begun, stopped),
            lags(&beats, &seen, caught_up, end),
        ];
        let meanwhile = lags(&beats, &seen, stopped, back);
        let after = lags(&beats, &seen, back, caught_up);
        let mut all_quiet = quiet.concat();
        all_quiet.sort();
        let shown = |lags: &[Duration]| match lags {
            [] => "-".to_owned(),
            lags => format!(
                "{:.1?} / {:.1?}",
                percentile(lags, 50),
                percentile(lags, 99)
            ),
        };
        println!(
            "  {target:<9} p50 / p99: before {}, meanwhile {}, while it catches up {}, afterwards {}",
            shown(&quiet[0]),
            shown(&meanwhile),
            shown(&after),
            shown(&quiet[1]),
        );
        if plan.is_measured {
            let (was, is) = (percentile(&all_quiet, 99), percentile(&meanwhile, 99));
            assert!(
                is <= was.mul_f64(1.1) + NOISE,
                "{target}: {was:?} became {is:?}"
            );
        }
    }
    setting.source_server.process().expect("the source goes on");
    setting.redis_server.process().expect("Redis goes on");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_target_hangs_the_others_and_the_slot_go_on_and_it_catches_up() {
    run(Stop::Hangs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_target_is_shut_down_the_others_and_the_slot_go_on_and_it_catches_up() {
    run(Stop::Ends).await;
}
