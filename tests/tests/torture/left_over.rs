//! An engine is killed while its target is slow: the target has all of what it was given, and commits
//! it when the next engine is at work already.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{
    Database, Engine, MariaDatabase, MariaDb, Mongod, Postgres, Proxy, Rows, Running, eventually,
};

use crate::scene::fail_if_parked;

const SOON: Duration = Duration::from_secs(40);
const TABLE: &str =
    "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (0, 'copied')";

fn config(source: &Database, plugin: &str, url: &str, extra: &str) -> String {
    format!(
        "[sources.src]\nurl = '{}'\n\
         [targets.one]\nplugin = '{plugin}'\noptions = {{ url = '{url}' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['one']\ntables = ['public.*']\n{extra}\n",
        source.url()
    )
}

async fn settle(source: &Database, copy: &Database, query: &str, running: &Running) {
    eventually(SOON, "the target holds what the source holds", async || {
        fail_if_parked(running);
        let expected = Rows::postgres(source, query).await?;
        expected.same_as(&Rows::postgres(copy, query).await?)
    })
    .await;
}

/// Waits until so many sessions of the database wait for a lock.
async fn await_waiting(copy: &Database, sessions: usize) {
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = '{}' AND wait_event_type = 'Lock'",
        copy.name()
    );
    eventually(SOON, format!("{sessions} sessions wait"), async || {
        let found = copy.value(&query).await;
        (found == sessions.to_string()).then_some(()).ok_or(found)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_postgres_commits_after_the_engine_was_killed_is_not_another_engine() {
    let server = Postgres::shared();
    let (source, copy) = (server.database().await, server.database().await);
    source.execute(TABLE).await;
    let engine = Engine::builder()
        .config(config(&source, "postgres", copy.url(), ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    let slow = copy.connect().await;
    slow.batch_execute("BEGIN; LOCK TABLE t IN EXCLUSIVE MODE")
        .await
        .expect("lock the table");
    source.execute("INSERT INTO t VALUES (1, 'a')").await;
    await_waiting(&copy, 1).await;
    running.kill9();
    // The next engine's first batch has more in it.
    source.execute("INSERT INTO t VALUES (2, 'a')").await;
    let running = engine.start();
    await_waiting(&copy, 2).await;
    slow.batch_execute("COMMIT").await.expect("unlock it");
    settle(&source, &copy, "SELECT id, v FROM t", &running).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_postgres_commits_after_the_network_was_cut_is_not_another_engine() {
    let server = Postgres::shared();
    let (source, copy) = (server.database().await, server.database().await);
    source.execute(TABLE).await;
    let proxy = Proxy::start(server.address()).await;
    let engine = Engine::builder()
        .config(config(&source, "postgres", &copy.url_through(&proxy), ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    source.execute("INSERT INTO t VALUES (1, 'a')").await;
    settle(&source, &copy, "SELECT id, v FROM t", &running).await;
    let slow = copy.connect().await;
    slow.batch_execute("BEGIN; LOCK TABLE t IN EXCLUSIVE MODE")
        .await
        .expect("lock the table");
    source.execute("INSERT INTO t VALUES (2, 'a')").await;
    await_waiting(&copy, 1).await;
    source.execute("INSERT INTO t VALUES (3, 'a')").await;
    proxy.cut();
    await_waiting(&copy, 2).await;
    slow.batch_execute("COMMIT").await.expect("unlock it");
    settle(&source, &copy, "SELECT id, v FROM t", &running).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_postgres_commits_after_the_copying_engine_was_killed_are_not_there_twice() {
    let source = Postgres::shared().database().await;
    // Of its own: a snapshot waits for all that is under way in its server.
    let server = Postgres::own(None, &[]);
    let copy = server.database().await;
    source
        .execute(
            "CREATE TABLE t (v text); ALTER TABLE t REPLICA IDENTITY FULL;
             INSERT INTO t SELECT 'alike' FROM generate_series(1, 10)",
        )
        .await;
    // It has every row when it begins to wait.
    copy.execute(
        "CREATE TABLE t (v text);
         CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END';
         CREATE TRIGGER slow AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION wait();
         ALTER TABLE t ENABLE ALWAYS TRIGGER slow",
    )
    .await;
    let slow = copy.connect().await;
    slow.batch_execute("SELECT pg_advisory_lock(7)")
        .await
        .expect("lock");
    let engine = Engine::builder()
        .config(config(&source, "postgres", copy.url(), ""))
        .build();
    let running = engine.start();
    await_waiting(&copy, 1).await;
    running.kill9();
    let running = engine.start();
    await_waiting(&copy, 2).await;
    slow.batch_execute("SELECT pg_advisory_unlock(7)")
        .await
        .expect("unlock");
    engine.await_lane("one", State::Streaming).await;
    settle(&source, &copy, "SELECT v FROM t", &running).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_mariadb_commits_after_the_engine_was_killed_is_not_another_engine() {
    let source = Postgres::shared().database().await;
    let copy = MariaDb::shared().database().await;
    source.execute(TABLE).await;
    let engine = Engine::builder()
        .config(config(&source, "mysql", copy.url(), ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    let mut slow = copy.connect().await;
    // Not a lock on the table: who waits for that without a client is ended.
    mysql(&mut slow, "START TRANSACTION").await;
    mysql(&mut slow, "INSERT INTO t VALUES (1, 'b')").await;
    source.execute("INSERT INTO t VALUES (1, 'a')").await;
    await_statements(&copy, 1).await;
    running.kill9();
    source.execute("INSERT INTO t VALUES (2, 'a')").await;
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    await_statements(&copy, 2).await;
    mysql(&mut slow, "ROLLBACK").await;
    eventually(SOON, "the target holds what the source holds", async || {
        fail_if_parked(&running);
        let query = "SELECT id, v FROM t";
        let expected = Rows::postgres(&source, query).await?;
        expected.same_as(&Rows::mysql(copy.url(), query).await?)
    })
    .await;
    running.terminate().assert_success();
}

async fn mysql(session: &mut mysql_async::Conn, statement: &str) {
    use mysql_async::prelude::Queryable as _;

    session.query_drop(statement).await.expect("a statement");
}

/// Waits until so many sessions of the database are in a statement.
async fn await_statements(copy: &MariaDatabase, sessions: usize) {
    let query = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST
         WHERE DB = '{}' AND COMMAND = 'Query' AND INFO NOT LIKE '%PROCESSLIST%'",
        copy.name()
    );
    eventually(SOON, format!("{sessions} statements wait"), async || {
        let found = copy.value(&query).await;
        (found == sessions.to_string()).then_some(()).ok_or(found)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_before_a_large_truncate_come_again_after_it_was_half_done_in_mongodb() {
    let source = Postgres::shared().database().await;
    let copy = Mongod::shared().database();
    source
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v text, big text);
             ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
             INSERT INTO t SELECT g, 'copied', CASE WHEN g < 10 THEN repeat('x', 5000) END
             FROM generate_series(1, 12000) g",
        )
        .await;
    let engine = Engine::builder()
        .config(config(
            &source,
            "mongodb",
            copy.url(),
            "max_delay_ms = 2000",
        ))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    running.terminate().assert_success();
    // Partial updates, a moved key, and the truncate, which the engine merges.
    source.execute("UPDATE t SET v = 'b' WHERE id < 5").await;
    source.execute("UPDATE t SET id = -id WHERE id = 5").await;
    source
        .execute("TRUNCATE t; INSERT INTO t VALUES (1, 'after', NULL)")
        .await;
    let running = engine.start_to_die("mongodb.emptied", 1);
    running.wait_exit(SOON).assert_died();
    // The next engine gives them one by one.
    engine.write_config(
        &engine
            .config()
            .replace("max_delay_ms = 2000", "max_batch_rows = 1"),
    );
    let running = engine.start();
    eventually(SOON, "the target holds what the source holds", async || {
        fail_if_parked(&running);
        let expected = Rows::postgres(&source, "SELECT id, v, big FROM t").await?;
        expected.same_as(&Rows::mongodb(&copy, "t", &["id", "v", "big"])?)
    })
    .await;
    running.terminate().assert_success();
}
