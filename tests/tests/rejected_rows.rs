//! A row that a target refuses stops that target's lane exactly there, and nothing else.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_row_parks_its_lane_exactly_there_and_others_go_on() {
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        .await;
    let (one, two) = (Scripted::new(), Scripted::new());
    let config = sync(database.url(), &[("one", &one), ("two", &two)], "");
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    engine.await_lane("two", State::Streaming).await;

    // While the writer is held, more transactions gather behind it and are merged.
    one.script("write hold");
    database.execute("INSERT INTO t VALUES (1, 'good')").await;
    eventually(SOON, "the write is held", async || one.called("write held")).await;
    for (id, v) in [(2, "good"), (3, "bad"), (4, "good")] {
        database
            .execute(&format!("INSERT INTO t VALUES ({id}, '{v}')"))
            .await;
    }
    eventually(SOON, "two holds all", async || {
        two.holds(&database, "t", &["id", "v"]).await
    })
    .await;
    one.script("write reject table=public.t value=bad");

    let lane = engine.await_lane("one", State::Parked).await;
    let fault = lane.fault.expect("why it is parked");
    assert!(fault.message.contains("scripted: rejected"), "{fault:?}");
    assert_eq!(
        (fault.table.as_deref(), fault.column.as_deref()),
        (Some("public.t"), Some("v"))
    );
    let hint = "take the line out of the script; or have such rows set aside while the rest goes on: \
                `on_rejected = \"set_aside\"` in the sync, then `tahr reload`";
    assert_eq!(fault.hint, hint);
    assert_eq!(
        one.rows("public.t", &["id"]).len(),
        2,
        "the transactions before it are stored"
    );
    let writes = one.count("write whole");
    assert_eq!(
        writes,
        4,
        "the first, the merged one, and two of that alone: {:?}",
        one.calls()
    );
    let text = engine.tahr(&["status"]).stdout;
    assert!(text.contains("hint: take the line out"), "{text}");
    // Who looks for rejected rows there is told where this one is.
    let listed = engine.tahr(&["rejected"]);
    listed.assert_success();
    for says in [
        "no rows are set aside",
        "lane s/one is parked, and sets nothing aside: scripted: rejected",
        "hint: take the line out",
        "`tahr resume s/one`",
    ] {
        assert!(listed.stdout.contains(says), "{}", listed.stdout);
    }
    assert!(!listed.stdout.contains("s/two"), "{}", listed.stdout);

    database.execute("INSERT INTO t VALUES (5, 'good')").await;
    eventually(SOON, "two goes on", async || {
        two.holds(&database, "t", &["id", "v"]).await
    })
    .await;
    assert_eq!(one.rows("public.t", &["id"]).len(), 2, "nothing is skipped");

    running.terminate().assert_success();
    one.script("");
    let running = engine.start();
    eventually(SOON, "one holds all", async || {
        one.holds(&database, "t", &["id", "v"]).await
    })
    .await;
    two.holds(&database, "t", &["id", "v"])
        .await
        .expect("two still holds all");
    one.batches();
    two.batches();
    running.terminate().assert_success();
}
