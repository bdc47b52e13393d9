//! A kick tries at once what waits, and can wait until all is there.

use std::time::{Duration, Instant, SystemTime};

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Proxy, Scripted, eventually, sync};

use super::tahr;
use crate::reload::{COLUMNS, SOON, says, streaming};

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_kick_ends_when_the_rows_are_there() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    two.script("write slow ms=400");
    for id in 0..5 {
        let insert = format!("INSERT INTO t VALUES (-{id}, 'new')");
        database.execute(&insert).await;
        tahr(&engine, &["kick", "s", "--wait", "30"], 0);
        for target in [&one, &two] {
            let holds = target.holds(&database, "t", COLUMNS).await;
            holds.expect("the kick has waited for it");
        }
    }
    // With nothing to do it takes no longer than to ask.
    let done = tahr(&engine, &["kick", "s", "--wait", "30", "--json"], 0).json();
    assert_eq!(done["is_done"], true);
    assert!(done["seconds"].as_f64().expect("a number") < 15.0, "{done}");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_waits_to_try_again_tries_at_once() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    one.script("write transient");
    database.execute("INSERT INTO t VALUES (0, 'new')").await;
    let at = eventually(SOON, "it waits for long", async || {
        let lane = engine.lane("one")?;
        let at = lane.retry_at.ok_or("it never failed")?;
        let wait = at.duration_since(SystemTime::now()).unwrap_or_default();
        let is_long = wait > Duration::from_secs(4);
        is_long.then_some(at).ok_or(format!("{wait:?}"))
    })
    .await;
    let status = engine.tahr(&["status"]).stdout;
    assert!(status.contains("  tries again in "), "{status}");
    one.script("");
    let kicked = tahr(&engine, &["kick", "s", "--wait", "30"], 0);
    says(
        &kicked,
        &["trying lane s/one again", "all that was committed is there"],
    );
    assert!(SystemTime::now() < at, "it was not tried before it was due");
    one.holds(&database, "t", COLUMNS).await.expect("the row");
    says(&tahr(&engine, &["kick", "s"], 0), &["nothing waited"]);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kick_names_what_is_not_there_in_time_and_does_not_wait_for_what_rests() {
    let server = Postgres::shared();
    let (database, target) = (server.database().await, server.database().await);
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
        .await;
    let proxy = Proxy::start(server.address()).await;
    let one = Scripted::new();
    let config = sync(database.url(), &[("one", &one)], "")
        .replace("targets = [\"one\"]", "targets = [\"one\", \"pg\"]");
    let pg = format!(
        "[targets.pg]\nplugin = \"postgres\"\noptions = {{ url = \"{}\" }}\n",
        target.url_through(&proxy)
    );
    let engine = Engine::builder().config(pg).config(config).build();
    let running = engine.start();
    for lane in ["one", "pg"] {
        engine.await_lane(lane, State::Streaming).await;
    }
    proxy.refuse();
    database.execute("INSERT INTO t VALUES (2, 'b')").await;
    let begun = Instant::now();
    let late = tahr(&engine, &["kick", "s", "--wait", "2"], 1);
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(20),
        "{took:?}"
    );
    assert!(
        late.stderr
            .contains("not everything is there: lane s/pg is retrying: ")
            && !late.stderr.contains("s/one"),
        "{}",
        late.stderr
    );
    one.holds(&database, "t", COLUMNS)
        .await
        .expect("the others are there");

    // What rests is named at once, and the kick ends as soon as the others are there.
    tahr(&engine, &["pause", "s/pg"], 0);
    let begun = Instant::now();
    let rests = tahr(&engine, &["kick", "s", "--wait", "100", "--json"], 1);
    assert!(begun.elapsed() < Duration::from_secs(50));
    assert!(
        rests
            .stderr
            .contains("lane s/pg is paused; it waits for `tahr resume`"),
        "{}",
        rests.stderr
    );
    let missing = &rests.json()["missing"];
    assert_eq!(missing[0]["what"], "lane s/pg");
    proxy.resume();
    tahr(&engine, &["resume", "s"], 0);
    tahr(&engine, &["kick", "s", "--wait", "60"], 0);
    assert_eq!(target.value("SELECT count(*) FROM t").await, "2");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kick_connects_to_a_source_that_is_back_and_names_one_that_is_away() {
    let server = Postgres::shared();
    let database = server.database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
        .await;
    let proxy = Proxy::start(server.address()).await;
    let one = Scripted::new();
    let config = sync(&database.url_through(&proxy), &[("one", &one)], "");
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    proxy.refuse();
    let away = tahr(&engine, &["kick", "s", "--wait", "1"], 1);
    assert!(
        away.stderr.contains("source src can't be asked: "),
        "{}",
        away.stderr
    );
    database.execute("INSERT INTO t VALUES (2, 'b')").await;
    proxy.resume();
    tahr(&engine, &["kick", "s", "--wait", "60"], 0);
    one.holds(&database, "t", COLUMNS).await.expect("the row");
    running.terminate().assert_success();
}
