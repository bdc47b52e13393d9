//! Each strategy picks the winner that it is named after.

use std::time::Duration;

use super::{PLAIN, conflicts};
use tahr_tests::{Masters, eventually};

const THREE: &[(usize, &str)] = &[
    (1, "UPDATE t SET v = 'b' WHERE id = 1"),
    (0, "UPDATE t SET v = 'a' WHERE id = 1"),
    (2, "UPDATE t SET v = 'c' WHERE id = 1"),
];

async fn wins(rules: &str, winner: &str) {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start(rules).await;
    masters.meet(THREE).await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", winner)
        .await;
    let found = conflicts(&masters, 1).await;
    let shown = found[0].to_string();
    assert!(shown.contains("public.t"), "the table is not in {shown}");
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_change_wins() {
    wins("conflict = \"latest\"", "c").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_earliest_change_wins() {
    wins("conflict = \"earliest\"", "b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_listed_first_wins() {
    wins("conflict = [\"a\", \"c\", \"b\"]", "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_a_strategy_of_its_own() {
    let setup = format!(
        "{PLAIN} CREATE TABLE u (id int PRIMARY KEY, v text); INSERT INTO u VALUES (1, 'first')"
    );
    let mut masters = Masters::new(3, &setup)
        .await
        .with("[syncs.s.table.\"public.u\"]\nconflict = \"earliest\"");
    masters.start("conflict = \"latest\"").await;
    masters
        .meet(&[
            (1, "UPDATE t SET v = 'b' WHERE id = 1; UPDATE u SET v = 'b'"),
            (2, "UPDATE t SET v = 'c' WHERE id = 1; UPDATE u SET v = 'c'"),
        ])
        .await;
    masters
        .everywhere("SELECT t.v || u.v FROM t JOIN u USING (id)", "cb")
        .await;
    conflicts(&masters, 2).await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_with_the_latest_change_of_all_tables_wins_all_conflicts() {
    let setup = format!("{PLAIN} CREATE TABLE u (id int PRIMARY KEY)");
    let mut masters = Masters::new(3, &setup).await;
    masters.start("conflict = \"latest_all_tables\"").await;
    masters
        .meet(&[
            (0, "UPDATE t SET v = 'a' WHERE id = 1"),
            (1, "UPDATE t SET v = 'b' WHERE id = 1"),
            (0, "INSERT INTO u VALUES (1)"),
        ])
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "a")
        .await;
    conflicts(&masters, 1).await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skipped_conflicts_leave_each_its_own_row_until_the_next_change() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("conflict = \"skip\"").await;
    masters
        .meet(&[
            (0, "UPDATE t SET v = 'a' WHERE id = 1"),
            (1, "UPDATE t SET v = 'b' WHERE id = 1"),
            (2, "UPDATE t SET v = 'beside' WHERE id = 2"),
        ])
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 2", "beside")
        .await;
    conflicts(&masters, 1).await;
    for (place, own) in [(0, "a"), (1, "b")] {
        let found = masters[place].value("SELECT v FROM t WHERE id = 1").await;
        assert_eq!(found, own, "a skipped row is its source's own");
    }
    masters[1]
        .execute("UPDATE t SET v = 'healed' WHERE id = 1")
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "healed")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abort_pauses_before_anything_is_applied_and_another_strategy_goes_on() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("conflict = \"abort\"").await;
    masters[0]
        .execute("UPDATE t SET v = 'fine' WHERE id = 3")
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 3", "fine")
        .await;
    masters.pause().await;
    for (place, statement) in THREE {
        masters[*place].execute(statement).await;
    }
    masters[0]
        .execute("UPDATE t SET v = 'waits' WHERE id = 2")
        .await;
    masters.resume();
    // Until it has judged, a person's pause is still shown.
    let limit = std::time::Duration::from_secs(20);
    eventually(limit, "it pauses by itself, and says why", async || {
        let status = masters.status("s")?;
        let said = status.to_string();
        let is_it = status["state"] == "paused" && said.contains("conflict in public.t");
        is_it.then_some(()).ok_or(said)
    })
    .await;
    for (place, own) in [(0, "a"), (1, "b"), (2, "c")] {
        let found = masters[place].value("SELECT v FROM t WHERE id = 1").await;
        assert_eq!(found, own, "something was applied");
    }
    assert_eq!(
        masters[1].value("SELECT v FROM t WHERE id = 2").await,
        "first"
    );
    // It survives a restart, and waits for a person.
    masters.stop();
    let config = masters.engine().config();
    masters
        .engine()
        .write_config(&config.replace("\"abort\"", "\"latest\""));
    masters.run();
    masters.await_state("s", "paused").await;
    masters.resume();
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "c")
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 2", "waits")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_that_is_changed_by_a_reload_decides_from_then_on() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("conflict = \"latest\"").await;
    let config = masters.engine().config();
    let config = config.replace("conflict = \"latest\"", "conflict = \"earliest\"");
    masters.engine().write_config(&config);
    let reloaded = masters.tahr(&["reload"]);
    let told = "sources of sync s: conflict changed";
    assert!(reloaded.stdout.contains(told), "{}", reloaded.stdout);
    masters.await_state("s", "running").await;
    masters.meet(THREE).await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "b")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_shown_and_warned_of_while_the_sync_runs() {
    let slow = format!(
        "{PLAIN}; ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO true_clock;
         CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
         AS 'SELECT pg_catalog.true_clock() - interval ''7 seconds'''"
    );
    let mut masters = Masters::each(&[PLAIN, &slow]).await;
    masters.start("").await;
    eventually(
        Duration::from_secs(20),
        "the clocks are shown",
        async || {
            let status = masters.status("s")?;
            let skew = |place: usize| status["members"][place]["skew_ms"].as_i64();
            let off = skew(0).zip(skew(1)).map(|(right, wrong)| right - wrong);
            let is_off = off.is_some_and(|off| (6_900..7_100).contains(&off));
            is_off.then_some(()).ok_or(status.to_string())
        },
    )
    .await;
    let told = masters.running().stderr();
    let warning = "ahead of that of source \"b\"";
    assert!(told.contains(warning), "{told}");
    masters.end().await;
}
