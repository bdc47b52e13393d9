//! A source that was promoted, restored or replaced is recognized, and gone on from only where the
//! target holds nothing that it has lost.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Running, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(30);
const COLUMNS: &[&str] = &["id", "v"];

async fn streaming(server: &Postgres, one: &Scripted, extra: &str) -> (Database, Engine, Running) {
    let database = server.database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'copied')")
        .await;
    let config = sync(database.url(), &[("one", one)], extra);
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    (database, engine, running)
}

async fn holds(one: &Scripted, database: &Database, engine: &Engine) {
    eventually(SOON, "the target holds the source's rows", async || {
        let held = one.holds(database, "t", COLUMNS).await;
        held.map_err(|fault| format!("{fault}; {:?}", engine.report()))
    })
    .await;
}

async fn insert(database: &Database, id: u32) {
    let sql = format!("INSERT INTO t VALUES ({id}, 'a')");
    eventually(SOON, "the source takes it", async || {
        database.try_execute(&sql).await
    })
    .await;
}

async fn parked(engine: &Engine, says: &str) {
    let lane = engine.await_lane("one", State::Parked).await;
    let fault = lane.fault.expect("why it is parked");
    assert!(fault.message.contains(says), "{fault:?}");
    assert!(fault.hint.contains("`tahr resync s/one`"), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_source_that_has_all_that_the_target_holds_is_gone_on_from() {
    let mut server = Postgres::own(None, &[]);
    let one = Scripted::new();
    let (database, engine, running) = streaming(&server, &one, "").await;
    insert(&database, 2).await;
    holds(&one, &database, &engine).await;
    // While tahr runs.
    server.stop();
    server.start_on_new_timeline();
    insert(&database, 3).await;
    holds(&one, &database, &engine).await;
    let log = running.stderr();
    assert!(log.contains("on timeline 2 now, not 1"), "{log}");
    one.batches();
    running.terminate().assert_success();
    // What was stored since is the new timeline's.
    let running = engine.start();
    insert(&database, 4).await;
    holds(&one, &database, &engine).await;
    running.terminate().assert_success();
    // While it is stopped.
    insert(&database, 5).await;
    server.stop();
    server.start_on_new_timeline();
    insert(&database, 6).await;
    let running = engine.start();
    insert(&database, 7).await;
    holds(&one, &database, &engine).await;
    let copies = one.calls();
    let copies = copies.iter().filter(|call| call.starts_with("begin_load"));
    assert_eq!(copies.count(), 1, "nothing is copied again");
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_source_that_lost_what_the_target_holds_parks_the_lane_until_it_is_copied_again()
{
    for (on_new_timeline, says) in [
        (true, "target holds changes that the source has lost"),
        (false, "the source was restored from an older backup"),
    ] {
        let mut server = Postgres::own(None, &[]);
        let one = Scripted::new();
        let (database, engine, running) = streaming(&server, &one, "").await;
        insert(&database, 2).await;
        holds(&one, &database, &engine).await;
        running.terminate().assert_success();
        server.stop();
        let backup = server.save();
        server.start();
        let running = engine.start();
        insert(&database, 3).await;
        holds(&one, &database, &engine).await;
        running.terminate().assert_success();
        server.stop();
        server.put_back(&backup);
        match on_new_timeline {
            true => server.start_on_new_timeline(),
            false => server.start(),
        }
        let running = engine.start();
        parked(&engine, says).await;
        if on_new_timeline {
            // It is not forgotten when the source gets further than it was.
            insert(&database, 4).await;
            database.execute("SELECT pg_switch_wal()").await;
            insert(&database, 5).await;
            engine.tahr(&["resume", "s"]).assert_success();
            parked(&engine, says).await;
        }
        engine.tahr(&["resync", "s/one"]).assert_success();
        holds(&one, &database, &engine).await;
        insert(&database, 6).await;
        holds(&one, &database, &engine).await;
        running.terminate().assert_success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_restored_while_tahr_runs_is_recognized() {
    let mut server = Postgres::own(None, &[]);
    let one = Scripted::new();
    let (database, engine, running) = streaming(&server, &one, "").await;
    running.terminate().assert_success();
    server.stop();
    let backup = server.save();
    server.start();
    let running = engine.start();
    insert(&database, 2).await;
    holds(&one, &database, &engine).await;
    server.stop();
    server.put_back(&backup);
    server.start_on_new_timeline();
    parked(&engine, "target holds changes that the source has lost").await;
    engine.tahr(&["resync", "s"]).assert_success();
    holds(&one, &database, &engine).await;
    insert(&database, 3).await;
    holds(&one, &database, &engine).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_replaced_by_another_server_parks_the_lane_until_it_is_copied_again() {
    let (first, second) = (Postgres::own(None, &[]), Postgres::own(None, &[]));
    let one = Scripted::new();
    let (database, engine, running) = streaming(&first, &one, "").await;
    insert(&database, 2).await;
    holds(&one, &database, &engine).await;
    running.terminate().assert_success();
    let other = second.database().await;
    other
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (77, 'other')")
        .await;
    let config = engine.config().replace(database.url(), other.url());
    engine.write_config(&config);
    let running = engine.start();
    parked(
        &engine,
        "target was filled from another stream of sync \"s\": system identifier",
    )
    .await;
    engine.tahr(&["resync", "s/one"]).assert_success();
    holds(&one, &other, &engine).await;
    insert(&other, 78).await;
    holds(&one, &other, &engine).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_each_lane_goes_by_what_its_own_target_holds() {
    let mut server = Postgres::own(None, &[]);
    let (before, at, behind) = (Scripted::new(), Scripted::new(), Scripted::new());
    let targets = [("before", &before), ("at", &at), ("behind", &behind)];
    let database = server.database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'copied')")
        .await;
    // The standby's slot has all that the slowest lane lacks.
    let config = sync(database.url(), &targets, "").replace("\"200ms\"", "\"1h\"");
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    for (name, _) in targets {
        engine.await_lane(name, State::Streaming).await;
    }
    insert(&database, 2).await;
    for (_, target) in targets {
        holds(target, &database, &engine).await;
    }
    engine.tahr(&["pause", "s/before"]).assert_success();
    insert(&database, 3).await;
    holds(&at, &database, &engine).await;
    holds(&behind, &database, &engine).await;
    engine.tahr(&["pause", "s/at"]).assert_success();
    running.terminate().assert_success();
    server.stop();
    let standby = server.save();
    server.start();
    let running = engine.start();
    // Never gets to the standby; the engine's log has it for those that pause.
    insert(&database, 4).await;
    holds(&behind, &database, &engine).await;
    running.terminate().assert_success();
    server.stop();
    server.put_back(&standby);
    server.start_on_new_timeline();
    insert(&database, 5).await;
    let running = engine.start();
    let lane = engine.await_lane("behind", State::Parked).await;
    let fault = lane.fault.expect("why it is parked");
    let lost = "target holds changes that the source has lost";
    assert!(fault.message.contains(lost), "{fault:?}");
    for (name, target) in [("before", &before), ("at", &at)] {
        engine
            .tahr(&["resume", &format!("s/{name}")])
            .assert_success();
        holds(target, &database, &engine).await;
        let calls = target.calls();
        let copies = calls.iter().filter(|call| call.starts_with("begin_load"));
        assert_eq!(copies.count(), 1, "{name} is not copied again");
        target.batches();
    }
    engine.tahr(&["resync", "s/behind"]).assert_success();
    insert(&database, 6).await;
    for (_, target) in targets {
        holds(target, &database, &engine).await;
    }
    running.terminate().assert_success();
}
