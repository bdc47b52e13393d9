//! Sources that already hold rows when they meet.

use std::time::Duration;

use super::{PLAIN, conflicts, rows};
use tahr_tests::{Masters, Rows, eventually};

const TABLES: &str =
    "CREATE TABLE same (id int PRIMARY KEY, v text); INSERT INTO same VALUES (1, 'same');
    CREATE TABLE t (id int PRIMARY KEY, v text);";

async fn unequal() -> Masters {
    let setup = |rows: &str| format!("{TABLES} INSERT INTO t VALUES {rows}");
    Masters::each(&[
        &setup("(1, 'all'), (2, 'of a'), (4, 'only a')"),
        &setup("(1, 'all'), (2, 'of b'), (5, 'only b')"),
        &setup("(1, 'all'), (2, 'of a')"),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn unequal_rows_are_refused_by_name_and_nothing_is_changed() {
    let mut masters = unequal().await;
    masters.configure("");
    masters.run();
    eventually(Duration::from_secs(20), "the table is named", async || {
        let status = masters.status("s")?.to_string();
        let is_named = status.contains("public.t") && !status.contains("public.same");
        is_named.then_some(()).ok_or(status)
    })
    .await;
    // It waits for a person, and its sources for it: they are not away.
    let status = masters.await_state("s", "parked").await;
    let members = status["members"].as_array().expect("its sources");
    assert_eq!(members.len(), 3);
    for member in members {
        assert_eq!(member["state"], "parked", "{member}");
    }
    let ping = masters.engine().tahr(&["ping"]);
    ping.assert_code(1);
    assert!(
        ping.stdout.starts_with("NOT OK: sync s is parked: ") && !ping.stdout.contains("; source"),
        "{}",
        ping.stdout
    );
    for (place, own) in [(0, "3"), (1, "3"), (2, "2")] {
        assert_eq!(masters[place].value("SELECT count(*) FROM t").await, own);
    }
    // Made equal by hand, and told so.
    masters[1].execute("DELETE FROM t WHERE id = 5; UPDATE t SET v = 'of a' WHERE id = 2; INSERT INTO t VALUES (4, 'only a')").await;
    masters[2]
        .execute("INSERT INTO t VALUES (4, 'only a')")
        .await;
    masters.resume();
    masters.await_state("s", "running").await;
    masters[2]
        .execute("UPDATE t SET v = 'goes on' WHERE id = 1")
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "goes on")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_source_is_right() {
    let mut masters = unequal().await;
    masters.start("initial = \"first_source\"").await;
    masters.settle().await;
    let found = Rows::postgres(&masters[2], "SELECT * FROM t")
        .await
        .expect("rows");
    rows(&[&["1", "all"], &["2", "of a"], &["4", "only a"]]).assert_same(&found);
    masters[1]
        .execute("UPDATE t SET v = 'goes on' WHERE id = 4")
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 4", "goes on")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_rows_go_to_all_and_those_that_differ_are_conflicts() {
    let mut masters = unequal().await;
    masters
        .start("initial = \"merge\"\nconflict = [\"b\", \"a\", \"c\"]")
        .await;
    masters.settle().await;
    let found = Rows::postgres(&masters[2], "SELECT * FROM t")
        .await
        .expect("rows");
    let expected = rows(&[
        &["1", "all"],
        &["2", "of b"],
        &["4", "only a"],
        &["5", "only b"],
    ]);
    expected.assert_same(&found);
    conflicts(&masters, 1).await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_made_while_they_meet_are_not_lost() {
    let many = |count: u32| {
        format!("{PLAIN} INSERT INTO t SELECT g, 'many' FROM generate_series(100, {count}) g")
    };
    let mut masters = Masters::each(&[&many(20_000), &many(10_000), &many(20_000)]).await;
    masters.configure("initial = \"merge\"");
    masters.run();
    let mut round = 0;
    eventually(Duration::from_secs(40), "the meeting is over", async || {
        round += 1;
        for place in 0..3 {
            let statement = format!(
                "INSERT INTO t VALUES ({}, 'meanwhile')",
                100_000 + round * 3 + place
            );
            masters[place].try_execute(&statement).await?;
        }
        let status = masters.status("s")?;
        (status["state"] == "running")
            .then_some(())
            .ok_or_else(|| status.to_string())
    })
    .await;
    masters
        .everywhere(
            "SELECT count(*) FROM t WHERE v = 'meanwhile'",
            &(round * 3).to_string(),
        )
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_missing_or_have_another_key_are_named() {
    let masters = Masters::each(&[
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE keyed (a int PRIMARY KEY, b int)",
        "CREATE TABLE keyed (a int, b int PRIMARY KEY)",
    ])
    .await;
    let mut masters = masters;
    masters.configure("");
    let finished = masters.engine().tahr(&["check"]);
    assert_ne!(finished.code(), Some(0));
    let said = format!("{}{}", finished.stdout, finished.stderr);
    for name in ["public.t", "public.keyed"] {
        assert!(said.contains(name), "{name} is not in {said}");
    }
}
