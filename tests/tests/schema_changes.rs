//! A table that changes its columns in the middle of the stream.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Running, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(30);

async fn streaming(one: &Scripted) -> (Database, Engine, Running) {
    let engine = Engine::builder().setting("memory = \"1MiB\"");
    let setup = "CREATE TABLE t (id int PRIMARY KEY, v text)";
    engine.streaming(setup, &[("one", one)], "").await
}

/// The place of the first call after `from` that begins with `start`.
fn place(calls: &[String], from: usize, start: &str) -> usize {
    let found = calls[from..]
        .iter()
        .position(|call| call.starts_with(start));
    from + found.unwrap_or_else(|| panic!("no {start:?} behind {from} in {calls:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_column_is_prepared_before_its_first_change() {
    let one = Scripted::new();
    let (database, _engine, running) = streaming(&one).await;
    // Held, so that both versions wait for the writer at the same time.
    one.script("write hold");
    database.execute("INSERT INTO t VALUES (0, 'a')").await;
    eventually(SOON, "the write is held", async || one.called("write held")).await;
    database.execute("INSERT INTO t VALUES (1, 'a')").await;
    database.execute("ALTER TABLE t ADD COLUMN more int").await;
    database
        .execute("INSERT INTO t VALUES (2, 'b', 7); UPDATE t SET more = 1 WHERE id = 1")
        .await;
    one.script("");
    eventually(SOON, "one holds all", async || {
        one.holds(&database, "t", &["id", "v", "more"]).await
    })
    .await;
    let calls = one.calls();
    let old = place(&calls, 0, "write released");
    let first = place(&calls, old, "write whole");
    let prepared = place(&calls, first, "prepare public.t columns=id,v,more");
    place(&calls, prepared, "write whole");
    assert!(
        !calls.iter().any(|call| call == "reset"),
        "no transaction was open: {calls:?}"
    );
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_added_inside_a_small_transaction_is_prepared_and_loses_nothing() {
    let one = Scripted::new();
    let (database, _engine, running) = streaming(&one).await;
    database
        .execute(
            "BEGIN; INSERT INTO t VALUES (1, 'a'); ALTER TABLE t ADD COLUMN more int;
             INSERT INTO t VALUES (2, 'b', 7); ALTER TABLE t DROP COLUMN v;
             INSERT INTO t VALUES (3, 8); COMMIT",
        )
        .await;
    eventually(SOON, "one holds all", async || {
        match one.rows("public.t", &["id"]).len() {
            3 => Ok(()),
            rows => Err(format!("{rows} rows; {:?}", one.calls())),
        }
    })
    .await;
    one.called("prepare public.t columns=id,v,more")
        .expect("prepared");
    one.called("prepare public.t columns=id,more")
        .expect("prepared again");
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_added_inside_a_large_transaction_starts_it_over_and_loses_nothing() {
    let one = Scripted::new();
    let (database, _engine, running) = streaming(&one).await;
    database
        .execute(
            "BEGIN; INSERT INTO t SELECT g, repeat('x', 60) FROM generate_series(1, 20000) g;
             ALTER TABLE t ADD COLUMN more int;
             INSERT INTO t SELECT g, 'y', g FROM generate_series(20001, 40000) g; COMMIT",
        )
        .await;
    eventually(SOON, "one holds all", async || {
        one.holds(&database, "t", &["id", "v", "more"]).await
    })
    .await;
    let calls = one.calls();
    let first = place(&calls, 0, "write first");
    let reset = place(&calls, first, "reset");
    let prepared = place(&calls, reset, "prepare public.t columns=id,v,more");
    let again = place(&calls, prepared, "write first");
    place(&calls, again, "write last");
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn shapes_that_the_source_sends_again_after_a_kill_do_not_come_back() {
    let one = Scripted::new();
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (0, 'copied')")
        .await;
    // The slot is told nothing: all comes again.
    let config = sync(database.url(), &[("one", &one)], "").replace("\"200ms\"", "\"1h\"");
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    database
        .execute("INSERT INTO t VALUES (1, 'a'); ALTER TABLE t ADD more int; INSERT INTO t VALUES (2, 'b', 2)")
        .await;
    database
        .execute("ALTER TABLE t DROP v; INSERT INTO t VALUES (3, 3); ALTER TABLE t ADD last text; INSERT INTO t VALUES (4, 4, 'd')")
        .await;
    let all = ["id", "more", "last"];
    eventually(SOON, "one holds all", async || {
        one.holds(&database, "t", &all).await
    })
    .await;
    running.kill9();
    let from = one.calls().len();
    let running = engine.start();
    database
        .execute("INSERT INTO t VALUES (5, 5, 'e'); UPDATE t SET last = 'x' WHERE id < 3")
        .await;
    eventually(SOON, "one holds all", async || {
        one.holds(&database, "t", &all).await
    })
    .await;
    let calls = one.calls();
    let prepared: Vec<_> = calls[from..]
        .iter()
        .filter(|call| call.starts_with("prepare") || call.starts_with("begin_load"))
        .collect();
    assert_eq!(prepared, ["prepare public.t columns=id,more,last"]);
    one.batches();
    running.terminate().assert_success();
}
