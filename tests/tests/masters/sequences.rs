//! Values that several masters draw from sequences.

use super::PLAIN;
use tahr_tests::{Masters, eventually};

const SERIAL: &str = "CREATE TABLE s (id serial PRIMARY KEY, v text);
    CREATE TABLE g (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
    INSERT INTO s (v) SELECT 'before' FROM generate_series(1, 5); INSERT INTO g (v) VALUES ('before');";

#[tokio::test(flavor = "multi_thread")]
async fn masters_that_insert_at_the_same_time_never_draw_the_same_value() {
    let setup = format!("{SERIAL} {PLAIN}");
    let mut masters = Masters::new(3, &setup).await;
    masters.start("").await;
    let rows = "INSERT INTO s (v) SELECT 'new' FROM generate_series(1, 40);
                INSERT INTO g (v) SELECT 'new' FROM generate_series(1, 40)";
    masters.meet(&[(0, rows), (1, rows), (2, rows)]).await;
    masters.everywhere("SELECT count(*) FROM s", "125").await;
    masters.everywhere("SELECT count(*) FROM g", "121").await;
    assert_eq!(masters.conflicts().len(), 0);
    // Still so after a restart.
    masters.stop();
    masters.run();
    masters.await_state("s", "running").await;
    masters.meet(&[(0, rows), (1, rows), (2, rows)]).await;
    masters.everywhere("SELECT count(*) FROM s", "245").await;
    assert_eq!(masters.conflicts().len(), 0);
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_follow_the_highest_value() {
    let mut masters = Masters::new(2, SERIAL).await;
    masters.start("sequences = \"max\"").await;
    masters[0]
        .execute("INSERT INTO s (v) SELECT 'a' FROM generate_series(1, 100)")
        .await;
    let limit = std::time::Duration::from_secs(20);
    eventually(limit, "b's sequence is past a's values", async || {
        let last = masters[1].value("SELECT last_value FROM s_id_seq").await;
        let is_past = last.parse::<i64>().is_ok_and(|last| last >= 105);
        is_past.then_some(()).ok_or(last)
    })
    .await;
    masters.settle().await;
    masters[1].execute("INSERT INTO s (v) VALUES ('b')").await;
    masters.everywhere("SELECT count(*) FROM s", "106").await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_that_are_to_be_left_alone_are() {
    let mut masters = Masters::new(2, SERIAL).await;
    masters.start("sequences = \"leave\"").await;
    masters[0]
        .execute("INSERT INTO s (v) SELECT 'a' FROM generate_series(1, 10)")
        .await;
    masters.everywhere("SELECT count(*) FROM s", "15").await;
    masters.settle().await;
    assert_eq!(
        masters[0].value("SELECT last_value FROM s_id_seq").await,
        "15"
    );
    assert_eq!(
        masters[1].value("SELECT last_value FROM s_id_seq").await,
        "5"
    );
    masters.stop();
}
