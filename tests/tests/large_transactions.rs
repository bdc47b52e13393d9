//! A transaction that memory can't hold comes in parts, and whole.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Rows, Running, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(30);
const ROWS: usize = 60_000;

/// A table `t`, and an engine that streams it into these targets.
async fn streaming(targets: &[(&str, &Scripted)]) -> (Database, Engine, Running) {
    let engine = Engine::builder().setting("memory = \"1MiB\"");
    let setup = "CREATE TABLE t (id int PRIMARY KEY, v text)";
    engine.streaming(setup, targets, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_is_played_again_from_its_first_part_without_the_source() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, _engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    let walsender = format!(
        "SELECT active_pid || ' ' || backend_start FROM pg_replication_slots \
         JOIN pg_stat_replication ON pid = active_pid WHERE database = '{}'",
        database.name()
    );
    let before = database.value(&walsender).await;

    one.script("write transient part=middle after=2 times=1");
    let rows = format!("SELECT g, repeat('x', 60) FROM generate_series(1, {ROWS}) g");
    database.execute(&format!("INSERT INTO t {rows}")).await;
    for target in [&one, &two] {
        eventually(SOON, "all is stored", async || {
            match target.rows("public.t", &["id"]).len() {
                ROWS => Ok(()),
                rows => Err(format!("{rows} rows")),
            }
        })
        .await;
        let batches = target.batches();
        let parts: Vec<_> = batches.iter().map(|batch| batch.part.as_str()).collect();
        assert!(parts.len() >= 4, "{parts:?}");
        assert_eq!((parts[0], parts[parts.len() - 1]), ("first", "last"));
        assert!(
            parts[1..parts.len() - 1]
                .iter()
                .all(|part| *part == "middle"),
            "{parts:?}"
        );
        let mut ordinal = 0;
        for (index, batch) in batches.iter().enumerate() {
            if let Some(before) = index.checked_sub(1) {
                assert_eq!(batch.previous, batches[before].position);
                assert_eq!(
                    (batch.previous.lsn, batch.previous.ordinal),
                    (batches[0].position.lsn, ordinal)
                );
            }
            for change in &batch.changes {
                assert_eq!(change["ordinal"], ordinal);
                ordinal += 1;
            }
        }
        assert_eq!(ordinal, ROWS as u64);
        assert!(!batches[batches.len() - 1].position.is_inside());
    }
    assert_eq!((one.count("write first"), one.count("reset")), (2, 1));
    assert_eq!((two.count("write first"), two.count("reset")), (1, 0));
    assert_eq!(
        database.value(&walsender).await,
        before,
        "the source sent it once"
    );
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_killed_inside_a_large_transaction_stores_it_once() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    one.script("write hold part=last");
    database.execute("INSERT INTO t VALUES (0, 'before')").await;
    let rows = "SELECT g, repeat('x', 60) FROM generate_series(1, 20000) g";
    database.execute(&format!("INSERT INTO t {rows}")).await;
    eventually(SOON, "the last part is held", async || {
        one.called("write held")
    })
    .await;
    assert_eq!(
        one.rows("public.t", &["id"]).len(),
        1,
        "no part is stored by itself"
    );
    running.kill9();
    one.script("");
    let running = engine.start();
    eventually(SOON, "all is stored", async || {
        one.holds(&database, "t", &["id"]).await
    })
    .await;
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_inside_a_large_transaction_stores_none_of_it() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    one.script("write transient part=last");
    let rows = "SELECT g, repeat('x', 60) FROM generate_series(1, 20000) g";
    database.execute(&format!("INSERT INTO t {rows}")).await;
    engine.await_lane("one", State::Retrying).await;
    running.terminate().assert_success();
    assert_eq!(one.rows("public.t", &["id"]).len(), 0);
    assert!(one.position().is_none_or(|position| !position.is_inside()));
    one.script("");
    let running = engine.start();
    eventually(SOON, "all is stored", async || {
        one.holds(&database, "t", &["id"]).await
    })
    .await;
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_larger_than_log_limit_arrives_and_is_played_again_from_the_slot() {
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        .await;
    let (one, two) = (Scripted::new(), Scripted::new());
    let config = sync(database.url(), &[("one", &one), ("two", &two)], "")
        .replace("redo =", "log_limit = \"2MiB\"\nredo =");
    let engine = Engine::builder()
        .setting("memory = \"1MiB\"")
        .config(config)
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    engine.await_lane("two", State::Streaming).await;
    one.script("write transient part=last times=1");
    let rows = format!("SELECT g, repeat('x', 60) FROM generate_series(1, {ROWS}) g");
    database.execute(&format!("INSERT INTO t {rows}")).await;
    database.execute("INSERT INTO t VALUES (0, 'after')").await;
    for target in [&one, &two] {
        eventually(SOON, "all is stored", async || {
            target.holds(&database, "t", &["id"]).await
        })
        .await;
        target.batches();
    }
    running.terminate().assert_success();
}

/// Rows of the first part, or from before a truncate, must not come back with those of the next.
#[tokio::test(flavor = "multi_thread")]
async fn rows_deleted_in_a_later_part_stay_deleted_in_postgres() {
    let server = Postgres::shared();
    let (source, copy) = (server.database().await, server.database().await);
    source
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v text);
             INSERT INTO t SELECT g, 'first' FROM generate_series(1, 12000) g",
        )
        .await;
    let engine = Engine::builder()
        .config(format!(
            "[sources.src]\nurl = '{}'\n\
             [targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
             [syncs.s]\nsources = ['src']\ntargets = ['pg']\ntables = ['public.*']\n",
            source.url(),
            copy.url()
        ))
        .build();
    let running = engine.start();
    engine.await_lane("pg", State::Streaming).await;
    for transaction in [
        "UPDATE t SET v = 'second'; DELETE FROM t WHERE id <= 300",
        "UPDATE t SET v = 'third' WHERE id <= 1000; TRUNCATE t;
         INSERT INTO t SELECT g, 'fourth' FROM generate_series(2000, 2300) g;
         DELETE FROM t; INSERT INTO t SELECT g, 'fifth' FROM generate_series(2000, 2300) g",
    ] {
        source
            .execute(&format!("BEGIN; {transaction}; COMMIT"))
            .await;
        eventually(SOON, "the target holds what the source holds", async || {
            let query = "SELECT id, v FROM t";
            let expected = Rows::postgres(&source, query).await?;
            expected.same_as(&Rows::postgres(&copy, query).await?)
        })
        .await;
    }
    running.terminate().assert_success();
}
