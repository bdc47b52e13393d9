//! Names with everything that PostgreSQL allows in them.

use crate::scene::{Scene, quote};

const ODD: &[&str] = &[
    "Select",
    "a\"b",
    "a.b",
    "with space",
    " edge ",
    "größe_日本_🦌",
    "back`tick",
    "$x",
    "it's",
    "a\\b",
    "%s",
    "{table}",
    "new\nline",
    "'",
    "--",
    "/*",
    "tahr",
    "0",
];

fn long(end: &str) -> String {
    format!("{}{end}", "l".repeat(63 - end.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_columns_may_have_any_name() {
    let longest = [long("1"), long("2")];
    let names: Vec<&str> = ODD
        .iter()
        .copied()
        .chain(longest.iter().map(String::as_str))
        .collect();
    let columns: Vec<String> = names
        .iter()
        .map(|name| format!("{} text", quote(name)))
        .collect();
    let mut setup = format!(
        "CREATE TABLE wide (id int PRIMARY KEY, {}); INSERT INTO wide VALUES (1, 'first'), (2, NULL);",
        columns.join(", ")
    );
    for name in &names {
        let name = quote(name);
        setup += &format!(
            "CREATE TABLE {name} ({name} int PRIMARY KEY, v text);
             INSERT INTO {name} VALUES (1, 'a'), (2, 'b'), (3, NULL);"
        );
    }
    let scene = Scene::of(&setup).await;
    let mut changes = String::new();
    for name in &names {
        let name = quote(name);
        changes += &format!(
            "INSERT INTO {name} VALUES (4, 'd'); UPDATE {name} SET v = 'new' WHERE {name} = 1;
             UPDATE {name} SET {name} = 20 WHERE {name} = 2; DELETE FROM {name} WHERE {name} = 3;
             UPDATE wide SET {name} = 'set' WHERE id = 2;"
        );
    }
    scene.change(&changes).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_several_schemas_stay_apart() {
    let scene = Scene::of(
        "CREATE SCHEMA sales; CREATE SCHEMA \"My.Schema\"; CREATE SCHEMA empty;
         CREATE TABLE public.t (id int PRIMARY KEY, v text);
         CREATE TABLE sales.t (id int PRIMARY KEY, v text, more int);
         CREATE TABLE \"My.Schema\".t (key text PRIMARY KEY, v text);
         INSERT INTO t VALUES (1, 'public'); INSERT INTO sales.t VALUES (1, 'sales', 1);
         INSERT INTO \"My.Schema\".t VALUES ('1', 'mine')",
    )
    .await;
    scene
        .change(
            "UPDATE t SET v = 'p'; UPDATE sales.t SET v = 's', more = NULL;
             UPDATE \"My.Schema\".t SET v = 'm'; INSERT INTO t VALUES (2, 'two');
             BEGIN; INSERT INTO sales.t VALUES (3, 'three'); DELETE FROM t WHERE id = 1;
             DELETE FROM \"My.Schema\".t; INSERT INTO \"My.Schema\".t VALUES ('a\"b', ''); COMMIT",
        )
        .await;
    scene.change("TRUNCATE sales.t").await;
    scene.end().await;
}
