//! The engine dies at every named point of a stream: between write, commit, checkpoint and frontier,
//! in the lanes and inside of writers; and where rows are set aside.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Random, Rows, Running, eventually};

use super::load::{Load, SETUP};
use super::targets::{Servers, Targets};
use super::{points_of_copies, points_of_the_log};

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What it takes, beside the load, to come to a point.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// Nothing.
    Load,
    /// A transaction that comes in parts.
    Large,
    /// A truncate of a large table.
    Empty,
    /// A lot in the source's log that is nothing to any lane.
    Noise,
    /// A table that changes.
    Alter,
}

/// Points of the stream with the highest number of passings that is tried.
const STREAM: [(&str, u64, Way); 17] = [
    ("source.read", 20, Way::Load),
    ("source.appended", 20, Way::Load),
    ("lane.write", 30, Way::Load),
    ("lane.accepted", 3, Way::Large),
    ("lane.flush", 2, Way::Noise),
    ("lane.stored", 30, Way::Load),
    ("lane.told", 30, Way::Load),
    ("lane.prepared", 5, Way::Load),
    ("shapes.written", 3, Way::Alter),
    ("frontier.decided", 4, Way::Load),
    ("frontier.told", 4, Way::Load),
    ("postgres.applied", 8, Way::Load),
    ("mysql.applied", 8, Way::Load),
    ("sqlite.applied", 8, Way::Load),
    ("mongodb.applied", 8, Way::Load),
    ("mongodb.emptied", 1, Way::Empty),
    ("redis.sent", 8, Way::Load),
];
const REDIS_EMPTIED: (&str, u64, Way) = ("redis.emptied", 2, Way::Empty);

/// Points of what is set aside; the file is written whole the first time.
const REJECTED: [&str; 4] = [
    "rejected.written",
    "rejected.sifted",
    "rejected.noted",
    "rejected.retried",
];

/// A source under a load, and an engine with a target of every kind.
pub(super) struct Stage {
    pub(super) source: Database,
    pub(super) targets: Targets,
    pub(super) engine: Engine,
    pub(super) random: Random,
    /// Loads so far.
    loads: u64,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let servers = Servers::shared();
        let source = servers.source().await;
        source.execute(SETUP).await;
        let targets = servers.targets().await;
        let engine = Self::engine(&targets, &source);
        Self {
            source,
            targets,
            engine,
            random: Random::new(),
            loads: 0,
        }
    }

    fn engine(targets: &Targets, source: &Database) -> Engine {
        Engine::builder().config(targets.config(source)).build()
    }

    /// As it was before the first start, but for the source's rows.
    pub(super) async fn begin_anew(&mut self) {
        self.engine.tahr(&["drop", "--yes"]).assert_success();
        self.targets = Servers::shared().targets().await;
        self.engine = Self::engine(&self.targets, &self.source);
    }

    pub(super) fn load(&mut self) -> Load {
        self.loads += 1;
        let pause = Duration::from_millis(100);
        Load::start(self.source.url(), &mut self.random, self.loads, pause)
    }

    /// Starts an engine that dies at `point`, at one of its first `most` passings.
    pub(super) fn start_to_die(&mut self, point: &str, most: u64) -> Running {
        let count = 1 + self.random.below(most);
        self.engine.start_to_die(point, count)
    }

    pub(super) async fn settle(&self, running: &Running) {
        self.targets.settle(running, &self.source, PATIENCE).await;
    }

    /// What has to happen for the engine to come to a point, again and again.
    async fn provoke(&mut self, way: Way, round: u64) {
        let statements = match way {
            Way::Load => return,
            Way::Large => "UPDATE items SET name = 'large', big = repeat('y', 40000)".to_owned(),
            Way::Empty => "INSERT INTO notes SELECT -g, 'many' FROM generate_series(1, 12000) g;
                UPDATE items SET name = 'before'; UPDATE notes SET line = 'before' WHERE id < -11900;
                TRUNCATE notes"
                .to_owned(),
            Way::Noise => {
                "INSERT INTO other.noise SELECT repeat('x', 1000) FROM generate_series(1, 20000);
                 TRUNCATE other.noise"
                    .to_owned()
            }
            Way::Alter => format!(
                "ALTER TABLE items ADD COLUMN more_{round}_{} int; UPDATE items SET name = 'altered'",
                self.loads
            ),
        };
        for statement in statements.split(';') {
            while let Err(fault) = self.source.try_execute(statement).await {
                assert!(fault.contains("deadlock detected"), "{fault}: {statement}");
            }
        }
    }
}

/// Says which point comes now: a test that hangs shows where.
#[expect(
    clippy::print_stderr,
    reason = "a test's output is where its progress is looked for"
)]
pub(super) fn say(point: &str) {
    eprintln!("{point}");
}

/// Waits for an engine to die of its failpoint.
#[track_caller]
pub(super) fn assert_dies(running: Running) {
    running.wait_exit(PATIENCE).assert_died();
}

