//! Every supported PostgreSQL as source and target, once through everything.

use tahr_tests::Postgres;

use crate::scene::Scene;

async fn goes_through_everything(version: u32) {
    if !Postgres::versions().contains(&version) {
        return;
    }
    let server = Postgres::own(Some(version), &[]);
    let scene = Scene::on(
        &server,
        "tables = ['*.*']",
        "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric, at timestamptz, j jsonb, a text[]);
         ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
         INSERT INTO t SELECT g, repeat('x', 5000) || g, g / 7.0,
           timestamptz '2020-01-01 00:00+00' + make_interval(hours => g), '{\"a\": [1, null]}',
           '{a,NULL}' FROM generate_series(1, 200) g;
         CREATE TABLE g (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
         INSERT INTO g (id, a) VALUES (1, 1), (2, NULL);
         CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
         CREATE TABLE p2 (v text, id int NOT NULL);
         ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (100) TO (200);
         INSERT INTO p SELECT g, 'v' || g FROM generate_series(1, 150) g;
         CREATE TABLE f (n int, v text); ALTER TABLE f REPLICA IDENTITY FULL;
         INSERT INTO f VALUES (1, NULL), (1, NULL)",
    )
    .await;
    scene
        .change(
            "INSERT INTO t VALUES (1001, 'new', 'NaN', 'infinity', 'null', '{}');
             INSERT INTO t (id) VALUES (1002);
             UPDATE t SET n = 0 WHERE id < 10; UPDATE t SET id = id + 2000 WHERE id BETWEEN 10 AND 20;
             DELETE FROM t WHERE id BETWEEN 30 AND 40;
             INSERT INTO g (id, a) VALUES (3, 3); UPDATE g SET a = 9 WHERE id = 1;
             UPDATE p SET id = 199 WHERE id = 1; UPDATE p SET v = 'x' WHERE id > 140;
             DELETE FROM f WHERE ctid = (SELECT min(ctid) FROM f); UPDATE f SET v = 'f'",
        )
        .await;
    scene
        .change(
            "TRUNCATE p; INSERT INTO p VALUES (1, 'after'); ALTER TABLE t ADD more int;
             INSERT INTO t (id, more) VALUES (3001, 1); ALTER TABLE t ALTER id TYPE bigint;
             INSERT INTO t (id) VALUES (5000000000); ALTER TABLE t DROP j; UPDATE t SET more = 2
             WHERE id < 5",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_14_goes_through_everything() {
    goes_through_everything(14).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_15_goes_through_everything() {
    goes_through_everything(15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_16_goes_through_everything() {
    goes_through_everything(16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_17_goes_through_everything() {
    goes_through_everything(17).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_18_goes_through_everything() {
    goes_through_everything(18).await;
}
