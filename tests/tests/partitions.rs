//! A partitioned table is one table at the targets, whatever becomes of its partitions.

use tahr_tests::{Postgres, Rows, eventually};

use crate::scene::{PATIENCE, Scene, Site, clean};

const SETUP: &str = "CREATE TABLE event (id int, day date, v text, gone int, n int,
       PRIMARY KEY (id, day, n)) PARTITION BY RANGE (day);
     ALTER TABLE event DROP COLUMN gone;
     CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
     CREATE TABLE event_2 (n int NOT NULL, v text, day date NOT NULL, id int NOT NULL);
     ALTER TABLE event ATTACH PARTITION event_2
       FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
     CREATE TABLE event_3 PARTITION OF event FOR VALUES FROM ('2022-01-01') TO ('2024-01-01')
       PARTITION BY LIST (n);
     CREATE TABLE event_3a PARTITION OF event_3 DEFAULT;
     INSERT INTO event SELECT g, date '2020-01-01' + g * 30, 'v' || g, g % 3
       FROM generate_series(1, 40) g";

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_all_partitions_arrive_in_one_table() {
    let scene = Scene::of(SETUP).await;
    scene
        .change(
            "INSERT INTO event VALUES (101, '2020-05-05', 'a', 1), (102, '2021-05-05', 'b', 2),
               (103, '2023-05-05', NULL, 3);
             UPDATE event SET v = 'changed' WHERE id % 5 = 0; DELETE FROM event WHERE id % 7 = 0",
        )
        .await;
    let found = scene
        .live
        .postgres
        .value("SELECT count(*) FROM event")
        .await;
    assert_eq!(
        found,
        scene.source.value("SELECT count(*) FROM event").await
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_moves_from_one_partition_to_another() {
    let scene = Scene::of(SETUP).await;
    scene
        .change(
            "UPDATE event SET day = day + 365 WHERE id BETWEEN 1 AND 10;
             UPDATE event SET day = '2023-01-01', n = 9, v = 'far' WHERE id = 11;
             BEGIN; UPDATE event SET day = '2020-01-02' WHERE id = 30;
             UPDATE event SET v = 'back' WHERE id = 30; UPDATE event SET day = '2022-06-06'
             WHERE id = 30; COMMIT",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_made_later_belongs_to_the_table_too() {
    let scene = Scene::of(SETUP).await;
    scene
        .change(
            "CREATE TABLE event_4 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
             INSERT INTO event VALUES (201, '2024-05-05', 'late', 1);
             UPDATE event SET day = '2024-02-02' WHERE id = 1;
             CREATE TABLE event_5 (v text, n int NOT NULL, id int NOT NULL, day date NOT NULL);
             ALTER TABLE event ATTACH PARTITION event_5
               FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
             INSERT INTO event VALUES (202, '2025-05-05', 'later', 1);
             UPDATE event SET v = v || '!' WHERE id > 200",
        )
        .await;
    scene
        .change("TRUNCATE event; INSERT INTO event VALUES (1, '2020-02-02', 'new', 1)")
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_and_go_with_a_partition_are_found_and_mended_by_verify() {
    let scene = Scene::of(SETUP).await;
    scene
        .source
        .execute(
            "CREATE TABLE event_6 (LIKE event INCLUDING ALL);
             INSERT INTO event_6 (id, day, v, n) VALUES (601, '2026-01-01', 'came along', 1);
             ALTER TABLE event ATTACH PARTITION event_6 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
             ALTER TABLE event DETACH PARTITION event_1; DROP TABLE event_1; TRUNCATE event_3a;
             INSERT INTO event VALUES (602, '2026-02-02', 'streamed', 1)",
        )
        .await;
    let running = scene.running.as_ref().expect("the live engine runs");
    eventually(PATIENCE, "what is streamed arrives", async || {
        let count = "SELECT count(*) FROM event WHERE id = 602";
        let found = scene.live.postgres.value(count).await;
        (found == "1").then_some(()).ok_or(found)
    })
    .await;
    assert!(scene.live.compare(&scene.source).await.is_err());
    let verified = scene.live.engine.tahr(&["verify", "--repair"]);
    scene.live.settle(running, &scene.source).await;
    assert!(verified.stdout.contains("event"), "{}", verified.stdout);
    scene.live.engine.tahr(&["verify"]).assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_inherit_are_tables_of_their_own() {
    let server = Postgres::shared();
    let source = server.database().await;
    source
        .execute(
            "CREATE TABLE city (id int PRIMARY KEY, name text);
             CREATE TABLE capital (country text, PRIMARY KEY (id)) INHERITS (city);
             INSERT INTO city VALUES (1, 'Basel'), (2, 'Lyon');
             INSERT INTO capital VALUES (1, 'Bern', 'CH'), (3, 'Paris', 'FR')",
        )
        .await;
    let site = Site::new(&server, &source, "tables = ['*.*']").await;
    let running = site.start().await;
    source
        .execute(
            "UPDATE city SET name = name || '!'; INSERT INTO capital VALUES (4, 'Rome', 'IT');
             DELETE FROM city WHERE id = 2; TRUNCATE ONLY city; INSERT INTO city VALUES (5, 'Graz')",
        )
        .await;
    for table in ["city", "capital"] {
        let expected = format!("SELECT * FROM ONLY {table}");
        let expected = Rows::postgres(&source, &expected).await.expect("the rows");
        let query = format!("SELECT * FROM {table}");
        eventually(PATIENCE, "the targets have the rows of each", async || {
            expected.same_as(&Rows::postgres(&site.postgres, &query).await?)?;
            expected.same_as(&Rows::sqlite(&site.sqlite, &query)?)
        })
        .await;
    }
    clean(&running.terminate().stderr);
}
