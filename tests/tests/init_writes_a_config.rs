//! `tahr init` writes a config that works, names what has to be mended, and holds no password.

use tahr_tests::{Database, Engine, Postgres, Redis, unique};

async fn database() -> Database {
    let database = Postgres::shared().database().await;
    database
        .execute(
            "CREATE TABLE customers (id int PRIMARY KEY);
             INSERT INTO customers SELECT generate_series(1, 500); ANALYZE customers;
             CREATE SCHEMA \"My $Schema\";
             CREATE TABLE \"My $Schema\".\"order.\"\"items\" (id int PRIMARY KEY);
             CREATE TABLE audit (at timestamptz);
             CREATE TABLE keyless (id int); ALTER TABLE keyless REPLICA IDENTITY FULL;
             CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY)",
        )
        .await;
    database
}

/// An engine whose folder has a config already, as the harness makes it.
fn engine() -> Engine {
    Engine::builder().env("PG_PASSWORD", "s3cret").build()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_written_config_passes_check() {
    let database = database().await;
    let engine = engine();
    let url = database.url().replace("postgres@", "postgres:s3cret@");
    let written = engine.tahr(&["init", &url, "--output", "new.toml"]);
    written.assert_success();
    for expected in [
        "export PG_PASSWORD=",
        "tahr --config new.toml check",
        "tahr --config new.toml run",
    ] {
        assert!(
            written.stderr.contains(expected),
            "{expected}: {}",
            written.stderr
        );
    }
    let path = engine.folder().join("new.toml");
    let text = std::fs::read_to_string(&path).expect("the config");
    assert!(!text.contains("s3cret"), "{text}");
    for expected in [
        "postgres:${PG_PASSWORD}@127.0.0.1",
        "\"public.customers\",",
        "# about 500 rows",
        "\n# publication = \"tahr_tahr_",
        "\n# slot        = \"tahr_tahr_",
        "# \"public.audit\",",
        "#   ALTER TABLE \"public\".\"audit\" REPLICA IDENTITY FULL;",
        "# \"public.keyless\",",
        "which redis needs",
        "table public.scratch is unlogged",
    ] {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }

    let cache = Redis::shared().database();
    let text = text.replace("redis://localhost:6379", cache.url());
    std::fs::write(&path, text).expect("change the config");
    let checked = engine.tahr(&["--config", "new.toml", "check"]);
    checked.assert_success();
    assert!(
        checked
            .stdout
            .starts_with("all well: 1 source, 2 tables, 1 target"),
        "{}",
        checked.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_never_overwritten_and_stdout_is_for_looking() {
    let database = database().await;
    let engine = engine();
    let before = engine.config();
    let refused = engine.tahr(&["init", database.url()]);
    refused.assert_code(2);
    assert!(
        refused.stderr.contains("tahr.toml exists"),
        "{}",
        refused.stderr
    );
    assert_eq!(engine.config(), before);

    let shown = engine.tahr(&["init", database.url(), "--output", "-"]);
    shown.assert_success();
    assert!(shown.stdout.contains("[syncs."), "{}", shown.stdout);
    assert!(!shown.stdout.contains("PG_PASSWORD"), "{}", shown.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_with_a_variable_stays_as_it_was_given() {
    let database = database().await;
    let url = database
        .url()
        .replace("postgres@", "postgres:${PG_PASSWORD}@");
    let shown = engine().tahr(&["init", &url, "--output", "-"]);
    shown.assert_success();
    assert!(
        shown.stdout.contains(&format!("url = \"{url}\"")),
        "{}",
        shown.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_out_of_reach_is_named_without_its_password() {
    let engine = engine();
    let url = "postgres://me:s3cret@127.0.0.1:1/shop";
    let failed = engine.tahr(&["init", url, "--output", "new.toml"]);
    failed.assert_code(3);
    assert!(failed.stderr.contains("127.0.0.1:1"), "{}", failed.stderr);
    assert!(!failed.stderr.contains("s3cret"), "{}", failed.stderr);
    assert!(!engine.folder().join("new.toml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_does_not_exist_is_named_with_the_statement_that_makes_it() {
    let database = database().await;
    let role = format!("nobody_{}", unique());
    let url = database.url_as(&role);
    let failed = engine().tahr(&["init", &url, "--output", "new.toml"]);
    failed.assert_code(3);
    let hint = format!("hint: CREATE ROLE \"{role}\" LOGIN PASSWORD '…';");
    assert!(failed.stderr.contains(&hint), "{}", failed.stderr);
}
