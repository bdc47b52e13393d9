//! What a sync says of its tables: which, under which names, without which columns; and what is
//! done about tables that are there already.

use tahr_tests::{Database, Postgres, Rows, Running, eventually};

use crate::scene::{PATIENCE, Site, clean};

async fn site(sync: &str, setup: &str) -> (Database, Site) {
    let server = Postgres::shared();
    let source = server.database().await;
    source.execute(setup).await;
    let site = Site::new(&server, &source, sync).await;
    (source, site)
}

/// Waits until both targets answer `found` with the rows that the source answers `wanted` with.
async fn equals(site: &Site, source: &Database, running: &Running, wanted: &str, found: &str) {
    eventually(
        PATIENCE,
        "the targets hold what they are to hold",
        async || {
            assert!(
                !running.stderr().contains("lane is parked"),
                "a lane is parked"
            );
            let expected = Rows::postgres(source, wanted).await?;
            expected.same_as(&Rows::postgres(&site.postgres, found).await?)?;
            expected.same_as(&Rows::sqlite(&site.sqlite, &found.replace("crm.", "crm_"))?)
        },
    )
    .await;
}

const CUSTOMERS: &str = "CREATE TABLE customers (secret text, id int PRIMARY KEY, name text, big text);
     ALTER TABLE customers ALTER big SET STORAGE EXTERNAL;
     INSERT INTO customers SELECT 's', g, 'n' || g, repeat('b', 10000) FROM generate_series(1, 9) g;";

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_table_without_its_excluded_columns_follows() {
    let sync = "tables = ['*.*']\n[syncs.s.table.'public.customers']\n\
                rename = 'crm.clients'\nexclude = ['secret']";
    let (source, site) = site(sync, CUSTOMERS).await;
    let running = site.start().await;
    source
        .execute(
            "INSERT INTO customers VALUES ('s', 10, 'ten', 'b'); DELETE FROM customers WHERE id = 2;
             UPDATE customers SET name = 'new' WHERE id = 1; UPDATE customers SET id = 30 WHERE id = 3;
             UPDATE customers SET secret = 'only this'",
        )
        .await;
    let columns = "SELECT id, name, big FROM";
    let (wanted, found) = (
        format!("{columns} customers"),
        format!("{columns} crm.clients"),
    );
    equals(&site, &source, &running, &wanted, &found).await;
    let secrets = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'secret'";
    assert_eq!(site.postgres.value(secrets).await, "0");
    let none = "SELECT to_regclass('customers') IS NULL AND to_regclass('public.clients') IS NULL";
    assert_eq!(site.postgres.value(none).await, "t");
    let sqlite = Rows::sqlite(
        &site.sqlite,
        "SELECT 1 FROM pragma_table_info('crm_clients') WHERE name = 'secret'",
    );
    assert_eq!(sqlite.expect("read the file").len(), 0);
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tables_that_the_patterns_choose_are_copied() {
    let make = |name: &str| {
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, v text);
             INSERT INTO {name} VALUES (1, 'a'), (2, 'b');"
        )
    };
    let tables = [
        "orders",
        "audit_a",
        "audit_login",
        "sales.t",
        "sales.u",
        "other.t",
    ];
    let setup = format!(
        "CREATE SCHEMA sales; CREATE SCHEMA other; {}
         CREATE TABLE audit_unusable (v text);",
        tables.map(make).concat()
    );
    let sync = "tables = ['public.*', 'sales.*', '!public.audit_*', '!sales.u', 'audit_login']";
    let (source, site) = site(sync, &setup).await;
    let running = site.start().await;
    let change = |name: &str| {
        format!("INSERT INTO {name} VALUES (3, 'c'); UPDATE {name} SET v = 'x' WHERE id = 1;")
    };
    source
        .execute(&format!(
            "{} INSERT INTO audit_unusable VALUES ('x')",
            tables.map(change).concat()
        ))
        .await;
    for table in ["orders", "audit_login"] {
        let query = format!("SELECT id, v FROM {table}");
        equals(&site, &source, &running, &query, &query).await;
    }
    let query = "SELECT id, v FROM sales.t";
    let expected = Rows::postgres(&source, query)
        .await
        .expect("read the source");
    eventually(PATIENCE, "the other schema follows", async || {
        expected.same_as(&Rows::postgres(&site.postgres, query).await?)
    })
    .await;
    let tables = "SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY 1) FROM
                  (SELECT * FROM pg_tables ORDER BY 1, 2) t WHERE schemaname IN ('public', 'sales', 'other')
                  AND tablename <> 'tahr_checkpoint'";
    let tables = site.postgres.value(tables).await;
    let mut tables: Vec<&str> = tables.split(' ').collect();
    tables.sort_unstable();
    assert_eq!(tables, ["public.audit_login", "public.orders", "sales.t"]);
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_bring_different_tables_of_a_source_to_one_target() {
    let setup = "CREATE TABLE one (id int PRIMARY KEY, v text); CREATE TABLE two (id int PRIMARY KEY, v text);
         INSERT INTO one VALUES (1, 'a'); INSERT INTO two VALUES (1, 'a')";
    let sync = "tables = ['one']\n[syncs.more]\nsources = ['src']\ntargets = ['pg', 'lite']\n\
                tables = ['two']";
    let (source, site) = site(sync, setup).await;
    let running = site.start().await;
    source
        .execute(
            "BEGIN; INSERT INTO one VALUES (2, 'b'); INSERT INTO two VALUES (2, 'b'); COMMIT;
             UPDATE one SET v = 'x'; DELETE FROM two WHERE id = 1",
        )
        .await;
    site.settle(&running, &source).await;
    clean(&running.terminate().stderr);
    site.engine.run_once();
    site.compare(&source).await.expect("equal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_holds_rows_is_refused_and_left_as_it_is() {
    let (_source, site) = site("tables = ['*.*']", CUSTOMERS).await;
    let foreign = "CREATE TABLE customers (secret text, id int PRIMARY KEY, name text, big text);
                   INSERT INTO customers VALUES ('mine', 1, 'own', '')";
    site.postgres.execute(foreign).await;
    let sqlite = rusqlite::Connection::open(&site.sqlite).expect("make a file");
    sqlite.execute_batch(foreign).expect("fill the file");
    drop(sqlite);
    let finished = site.engine.tahr(&["run", "--once"]);
    assert_ne!(finished.code(), Some(0));
    for target in ["s/pg", "s/lite"] {
        assert!(finished.stderr.contains(target), "{}", finished.stderr);
    }
    assert!(
        finished.stderr.contains("replace"),
        "no hint: {}",
        finished.stderr
    );
    let query = "SELECT secret, id, name FROM customers";
    let found = Rows::postgres(&site.postgres, query).await.expect("read");
    assert_eq!(found.len(), 1);
    found.assert_same(&Rows::sqlite(&site.sqlite, query).expect("read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_holds_rows_is_replaced_when_that_is_asked_for() {
    let (source, site) = site("tables = ['*.*']\nexisting = 'replace'", CUSTOMERS).await;
    let foreign = "CREATE TABLE customers (secret text, id int PRIMARY KEY, name text, big text);
                   INSERT INTO customers VALUES ('mine', 1, 'own', ''), ('mine', 99, 'gone', '')";
    site.postgres.execute(foreign).await;
    let sqlite = rusqlite::Connection::open(&site.sqlite).expect("make a file");
    sqlite.execute_batch(foreign).expect("fill the file");
    drop(sqlite);
    let running = site.start().await;
    source
        .execute("UPDATE customers SET name = 'x' WHERE id = 1")
        .await;
    site.settle(&running, &source).await;
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_by_the_user_may_have_more_columns_in_another_order() {
    let (source, site) = site("tables = ['*.*']", CUSTOMERS).await;
    site.postgres
        .execute(
            "CREATE TABLE customers (big text, mine int DEFAULT 7, name varchar, id bigint PRIMARY KEY,
               note text, secret text, at timestamptz DEFAULT now())",
        )
        .await;
    let sqlite = rusqlite::Connection::open(&site.sqlite).expect("make a file");
    sqlite
        .execute_batch(
            "CREATE TABLE customers (big text, mine int DEFAULT 7, name text, id integer PRIMARY KEY,
               note text, secret text)",
        )
        .expect("make a table");
    drop(sqlite);
    let running = site.start().await;
    site.postgres
        .execute("UPDATE customers SET note = 'kept' WHERE id = 1")
        .await;
    source
        .execute(
            "UPDATE customers SET name = 'x' WHERE id <= 2; INSERT INTO customers VALUES ('s', 10, 'n', '');
             UPDATE customers SET id = 50 WHERE id = 5",
        )
        .await;
    site.settle(&running, &source).await;
    let note = "SELECT note || mine FROM customers WHERE id = 1";
    assert_eq!(site.postgres.value(note).await, "kept7");
    assert_eq!(
        site.postgres
            .value("SELECT count(*) FROM customers WHERE mine = 7")
            .await,
        "10"
    );
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_column_parks_the_lane_by_name_and_no_other_lane() {
    let (source, site) = site("tables = ['*.*']", CUSTOMERS).await;
    site.postgres
        .execute(
            "CREATE TABLE customers (secret text, id int PRIMARY KEY, name varchar(3), big text)",
        )
        .await;
    let running = site.engine.start();
    let log = site.parks(&running, 1).await;
    let line = log
        .lines()
        .find(|line| line.contains("lane is parked"))
        .unwrap_or_default();
    assert!(
        line.contains("s/pg") && line.contains("name") && line.contains("ALTER"),
        "{line}"
    );
    source
        .execute("UPDATE customers SET name = 'x' WHERE id = 1")
        .await;
    let query = "SELECT secret, id, name, big FROM customers";
    eventually(PATIENCE, "the other lane follows", async || {
        let expected = Rows::postgres(&source, query).await?;
        expected.same_as(&Rows::sqlite(&site.sqlite, query)?)
    })
    .await;
    running.terminate().assert_success();
    // A person widens it, and the lane goes on.
    site.postgres
        .execute("ALTER TABLE customers ALTER name TYPE text")
        .await;
    let running = site.start().await;
    site.settle(&running, &source).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_target_refuses_parks_the_lane_behind_what_came_before() {
    let (source, site) = site("tables = ['*.*']", CUSTOMERS).await;
    let running = site.start().await;
    site.postgres
        .execute("ALTER TABLE customers ADD CONSTRAINT short CHECK (length(name) < 10)")
        .await;
    source
        .execute(
            "BEGIN; INSERT INTO customers VALUES ('s', 10, 'fine', ''); COMMIT;
             BEGIN; INSERT INTO customers VALUES ('s', 11, 'also fine', ''),
             ('s', 12, 'much too long', ''); COMMIT;
             BEGIN; INSERT INTO customers VALUES ('s', 13, 'later', ''); COMMIT",
        )
        .await;
    let log = site.parks(&running, 1).await;
    assert!(
        !log.contains("much too long"),
        "a value is in the log: {log}"
    );
    assert!(log.contains("short"), "{log}");
    let ids = "SELECT max(id) FROM customers";
    assert_eq!(site.postgres.value(ids).await, "10");
    running.terminate().assert_success();
    site.postgres
        .execute("ALTER TABLE customers DROP CONSTRAINT short")
        .await;
    let running = site.start().await;
    site.settle(&running, &source).await;
    running.terminate().assert_success();
}