async fn dies_at(stage: &mut Stage, (point, most, way): (&str, u64, Way)) {
    let mut running = stage.start_to_die(point, most);
    say(point);
    // Lanes that have something to write say by that how far they are.
    let load = (!matches!(way, Way::Noise)).then(|| stage.load());
    for round in 0.. {
        assert!(round < 300, "the engine never came to {point}");
        if !running.is_running() {
            break;
        }
        stage.provoke(way, round).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_dies(running);
    running = stage.engine.start();
    if let Some(load) = load {
        load.end().await;
    }
    stage.settle(&running).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_from_every_point_at_which_the_engine_dies() {
    let mut stage = Stage::new().await;
    let running = stage.engine.start();
    stage.settle(&running).await;
    running.terminate().assert_success();
    for point in STREAM {
        dies_at(&mut stage, point).await;
    }
    dies_at(&mut stage, REDIS_EMPTIED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_set_aside_and_come_back_whatever_point_the_engine_dies_at() {
    let mut random = Random::new();
    let server = Postgres::shared();
    let (source, copy) = (server.database().await, server.database().await);
    source
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (0, 'good')")
        .await;
    let engine = Engine::builder()
        .config(format!(
            "[sources.src]\nurl = '{}'\nredo = '200ms'\n\
             [targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
             [syncs.s]\nsources = ['src']\ntargets = ['pg']\ntables = ['public.*']\n\
             on_rejected = 'set_aside'\n",
            source.url(),
            copy.url()
        ))
        .build();
    let running = engine.start();
    engine.await_lane("pg", State::Streaming).await;
    running.terminate().assert_success();
    for (round, point) in (1..).zip(REJECTED) {
        copy.execute("ALTER TABLE t ADD CONSTRAINT good CHECK (v <> 'bad')")
            .await;
        let is_retry = point == "rejected.retried";
        let running = engine.start_to_die(point, 1);
        say(point);
        engine.await_lane("pg", State::Streaming).await;
        let id = round * 10 + random.below(5);
        source
            .execute(&format!(
                "INSERT INTO t VALUES ({id}, 'good'), ({id} + 5, 'bad'); UPDATE t SET v = v || 's' WHERE id = 0"
            ))
            .await;
        let mut retry = None;
        if is_retry {
            rejected(&engine, 1).await;
            copy.execute("ALTER TABLE t DROP CONSTRAINT good").await;
            retry = Some(engine.spawn(&["rejected", "retry", "s/pg", "--all"]));
        }
        assert_dies(running);
        drop(retry);
        let running = engine.start();
        engine.await_lane("pg", State::Streaming).await;
        rejected(&engine, 1).await;
        if !is_retry {
            copy.execute("ALTER TABLE t DROP CONSTRAINT good").await;
        }
        engine
            .tahr(&["rejected", "retry", "s/pg", "--all"])
            .assert_success();
        eventually(
            PATIENCE,
            "the target holds what the source holds",
            async || {
                let query = "SELECT id, v FROM t";
                let expected = Rows::postgres(&source, query).await?;
                expected.same_as(&Rows::postgres(&copy, query).await?)
            },
        )
        .await;
        rejected(&engine, 0).await;
        // None of them may be in the next one's way.
        source.execute("DELETE FROM t WHERE v = 'bad'").await;
        eventually(PATIENCE, "the target has none of them", async || {
            let bad = copy.value("SELECT count(*) FROM t WHERE v = 'bad'").await;
            (bad == "0").then_some(()).ok_or(bad)
        })
        .await;
        running.terminate().assert_success();
    }
}

async fn rejected(engine: &Engine, rows: u64) {
    eventually(PATIENCE, format!("{rows} rows are set aside"), async || {
        let found = engine.lane("pg")?.rejected;
        (found == rows).then_some(()).ok_or(format!("{found}"))
    })
    .await;
}

/// The names of points in the Rust files below `folder`.
fn points_below(folder: &Path, points: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            points_below(&path, points);
        } else if path.extension().is_some_and(|suffix| suffix == "rs") {
            let text = fs::read_to_string(&path).expect("a file of the workspace");
            for call in ["failpoint::pass(\"", "failpoint::is_due(\""] {
                let names = text.split(call).skip(1);
                let names = names.filter_map(|rest| rest.split_once('"'));
                points.extend(names.map(|(name, _)| name.to_owned()));
            }
        }
    }
}

#[test]
fn every_failpoint_has_a_test_that_the_engine_dies_at() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it");
    let mut found = Vec::new();
    for folder in ["core/src", "plugin-api/src", "plugins"] {
        points_below(&workspace.join(folder), &mut found);
    }
    found.sort_unstable();
    let mut tried: Vec<String> = STREAM
        .iter()
        .chain([&REDIS_EMPTIED])
        .map(|(point, ..)| *point)
        .chain(REJECTED)
        .chain(points_of_copies::FIRST.iter().map(|(point, _)| *point))
        .chain(points_of_copies::AGAIN.iter().map(|(point, _)| *point))
        .chain(points_of_copies::ANEW)
        .chain(points_of_the_log::LOG.iter().map(|(point, _)| *point))
        .map(str::to_owned)
        .collect();
    tried.sort_unstable();
    assert_eq!(
        found, tried,
        "each point is in the code once, and tried once"
    );
}
