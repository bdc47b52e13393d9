//! TRUNCATE empties the targets' tables at its place among the other changes.

use crate::scene::Scene;

const SETUP: &str = "CREATE TABLE parent (id int PRIMARY KEY, v text);
     CREATE TABLE child (id serial PRIMARY KEY, parent int REFERENCES parent, v text);
     CREATE TABLE grandchild (id int PRIMARY KEY, child int REFERENCES child);
     CREATE TABLE other (id int PRIMARY KEY, v text);
     INSERT INTO parent SELECT g, 'v' || g FROM generate_series(1, 10) g;
     INSERT INTO child (parent, v) SELECT g, 'v' || g FROM generate_series(1, 10) g;
     INSERT INTO grandchild SELECT g, g FROM generate_series(1, 10) g;
     INSERT INTO other SELECT g, 'v' || g FROM generate_series(1, 10) g;";

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_empties_the_table_and_no_other() {
    let scene = Scene::with_redis(SETUP).await;
    scene.change("TRUNCATE other").await;
    scene.change("INSERT INTO other VALUES (1, 'after')").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_before_a_truncate_go_and_rows_after_it_stay() {
    let scene = Scene::with_redis(SETUP).await;
    scene
        .change(
            "BEGIN; INSERT INTO other VALUES (11, 'before'); UPDATE other SET v = 'x' WHERE id = 2;
             TRUNCATE other; INSERT INTO other VALUES (2, 'after'), (12, 'after'); COMMIT;
             BEGIN; INSERT INTO parent VALUES (11, 'with'); DELETE FROM grandchild;
             TRUNCATE other; TRUNCATE grandchild; INSERT INTO other VALUES (2, 'last');
             UPDATE other SET v = 'very last' WHERE id = 2; COMMIT;
             INSERT INTO other VALUES (3, 'then')",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_refer_to_each_other_are_truncated_together() {
    let scene = Scene::with_redis(SETUP).await;
    scene
        .change("TRUNCATE grandchild, child; INSERT INTO child (parent, v) VALUES (1, 'new')")
        .await;
    scene
        .change(
            "INSERT INTO grandchild SELECT 1, id FROM child; TRUNCATE parent CASCADE;
             INSERT INTO parent VALUES (1, 'new');
             INSERT INTO child (parent, v) VALUES (1, 'newer')",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_identities_give_the_same_keys_again() {
    let scene = Scene::with_redis(SETUP).await;
    scene
        .change(
            "BEGIN; TRUNCATE child RESTART IDENTITY CASCADE;
             INSERT INTO child (parent, v) SELECT g, 'again' FROM generate_series(1, 5) g; COMMIT",
        )
        .await;
    assert_eq!(scene.source.value("SELECT max(id) FROM child").await, "5");
    scene.end().await;
}

/// So many changes go in bulk, once before the truncate and once behind it.
#[tokio::test(flavor = "multi_thread")]
async fn rows_deleted_behind_a_truncate_of_another_table_stay_deleted() {
    let scene = Scene::with_redis(
        "CREATE TABLE many (id int PRIMARY KEY, v text);
         INSERT INTO many SELECT g, 'first' FROM generate_series(1, 300) g;
         CREATE TABLE other (id int PRIMARY KEY)",
    )
    .await;
    scene
        .change(
            "BEGIN; UPDATE many SET v = 'second' WHERE id <= 150; TRUNCATE other;
             UPDATE many SET v = 'third' WHERE id > 150; DELETE FROM many WHERE id <= 150; COMMIT",
        )
        .await;
    scene.end().await;
}
