//! The first copy, and what may happen while it is at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Proxy, Random, Scripted, eventually, sync};

use crate::scene::{PATIENCE, Site, clean};

const ALL: &str = "tables = ['*.*']";

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_never_pause_are_copied_and_followed_without_a_seam() {
    let server = Postgres::shared();
    let source = server.database().await;
    source
        .execute(
            "CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL, note text);
             CREATE TABLE history (id bigserial PRIMARY KEY, account int, delta int);
             INSERT INTO account SELECT g, 0, repeat('x', 200) FROM generate_series(1, 5000) g",
        )
        .await;
    let site = Site::new(&server, &source, ALL).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut random = Random::new();
    let mut writers = Vec::new();
    for _ in 0..3 {
        let random = Random::from_seed(random.next_u64());
        let writing = write(source.connect().await, random, Arc::clone(&is_over));
        writers.push(tokio::spawn(writing));
    }
    let running = site.start().await;
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("a writer");
    }
    site.settle(&running, &source).await;
    let found = site.postgres.value("SELECT count(*) FROM history").await;
    assert!(
        found.parse::<u32>().expect("a number") > 50,
        "only {found} transactions were made"
    );
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_truncated_or_rewritten_after_the_snapshot_are_copied_as_they_are_then() {
    let server = Postgres::shared();
    let source = server.database().await;
    let make = |name: &str| {
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, v varchar(100), n int);
             INSERT INTO {name} SELECT g, 'v' || g, g FROM generate_series(1, 100) g;"
        )
    };
    let tables = [
        "a",
        "truncated",
        "rewritten",
        "altered",
        "dropped",
        "full_vacuum",
    ];
    source.execute(&tables.map(make).concat()).await;
    // An open transaction would hold up a snapshot of a source on the same server.
    let other = Postgres::own(None, &[]);
    let site = Site::new(&other, &source, ALL).await;
    let (running, lock) = stop_at(&site, "a").await;
    source
        .execute(
            "TRUNCATE truncated; INSERT INTO truncated VALUES (1, 'new', 1);
             ALTER TABLE rewritten ALTER n TYPE bigint; INSERT INTO rewritten VALUES (101, 'r', 5000000000);
             ALTER TABLE altered ADD extra int; INSERT INTO altered VALUES (101, 'x', 1, 2);
             DROP TABLE dropped; UPDATE a SET v = 'meanwhile' WHERE id < 10; DELETE FROM a WHERE id > 95",
        )
        .await;
    source.execute("VACUUM FULL full_vacuum").await;
    lock.batch_execute("ROLLBACK")
        .await
        .expect("release the lock");
    site.settle(&running, &source).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_finished_tables_stay_and_the_others_begin_again() {
    let server = Postgres::shared();
    let source = server.database().await;
    let make = |name: &str| {
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, v text);
             INSERT INTO {name} SELECT g, 'v' || g FROM generate_series(1, 3000) g;"
        )
    };
    source
        .execute(&["a", "b", "y", "z"].map(make).concat())
        .await;
    // An open transaction would hold up a snapshot of a source on the same server.
    let other = Postgres::own(None, &[]);
    let site = Site::new(&other, &source, ALL).await;
    let (running, lock) = stop_at(&site, "y").await;
    let done = eventually(
        PATIENCE,
        "tables before the locked one are copied",
        async || {
            let done = site
                .postgres
                .query("SELECT \"table\" FROM tahr_checkpoint WHERE \"table\" LIKE 'public.%'")
                .await;
            let done: Vec<String> = done.into_iter().filter_map(|row| row[0].clone()).collect();
            (!done.is_empty())
                .then_some(done)
                .ok_or_else(|| "none".to_owned())
        },
    )
    .await;
    running.kill9();
    lock.batch_execute("ROLLBACK")
        .await
        .expect("release the lock");
    assert!(!done.iter().any(|table| table == "public.y"), "{done:?}");
    source
        .execute(
            "UPDATE a SET v = 'new' WHERE id < 10; DELETE FROM y WHERE id < 10;
             INSERT INTO b VALUES (4000, 'b'); INSERT INTO z VALUES (4000, 'z')",
        )
        .await;
    // A row taken away from a finished table would come back if that were copied again.
    let finished = &done[0];
    let take = format!("DELETE FROM {finished} WHERE id = 2000");
    assert!(site.postgres.try_execute(&take).await.is_ok());
    let running = site.start().await;
    let left = format!("SELECT count(*) FROM {finished} WHERE id = 2000");
    assert_eq!(site.postgres.value(&left).await, "0");
    let give = format!("INSERT INTO {finished} VALUES (2000, 'v2000')");
    site.postgres.execute(&give).await;
    site.settle(&running, &source).await;
    running.terminate().assert_success();
}

