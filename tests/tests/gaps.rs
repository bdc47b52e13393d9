//! A target that lost what no log holds any more has a gap: it is always noticed, and mended.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Redis, Rows, Scripted, eventually, sync};

use crate::reload::{COLUMNS, Load, SOON, hold, streaming};

const SETUP: &str = "CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT g, 'copied' FROM generate_series(1, 1000) g;
    CREATE TABLE u (id int PRIMARY KEY, v text);
    INSERT INTO u SELECT g, 'copied' FROM generate_series(1, 100) g;";

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_restarts_empty_under_load_refills_itself_while_others_stream() {
    let source = Postgres::shared().database().await;
    source.execute(SETUP).await;
    let mut server = Redis::own(&[]);
    let cache = server.database();
    let two = Scripted::new();
    let config = sync(source.url(), &[("two", &two)], "")
        .replace("[\"two\"]", "[\"two\", \"cache\"]")
        + &format!(
            "[targets.cache]\nplugin = \"redis\"\noptions = {{ url = \"{}\" }}\n",
            cache.url()
        );
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("cache", State::Streaming).await;
    engine.await_lane("two", State::Streaming).await;
    let begun = crate::reload::begins(&two);
    let load = Load::on(&source).await;
    for restart in 0..2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        match restart {
            0 => {
                server.kill();
                server.start();
            }
            // Emptied while it runs: nothing breaks, but the checkpoint is not where it was left.
            _ => cache.command::<()>("FLUSHDB"),
        }
        eventually(SOON, "it begins to refill itself", async || {
            let log = running.stderr();
            let gaps = log.matches("gap: target has lost its checkpoint").count();
            (gaps > restart).then_some(()).ok_or(log)
        })
        .await;
        engine.await_lane("cache", State::Streaming).await;
    }
    load.end().await;
    eventually(SOON, "redis holds the source's rows", async || {
        for table in ["t", "u"] {
            let expected = Rows::postgres(&source, &format!("SELECT id, v FROM {table}")).await?;
            expected.same_as(&Rows::redis(&cache, &format!("{table}:"), COLUMNS)?)?;
        }
        Ok(())
    })
    .await;
    hold(&source, &[&two], &["t", "u"]).await;
    assert_eq!(
        crate::reload::begins(&two),
        begun,
        "the other lane was touched"
    );
    running.terminate().assert_success();
}

/// A source and a target file, with an older copy of that beside it, too old for log and slot.
async fn restored(source: &Database, extra: &str) -> (Engine, tahr_tests::Running) {
    source.execute(SETUP).await;
    let config = format!(
        "[sources.src]\nurl = '{}'\nredo = '100ms'\n\
         [targets.copy]\nplugin = 'sqlite'\noptions = {{ path = 'copy.db' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['copy']\ntables = ['public.*']\n{extra}",
        source.url()
    );
    let engine = Engine::builder().config(config).build();
    let file = engine.folder().join("copy.db");
    engine.run_once();
    std::fs::copy(&file, file.with_extension("old")).expect("keep a copy");
    source
        .execute("DELETE FROM t WHERE id < 500; INSERT INTO u VALUES (5000, 'a')")
        .await;
    engine.run_once();
    // The slot is told so only when it has been so for a while.
    let running = engine.start();
    engine.await_lane("copy", State::Streaming).await;
    source.execute("INSERT INTO u VALUES (5001, 'a')").await;
    eventually(SOON, "the slot lets go of it", async || {
        let lane = engine.lane("copy")?;
        let stored = lane.stored.as_ref().map(|stored| stored.lsn.to_string());
        let sql = "SELECT confirmed_flush_lsn FROM pg_replication_slots
                   WHERE database = current_database()";
        let told = source.value(sql).await;
        (Some(&told) == stored.as_ref() && lane.changes > 0)
            .then_some(())
            .ok_or_else(|| format!("{told}; {lane:?}"))
    })
    .await;
    running.terminate().assert_success();
    for suffix in ["db-wal", "db-shm"] {
        let _absent = std::fs::remove_file(file.with_extension(suffix));
    }
    std::fs::rename(file.with_extension("old"), &file).expect("restore it");
    let running = engine.start();
    (engine, running)
}

