//! A person is in control: pauses, kicks, looks, and leaves without a trace.

use super::PLAIN;
use tahr_tests::Masters;

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_survives_a_restart_and_a_kick_waits_for_its_round() {
    let mut masters = Masters::new(2, PLAIN).await;
    masters.start("").await;
    masters.pause().await;
    masters[0]
        .execute("UPDATE t SET v = 'a' WHERE id = 1")
        .await;
    masters.stop();
    masters.run();
    masters.await_state("s", "paused").await;
    // Time enough for a change to travel, if it did.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(
        masters[1].value("SELECT v FROM t WHERE id = 1").await,
        "first"
    );
    masters.resume();
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "a")
        .await;
    masters[0]
        .execute("UPDATE t SET v = 'kicked' WHERE id = 2")
        .await;
    masters.tahr(&["kick", "s", "--wait", "20"]);
    masters
        .everywhere("SELECT v FROM t WHERE id = 2", "kicked")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_leaves_nothing_on_any_master() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("").await;
    masters[0].execute("UPDATE t SET v = 'a'").await;
    masters
        .everywhere("SELECT count(*) FROM t WHERE v = 'a'", "10")
        .await;
    masters.settle().await;
    masters.stop();
    masters.tahr(&["drop", "--yes"]);
    for database in masters.databases() {
        for left in [
            "SELECT count(*) FROM pg_namespace WHERE nspname = 'tahr'",
            "SELECT count(*) FROM pg_publication",
            "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()",
        ] {
            assert_eq!(database.value(left).await, "0", "{left}");
        }
        assert_eq!(
            database.value("SELECT count(*) FROM t WHERE v = 'a'").await,
            "10"
        );
    }
}
