//! A writer that fails, panics, hangs or loses an answer hurts its own lane only, and no change.

use std::time::{Duration, Instant};

use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Running, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(20);
const COLUMNS: &[&str] = &["id", "v"];

/// A table `t`, and an engine that streams it into these targets.
async fn streaming(targets: &[(&str, &Scripted)]) -> (Database, Engine, Running) {
    let engine = Engine::builder().setting("memory = \"1MiB\"");
    let setup = "CREATE TABLE t (id int PRIMARY KEY, v text)";
    engine.streaming(setup, targets, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn transient_errors_are_tried_again_at_growing_intervals() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    one.script("write transient times=3");
    let begun = Instant::now();
    database.execute("INSERT INTO t VALUES (1, 'a')").await;
    eventually(SOON, "it is stored", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    // At least half of 100, 200 and 400 ms.
    assert!(
        begun.elapsed() >= Duration::from_millis(350),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!((one.count("write whole"), one.count("reset")), (4, 3));
    let lane = engine.await_lane("one", State::Streaming).await;
    assert!(
        lane.fault
            .is_some_and(|fault| fault.message.contains("transient (soon)"))
    );
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_repeats_no_change() {
    let one = Scripted::new();
    let (database, _engine, running) = streaming(&[("one", &one)]).await;
    one.script("write fail_after times=1");
    database
        .execute("INSERT INTO t SELECT g, 'a' FROM generate_series(1, 100) g")
        .await;
    eventually(SOON, "it tried", async || one.called("reset")).await;
    database.execute("INSERT INTO t VALUES (101, 'b')").await;
    eventually(SOON, "all is stored", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    assert_eq!(one.batches().len(), 2);
    assert_eq!(
        one.count("write whole"),
        2,
        "the target is asked, not written to again"
    );
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_at_which_every_call_fails_once_loses_and_repeats_nothing() {
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'a' FROM generate_series(1, 1000) g")
        .await;
    let one = Scripted::new();
    let calls = [
        "open",
        "checkpoint",
        "prepare",
        "begin_load",
        "load",
        "end_load",
        "flush",
    ];
    let lines = calls.map(|call| format!("{call} transient times=1"));
    one.script(&lines.join("\n"));
    let engine = Engine::builder()
        .config(sync(database.url(), &[("one", &one)], ""))
        .build();
    let running = engine.start();
    eventually(SOON, "it is copied", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    // The answer to the end of a copy and to the first checkpoint may be lost, too.
    database.execute("INSERT INTO t VALUES (0, 'b')").await;
    eventually(SOON, "it streams", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    running.terminate().assert_success();

    let other = Scripted::new();
    other.script("flush fail_after times=1\nend_load fail_after times=1");
    let engine = Engine::builder()
        .config(sync(database.url(), &[("one", &other)], ""))
        .build();
    let running = engine.start();
    eventually(SOON, "it is copied", async || {
        other.holds(&database, "t", COLUMNS).await
    })
    .await;
    database.execute("DELETE FROM t WHERE id = 0").await;
    eventually(SOON, "it streams", async || {
        other.holds(&database, "t", COLUMNS).await
    })
    .await;
    assert_eq!(
        other.count("begin_load"),
        1,
        "the copy that was stored is not made again"
    );
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_parks_its_lane_and_others_go_on() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    one.script("write hold");
    database.execute("INSERT INTO t VALUES (1, 'a')").await;
    eventually(SOON, "the write is held", async || one.called("write held")).await;
    for id in 2..5 {
        database
            .execute(&format!("INSERT INTO t VALUES ({id}, 'a')"))
            .await;
    }
    eventually(SOON, "two holds all", async || {
        two.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.script("write panic");
    let lane = engine.await_lane("one", State::Parked).await;
    let message = lane.fault.expect("why it is parked").message;
    assert!(
        message.contains("writer panicked: scripted: panic in write"),
        "{message}"
    );
    assert_eq!(
        one.count("reset"),
        0,
        "a writer that panicked is not called again"
    );

    database.execute("INSERT INTO t VALUES (5, 'b')").await;
    eventually(SOON, "two goes on", async || {
        two.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.script("");
    running.terminate().assert_success();
    let running = engine.start();
    eventually(SOON, "one catches up", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_hangs_slows_nobody_and_its_backlog_goes_to_files() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    one.script("write hold");
    database.execute("INSERT INTO t VALUES (0, 'a')").await;
    eventually(SOON, "the write is held", async || one.called("write held")).await;
    let before = memory(&running);
    for part in 0..40 {
        let first = part * 1000 + 1;
        let rows =
            format!("SELECT g, repeat('x', 2000) FROM generate_series({first}, {first} + 999) g");
        database.execute(&format!("INSERT INTO t {rows}")).await;
    }
    passed(&engine, "two", 40_001).await;
    // 80 MB were written; a budget of 1 MiB, what decoding takes, and what the allocator keeps of
    // what threads have freed stay in memory.
    let grown = memory(&running).saturating_sub(before);
    assert!(grown < 32 << 20, "grown by {grown} bytes");
    let folder = engine.folder().join("tahr-state/log/src");
    let files = std::fs::read_dir(folder)
        .expect("the log's folder")
        .flatten();
    let spilled: u64 = files
        .map(|file| file.metadata().map_or(0, |file| file.len()))
        .sum();
    assert!(spilled > 60 << 20, "{spilled} bytes in files");

    for id in 50_000..50_010 {
        let begun = Instant::now();
        let before = two.position();
        database
            .execute(&format!("INSERT INTO t VALUES ({id}, 'late')"))
            .await;
        eventually(SOON, "it is in two", async || {
            match two.position() != before {
                true => Ok(()),
                false => Err("not yet".to_owned()),
            }
        })
        .await;
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    }
    one.script("");
    passed(&engine, "one", 40_011).await;
    let held = one.holds(&database, "t", &["id"]).await;
    held.expect("one holds all");
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_hangs_can_not_keep_the_engine_from_ending() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    one.script("write hold");
    database.execute("INSERT INTO t VALUES (1, 'a')").await;
    eventually(SOON, "the write is held", async || one.called("write held")).await;
    eventually(SOON, "two holds it", async || {
        two.holds(&database, "t", COLUMNS).await
    })
    .await;
    let begun = Instant::now();
    running.terminate().assert_success();
    assert!(
        begun.elapsed() < Duration::from_secs(14),
        "{:?}",
        begun.elapsed()
    );
    one.called("write cancelled")
        .expect("the call is interrupted");
    one.script("");
    let running = engine.start();
    eventually(SOON, "one holds it", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.batches();
    engine.tahr(&["stop"]).assert_success();
    running.wait_exit(SOON).assert_success();
}

/// Waits until the lane into `target` has stored so many changes.
async fn passed(engine: &Engine, target: &str, changes: u64) {
    let what = format!("{target} has passed the backlog");
    eventually(SOON, what, async || match engine.lane(target)?.changes {
        stored if stored == changes => Ok(()),
        stored => Err(format!("{stored} changes")),
    })
    .await;
}

/// Bytes of memory that the engine has for itself.
fn memory(running: &Running) -> u64 {
    let path = format!("/proc/{}/status", running.process().pid());
    let status = std::fs::read_to_string(path).expect("the process's status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let words = line.expect("RssAnon").trim().trim_end_matches(" kB");
    words.parse::<u64>().expect("a number") * 1024
}
