//! A source that is out of reach holds up no other.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Proxy, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(30);
const COLUMNS: &[&str] = &["id", "v"];

#[tokio::test(flavor = "multi_thread")]
async fn one_out_of_reach_is_shown_and_tried_again_while_the_other_runs() {
    let server = Postgres::shared();
    let (here, away) = (server.database().await, server.database().await);
    for database in [&here, &away] {
        database
            .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
            .await;
    }
    let (one, two) = (Scripted::new(), Scripted::new());
    let proxy = Proxy::start(server.address()).await;
    proxy.refuse();
    // First in the order of names.
    let engine = Engine::builder()
        .config(sync(here.url(), &[("one", &one)], ""))
        .config(format!(
            "[sources.away]\nurl = \"{}\"\n{}\n[syncs.away]\nsources = [\"away\"]\n\
             targets = [\"two\"]\ntables = [\"t\"]\n",
            away.url_through(&proxy),
            two.section("two")
        ))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    here.execute("UPDATE t SET v = 'b'").await;
    eventually(SOON, "the other source is replicated", async || {
        one.holds(&here, "t", COLUMNS).await
    })
    .await;
    assert_eq!(engine.lane("two").expect("a lane").state, State::Starting);
    let status = engine.tahr(&["status"]).stdout;
    assert!(status.contains("source away: away for "), "{status}");
    assert!(status.contains(" ago: "), "why is not said: {status}");
    // A reload that has nothing to do with it is carried out.
    let reload = engine.tahr(&["reload"]);
    reload.assert_success();
    assert!(
        reload.stdout.contains("2 lanes unchanged"),
        "{}",
        reload.stdout
    );
    proxy.resume();
    engine.await_lane("two", State::Streaming).await;
    away.execute("UPDATE t SET v = 'c'").await;
    eventually(SOON, "it is replicated, too", async || {
        two.holds(&away, "t", COLUMNS).await
    })
    .await;
    let opens = one.calls();
    let opens = opens.iter().filter(|call| *call == "open stream").count();
    assert_eq!(opens, 1);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_can_not_be_used_ends_the_start_with_all_faults() {
    let server = Postgres::shared();
    let (here, faulty) = (server.database().await, server.database().await);
    here.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        .await;
    faulty.execute("CREATE TABLE t (id int, v text)").await;
    let one = Scripted::new();
    let engine = Engine::builder()
        .config(sync(here.url(), &[("one", &one)], ""))
        .config(format!(
            "[sources.faulty]\nurl = \"{}\"\n[syncs.faulty]\nsources = [\"faulty\"]\n\
             targets = [\"one\"]\ntables = [\"t\"]\n",
            faulty.url(),
        ))
        .build();
    let finished = engine.tahr(&["run"]);
    finished.assert_code(3);
    assert!(
        finished.stderr.contains("REPLICA IDENTITY"),
        "{}",
        finished.stderr
    );
}
