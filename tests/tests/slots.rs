//! A slot that was made anew, dropped or invalidated never skips anything in silence.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Proxy, Running, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(30);
const COLUMNS: &[&str] = &["id", "v"];

async fn table(server: &Postgres) -> Database {
    let database = server.database().await;
    database
        .execute("CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) VALUES ('a')")
        .await;
    database
}

/// An engine that reaches its source through a proxy.
async fn streaming(
    server: &Postgres,
    database: &Database,
    one: &Scripted,
    extra: &str,
) -> (Proxy, Engine, Running) {
    let proxy = Proxy::start(server.address()).await;
    let config = sync(&database.url_through(&proxy), &[("one", one)], extra);
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    (proxy, engine, running)
}

async fn drop_slot(database: &Database, slot: &str) {
    let drop = format!("SELECT pg_drop_replication_slot('{slot}')");
    eventually(SOON, "the slot is free", async || {
        database.try_execute(&drop).await
    })
    .await;
}

async fn holds(one: &Scripted, database: &Database, engine: &Engine) {
    eventually(SOON, "the target holds the source's rows", async || {
        let held = one.holds(database, "t", COLUMNS).await;
        held.map_err(|fault| format!("{fault}; {:?}", engine.report()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dropped_or_made_anew_while_tahr_runs_is_a_gap() {
    let server = Postgres::shared();
    for (made_anew, extra) in [(true, ""), (false, ""), (true, "on_gap = \"resync\"")] {
        let database = table(&server).await;
        let one = Scripted::new();
        let (proxy, engine, running) = streaming(&server, &database, &one, extra).await;
        let slot = format!("tahr_{}_src", engine.name());
        proxy.refuse();
        drop_slot(&database, &slot).await;
        database.execute("INSERT INTO t (v) VALUES ('lost')").await;
        if made_anew {
            let create = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
            database.execute(&create).await;
        }
        database
            .execute("INSERT INTO t (v) VALUES ('not lost')")
            .await;
        proxy.resume();
        if extra.is_empty() {
            let lane = engine.await_lane("one", State::Parked).await;
            let fault = lane.fault.expect("why it is parked");
            assert!(
                fault.message.contains("gap: target holds the source up to"),
                "{fault:?}"
            );
            let log = running.stderr();
            let says = if made_anew {
                "somebody has made it anew"
            } else {
                "somebody has dropped it"
            };
            assert!(log.contains(says), "{log}");
            engine.tahr(&["resync", "s"]).assert_success();
        }
        holds(&one, &database, &engine).await;
        database.execute("INSERT INTO t (v) VALUES ('b')").await;
        holds(&one, &database, &engine).await;
        running.terminate().assert_success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_made_anew_while_tahr_is_stopped_is_a_gap() {
    let server = Postgres::shared();
    let database = table(&server).await;
    let one = Scripted::new();
    let (_proxy, engine, running) = streaming(&server, &database, &one, "").await;
    running.terminate().assert_success();
    let slot = format!("tahr_{}_src", engine.name());
    drop_slot(&database, &slot).await;
    database.execute("INSERT INTO t (v) VALUES ('lost')").await;
    let create = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
    database.execute(&create).await;
    let running = engine.start();
    let lane = engine.await_lane("one", State::Parked).await;
    let message = lane.fault.expect("why it is parked").message;
    assert!(message.contains("gap: "), "{message}");
    engine.tahr(&["resync", "s"]).assert_success();
    holds(&one, &database, &engine).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_a_killed_engine_still_holds_is_waited_for_without_alarm() {
    let server = Postgres::own(None, &[("wal_sender_timeout", "5s")]);
    let database = table(&server).await;
    let one = Scripted::new();
    let (proxy, engine, running) = streaming(&server, &database, &one, "").await;
    let is_streaming = async || {
        let report = engine.report()?;
        let source = report.sources.first().ok_or("no source")?;
        source
            .is_streaming
            .then_some(())
            .ok_or(format!("{source:?}"))
    };
    eventually(SOON, "the source is read", is_streaming).await;
    // The source is told nothing of the end.
    proxy.hold();
    running.kill9();
    let direct = engine.config();
    let direct = direct.replace(&database.url_through(&proxy), database.url());
    engine.write_config(&direct);
    let running = engine.start();
    let status = eventually(SOON, "it says what it waits for", async || {
        let status = engine.tahr(&["status"]).stdout;
        match status.contains("is in use by pid") {
            true => Ok(status),
            false => Err(status),
        }
    })
    .await;
    let ours = format!("(tahr {})", engine.name());
    assert!(status.contains(&ours), "{status}");
    assert!(
        status.contains("hint: if tahr was killed just now, its stream ends there by itself"),
        "{status}"
    );
    assert_eq!(engine.tahr(&["ping"]).code(), Some(3));
    eventually(SOON, "the source is read", is_streaming).await;
    database.execute("INSERT INTO t (v) VALUES ('b')").await;
    holds(&one, &database, &engine).await;
    let log = running.terminate().stderr;
    assert!(log.contains("waiting until the slot is free"), "{log}");
    assert!(!log.contains("WARN"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_it_lasts_is_shown_and_one_that_is_lost_is_explained_and_mended() {
    let server = Postgres::own(
        None,
        &[
            ("max_slot_wal_keep_size", "64MB"),
            ("max_wal_size", "32MB"),
            ("min_wal_size", "32MB"),
        ],
    );
    let database = table(&server).await;
    let one = Scripted::new();
    let (_proxy, engine, running) = streaming(&server, &database, &one, "").await;
    one.script("write hold");
    database.execute("INSERT INTO t (v) VALUES ('b')").await;
    let write = "INSERT INTO t (v) SELECT repeat('x', 1000) FROM generate_series(1, 300)";
    eventually(
        Duration::from_secs(60),
        "the time left is shown",
        async || {
            database.execute(write).await;
            let status = engine.tahr(&["status"]).stdout;
            status
                .contains("at the present rate it is lost in")
                .then_some(())
                .ok_or(status)
        },
    )
    .await;
    let slot = engine
        .report()
        .expect("a report")
        .sources
        .pop()
        .and_then(|source| source.slot);
    let slot = slot.expect("a look at the slot");
    assert!(slot.held_bytes > 0 && slot.safe_bytes.is_some(), "{slot:?}");
    assert!(running.stderr().contains("will soon invalidate the slot"));
    let name = format!("tahr_{}_src", engine.name());
    eventually(Duration::from_secs(60), "the slot is lost", async || {
        database
            .execute("INSERT INTO t (v) SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
            .await;
        database.execute("SELECT pg_switch_wal()").await;
        database.execute("CHECKPOINT").await;
        let sql = format!("SELECT wal_status FROM pg_replication_slots WHERE slot_name = '{name}'");
        let status = database.value(&sql).await;
        (status == "lost").then_some(()).ok_or(status)
    })
    .await;
    one.script("");
    let fix = format!("SELECT pg_drop_replication_slot('{name}')");
    // The engine that ran, and one that is started.
    for refused in [
        running.wait_exit(SOON),
        engine.tahr(&["run", "--once"]),
        engine.tahr(&["check"]),
    ] {
        refused.assert_code(3);
        assert!(
            refused.stderr.contains("is invalidated"),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains(&fix), "{}", refused.stderr);
    }
    database.execute(&fix).await;
    let running = engine.start();
    engine.await_lane("one", State::Parked).await;
    engine.tahr(&["resync", "s"]).assert_success();
    holds(&one, &database, &engine).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_idle_for_too_long_is_explained_and_mended() {
    if !Postgres::versions().contains(&18) {
        return;
    }
    let server = Postgres::own(Some(18), &[("idle_replication_slot_timeout", "1s")]);
    let database = table(&server).await;
    let one = Scripted::new();
    let (_proxy, engine, running) = streaming(&server, &database, &one, "").await;
    running.terminate().assert_success();
    let name = format!("tahr_{}_src", engine.name());
    eventually(SOON, "the slot is invalidated", async || {
        database.execute("CHECKPOINT").await;
        let sql = format!(
            "SELECT coalesce(invalidation_reason, '') FROM pg_replication_slots WHERE slot_name = '{name}'"
        );
        let reason = database.value(&sql).await;
        (reason == "idle_timeout").then_some(()).ok_or(reason)
    })
    .await;
    database.execute("INSERT INTO t (v) VALUES ('lost')").await;
    let refused = engine.tahr(&["run", "--once"]);
    refused.assert_code(3);
    assert!(
        refused.stderr.contains("is invalidated (idle_timeout)"),
        "{}",
        refused.stderr
    );
    let fix = format!("SELECT pg_drop_replication_slot('{name}')");
    assert!(refused.stderr.contains(&fix), "{}", refused.stderr);
    database.execute(&fix).await;
    let running = engine.start();
    engine.await_lane("one", State::Parked).await;
    engine.tahr(&["resync", "s"]).assert_success();
    holds(&one, &database, &engine).await;
    running.terminate().assert_success();
}
