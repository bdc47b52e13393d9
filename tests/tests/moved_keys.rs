//! Rows whose key changes: the old key is gone, the new one is there, whatever the order.

use crate::scene::Scene;

const SETUP: &str = "CREATE TABLE one (id int PRIMARY KEY, v text, big text);
     CREATE TABLE two (a int, b text, v text, PRIMARY KEY (a, b));
     CREATE TABLE later (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text,
        spare int NOT NULL UNIQUE);
     ALTER TABLE later REPLICA IDENTITY USING INDEX later_spare_key;
     INSERT INTO one SELECT g, 'v' || g FROM generate_series(1, 20) g;
     INSERT INTO two SELECT g, 'b' || g, 'v' || g FROM generate_series(1, 20) g;
     INSERT INTO later SELECT g, 'v' || g, g + 100 FROM generate_series(1, 20) g;";

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_key_leaves_nothing_at_the_old_one() {
    let scene = Scene::with_redis(SETUP).await;
    scene
        .change(
            "UPDATE one SET id = id + 100 WHERE id <= 5;
             UPDATE two SET a = a + 100 WHERE a <= 5;
             UPDATE two SET b = b || '+' WHERE a BETWEEN 6 AND 8;
             UPDATE two SET a = -a, b = '', v = NULL WHERE a BETWEEN 9 AND 10;
             UPDATE later SET spare = spare + 1000, v = 'moved' WHERE id <= 5;",
        )
        .await;
    // A freed key is taken by another row.
    scene
        .change(
            "INSERT INTO one SELECT g, 'again' FROM generate_series(1, 5) g;
             INSERT INTO two SELECT g, 'b' || g, 'again' FROM generate_series(1, 5) g;",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_change_places_in_one_transaction_do_so_at_the_targets() {
    let scene = Scene::with_redis(SETUP).await;
    scene
        .change(
            "BEGIN; UPDATE one SET id = 0 WHERE id = 1; UPDATE one SET id = 1 WHERE id = 2;
             UPDATE one SET id = 2 WHERE id = 0; COMMIT;
             BEGIN; UPDATE two SET a = 0 WHERE a = 1; UPDATE two SET a = 1, b = 'b1' WHERE a = 2;
             UPDATE two SET a = 2, b = 'b2' WHERE a = 0; COMMIT;",
        )
        .await;
    // With a deferrable key no third value is needed.
    scene
        .change(
            "BEGIN; UPDATE later SET id = CASE id WHEN 1 THEN 2 ELSE 1 END WHERE id IN (1, 2);
             COMMIT",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_moves_ends_where_it_does_at_the_source() {
    let scene = Scene::with_redis(SETUP).await;
    scene
        .change(
            "BEGIN; DELETE FROM one WHERE id = 3;
             UPDATE one SET id = 3, v = 'from 2' WHERE id = 2;
             UPDATE one SET id = 2, v = 'from 1' WHERE id = 1;
             INSERT INTO one VALUES (1, 'new'); COMMIT;
             BEGIN; UPDATE one SET id = 1001 WHERE id = 10; UPDATE one SET id = 1002 WHERE id = 1001;
             UPDATE one SET id = 1003, v = 'far' WHERE id = 1002; COMMIT;
             BEGIN; UPDATE one SET id = 1004 WHERE id = 11; DELETE FROM one WHERE id = 1004;
             INSERT INTO one VALUES (11, 'reborn'); UPDATE one SET id = 12 - 1000 WHERE id = 12;
             UPDATE one SET id = 12 WHERE id = 12 - 1000; COMMIT;",
        )
        .await;
    // All at once, each onto the key that the one before it has just left.
    scene
        .change(
            "DELETE FROM one WHERE id > 20; DO $$ BEGIN FOR i IN REVERSE 20..1 LOOP
             UPDATE one SET id = id + 1 WHERE id = i; END LOOP; END $$",
        )
        .await;
    scene.end().await;
}
