//! Engines that end, in order or not, and go on where they were; and targets that do.

use std::time::{Duration, Instant};

use tahr_tests::{Postgres, eventually};

use crate::scene::{PATIENCE, Site, clean};

const SETUP: &str = "CREATE TABLE t (id int PRIMARY KEY, v text);
     CREATE TABLE log (n int, v text); ALTER TABLE log REPLICA IDENTITY FULL;
     INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 500) g;
     INSERT INTO log SELECT g % 5, 'same' FROM generate_series(1, 50) g;";

/// Changes that would show in `log` if they were applied twice, or not at all.
const CHANGES: &str = "INSERT INTO log VALUES (1, 'same'), (7, 'once');
     DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE n = 2);
     UPDATE t SET v = v || '+' WHERE id % 7 = 0;
     INSERT INTO t SELECT max(id) + 1, 'new' FROM t";

#[tokio::test(flavor = "multi_thread")]
async fn once_brings_the_present_and_once_more_what_has_changed() {
    let server = Postgres::shared();
    let source = server.database().await;
    source.execute(SETUP).await;
    let site = Site::new(&server, &source, "tables = ['*.*']").await;
    for _ in 0..3 {
        let finished = site.engine.run_once();
        clean(&finished.stderr);
        site.compare(&source).await.expect("equal");
        source.execute(CHANGES).await;
    }
    site.engine.run_once();
    site.compare(&source).await.expect("equal");
    // With nothing to do it is done.
    site.engine.run_once();
    site.compare(&source).await.expect("equal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_engine_goes_on_where_it_was() {
    let server = Postgres::shared();
    let source = server.database().await;
    source.execute(SETUP).await;
    let site = Site::new(&server, &source, "tables = ['*.*']").await;
    for _ in 0..3 {
        let running = site.start().await;
        source.execute(CHANGES).await;
        // At whatever point it is.
        let finished = running.terminate();
        finished.assert_success();
        clean(&finished.stderr);
        source.execute(CHANGES).await;
    }
    let running = site.start().await;
    site.settle(&running, &source).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_loses_nothing_and_repeats_nothing() {
    let server = Postgres::shared();
    let source = server.database().await;
    source.execute(SETUP).await;
    let site = Site::new(&server, &source, "tables = ['*.*']").await;
    for _ in 0..4 {
        let running = site.start().await;
        let changes = tokio::spawn({
            let client = source.connect().await;
            async move {
                for _ in 0..40 {
                    client.batch_execute(CHANGES).await.expect("make changes");
                }
            }
        });
        eventually(PATIENCE, "some changes arrive", async || {
            let count = "SELECT (SELECT count(*) FROM log WHERE n = 7)";
            let (here, there) = (source.value(count).await, site.postgres.value(count).await);
            match there.parse::<u32>() {
                Ok(count) if count > 0 => Ok(()),
                _ => Err(format!("{there} of {here}")),
            }
        })
        .await;
        running.kill9();
        changes.await.expect("the changes");
    }
    let running = site.start().await;
    site.settle(&running, &source).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_dies_and_comes_back_gets_all_that_it_missed() {
    let shared = Postgres::shared();
    let source = shared.database().await;
    source.execute(SETUP).await;
    let mut target = Postgres::own(None, &[("fsync", "on")]);
    let site = Site::new(&target, &source, "tables = ['*.*']").await;
    let running = site.start().await;
    source.execute(CHANGES).await;
    site.settle(&running, &source).await;
    target.kill();
    source.execute(CHANGES).await;
    eventually(PATIENCE, "the lane tries again", async || {
        running
            .stderr()
            .contains("transient")
            .then_some(())
            .ok_or_else(|| running.stderr())
    })
    .await;
    source.execute(CHANGES).await;
    target.start();
    site.settle(&running, &source).await;
    source.execute(CHANGES).await;
    target.restart();
    source.execute(CHANGES).await;
    site.settle(&running, &source).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_dies_and_comes_back_is_read_on() {
    let shared = Postgres::shared();
    let mut server = Postgres::own(None, &[("fsync", "on")]);
    let source = server.database().await;
    source.execute(SETUP).await;
    let site = Site::new(&shared, &source, "tables = ['*.*']").await;
    let running = site.start().await;
    source.execute(CHANGES).await;
    server.kill();
    server.start();
    source.execute(CHANGES).await;
    site.settle(&running, &source).await;
    // It ends in order only once the engine has confirmed all that it was sent.
    let stopping = Instant::now();
    server.stop();
    let took = stopping.elapsed();
    assert!(
        took < Duration::from_secs(20),
        "the source took {took:?} to stop"
    );
    server.start();
    source.execute(CHANGES).await;
    site.settle(&running, &source).await;
    running.terminate().assert_success();
}
