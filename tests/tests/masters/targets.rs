//! Targets beside many masters hold what these agree on.

use std::time::Duration;

use super::{PLAIN, conflicts};
use tahr_tests::{Masters, Redis, Rows, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn targets_hold_what_the_masters_agree_on() {
    let redis = Redis::shared();
    let cache = redis.database();
    let setup = format!("{PLAIN} ALTER TABLE t ALTER v SET STORAGE EXTERNAL");
    let mut masters = Masters::new(3, &setup).await.with(&format!(
        r#"
        [targets.file]
        plugin = "sqlite"
        options = {{ path = "copy.db" }}
        [targets.cache]
        plugin = "redis"
        options = {{ url = "{}" }}
        "#,
        cache.url()
    ));
    masters
        .start("targets = [\"file\", \"cache\"]\ntargets_follow = \"b\"")
        .await;
    masters[0]
        .execute("INSERT INTO t VALUES (20, 'a'); UPDATE t SET id = 30 WHERE id = 3")
        .await;
    masters[1]
        .execute("UPDATE t SET v = repeat('b', 9000) WHERE id = 4")
        .await;
    masters[2].execute("DELETE FROM t WHERE id = 5").await;
    masters
        .meet(&[
            (0, "UPDATE t SET v = 'a' WHERE id IN (1, 2)"),
            (
                1,
                "UPDATE t SET v = 'b' WHERE id = 1; DELETE FROM t WHERE id = 2",
            ),
            (2, "UPDATE t SET v = 'c' WHERE id = 1"),
            (0, "UPDATE t SET n = 7 WHERE id = 4"),
        ])
        .await;
    conflicts(&masters, 2).await;
    masters.settle().await;
    let query = "SELECT id, v, n FROM t";
    let expected = Rows::postgres(&masters[0], query).await.expect("rows");
    let file = masters.engine().folder().join("copy.db");
    eventually(Duration::from_secs(20), "the targets hold it", async || {
        expected
            .same_as(&Rows::sqlite(&file, query)?)
            .map_err(|fault| format!("sqlite: {fault}"))?;
        let found = Rows::redis(&cache, "t:", &["id", "v", "n"])?;
        expected
            .same_as(&found)
            .map_err(|fault| format!("redis: {fault}"))
    })
    .await;
    masters.end().await;
}
