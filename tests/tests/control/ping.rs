//! One line and a code say how an engine is.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Engine, Finished, Postgres, Proxy, Scripted, eventually, sync};

use super::tahr;
use crate::reload::{SOON, streaming};

/// Pings until the code is this one.
async fn pings(engine: &Engine, arguments: &[&str], code: i32) -> Finished {
    let arguments = [&["ping"], arguments].concat();
    let finished = eventually(SOON, format!("ping ends with {code}"), async || {
        let finished = engine.tahr(&arguments);
        match finished.code() == Some(code) {
            true => Ok(finished),
            false => Err(format!("{:?}: {}", finished.code(), finished.stdout)),
        }
    })
    .await;
    assert_eq!(finished.stdout.lines().count(), 1, "{}", finished.stdout);
    finished
}

#[track_caller]
fn names(finished: &Finished, what: &str) {
    let line = &finished.stdout;
    assert!(
        line.starts_with("NOT OK: ") && line.contains(what),
        "{line}"
    );
    assert_eq!(finished.stderr, "", "the line says it all");
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_lag_rest_retry_or_are_parked_have_their_codes() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    let well = pings(&engine, &["s", "--max-lag", "30"], 0).await;
    assert!(
        well.stdout.starts_with("OK: 1 source, 2 lanes, lag "),
        "{}",
        well.stdout
    );
    tahr(&engine, &["ping", "shop"], 2);

    tahr(&engine, &["pause", "s/one"], 0);
    names(&pings(&engine, &[], 1).await, "lane s/one is paused");
    tahr(&engine, &["resume", "s/one"], 0);

    one.script("write hold");
    database.execute("INSERT INTO t VALUES (0, 'held')").await;
    let lags = pings(&engine, &["--max-lag", "2"], 1).await;
    names(&lags, "lane s/one is ");
    tahr(&engine, &["ping"], 0);
    one.script("");

    two.script("write transient");
    database.execute("INSERT INTO t VALUES (-1, 'fails')").await;
    names(
        &pings(&engine, &[], 4).await,
        "lane s/two is retrying: scripted",
    );
    two.script("write reject");
    engine.await_lane("two", State::Parked).await;
    let parked = pings(&engine, &["s"], 4).await;
    names(&parked, "lane s/two is parked: scripted");
    let json = tahr(&engine, &["ping", "--json"], 4).json();
    assert_eq!(
        (&json["code"], &json["problems"][0]["code"]),
        (&4.into(), &4.into())
    );

    two.script("");
    tahr(&engine, &["resume", "s"], 0);
    tahr(&engine, &["kick", "s", "--wait", "60"], 0);
    pings(&engine, &[], 0).await;
    running.terminate().assert_success();
    names(&pings(&engine, &[], 5).await, "no engine runs");
    let json = tahr(&engine, &["ping", "--json"], 5).json();
    assert_eq!(json["code"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_read_has_its_code_and_only_where_it_belongs() {
    let server = Postgres::shared();
    let (here, away) = (server.database().await, server.database().await);
    for database in [&here, &away] {
        database
            .execute("CREATE TABLE t (id int PRIMARY KEY)")
            .await;
    }
    let proxy = Proxy::start(server.address()).await;
    let (one, two) = (Scripted::new(), Scripted::new());
    let engine = Engine::builder()
        .config(sync(here.url(), &[("one", &one)], ""))
        .config(format!(
            "[sources.away]\nurl = \"{}\"\n{}\n[syncs.other]\nsources = [\"away\"]\n\
             targets = [\"two\"]\ntables = [\"t\"]\n",
            away.url_through(&proxy),
            two.section("two")
        ))
        .build();
    let running = engine.start();
    for lane in ["one", "two"] {
        engine.await_lane(lane, State::Streaming).await;
    }
    pings(&engine, &[], 0).await;
    proxy.refuse();
    let away = pings(&engine, &[], 3).await;
    names(&away, "source away is not read for ");
    // What its lane does is not changed by that, but how far it is behind nobody knows.
    let status = tahr(&engine, &["status"], 0).stdout;
    assert!(status.contains("source away: away for "), "{status}");
    let lane = |target: &str| {
        let mut lines = status.lines();
        let line = lines.find(|line| line.starts_with(target));
        line.unwrap_or_else(|| panic!("{target}: {status}"))
    };
    let two = lane("other/two");
    assert!(two.contains(" streaming ") && two.contains(" unknown: source away"));
    assert!(!lane("s/one").contains("unknown"), "{status}");
    let json = tahr(&engine, &["status", "--json"], 0).json();
    let of = |list: &str, key: &str, name: &str| {
        let mut list = json[list].as_array().expect("a list").iter();
        let found = list.find(|entry| entry[key] == name);
        found.unwrap_or_else(|| panic!("{name}: {json}")).clone()
    };
    let (one, two) = (of("lanes", "target", "one"), of("lanes", "target", "two"));
    assert!(one["lag_seconds"].is_number() && one["source_away_since"].is_null());
    assert_eq!(
        (&two["state"], &two["lag_seconds"]),
        (&"streaming".into(), &serde_json::Value::Null)
    );
    let source = of("sources", "source", "away");
    // Moments are text.
    for moment in [
        &two["source_away_since"],
        &source["away_since"],
        &source["fault"]["since"],
    ] {
        let text = moment.as_str().unwrap_or_default();
        assert!(text.starts_with("20") && text.ends_with('Z'), "{source}");
    }
    pings(&engine, &["other"], 3).await;
    pings(&engine, &["s"], 0).await;
    proxy.resume();
    tokio::time::sleep(Duration::from_millis(10)).await;
    tahr(&engine, &["kick", "other", "--wait", "60"], 0);
    pings(&engine, &[], 0).await;
    let lane = engine.lane("two").expect("a lane");
    assert!(lane.lag_seconds.is_some() && lane.source_away_since.is_none());
    running.terminate().assert_success();
}