/// What a table looked like is known however the copy of those behind it ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_finished_before_a_crash_is_copied_again_once_a_column_brings_values() {
    let source = Postgres::shared().database().await;
    source
        .execute(
            "CREATE TABLE b (id int PRIMARY KEY, v text); CREATE TABLE y (id int PRIMARY KEY, v text);
             INSERT INTO b SELECT g, 'v' || g FROM generate_series(1, 300) g;
             INSERT INTO y VALUES (1, 'v')",
        )
        .await;
    // An open transaction would hold up a snapshot of a source on the same server.
    let other = Postgres::own(None, &[]);
    let site = Site::new(&other, &source, ALL).await;
    let (running, lock) = stop_at(&site, "y").await;
    let is_done = "SELECT count(*) FROM tahr_checkpoint
                   WHERE \"table\" = 'public.b' AND \"position\" <> '0/0'";
    eventually(PATIENCE, "the first table is copied", async || {
        let done = site.postgres.value(is_done).await;
        (done == "1").then_some(()).ok_or(done)
    })
    .await;
    running.kill9();
    lock.batch_execute("ROLLBACK")
        .await
        .expect("release the lock");
    let running = site.start().await;
    source
        .execute("ALTER TABLE b ADD COLUMN more int DEFAULT 7; UPDATE b SET v = 'new' WHERE id = 5")
        .await;
    eventually(PATIENCE, "the target has the column's values", async || {
        let filled = "SELECT count(*) FROM b WHERE more = 7";
        let filled = site.postgres.try_query(filled).await?;
        (filled[0][0].as_deref() == Some("300"))
            .then_some(())
            .ok_or(format!("{filled:?}"))
    })
    .await;
    site.settle(&running, &source).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_breaks_off_in_the_middle_of_a_table_is_asked_for_it_again() {
    let mut server = Postgres::own(None, &[]);
    let source = server.database().await;
    // More than lies between the two ends of a connection.
    source
        .execute(
            "CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'a');
             CREATE TABLE b (id int PRIMARY KEY, v text);
             INSERT INTO b SELECT g, repeat('x', 4000) FROM generate_series(1, 5000) g",
        )
        .await;
    let proxy = Proxy::start(server.address()).await;
    let one = Scripted::new();
    let url =
        source.url_through(&proxy) + "?keepalives_idle=1&keepalives_interval=1&keepalives_count=1";
    let engine = Engine::builder()
        .config(sync(&url, &[("one", &one)], ""))
        .build();
    let held = |call: &str| {
        let calls = one.calls();
        calls
            .iter()
            .filter(|has| **has == format!("{call} held"))
            .count()
    };
    one.script("load hold table=public.b");
    let running = engine.start();
    for (round, how) in ["cut", "terminated", "restarted", "silent"]
        .into_iter()
        .enumerate()
    {
        eventually(PATIENCE, "a load is held", async || {
            (held("load") > round)
                .then_some(())
                .ok_or_else(|| running.stderr())
        })
        .await;
        source
            .execute(&format!(
                "INSERT INTO a VALUES ({0}, 'new'); INSERT INTO b VALUES (-{0}, 'new')",
                10 + round
            ))
            .await;
        match how {
            "cut" => proxy.cut(),
            "terminated" => {
                let copies = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                              WHERE datname = current_database() AND query LIKE 'COPY%'";
                assert!(!source.query(copies).await.is_empty());
            }
            "restarted" => server.restart(),
            _ => proxy.hold(),
        }
        // Held again where the next attempt begins.
        let begun = held("checkpoint");
        one.script("checkpoint hold");
        eventually(
            PATIENCE,
            format!("the lane tries again: {how}"),
            async || {
                (held("checkpoint") > begun)
                    .then_some(())
                    .ok_or_else(|| running.stderr())
            },
        )
        .await;
        if how == "silent" {
            proxy.cut();
            proxy.resume();
        }
        one.script(if how == "silent" {
            ""
        } else {
            "load hold table=public.b"
        });
    }
    engine.await_lane("one", State::Streaming).await;
    eventually(Duration::from_secs(60), "all rows are there", async || {
        one.holds(&source, "a", &["id", "v"]).await?;
        one.holds(&source, "b", &["id"]).await
    })
    .await;
    let calls = one.calls();
    let begun = |table: &str| {
        let start = format!("begin_load public.{table}");
        calls.iter().filter(|call| call.starts_with(&start)).count()
    };
    assert_eq!((begun("a"), begun("b")), (1, 5));
    one.batches();
    running.terminate().assert_success();
}

/// Starts an engine whose copy stands still at `table`, which the target holds under lock until
/// the returned transaction ends.
async fn stop_at(site: &Site, table: &str) -> (tahr_tests::Running, tokio_postgres::Client) {
    let columns = match table {
        "a" => "id int PRIMARY KEY, v varchar(100), n int",
        _ => "id int PRIMARY KEY, v text",
    };
    site.postgres
        .execute(&format!("CREATE TABLE {table} ({columns})"))
        .await;
    let lock = site.postgres.connect().await;
    let begin = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    lock.batch_execute(&begin)
        .await
        .expect("lock the target's table");
    let running = site.engine.start();
    eventually(PATIENCE, "the copy waits for the lock", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        match site.postgres.value(waiting).await.as_str() {
            "0" => Err(running.stderr()),
            _ => Ok(()),
        }
    })
    .await;
    (running, lock)
}

/// Makes transactions until it is over.
async fn write(client: tokio_postgres::Client, mut random: Random, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        let account = random.below(5000) + 1;
        let other = random.below(5000) + 1;
        let statements = match random.below(10) {
            0 => format!("DELETE FROM account WHERE id = {account}"),
            1 => format!("INSERT INTO account VALUES ({account}, 1, 'n') ON CONFLICT DO NOTHING"),
            2 => format!("UPDATE account SET id = id + 10000 WHERE id = {account}"),
            _ => format!(
                "BEGIN; UPDATE account SET balance = balance + 1 WHERE id = {account};
                 INSERT INTO history (account, delta) VALUES ({account}, 1);
                 UPDATE account SET balance = balance - 1 WHERE id = {other};
                 INSERT INTO history (account, delta) VALUES ({other}, -1); COMMIT"
            ),
        };
        // Two writers may deadlock, or move two rows to one key; then nothing has happened.
        if client.batch_execute(&statements).await.is_err() {
            client.batch_execute("ROLLBACK").await.expect("roll back");
        }
    }
}
