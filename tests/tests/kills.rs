//! `kill -9` at any moment loses nothing and repeats nothing, whatever the target.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Random, Rows, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(30);
const KILLS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_killed_at_random_moments_under_load_loses_and_repeats_nothing() {
    let mut random = Random::new();
    let server = Postgres::shared();
    let (source, copy) = (server.database().await, server.database().await);
    source
        .execute(
            "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL);
             INSERT INTO accounts SELECT g, 0 FROM generate_series(1, 100) g;
             CREATE TABLE events (n bigserial, v text);
             ALTER TABLE events REPLICA IDENTITY FULL",
        )
        .await;
    let scripted = Scripted::new();
    let config = sync(source.url(), &[("scripted", &scripted)], "")
        .replace("[\"scripted\"]", "[\"scripted\", \"file\", \"copy\"]")
        + "[targets.file]\nplugin = \"sqlite\"\noptions = { path = \"copy.db\" }\n"
        + &format!(
            "[targets.copy]\nplugin = \"postgres\"\noptions = {{ url = \"{}\" }}\n",
            copy.url()
        );
    let engine = Engine::builder().config(config).build();
    let mut running = engine.start();
    engine.await_lane("copy", State::Streaming).await;

    let session = source.connect().await;
    let mut dice = Random::from_seed(random.next_u64());
    let is_enough = Arc::new(AtomicBool::new(false));
    let has_enough = Arc::clone(&is_enough);
    let load = tokio::spawn(async move {
        while !has_enough.load(Ordering::Relaxed) {
            let (from, to, rows) = (dice.below(100) + 1, dice.below(100) + 1, dice.below(20) + 1);
            let statements = format!(
                "BEGIN; UPDATE accounts SET balance = balance - 1 WHERE id = {from};
                 UPDATE accounts SET balance = balance + 1 WHERE id = {to};
                 INSERT INTO events (v) SELECT 'x' FROM generate_series(1, {rows}); COMMIT"
            );
            session.batch_execute(&statements).await.expect("write");
            // Leaves the machine to the engine now and then.
            tokio::time::sleep(Duration::from_millis(dice.below(4))).await;
        }
    });
    for kill in 0..KILLS {
        // Now and then the stream is under way; else the engine may still be starting.
        if kill % 4 == 0 {
            let before = scripted.position();
            eventually(SOON, "something was stored", async || {
                let moved = scripted.position() != before;
                moved.then_some(()).ok_or_else(|| format!("{before:?}"))
            })
            .await;
        }
        // Not a wait for anything: the moment is what is random.
        tokio::time::sleep(Duration::from_millis(random.below(250))).await;
        running.kill9();
        running = engine.start();
    }
    // Its last transaction has to be over before the source is looked at.
    is_enough.store(true, Ordering::Relaxed);
    load.await.expect("the load");

    let file = engine.folder().join("copy.db");
    for (table, columns) in [("accounts", ["id", "balance"]), ("events", ["n", "v"])] {
        let query = format!("SELECT {} FROM {table}", columns.join(", "));
        let expected = Rows::postgres(&source, &query)
            .await
            .expect("the source's rows");
        assert!(!expected.is_empty());
        eventually(SOON, format!("every target holds {table}"), async || {
            let found = scripted.rows(&format!("public.{table}"), &columns);
            expected
                .same_as(&found)
                .map_err(|fault| format!("scripted: {fault}"))?;
            let found = Rows::sqlite(&file, &query)?;
            expected
                .same_as(&found)
                .map_err(|fault| format!("sqlite: {fault}"))?;
            let found = Rows::postgres(&copy, &query).await?;
            expected
                .same_as(&found)
                .map_err(|fault| format!("postgres: {fault}"))
        })
        .await;
    }
    scripted.batches();
    running.terminate().assert_success();
}