async fn holds(engine: &Engine, source: &Database) {
    let file = engine.folder().join("copy.db");
    eventually(SOON, "the file holds the source's rows", async || {
        for table in ["t", "u"] {
            let query = format!("SELECT id, v FROM {table}");
            let expected = Rows::postgres(source, &query).await?;
            expected.same_as(&Rows::sqlite(&file, &query)?)?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_by_an_older_one_parks_its_lane_until_it_is_copied_again() {
    let source = Postgres::shared().database().await;
    let (engine, running) = restored(&source, "").await;
    let lane = engine.await_lane("copy", State::Parked).await;
    let fault = lane.fault.expect("why it is parked");
    assert!(
        fault.message.contains("gap: target holds the source up to")
            && fault.message.contains("what lies between is lost"),
        "{fault:?}"
    );
    assert!(
        fault.hint.contains("`tahr resync s/copy`") && fault.hint.contains("on_gap = \"resync\""),
        "{fault:?}"
    );
    // One table alone doesn't mend it.
    engine.tahr(&["resync", "s/copy", "t"]).assert_success();
    engine.await_lane("copy", State::Parked).await;
    engine.tahr(&["resync", "s/copy"]).assert_success();
    holds(&engine, &source).await;
    source.execute("INSERT INTO u VALUES (6000, 'after')").await;
    holds(&engine, &source).await;
    engine.await_lane("copy", State::Streaming).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_by_an_older_one_is_copied_again_where_the_config_says_so() {
    let source = Postgres::shared().database().await;
    let (engine, running) = restored(&source, "on_gap = 'resync'\n").await;
    holds(&engine, &source).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_gap_is_mended_does_not_hide_it() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    running.terminate().assert_success();
    crate::reload::edit(
        &engine,
        &[("tables = [", "on_gap = \"resync\"\ntables = [")],
    );
    // Out of reach, and what lies between is one change of each table.
    one.tamper(|checkpoint| checkpoint["position"] = serde_json::json!("0/1"));
    database
        .execute("UPDATE t SET v = 'between' WHERE id = 7; UPDATE u SET v = 'between' WHERE id = 7")
        .await;
    for held in [
        "begin_load hold table=public.t",
        "end_load hold table=public.u",
    ] {
        one.script(held);
        let from = one.calls().len();
        let running = engine.start();
        eventually(SOON, "it is held", async || {
            let calls = one.calls();
            let is_held = calls[from..].iter().any(|call| call.ends_with("held"));
            is_held.then_some(()).ok_or_else(|| running.stderr())
        })
        .await;
        running.kill9();
    }
    one.script("");
    let from = one.calls().len();
    let running = engine.start();
    hold(&database, &[&one], &["t", "u"]).await;
    let calls = one.calls();
    let copied = calls[from..]
        .iter()
        .filter(|call| call.starts_with("begin_load"));
    let copied: Vec<_> = copied.collect();
    assert_eq!(
        copied,
        ["begin_load public.u replace"],
        "and no more than is needed"
    );
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_another_engine_fills_is_refused_and_taken_over_when_asked_for() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    let second = Engine::builder()
        .config(sync(database.url(), &[("one", &one)], ""))
        .build();
    let other = second.start();
    let lane = second.await_lane("one", State::Parked).await;
    let fault = lane.fault.expect("why it is parked");
    assert!(
        fault.message.contains("filled from another stream")
            && fault
                .message
                .contains(&format!("slot tahr_{}_src", engine.name())),
        "{fault:?}"
    );
    assert!(
        fault
            .hint
            .contains("another engine may write to this target"),
        "{fault:?}"
    );
    assert!(fault.hint.contains("`tahr resync s/one`"), "{fault:?}");
    // The first one noticed nothing.
    database.execute("INSERT INTO t VALUES (5000, 'a')").await;
    hold(&database, &[&one], &["t"]).await;
    running.terminate().assert_success();
    second.tahr(&["resync", "s/one"]).assert_success();
    second.await_lane("one", State::Streaming).await;
    database.execute("INSERT INTO t VALUES (5001, 'a')").await;
    eventually(SOON, "the second fills it", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    other.terminate().assert_success();
    // And now the first one is the other.
    let running = engine.start();
    let lane = engine.await_lane("one", State::Parked).await;
    let message = lane.fault.expect("why it is parked").message;
    assert!(
        message.contains(&format!("slot tahr_{}_src", second.name())),
        "{message}"
    );
    running.terminate().assert_success();
}
