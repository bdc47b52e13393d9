//! Large values that an update leaves alone are not sent by the source, and stay at the targets.

use crate::scene::Scene;

/// Three tables, one per replica identity, each with values that are stored out of line.
fn setup() -> String {
    let table = |name: &str| {
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, n int, big text, other text NOT NULL,
               code int NOT NULL UNIQUE);
             ALTER TABLE {name} ALTER big SET STORAGE EXTERNAL, ALTER other SET STORAGE EXTERNAL;
             INSERT INTO {name} SELECT g, g, {big}, {big} || 'o', g + 100
               FROM generate_series(1, 6) g;",
            big = big("g")
        )
    };
    format!(
        "{}{}{}ALTER TABLE full_row REPLICA IDENTITY FULL;
         ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code_key;",
        table("by_key"),
        table("full_row"),
        table("by_index")
    )
}

/// 100 kB that don't repeat.
fn big(seed: &str) -> String {
    format!("(SELECT string_agg(md5(({seed})::text || i), '') FROM generate_series(1, 3200) i)")
}

const TABLES: [&str; 3] = ["by_key", "full_row", "by_index"];

fn for_each(statements: &str) -> String {
    TABLES
        .map(|table| statements.replace("TABLE", table))
        .join(";")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_other_columns_keeps_a_large_value() {
    let scene = Scene::with_redis(&setup()).await;
    scene
        .change(&for_each("UPDATE TABLE SET n = n + 1 WHERE id <= 3"))
        .await;
    // One of two large values is replaced, then the small one of the same row changes.
    scene
        .change(&for_each(&format!(
            "BEGIN; UPDATE TABLE SET big = {} WHERE id = 1; UPDATE TABLE SET n = -1 WHERE id = 1;
             UPDATE TABLE SET other = 'small' WHERE id = 1; COMMIT;
             UPDATE TABLE SET big = NULL WHERE id = 2; UPDATE TABLE SET n = -2 WHERE id = 2",
            big("'x'")
        )))
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_streamed_keeps_its_large_value_too() {
    let scene = Scene::with_redis(&setup()).await;
    scene
        .change(&for_each(&format!(
            "INSERT INTO TABLE SELECT g, g, {big}, {big} || 'o', g + 100
             FROM generate_series(11, 14) g; UPDATE TABLE SET n = 0 WHERE id > 10;
             DELETE FROM TABLE WHERE id = 12;
             INSERT INTO TABLE VALUES (12, 1, 'small', 'now', 112);
             UPDATE TABLE SET n = 2 WHERE id = 12",
            big = big("g")
        )))
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_value_moves_with_its_key() {
    let scene = Scene::with_redis(&setup()).await;
    scene
        .change(&for_each(
            "UPDATE TABLE SET id = id + 1000 WHERE id = 1;
             UPDATE TABLE SET id = id + 1000, code = code + 1000, n = 7 WHERE id = 2;
             UPDATE TABLE SET code = code + 1000 WHERE id = 3;
             BEGIN; UPDATE TABLE SET n = 8 WHERE id = 4; UPDATE TABLE SET id = 40, code = 40
             WHERE id = 4; UPDATE TABLE SET n = 9 WHERE id = 40; COMMIT",
        ))
        .await;
    scene.end().await;
}
