//! What the source doesn't show yet, and keys that it can't show.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, eventually};

use crate::scene::clean;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waits_for_a_standby_is_no_difference() {
    let server = Postgres::own(None, &[]);
    let (source, target) = (server.database().await, server.database().await);
    source
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old')")
        .await;
    // The engine's own commits would not wait.
    source
        .execute(&format!(
            "ALTER DATABASE \"{}\" SET synchronous_commit = off",
            source.name()
        ))
        .await;
    target
        .execute(&format!(
            "ALTER DATABASE \"{}\" SET synchronous_commit = off",
            target.name()
        ))
        .await;
    let config = format!(
        "[sources.src]\nurl = '{}'\n[targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['pg']\ntables = ['public.*']\n",
        source.url(),
        target.url()
    );
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("pg", State::Streaming).await;
    // A standby that never comes.
    let standbys = async |names: &str| {
        source
            .execute(&format!(
                "ALTER SYSTEM SET synchronous_standby_names = '{names}'"
            ))
            .await;
        source.execute("SELECT pg_reload_conf()").await;
    };
    standbys("nobody").await;
    let client = source.connect().await;
    let waiting = tokio::spawn(async move {
        let waits = "SET synchronous_commit = on";
        client.batch_execute(waits).await.expect("set it");
        let update = "UPDATE t SET v = 'new' WHERE id = 1";
        client.batch_execute(update).await.expect("the commit");
    });
    eventually(SOON, "the target has it before the source", async || {
        let found = target.value("SELECT v FROM t").await;
        (found == "new").then_some(()).ok_or(found)
    })
    .await;
    assert_eq!(source.value("SELECT v FROM t").await, "old");
    let verifying = engine.spawn(&["verify", "s", "--repair"]);
    // It waits as well; whatever it saw by now was wrong.
    tokio::time::sleep(Duration::from_secs(2)).await;
    standbys("").await;
    let verified = verifying.wait_exit(SOON);
    verified.assert_success();
    assert!(
        verified.stdout.contains("1 row: equal"),
        "{}",
        verified.stdout
    );
    waiting.await.expect("the commit");
    assert_eq!(target.value("SELECT v FROM t").await, "new");
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_too_long_for_the_source_is_extra_even_where_its_beginning_is_there() {
    let server = Postgres::shared();
    let (source, target) = (server.database().await, server.database().await);
    source
        .execute(
            "CREATE TABLE words (w varchar(3) PRIMARY KEY, n int);
             INSERT INTO words VALUES ('abc', 1), ('d', 2);
             CREATE TABLE prices (p numeric(10,2) PRIMARY KEY, n int);
             INSERT INTO prices VALUES (1.5, 1), (2, 2)",
        )
        .await;
    target
        .execute(
            "CREATE TABLE words (w varchar(9) PRIMARY KEY, n int);
             CREATE TABLE prices (p numeric PRIMARY KEY, n int)",
        )
        .await;
    let config = format!(
        "[sources.src]\nurl = '{}'\n[targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['pg']\ntables = ['public.*']\n",
        source.url(),
        target.url()
    );
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("pg", State::Streaming).await;
    engine.tahr(&["verify", "s"]).assert_success();
    target
        .execute(
            "INSERT INTO words VALUES ('abcdef', 9); INSERT INTO prices VALUES (1.501, 9);
             UPDATE prices SET n = 7 WHERE p = 2",
        )
        .await;
    let verified = engine.tahr(&["verify", "s", "--repair"]);
    assert!(
        verified
            .stdout
            .contains("2 rows: 0 differing, 0 missing, 1 extra; 1 repaired")
            && verified
                .stdout
                .contains("2 rows: 1 differing, 0 missing, 1 extra; 2 repaired"),
        "{}",
        verified.stdout
    );
    verified.assert_success();
    for (table, rows) in [("words", "abc1 d2"), ("prices", "1.501 2.002")] {
        let sql = format!(
            "SELECT string_agg(r, ' ' ORDER BY r) FROM (SELECT concat(t.*::text) r FROM {table} t) x"
        );
        let found = target.value(&sql).await;
        let plain: String = found.chars().filter(|c| !"(),".contains(*c)).collect();
        assert_eq!(plain, rows);
    }
    clean(&running.terminate().stderr);
}
