//! Masters of different versions of PostgreSQL.

use super::{PLAIN, conflicts};
use tahr_tests::{Masters, Postgres};

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_and_the_newest_postgresql_are_masters_of_each_other() {
    let versions = Postgres::versions();
    let (Some(oldest), Some(newest)) = (versions.first(), versions.last()) else {
        return;
    };
    let (old, new) = (
        Postgres::own(Some(*oldest), &[]),
        Postgres::own(Some(*newest), &[]),
    );
    let setup = format!(
        "{PLAIN} CREATE TABLE s (id serial PRIMARY KEY, a text[], j jsonb, f float8, at timestamptz)"
    );
    let mut masters = Masters::on(&[(&old, &setup), (&new, &setup)]).await;
    masters.start("").await;
    masters[0]
        .execute("INSERT INTO s (a, j, f, at) VALUES ('{x,NULL}', '{\"k\": 1e10}', 0.1, now())")
        .await;
    masters[1]
        .execute("INSERT INTO s (a, j, f, at) VALUES ('{}', 'null', 'NaN', 'infinity')")
        .await;
    masters.everywhere("SELECT count(*) FROM s", "2").await;
    masters[0]
        .execute("UPDATE t SET id = 100 WHERE id = 1; DELETE FROM t WHERE id = 2")
        .await;
    masters[1].execute("UPDATE s SET f = 1e-300").await;
    masters
        .everywhere("SELECT count(*) FROM s WHERE f = 1e-300", "2")
        .await;
    masters
        .meet(&[
            (1, "UPDATE t SET v = 'new' WHERE id = 5"),
            (0, "UPDATE t SET v = 'old' WHERE id = 5"),
        ])
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 5", "old")
        .await;
    conflicts(&masters, 1).await;
    masters[1].execute("TRUNCATE t").await;
    masters.everywhere("SELECT count(*) FROM t", "0").await;
    masters.end().await;
}
