//! Changes that meet: one wins, everywhere, and the log shows all of them.

use super::{PLAIN, conflicts, rows};
use tahr_tests::{Masters, Rows};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_delete_and_an_update_the_later_one_wins() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("").await;
    masters
        .meet(&[
            (0, "DELETE FROM t WHERE id = 1"),
            (1, "UPDATE t SET v = 'lives' WHERE id = 1"),
            (1, "UPDATE t SET v = 'dies' WHERE id = 2"),
            (2, "DELETE FROM t WHERE id = 2"),
        ])
        .await;
    masters
        .everywhere(
            "SELECT string_agg(v, ',') FROM t WHERE id IN (1, 2)",
            "lives",
        )
        .await;
    conflicts(&masters, 2).await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_inserts_of_one_key_the_last_wins_and_equal_ones_are_no_conflict() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("").await;
    masters
        .meet(&[
            (0, "INSERT INTO t VALUES (20, 'a'), (21, 'same')"),
            (
                1,
                "INSERT INTO t VALUES (20, 'b'), (22, 'alone'), (21, 'same')",
            ),
            (2, "INSERT INTO t VALUES (20, 'c')"),
        ])
        .await;
    masters
        .everywhere(
            "SELECT string_agg(v, ',' ORDER BY id) FROM t WHERE id >= 20",
            "c,same,alone",
        )
        .await;
    let found = conflicts(&masters, 1).await;
    let shown = found[0].to_string();
    for value in ["20", "latest"] {
        assert!(shown.contains(value), "{value} is not in {shown}");
    }
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_other_change_meets_is_kept_of_a_transaction_that_lost() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("").await;
    masters
        .meet(&[
            (0, "BEGIN; UPDATE t SET v = 'a' WHERE id = 1; UPDATE t SET v = 'a' WHERE id = 2; COMMIT"),
            (1, "UPDATE t SET v = 'b1' WHERE id = 2; UPDATE t SET v = 'b2' WHERE id = 2"),
        ])
        .await;
    masters
        .everywhere(
            "SELECT string_agg(v, ',' ORDER BY id) FROM t WHERE id IN (1, 2)",
            "a,b2",
        )
        .await;
    conflicts(&masters, 1).await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_had_seen_the_other_is_no_conflict() {
    let mut masters = Masters::new(2, PLAIN).await;
    masters.start("conflict = \"earliest\"").await;
    for turn in 0..10 {
        let place = turn % 2;
        masters[place]
            .execute(&format!("UPDATE t SET v = 'turn {turn}' WHERE id = 1"))
            .await;
        masters
            .everywhere("SELECT v FROM t WHERE id = 1", &format!("turn {turn}"))
            .await;
    }
    assert_eq!(masters.conflicts().len(), 0);
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rows_with_one_unique_value_leave_the_winner_and_both_are_shown() {
    let mut masters = Masters::new(
        3,
        "CREATE TABLE people (id int PRIMARY KEY, mail text UNIQUE, name text);
         INSERT INTO people VALUES (1, 'one@x', 'one'), (2, 'two@x', 'two')",
    )
    .await;
    masters.start("").await;
    masters
        .meet(&[
            (0, "INSERT INTO people VALUES (10, 'new@x', 'loser')"),
            (1, "INSERT INTO people VALUES (11, 'new@x', 'winner')"),
        ])
        .await;
    masters
        .everywhere(
            "SELECT string_agg(name, ',') FROM people WHERE mail = 'new@x'",
            "winner",
        )
        .await;
    masters.settle().await;
    let shown = serde_json::to_string(&masters.conflicts()).expect("JSON");
    assert!(
        shown.contains("loser") && shown.contains("winner"),
        "{shown}"
    );
    // An update, too; and what has nothing to do with it goes on.
    masters
        .meet(&[
            (1, "UPDATE people SET mail = 'taken@x' WHERE id = 1"),
            (2, "UPDATE people SET mail = 'taken@x' WHERE id = 2"),
            (0, "INSERT INTO people VALUES (20, 'more@x', 'more')"),
        ])
        .await;
    masters
        .everywhere(
            "SELECT string_agg(name, ',') FROM people WHERE mail = 'taken@x'",
            "two",
        )
        .await;
    masters
        .everywhere("SELECT count(*) FROM people WHERE id = 20", "1")
        .await;
    masters[0]
        .execute("UPDATE people SET name = 'after' WHERE id = 20")
        .await;
    masters
        .everywhere("SELECT name FROM people WHERE id = 20", "after")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_value_that_moved_between_rows_is_no_conflict() {
    let mut masters = Masters::new(
        3,
        "CREATE TABLE people (id int PRIMARY KEY, mail text UNIQUE);
         INSERT INTO people VALUES (1, 'one@x'), (2, 'two@x'), (3, 'three@x')",
    )
    .await;
    masters.start("").await;
    masters[1]
        .execute(
            "BEGIN; UPDATE people SET mail = 'none' WHERE id = 1; UPDATE people SET mail = 'one@x' WHERE id = 2;
             UPDATE people SET mail = 'two@x' WHERE id = 1; COMMIT",
        )
        .await;
    masters
        .everywhere(
            "SELECT string_agg(mail, ',' ORDER BY id) FROM people",
            "two@x,one@x,three@x",
        )
        .await;
    masters[2]
        .execute("BEGIN; DELETE FROM people WHERE id = 3; INSERT INTO people VALUES (30, 'three@x'); COMMIT")
        .await;
    masters
        .everywhere(
            "SELECT max(id)::text FROM people WHERE mail = 'three@x'",
            "30",
        )
        .await;
    masters.settle().await;
    assert_eq!(masters.conflicts().len(), 0);
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_row_and_a_later_update_of_it_do_not_double_it() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("").await;
    masters
        .meet(&[
            (0, "UPDATE t SET id = 100 WHERE id = 1"),
            (1, "UPDATE t SET v = 'stayed' WHERE id = 1"),
        ])
        .await;
    masters
        .everywhere(
            "SELECT string_agg(v, ',') FROM t WHERE id IN (1, 100)",
            "stayed",
        )
        .await;
    masters
        .meet(&[
            (1, "UPDATE t SET v = 'lost' WHERE id = 2"),
            (2, "UPDATE t SET id = 200 WHERE id = 2"),
        ])
        .await;
    masters
        .everywhere(
            "SELECT string_agg(id::text || v, ',') FROM t WHERE id IN (2, 200)",
            "200first",
        )
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_wins_over_what_was_written_before_it_and_loses_to_what_came_after() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("").await;
    masters
        .meet(&[
            (
                0,
                "UPDATE t SET v = 'before' WHERE id = 1; INSERT INTO t VALUES (50, 'before')",
            ),
            (1, "TRUNCATE t"),
            (
                2,
                "UPDATE t SET v = 'after' WHERE id = 2; INSERT INTO t VALUES (51, 'after')",
            ),
        ])
        .await;
    masters.settle().await;
    let found = Rows::postgres(&masters[0], "SELECT id, v FROM t")
        .await
        .expect("rows");
    rows(&[&["2", "after"], &["51", "after"]]).assert_same(&found);
    masters.end().await;
}
