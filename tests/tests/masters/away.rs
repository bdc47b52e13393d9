//! A source that is away, or whose rows are locked, holds up nobody; it catches up.

use super::{PLAIN, conflicts};
use tahr_tests::{Masters, Postgres};

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_down_for_long_holds_up_nobody_and_its_conflicts_are_judged_when_it_is_back()
 {
    let shared = Postgres::shared();
    let mut own = Postgres::own(None, &[]);
    let mut masters = Masters::on(&[(&shared, PLAIN), (&shared, PLAIN), (&own, PLAIN)]).await;
    masters.start("").await;
    masters.pause().await;
    masters[2]
        .execute(
            "UPDATE t SET v = 'old of c' WHERE id = 1; UPDATE t SET v = 'only c' WHERE id = 2;
             DELETE FROM t WHERE id = 3",
        )
        .await;
    own.stop();
    masters.resume();
    masters[0]
        .execute("UPDATE t SET v = 'new of a' WHERE id = 1; INSERT INTO t VALUES (20, 'a')")
        .await;
    let here = [&masters[0], &masters[1]];
    let seen = async |query: &str, expected: &str| {
        let what = format!("b has {expected}");
        tahr_tests::eventually(std::time::Duration::from_secs(20), what, async || {
            let found = masters[1].value(query).await;
            (found == expected).then_some(()).ok_or(found)
        })
        .await;
    };
    seen("SELECT v FROM t WHERE id = 1", "new of a").await;
    masters[1]
        .execute("DELETE FROM t WHERE id = 20; UPDATE t SET n = 7 WHERE id > 5")
        .await;
    masters[0]
        .execute("INSERT INTO t VALUES (21, 'late')")
        .await;
    seen("SELECT count(*) FROM t WHERE id = 21", "1").await;
    // What b has written is on its way to a.
    let limit = std::time::Duration::from_secs(20);
    tahr_tests::eventually(limit, "those that are here are equal", async || {
        masters.equal_among(&here).await
    })
    .await;
    own.start();
    masters
        .everywhere("SELECT v FROM t WHERE id = 2", "only c")
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "new of a")
        .await;
    masters
        .everywhere("SELECT count(*) FROM t WHERE id IN (3, 20)", "0")
        .await;
    masters
        .everywhere("SELECT count(*) FROM t WHERE n = 7", "5")
        .await;
    conflicts(&masters, 1).await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_starts_while_a_source_is_away_goes_on_with_the_others() {
    let shared = Postgres::shared();
    let mut own = Postgres::own(None, &[]);
    let mut masters = Masters::on(&[(&shared, PLAIN), (&own, PLAIN), (&shared, PLAIN)]).await;
    masters.start("").await;
    masters[1]
        .execute("UPDATE t SET v = 'b' WHERE id = 1")
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "b")
        .await;
    masters.settle().await;
    masters.stop();
    own.stop();
    masters[0]
        .execute("UPDATE t SET v = 'while b is away' WHERE id = 2")
        .await;
    masters.run();
    let limit = std::time::Duration::from_secs(30);
    tahr_tests::eventually(limit, "c follows a", async || {
        masters.equal_among(&[&masters[0], &masters[2]]).await
    })
    .await;
    own.start();
    masters
        .everywhere("SELECT v FROM t WHERE id = 2", "while b is away")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_row_keeps_back_only_itself() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("").await;
    let idle = masters[2].connect().await;
    idle.batch_execute("BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE")
        .await
        .expect("lock a row");
    masters[0]
        .execute("UPDATE t SET v = 'a' WHERE id <= 3")
        .await;
    let limit = std::time::Duration::from_secs(20);
    tahr_tests::eventually(limit, "the others have all of it", async || {
        masters.equal_among(&[&masters[0], &masters[1]]).await
    })
    .await;
    tahr_tests::eventually(limit, "the rest arrives", async || {
        let found = masters[2]
            .value("SELECT count(*) FROM t WHERE v = 'a'")
            .await;
        (found == "2").then_some(()).ok_or(found)
    })
    .await;
    // The others go on among themselves, about this very row.
    masters[1]
        .execute("UPDATE t SET v = 'b' WHERE id = 1")
        .await;
    tahr_tests::eventually(limit, "the others go on", async || {
        masters.equal_among(&[&masters[0], &masters[1]]).await
    })
    .await;
    assert_eq!(
        masters[2].value("SELECT v FROM t WHERE id = 1").await,
        "first"
    );
    idle.batch_execute("COMMIT").await.expect("unlock it");
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "b")
        .await;
    assert_eq!(masters.conflicts().len(), 0);
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_open_when_another_was_made_meets_it() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("").await;
    let open = masters[2].connect().await;
    open.batch_execute("BEGIN; UPDATE t SET v = 'open on c' WHERE id = 1")
        .await
        .expect("change a row");
    masters[0]
        .execute("UPDATE t SET v = 'a' WHERE id IN (1, 2)")
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 2", "a")
        .await;
    open.batch_execute("COMMIT").await.expect("commit it");
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "open on c")
        .await;
    conflicts(&masters, 1).await;
    masters.end().await;
}
