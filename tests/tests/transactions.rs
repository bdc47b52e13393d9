//! Whatever a transaction consists of, what it leaves behind is at the targets once.

use bytes::Bytes;
use futures_util::SinkExt as _;
use tahr_tests::Database;

use crate::scene::{Scene, clean};

/// `log` has no key, so that it would show what is applied twice.
const SETUP: &str = "CREATE TABLE t (id int PRIMARY KEY, v text, n int);
     CREATE TABLE log (n int, v text); ALTER TABLE log REPLICA IDENTITY FULL;
     INSERT INTO t SELECT g, 'v' || g, g FROM generate_series(1, 300) g;
     INSERT INTO log SELECT g % 5, 'same' FROM generate_series(1, 50) g;";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rolled_back_inside_it_is_not_there_however_many_savepoints_it_had() {
    let scene = Scene::of(SETUP).await;
    scene
        .change(
            "BEGIN; INSERT INTO log VALUES (6, 'kept'); SAVEPOINT a; INSERT INTO log VALUES (6, 'gone');
             UPDATE t SET v = 'gone'; SAVEPOINT b; DELETE FROM t; ROLLBACK TO b;
             UPDATE t SET n = -1 WHERE id = 2; ROLLBACK TO a; UPDATE t SET v = 'kept' WHERE id = 3;
             SAVEPOINT c; INSERT INTO log VALUES (6, 'kept too'); RELEASE c; COMMIT;
             BEGIN; UPDATE t SET v = 'never'; INSERT INTO log VALUES (9, 'never'); ROLLBACK",
        )
        .await;
    // More than fit where a session keeps them.
    scene
        .change(
            "DO $$ BEGIN FOR i IN 1..200 LOOP BEGIN
               INSERT INTO log VALUES (100 + i, 'tried'); UPDATE t SET n = n + 1000 WHERE id = i;
               IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF;
               EXCEPTION WHEN raise_exception THEN INSERT INTO log VALUES (i, 'failed'); END;
             END LOOP; END $$",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_touch_rows_often_at_once_or_not_at_all_come_to_the_same() {
    let scene = Scene::of(SETUP).await;
    scene
        .change(
            "INSERT INTO t VALUES (1, 'conflict', 0), (401, 'new', 0)
               ON CONFLICT (id) DO UPDATE SET v = excluded.v, n = t.n + 1;
             INSERT INTO t VALUES (2, 'ignored', 0), (402, 'new', 0) ON CONFLICT DO NOTHING;
             BEGIN; SELECT * FROM t WHERE id < 50 FOR UPDATE; SELECT * FROM log FOR SHARE;
             UPDATE t SET n = n WHERE id = 5; COMMIT; BEGIN; SELECT txid_current(); COMMIT;
             BEGIN; UPDATE t SET n = n + 1 WHERE id = 7; UPDATE t SET n = n + 1 WHERE id = 7;
             DELETE FROM t WHERE id = 7; INSERT INTO t VALUES (7, 'again', 1);
             UPDATE t SET v = 'twice' WHERE id = 7; DELETE FROM t WHERE id = 8;
             INSERT INTO t VALUES (8, NULL, NULL); DELETE FROM t WHERE id = 8; COMMIT;
             BEGIN; CREATE TEMP TABLE mine ON COMMIT DROP AS SELECT 500 AS id; INSERT INTO mine VALUES (501);
             INSERT INTO t SELECT id, 'from temp', 0 FROM mine; SELECT lo_create(0);
             SELECT pg_logical_emit_message(true, 'prefix', 'inside');
             SELECT pg_logical_emit_message(false, 'prefix', 'beside'); COMMIT;
             SELECT pg_logical_emit_message(false, 'prefix', repeat('alone', 1000));
             WITH gone AS (DELETE FROM t WHERE id BETWEEN 20 AND 25 RETURNING *)
               INSERT INTO t SELECT id + 1000, v, n FROM gone",
        )
        .await;
    scene.end().await;
}

