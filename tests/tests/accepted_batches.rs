//! A writer that accepts and stores later is told to store when nothing more comes.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_flushed_when_the_lane_is_idle_and_at_a_clean_stop() {
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id serial PRIMARY KEY, v text)")
        .await;
    let (one, two) = (Scripted::new(), Scripted::new());
    let engine = Engine::builder()
        .config(sync(database.url(), &[("one", &one), ("two", &two)], ""))
        .build();
    one.script("write accept");
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    for _ in 0..3 {
        database.execute("INSERT INTO t (v) VALUES ('a')").await;
        database.execute("INSERT INTO t (v) VALUES ('b')").await;
        eventually(SOON, "it is stored", async || {
            one.holds(&database, "t", &["id", "v"]).await
        })
        .await;
    }
    // A new version of the table, while older rows are accepted and not stored.
    one.script("write accept\nwrite hold");
    database.execute("INSERT INTO t (v) VALUES ('c')").await;
    eventually(SOON, "the write is held", async || one.called("write held")).await;
    database
        .execute("ALTER TABLE t ADD COLUMN more int; INSERT INTO t (v, more) VALUES ('d', 1)")
        .await;
    eventually(SOON, "two holds all", async || {
        two.holds(&database, "t", &["id", "v", "more"]).await
    })
    .await;
    one.script("write accept");
    eventually(SOON, "it is stored", async || {
        one.holds(&database, "t", &["id", "v", "more"]).await
    })
    .await;
    let lane = engine.await_lane("one", State::Streaming).await;
    assert!(lane.fault.is_none(), "{:?}", lane.fault);
    assert!(
        !one.calls().iter().any(|call| call == "reset"),
        "{:?}",
        one.calls()
    );
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_not_stored_comes_again_after_a_kill() {
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id serial PRIMARY KEY, v text)")
        .await;
    let one = Scripted::new();
    let engine = Engine::builder()
        .config(sync(database.url(), &[("one", &one)], ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    one.script("write accept\nflush hold");
    database.execute("INSERT INTO t (v) VALUES ('a')").await;
    eventually(SOON, "the flush is held", async || one.called("flush held")).await;
    assert!(one.rows("public.t", &["id"]).is_empty());
    running.kill9();
    one.script("");
    let running = engine.start();
    eventually(SOON, "it is stored", async || {
        one.holds(&database, "t", &["id", "v"]).await
    })
    .await;
    one.batches();
    running.terminate().assert_success();
}
