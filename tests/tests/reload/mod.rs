//! A changed config is carried out by the running engine: what differs, all of it or nothing, and
//! nothing else.

mod lanes;
mod refusals;
mod sources;
mod tables;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tahr_tests::{Database, Engine, Finished, Running, Scripted, eventually};

pub(crate) const SOON: Duration = Duration::from_secs(30);
pub(crate) const COLUMNS: &[&str] = &["id", "v"];
const SETUP: &str = "CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT g, 'copied' FROM generate_series(1, 1000) g;
    CREATE TABLE u (id int PRIMARY KEY, v text);
    INSERT INTO u SELECT g, 'copied' FROM generate_series(1, 100) g;";

/// An engine that streams two tables into these targets.
pub(crate) async fn streaming(targets: &[(&str, &Scripted)]) -> (Database, Engine, Running) {
    let engine = Engine::builder().setting("memory = \"1MiB\"");
    engine.streaming(SETUP, targets, "").await
}

/// Replaces parts of the config.
pub(crate) fn edit(engine: &Engine, edits: &[(&str, &str)]) {
    let mut config = engine.config();
    for (old, new) in edits {
        assert!(config.contains(old), "{old} is not in {config}");
        config = config.replace(old, new);
    }
    engine.write_config(&config);
}

pub(crate) fn reload(engine: &Engine) -> Finished {
    let finished = engine.tahr(&["reload"]);
    finished.assert_success();
    finished
}

#[track_caller]
pub(crate) fn says(finished: &Finished, lines: &[&str]) {
    for line in lines {
        let has = finished.stdout.lines().any(|has| has.starts_with(line));
        assert!(has, "{line:?} is missing:\n{}", finished.stdout);
    }
}

/// How often its target was connected to for the stream, and what else begins anew with a lane.
pub(crate) fn begins(target: &Scripted) -> (usize, usize, usize) {
    (
        target.count("open stream"),
        target.count("checkpoint"),
        target.count("begin_load"),
    )
}

/// How often its target was connected to at all.
fn opens(target: &Scripted) -> usize {
    target.count("open")
}

pub(crate) async fn hold(source: &Database, targets: &[&Scripted], tables: &[&str]) {
    eventually(SOON, "the targets equal the source", async || {
        for target in targets {
            for table in tables {
                target.holds(source, table, COLUMNS).await?;
            }
        }
        Ok(())
    })
    .await;
    targets.iter().for_each(|target| drop(target.batches()));
}

/// Changes all the time, until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<u32>,
}

impl Load {
    pub(crate) async fn on(source: &Database) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let client = source.connect().await;
        let task = tokio::spawn(async move {
            let mut rounds = 0;
            while !stopped.load(Ordering::SeqCst) {
                rounds += 1;
                let id = 10_000 + rounds;
                let changes = format!(
                    "BEGIN; INSERT INTO t VALUES ({id}, 'new'); UPDATE t SET v = '{rounds}' WHERE id = {};
                     INSERT INTO u VALUES ({id}, 'new'); DELETE FROM u WHERE id = {}; COMMIT",
                    rounds % 1000 + 1,
                    id - 5,
                );
                client.batch_execute(&changes).await.expect("make changes");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            rounds
        });
        Self { stop, task }
    }

    pub(crate) async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        let rounds = self.task.await.expect("the changes");
        assert!(rounds > 20, "{rounds} rounds are no load");
    }
}
