//! Whatever names a row at the source, the same row changes at the targets, and only it.

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_identity_names_the_right_row() {
    let table = |name: &str, identity: &str| {
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, code text NOT NULL UNIQUE, v text, n int);
             {identity};
             INSERT INTO {name} SELECT g, 'c' || g, nullif('v' || g, 'v3'), nullif(g, 4)
               FROM generate_series(1, 12) g;"
        )
    };
    let setup = [
        table("by_key", ""),
        table("by_full", "ALTER TABLE by_full REPLICA IDENTITY FULL"),
        table(
            "by_index",
            "ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code_key",
        ),
    ];
    let scene = Scene::with_redis(&setup.concat()).await;
    for table in ["by_key", "by_full", "by_index"] {
        scene
            .source
            .execute(&format!(
                "UPDATE {table} SET v = 'new' WHERE id IN (1, 3, 4);
                 UPDATE {table} SET v = NULL, n = NULL WHERE id IN (5, 6);
                 DELETE FROM {table} WHERE id IN (2, 3, 6);
                 INSERT INTO {table} VALUES (13, 'c13', NULL, NULL), (14, '', '', 0);
                 UPDATE {table} SET v = '' WHERE id = 13; DELETE FROM {table} WHERE id = 14;
                 UPDATE {table} SET id = 70 WHERE id = 7; UPDATE {table} SET code = 'c80' WHERE id = 8"
            ))
            .await;
    }
    scene.settle().await;
    scene.end().await;
}

/// REPLICA IDENTITY FULL without any key: rows are named by all that they hold.
const KEYLESS: &str = "CREATE TABLE log (n int, v text, f float8, d numeric, j json, t timestamptz,
       b bytea, a int[]);
     ALTER TABLE log REPLICA IDENTITY FULL;
     INSERT INTO log SELECT g % 3, nullif('v' || g % 3, 'v1'), g % 3 / 3.0, 1.50, '{\"a\":  1}',
       '2020-01-01 00:00:00+00', '\\x00ff', '{1,NULL}' FROM generate_series(0, 11) g;
     CREATE TABLE plain (n int, v text); ALTER TABLE plain REPLICA IDENTITY FULL;
     INSERT INTO plain VALUES (1, 'a'), (1, 'a'), (NULL, NULL), (NULL, NULL);";

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_equal_rows_is_deleted_or_changed() {
    let scene = Scene::of(KEYLESS).await;
    scene
        .change("DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE n = 0)")
        .await;
    scene
        .change("UPDATE log SET v = 'one' WHERE ctid = (SELECT min(ctid) FROM log WHERE n = 1)")
        .await;
    scene
        .change(
            "BEGIN; INSERT INTO log SELECT * FROM log WHERE n = 2;
             DELETE FROM log WHERE ctid IN (SELECT ctid FROM log WHERE n = 2 LIMIT 3); COMMIT;
             UPDATE log SET f = 'NaN', d = 'NaN', t = 'infinity', j = NULL WHERE n = 0",
        )
        .await;
    scene
        .change("UPDATE log SET n = 7 WHERE f = 'NaN'; DELETE FROM log WHERE n = 1")
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_key_takes_inserts_and_truncates() {
    let scene = Scene::of(KEYLESS).await;
    scene
        .change("INSERT INTO plain VALUES (1, 'a'), (2, NULL), (NULL, NULL)")
        .await;
    scene
        .change("TRUNCATE plain; INSERT INTO plain VALUES (3, 'c'), (3, 'c')")
        .await;
    scene.end().await;
}
