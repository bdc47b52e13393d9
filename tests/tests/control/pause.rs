//! What is paused rests, keeps its place, and is left so by a restart; nothing else notices.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Scripted, eventually, sync};

use super::tahr;
use crate::reload::{COLUMNS, Load, SOON, begins, edit, hold, reload, says, streaming};

/// Lanes that have nothing to do look around once a second.
const A_WHILE: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_lane_rests_over_restarts_while_the_other_goes_on_and_loses_nothing() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    let before = begins(&two);
    let load = Load::on(&database).await;
    eventually(SOON, "changes arrive", async || one.called("write")).await;
    says(
        &tahr(&engine, &["pause", "s/one"], 0),
        &["paused lane s/one"],
    );
    let lane = engine.lane("one").expect("a lane");
    assert_eq!(
        lane.state,
        State::Paused,
        "it rests when the answer is there"
    );
    assert!(lane.paused_since.is_some() && lane.lag_seconds.is_none());
    let (rests, begun) = (one.calls().len(), begins(&one));
    let again = tahr(&engine, &["pause", "s/one"], 0);
    says(&again, &["lane s/one was paused already"]);
    eventually(SOON, "the source goes on meanwhile", async || {
        let rows = database
            .value("SELECT count(*) FROM t WHERE id > 10040")
            .await;
        (rows != "0").then_some(()).ok_or(rows)
    })
    .await;
    load.end().await;
    // More than the log may hold in memory: the other lane is not held up by it.
    database
        .execute("INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(100001, 108000) g")
        .await;
    hold(&database, &[&two], &["t", "u"]).await;
    assert_eq!(begins(&two), before, "the other lane was touched");
    assert_eq!(one.calls().len(), rests, "the paused lane was called");
    let status = engine.tahr(&["status"]).stdout;
    assert!(
        status.contains("to go on: `tahr resume s/one`") && status.contains("  -, "),
        "{status}"
    );
    // Neither kind of end forgets it.
    running.terminate().assert_success();
    let running = engine.start();
    engine.await_lane("two", State::Streaming).await;
    assert_eq!(engine.lane("one").expect("a lane").state, State::Paused);
    database
        .execute("UPDATE t SET v = 'between' WHERE id < 50")
        .await;
    running.kill9();
    let running = engine.start();
    engine.await_lane("two", State::Streaming).await;
    database.execute("DELETE FROM u WHERE id < 50").await;
    hold(&database, &[&two], &["t", "u"]).await;
    tokio::time::sleep(A_WHILE).await;
    // Its target is asked what its tables map to, and no more.
    assert_eq!(begins(&one), begun, "a restart began the paused lane");
    let file = engine.folder().join("tahr-state/paused.json");
    let mode = file.metadata().expect("the pauses").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    says(
        &tahr(&engine, &["resume", "s/one"], 0),
        &["resumed lane s/one"],
    );
    engine.await_lane("one", State::Streaming).await;
    hold(&database, &[&one, &two], &["t", "u"]).await;
    assert_eq!(begins(&one).2, 2, "nothing is copied again");
    let again = tahr(&engine, &["resume", "s/one"], 0);
    says(&again, &["lane s/one was not paused"]);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_under_way_is_finished_before_the_lane_rests() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    one.script("write slow ms=700");
    database.execute("INSERT INTO t VALUES (0, 'slow')").await;
    eventually(SOON, "a batch is in flight", async || one.called("write")).await;
    tahr(&engine, &["pause", "s"], 0);
    one.holds(&database, "t", COLUMNS).await.expect("the batch");
    running.terminate().assert_success();
    // Nothing of a pause is left behind either.
    let state_dir = engine.folder().join("tahr-state");
    assert!(state_dir.join("paused.json").exists());
    tahr(&engine, &["drop", "--yes"], 0);
    assert!(!state_dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_paused_before_it_copied_copies_when_it_is_resumed() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
        .await;
    let config = sync(database.url(), &[("one", &one), ("two", &two)], "");
    let engine = Engine::builder().config(config).build();
    // The state folder is what it is noted in, and there is none yet.
    tahr(&engine, &["pause", "s/one"], 5);
    let running = engine.start();
    for lane in ["one", "two"] {
        engine.await_lane(lane, State::Streaming).await;
    }
    running.terminate().assert_success();
    let noted = tahr(&engine, &["pause", "s/one"], 0);
    says(&noted, &["note: no engine runs; s/one will be paused"]);
    let three = Scripted::new();
    let added = format!("{}\n[syncs.s]", three.section("three"));
    edit(
        &engine,
        &[("\"two\"]", "\"two\", \"three\"]"), ("[syncs.s]", &added)],
    );
    tahr(&engine, &["pause", "s/three"], 0);
    // What was asked for once can't be had while a lane is paused, and the others are brought up.
    database.execute("INSERT INTO t VALUES (2, 'b')").await;
    let once = tahr(&engine, &["run", "--once"], 1);
    assert!(
        once.stderr.contains("lane s/one is paused")
            && once.stderr.contains("lane s/three is paused"),
        "{}",
        once.stderr
    );
    hold(&database, &[&two], &["t"]).await;
    assert_eq!(begins(&three), (0, 0, 0));
    let running = engine.start();
    engine.await_lane("two", State::Streaming).await;
    database.execute("INSERT INTO t VALUES (3, 'c')").await;
    says(
        &tahr(&engine, &["resume", "s"], 0),
        &[
            "resumed lane s/one",
            "resumed lane s/three",
            "lane s/two was not",
        ],
    );
    hold(&database, &[&one, &two, &three], &["t"]).await;
    assert_eq!(begins(&three).2, 1);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stays_over_a_reload_and_goes_with_its_target() {
    let (one, two, three) = (Scripted::new(), Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    tahr(&engine, &["pause", "s"], 0);
    says(
        &tahr(&engine, &["resume", "s/two"], 0),
        &["resumed lane s/two"],
    );
    let added = format!("{}\n[syncs.s]", three.section("three"));
    edit(
        &engine,
        &[("\"two\"]", "\"two\", \"three\"]"), ("[syncs.s]", &added)],
    );
    // The new one belongs to a sync that is paused.
    let done = reload(&engine);
    says(
        &done,
        &[
            "started lane s/three",
            "2 lanes unchanged",
            "note: lane s/three is paused",
        ],
    );
    engine.await_lane("three", State::Paused).await;
    edit(
        &engine,
        &[("tables = [", "max_batch_rows = 77\ntables = [")],
    );
    says(
        &reload(&engine),
        &["restarted lane s/one: max_batch_rows changed"],
    );
    engine.await_lane("two", State::Streaming).await;
    for lane in ["one", "three"] {
        assert_eq!(engine.lane(lane).expect("a lane").state, State::Paused);
    }
    database.execute("UPDATE t SET v = 'after'").await;
    hold(&database, &[&two], &["t"]).await;
    assert_eq!(begins(&three), (0, 0, 0));
    tahr(&engine, &["resume", "s"], 0);
    hold(&database, &[&one, &two, &three], &["t", "u"]).await;

    tahr(&engine, &["pause", "s/three"], 0);
    edit(&engine, &[("\"two\", \"three\"]", "\"two\"]")]);
    says(
        &reload(&engine),
        &["note: lane s/three was paused and is not"],
    );
    edit(&engine, &[("\"two\"]", "\"two\", \"three\"]")]);
    reload(&engine);
    engine.await_lane("three", State::Streaming).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_tries_a_parked_lane_again_and_pausing_it_keeps_its_error_in_sight() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    one.script("write reject");
    database.execute("INSERT INTO t VALUES (0, 'bad')").await;
    engine.await_lane("one", State::Parked).await;
    let before = begins(&two);
    let again = tahr(&engine, &["resume", "s", "--json"], 0).json();
    assert_eq!(
        again["lanes"],
        serde_json::json!([["s/one", "tried_again"], ["s/two", "was_running"]])
    );
    engine.await_lane("one", State::Parked).await;
    tahr(&engine, &["pause", "s/one"], 0);
    let lane = engine.await_lane("one", State::Paused).await;
    assert!(lane.fault.is_some());
    one.script("");
    tahr(&engine, &["resume", "s/one"], 0);
    hold(&database, &[&one, &two], &["t"]).await;
    assert_eq!(begins(&two), before);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_config_does_not_have_can_not_be_paused() {
    let one = Scripted::new();
    let (_database, engine, running) = streaming(&[("one", &one)]).await;
    for (part, says) in [
        ("shop", "the config has no sync \"shop\""),
        ("s/onee", "did you mean \"one\"?"),
    ] {
        let refused = tahr(&engine, &["pause", part], 2);
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
    assert_eq!(engine.lane("one").expect("a lane").state, State::Streaming);
    running.terminate().assert_success();
}