/// Rows by COPY: many of them share one record of the WAL.
async fn copy_in(database: &Database, before: &str, statement: &str, rows: std::ops::Range<u32>) {
    let client = database.connect().await;
    client.batch_execute(before).await.expect("begin");
    let mut sink = Box::pin(client.copy_in(statement).await.expect("copy"));
    for row in rows {
        let line = Bytes::from(format!("{row}\tcopied\n"));
        sink.send(line).await.expect("send a row");
    }
    sink.close().await.expect("end the copy");
    client.batch_execute("COMMIT").await.expect("commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_share_a_record_of_the_wal_arrive_each_over_kills() {
    let mut scene = Scene::of(SETUP).await;
    for round in 0..3 {
        let from = 1000 * (round + 1);
        copy_in(
            &scene.source,
            "BEGIN",
            "COPY log FROM STDIN",
            from..from + 900,
        )
        .await;
        let insert = "INSERT INTO log SELECT g, 'many' FROM generate_series(1, 900) g";
        scene.source.execute(insert).await;
        scene.running.take().expect("the live engine runs").kill9();
        scene.running = Some(scene.live.engine.start());
        if round == 1 {
            copy_in(
                &scene.source,
                "BEGIN; TRUNCATE log",
                "COPY log FROM STDIN (FREEZE)",
                1..50,
            )
            .await;
        }
    }
    scene.settle().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_ones_side_by_side_arrive_in_the_order_of_their_commits() {
    let scene = Scene::of(SETUP).await;
    let (one, two) = (scene.source.connect().await, scene.source.connect().await);
    one.batch_execute("BEGIN; INSERT INTO log SELECT g, 'one' FROM generate_series(1, 15000) g; UPDATE t SET v = 'one' WHERE id = 1")
        .await
        .expect("the first begins");
    two.batch_execute("BEGIN; INSERT INTO log SELECT g, 'two' FROM generate_series(1, 15000) g; UPDATE t SET v = 'two' WHERE id = 2")
        .await
        .expect("the second begins");
    scene
        .change("UPDATE t SET v = 'between' WHERE id = 3")
        .await;
    one.batch_execute("INSERT INTO t VALUES (601, 'one', 0)")
        .await
        .expect("the first goes on");
    two.batch_execute("UPDATE log SET v = v || '!' WHERE v = 'two' AND n % 100 = 0; COMMIT")
        .await
        .expect("the second commits first");
    one.batch_execute("UPDATE t SET v = v || ' and one' WHERE id = 2; COMMIT")
        .await
        .expect("the first commits");
    scene.settle().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_one_arrives_when_it_is_committed_and_never_where_it_is_rolled_back() {
    let mut scene = Scene::of(SETUP).await;
    // As long as a name may be.
    let (kept, dropped) = ("k".repeat(199), "d".repeat(199));
    let prepare = |name: &str, value: u32| {
        format!(
            "BEGIN; INSERT INTO log VALUES ({value}, 'prepared'); UPDATE t SET v = 'prepared {value}'
             WHERE id = {value}; PREPARE TRANSACTION '{name}'"
        )
    };
    scene.source.execute(&prepare(&kept, 21)).await;
    scene.source.execute(&prepare(&dropped, 22)).await;
    scene
        .change("UPDATE t SET v = 'meanwhile' WHERE id = 23")
        .await;
    let killed = scene.running.take().expect("the live engine runs").kill9();
    clean(&killed.stderr);
    scene.running = Some(scene.live.engine.start());
    let commit = format!("COMMIT PREPARED '{kept}'");
    scene.source.execute(&commit).await;
    let roll_back = format!("ROLLBACK PREPARED '{dropped}'");
    scene.source.execute(&roll_back).await;
    scene.settle().await;
    let found = "SELECT count(*) FROM log WHERE v = 'prepared'";
    assert_eq!(scene.live.postgres.value(found).await, "1");
    scene.end().await;
}
