//! Types of columns: what a PostgreSQL target makes of the source's, and values that are nearly null.

use tahr_tests::{Database, Postgres};

use crate::scene::{Scene, Site, clean};
use crate::value_matrix::values::{self, OWN_SETUP, Type};

fn create(types: &[Type]) -> String {
    let columns = types.iter().enumerate();
    let columns: Vec<String> = columns
        .map(|(number, kind)| format!("c{number} {}", kind.name))
        .collect();
    format!(
        "CREATE TABLE v (id int PRIMARY KEY, {}); INSERT INTO v VALUES (0);",
        columns.join(", ")
    )
}

async fn column_types(database: &Database) -> Vec<tahr_tests::Row> {
    let query = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
                 WHERE attrelid = 'v'::regclass AND attnum > 0 ORDER BY attnum";
    database.query(query).await
}

/// Copies a table with a column of each type into a target with the same `setup`.
async fn keeps(types: &[Type], setup: &str) {
    let server = Postgres::shared();
    let source = server.database().await;
    source.execute(&format!("{setup}{}", create(types))).await;
    let site = Site::new(&server, &source, "tables = ['v']").await;
    site.postgres.execute(setup).await;
    let running = site.start().await;
    let expected = column_types(&source).await;
    assert_eq!(expected, column_types(&site.postgres).await);
    assert_eq!(expected.len(), types.len() + 1);
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_get_the_sources_types() {
    let types: Vec<Type> = values::scalars()
        .into_iter()
        .chain(values::nested())
        .collect();
    keeps(&types, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_types_stay_themselves_where_the_target_has_them() {
    keeps(&values::own(), OWN_SETUP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_types_become_text_where_the_target_lacks_them() {
    let server = Postgres::shared();
    let source = server.database().await;
    let types = values::own();
    source
        .execute(&format!("{OWN_SETUP}{}", create(&types)))
        .await;
    let site = Site::new(&server, &source, "tables = ['v']").await;
    let running = site.start().await;
    for row in &column_types(&site.postgres).await[1..] {
        assert_eq!(row[1].as_deref(), Some("text"), "{row:?}");
    }
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_text_is_not_null() {
    let scene = Scene::of(
        "CREATE TABLE e (id int PRIMARY KEY, t text, c varchar(3), n text, b bytea, a text[]);
         INSERT INTO e VALUES (1, '', '', NULL, '', '{}'), (2, NULL, NULL, '', NULL, NULL)",
    )
    .await;
    scene
        .change(
            "INSERT INTO e VALUES (3, '', '', NULL, '', '{}'), (4, NULL, NULL, '', NULL, NULL);
             UPDATE e SET t = NULL, n = '' WHERE id IN (1, 3); UPDATE e SET t = '' WHERE id = 2",
        )
        .await;
    scene.end().await;
}
