//! A partitioned table is one table at the targets, whatever becomes of its partitions.

use crate::scene::Scene;

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
