//! Much of everything: rows, tables, columns, bytes, and nothing at all.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Scripted, eventually, sync};

use crate::scene::{PATIENCE, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_ten_megabytes_arrives() {
    let big = |seed: &str| {
        format!("(SELECT string_agg(md5({seed} || i::text), '') FROM generate_series(1, 330000) i)")
    };
    let scene = Scene::of(&format!(
        "CREATE TABLE big (id int PRIMARY KEY, v text, b bytea, n int);
         INSERT INTO big VALUES (1, {}, '', 1), (2, '', NULL, 1)",
        big("'a'")
    ))
    .await;
    scene
        .change(&format!(
            "INSERT INTO big VALUES (3, {}, NULL, 1); UPDATE big SET n = 2;
             UPDATE big SET b = convert_to(v, 'UTF8') WHERE id = 3; UPDATE big SET v = v || 'x'
             WHERE id = 1",
            big("'b'")
        ))
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_tables_are_copied_and_follow() {
    let each = |statements: &str| {
        let tables = (0..60).map(|number| statements.replace("NAME", &format!("t{number}")));
        tables.collect::<Vec<_>>().join(";")
    };
    let setup = each(
        "CREATE TABLE NAME (id int PRIMARY KEY, v text);
         INSERT INTO NAME SELECT g, 'v' || g FROM generate_series(1, 50) g",
    );
    let scene = Scene::with_redis(&setup).await;
    scene
        .change(&each(
            "INSERT INTO NAME VALUES (51, 'new'); UPDATE NAME SET v = 'changed' WHERE id = 2;
             DELETE FROM NAME WHERE id = 3",
        ))
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_many_rows_arrives_whole() {
    let scene = Scene::with_redis(
        "CREATE TABLE many (id int PRIMARY KEY, v text);
         INSERT INTO many SELECT g, 'v' || g FROM generate_series(1, 20000) g",
    )
    .await;
    scene
        .change(
            "INSERT INTO many SELECT g, repeat('x', 300) || g FROM generate_series(20001, 50000) g",
        )
        .await;
    scene
        .change(
            "BEGIN; UPDATE many SET v = 'u' || id WHERE id % 2 = 0; DELETE FROM many WHERE id % 5 = 0;
             INSERT INTO many SELECT g, 'again' FROM generate_series(5, 50000, 10) g; COMMIT",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_tables_are_there_and_fill_later() {
    let scene = Scene::with_redis(
        "CREATE TABLE empty (id int PRIMARY KEY, v text);
         CREATE TABLE emptied (id int PRIMARY KEY, v text);
         INSERT INTO emptied VALUES (1, 'a'); DELETE FROM emptied;
         CREATE TABLE only_key (id int PRIMARY KEY); INSERT INTO only_key VALUES (1), (2)",
    )
    .await;
    scene
        .change(
            "INSERT INTO empty VALUES (1, 'a'); INSERT INTO emptied VALUES (1, 'b');
             INSERT INTO only_key VALUES (3); UPDATE only_key SET id = 20 WHERE id = 2;
             DELETE FROM only_key WHERE id = 1",
        )
        .await;
    scene
        .change("DELETE FROM empty; DELETE FROM emptied; DELETE FROM only_key")
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_transactions_arrive_each() {
    let scene = Scene::with_redis(
        "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (0, 0)",
    )
    .await;
    scene
        .change(
            "DO $$ BEGIN FOR i IN 1..1500 LOOP INSERT INTO t VALUES (i, i);
               UPDATE t SET v = v + 1 WHERE id = i / 2; IF i % 3 = 0 THEN
               DELETE FROM t WHERE id = i - 1; END IF; COMMIT; END LOOP; END $$",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_a_thousand_columns_arrives() {
    let columns = |each: &str| {
        let columns = (1..=1000).map(|number| each.replace('#', &number.to_string()));
        columns.collect::<Vec<_>>().join(", ")
    };
    let scene = Scene::of(&format!(
        "CREATE TABLE wide (id int PRIMARY KEY, {});
         INSERT INTO wide (id, c1, c1000) VALUES (1, 1, 1000), (2, NULL, 0)",
        columns("c# int")
    ))
    .await;
    scene
        .change(&format!(
            "INSERT INTO wide SELECT 3, {}; UPDATE wide SET c500 = id",
            columns("#")
        ))
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_above_the_limit_ends_the_stream_before_it_until_the_limit_is_raised() {
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        .await;
    let one = Scripted::new();
    let config = sync(database.url(), &[("one", &one)], "");
    let limit = |bytes: &str| config.replace("redo =", &format!("max_row_bytes = {bytes}\nredo ="));
    let engine = Engine::builder().config(limit("1000000")).build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    database.execute("INSERT INTO t VALUES (1, 'before')").await;
    eventually(PATIENCE, "the row before it is stored", async || {
        one.holds(&database, "t", &["id", "v"]).await
    })
    .await;
    database
        .execute("INSERT INTO t VALUES (2, repeat('x', 1500000)), (3, 'after')")
        .await;
    let ended = running.wait_exit(Duration::from_secs(30));
    ended.assert_code(3);
    let says = "above max_row_bytes, which is 1000000";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("set max_row_bytes = 2097152"),
        "{}",
        ended.stderr
    );
    assert_eq!(one.rows("public.t", &["id"]).len(), 1);
    let raised = engine.config().replace("= 1000000", "= 2097152");
    engine.write_config(&raised);
    let running = engine.start();
    eventually(PATIENCE, "all is stored", async || {
        one.holds(&database, "t", &["id", "v"]).await
    })
    .await;
    one.batches();
    running.terminate().assert_success();
}
