//! A target's checkpoint that is not where it was left is noticed at the next write.

use std::time::Duration;

use serde_json::{Value, json};
use tahr::lane::State;
use tahr_tests::{Database, Engine, Running, Scripted, eventually};

const SOON: Duration = Duration::from_secs(20);
const COLUMNS: &[&str] = &["id", "v"];

async fn streaming(targets: &[(&str, &Scripted)], extra: &str) -> (Database, Engine, Running) {
    let setup = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'copied')";
    Engine::builder().streaming(setup, targets, extra).await
}

async fn parked(engine: &Engine) -> String {
    let lane = engine.await_lane("one", State::Parked).await;
    let fault = lane.fault.expect("why it is parked");
    assert!(!fault.hint.is_empty(), "{fault:?}");
    fault.message
}

#[tokio::test(flavor = "multi_thread")]
async fn one_moved_back_within_reach_of_the_log_is_played_again() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, _engine, running) = streaming(&[("one", &one), ("two", &two)], "").await;
    // What the other lane still needs, the log holds.
    two.script("write hold");
    database.execute("INSERT INTO t VALUES (2, 'a')").await;
    eventually(SOON, "one holds it", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    eventually(SOON, "two is held", async || two.called("write held")).await;
    let backup = one.backup();
    database.execute("INSERT INTO t VALUES (3, 'a')").await;
    eventually(SOON, "one holds it", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.restore(&backup);
    database.execute("INSERT INTO t VALUES (4, 'a')").await;
    eventually(SOON, "one holds all", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    two.script("");
    eventually(SOON, "two holds all", async || {
        two.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.batches();
    two.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_moved_back_within_reach_of_the_slot_is_played_again_and_the_others_go_on() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)], "").await;
    running.terminate().assert_success();
    let config = engine.config().replace("redo = \"200ms\"", "redo = \"1h\"");
    engine.write_config(&config);
    let running = engine.start();
    for name in ["one", "two"] {
        engine.await_lane(name, State::Streaming).await;
    }
    let both = async |what: &str| {
        eventually(SOON, what, async || {
            for target in [&one, &two] {
                let held = target.holds(&database, "t", COLUMNS).await;
                held.map_err(|fault| format!("{fault}; {:?}", engine.lane("one")))?;
            }
            Ok(())
        })
        .await;
    };
    database.execute("INSERT INTO t VALUES (2, 'a')").await;
    both("both hold the second row").await;
    let backup = one.backup();
    for id in 3..10 {
        database
            .execute(&format!("INSERT INTO t VALUES ({id}, 'a')"))
            .await;
    }
    both("both hold all, and the log has let go of it").await;
    let resets = |target: &Scripted| {
        let calls = target.calls();
        calls
            .iter()
            .filter(|call| call.starts_with("reset"))
            .count()
    };
    let before = resets(&two);
    one.restore(&backup);
    database.execute("INSERT INTO t VALUES (10, 'a')").await;
    both("one was given again what it lost").await;
    // A transaction that the slot sends while it is read again.
    database
        .execute("UPDATE t SET v = 'b'; INSERT INTO t VALUES (11, 'a')")
        .await;
    both("both follow").await;
    one.batches();
    two.batches();
    assert_eq!(resets(&two), before, "the other lane was not disturbed");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_moved_forward_parks_and_names_another_engine() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)], "").await;
    one.tamper(|checkpoint| checkpoint["position"] = json!("FFFF/0"));
    database.execute("INSERT INTO t VALUES (2, 'a')").await;
    let message = parked(&engine).await;
    assert!(message.contains("another engine"), "{message}");
    assert_eq!(one.rows("public.t", &["id"]).len(), 1);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_moved_forward_beside_a_transient_error_parks_too() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)], "").await;
    one.script("write hold\nwrite transient");
    database.execute("INSERT INTO t VALUES (2, 'a')").await;
    eventually(SOON, "the write is held", async || one.called("write held")).await;
    one.tamper(|checkpoint| checkpoint["position"] = json!("FFFF/0"));
    one.script("");
    let message = parked(&engine).await;
    assert!(message.contains("another engine"), "{message}");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_vanished_is_a_gap_which_parks() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)], "").await;
    one.tamper(|checkpoint| *checkpoint = Value::Null);
    database.execute("INSERT INTO t VALUES (2, 'a')").await;
    let message = parked(&engine).await;
    assert!(
        message.contains("gap: target has lost its checkpoint"),
        "{message}"
    );
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_vanished_is_copied_again_where_the_config_says_so() {
    let one = Scripted::new();
    let (database, _engine, running) = streaming(&[("one", &one)], "on_gap = \"resync\"").await;
    database.execute("INSERT INTO t VALUES (2, 'a')").await;
    eventually(SOON, "one holds it", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.tamper(|checkpoint| *checkpoint = Value::Null);
    database.execute("INSERT INTO t VALUES (3, 'a')").await;
    eventually(SOON, "one holds all", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.called("begin_load public.t replace")
        .expect("it is copied again");
    database.execute("UPDATE t SET v = 'b'").await;
    eventually(SOON, "one goes on", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_restored_from_an_old_backup_is_a_gap() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)], "").await;
    running.terminate().assert_success();
    one.tamper(|checkpoint| checkpoint["position"] = json!("0/1"));
    let running = engine.start();
    let message = parked(&engine).await;
    assert!(
        message.contains("gap: target holds the source up to 0/1"),
        "{message}"
    );
    running.terminate().assert_success();

    let config = engine
        .config()
        .replace("tables =", "on_gap = \"resync\"\ntables =");
    engine.write_config(&config);
    database.execute("INSERT INTO t VALUES (2, 'a')").await;
    let running = engine.start();
    eventually(SOON, "one holds all", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_another_stream_parks_and_says_in_what_it_differs() {
    let one = Scripted::new();
    let (_database, engine, running) = streaming(&[("one", &one)], "").await;
    running.terminate().assert_success();
    let sane = one.backup();
    for (key, value, says) in [
        ("system_id", json!("7"), "system identifier 7"),
        ("slot", json!("other"), "slot other"),
        ("database", json!(1), "database OID 1"),
        ("format", json!(99), "checkpoint format 99"),
    ] {
        one.restore(&sane);
        one.tamper(|checkpoint| checkpoint["stream"][key] = value);
        let running = engine.start();
        let message = parked(&engine).await;
        assert!(
            message.contains("another stream") && message.contains(says),
            "{message}"
        );
        running.terminate().assert_success();
    }
}
