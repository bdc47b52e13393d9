//! WAL that has nothing for a lane moves its checkpoint and the slot all the same.

use std::time::Duration;

use tahr::lane::State;
use tahr_plugin_api::Lsn;
use tahr_tests::{Database, Engine, Postgres, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(20);

async fn lsn(database: &Database, sql: &str) -> Lsn {
    database.value(sql).await.parse().expect("an LSN")
}

async fn wal_end(database: &Database) -> Lsn {
    lsn(database, "SELECT pg_current_wal_lsn()").await
}

async fn confirmed(database: &Database) -> Lsn {
    let name = database.name();
    let sql =
        format!("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = '{name}'");
    lsn(database, &sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn unrelated_wal_moves_checkpoint_and_slot_so_that_a_kill_costs_nothing() {
    let database = Postgres::shared().database().await;
    database
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
             CREATE SCHEMA other; CREATE TABLE other.big (v text)",
        )
        .await;
    let one = Scripted::new();
    let engine = Engine::builder()
        .config(sync(database.url(), &[("one", &one)], ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    let before = wal_end(&database).await;
    // Of tables that nobody wants, and of another database.
    let beside = Postgres::shared().database().await;
    beside.execute("CREATE TABLE big (v text)").await;
    for (database, table) in [(&database, "other.big"), (&beside, "big")] {
        database
            .execute(&format!(
                "INSERT INTO {table} SELECT repeat('x', 1000) FROM generate_series(1, 12500)"
            ))
            .await;
    }
    eventually(SOON, "the checkpoint moves", async || {
        match one.position() {
            Some(position) if position.lsn.bytes_since(before) > 16 << 20 => Ok(()),
            found => Err(format!("{found:?}, {before} before")),
        }
    })
    .await;
    eventually(SOON, "the slot moves", async || {
        match confirmed(&database).await {
            slot if slot.bytes_since(before) > 16 << 20 => Ok(()),
            slot => Err(format!("{slot}, {before} before")),
        }
    })
    .await;
    running.kill9();
    assert_eq!(one.count("begin_load"), 1);
    let running = engine.start();
    database.execute("INSERT INTO t VALUES (2)").await;
    eventually(SOON, "one holds it", async || {
        one.holds(&database, "t", &["id"]).await
    })
    .await;
    assert_eq!(one.count("begin_load"), 1, "no copy");
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_stores_how_far_the_source_was_read() {
    let database = Postgres::shared().database().await;
    database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE SCHEMA other; CREATE TABLE other.u (v text)").await;
    let one = Scripted::new();
    let engine = Engine::builder()
        .config(sync(database.url(), &[("one", &one)], ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    database.execute("INSERT INTO other.u VALUES ('x')").await;
    let end = wal_end(&database).await;
    eventually(SOON, "the lane has passed it", async || {
        match engine.lane("one")? {
            lane if lane.passed >= end => Ok(()),
            lane => Err(format!("{lane:?}, not {end}")),
        }
    })
    .await;
    running.terminate().assert_success();
    let stored = one.position().expect("a checkpoint");
    assert!(stored.lsn >= end, "{stored}, not {end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_without_changes_holds_nothing_back_while_another_is_busy() {
    let database = Postgres::shared().database().await;
    database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE busy (v text); ALTER TABLE busy REPLICA IDENTITY FULL").await;
    let (idle, busy) = (Scripted::new(), Scripted::new());
    let config = sync(database.url(), &[("idle", &idle)], "").replace("public.*", "public.t")
        + &busy.section("busy")
        + "[syncs.busy]\nsources = [\"src\"]\ntargets = [\"busy\"]\ntables = [\"public.busy\"]\n";
    let engine = Engine::builder()
        .setting("memory = \"1MiB\"")
        .config(config)
        .build();
    let running = engine.start();
    engine.await_lane("idle", State::Streaming).await;
    engine.await_lane("busy", State::Streaming).await;
    let before = wal_end(&database).await;
    eventually(SOON, "the idle lane's checkpoint moves", async || {
        // Never a second of rest.
        database
            .execute("INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
            .await;
        match idle.position() {
            Some(position) if position.lsn.bytes_since(before) > 16 << 20 => Ok(()),
            found => Err(format!(
                "{found:?}, {before} before, {} now",
                wal_end(&database).await
            )),
        }
    })
    .await;
    running.terminate().assert_success();
}
