//! The engine dies at every named point of the log on disk, which keeps what a paused lane lacks
//! while the slot moves on.

use std::time::Duration;

use super::points::{PATIENCE, Stage, say};

/// Points of the log, with the highest number of passings that is tried.
pub(super) const LOG: [(&str, u64); 10] = [
    ("log.named", 1),
    ("log.noted", 3),
    ("log.empty", 1),
    ("log.begun", 1),
    ("log.torn", 12),
    ("log.written", 6),
    ("log.adopted", 6),
    ("log.unsynced", 4),
    ("log.synced", 4),
    ("log.removed", 1),
];

/// A lane into each kind of target.
const LANES: [&str; 5] = [
    "all/postgres",
    "all/sqlite",
    "all/mysql",
    "all/mongodb",
    "keyed/redis",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_log_on_disk_goes_on_from_every_point_at_which_the_engine_dies() {
    let mut stage = Stage::new().await;
    let running = stage.engine.start();
    stage.settle(&running).await;
    running.terminate().assert_success();
    for (point, most) in LOG {
        // Nobody needs what is there, and new files have more points than ones that are gone on with.
        let log = stage.engine.folder().join("tahr-state/log");
        if log.exists() {
            std::fs::remove_dir_all(log).expect("remove the log");
        }
        let lane = *stage.random.pick(&LANES);
        say(point);
        let load = stage.load();
        let running = stage.start_to_die(point, most);
        // A pause of an engine that doesn't run yet would be in the way of its start.
        tahr_tests::eventually(PATIENCE, "the engine answers", async || {
            let answer = stage.engine.report();
            answer
                .map(drop)
                .or_else(|fault| match running.is_running() {
                    true => Err(fault),
                    false => Ok(()),
                })
        })
        .await;
        let mut is_paused = true;
        for round in 0.. {
            assert!(round < 300, "the engine never came to {point}");
            if !running.is_running() {
                break;
            }
            // On the way back to memory files are let go of.
            is_paused = point != "log.removed" || round % 20 < 10;
            let verb = if is_paused { "pause" } else { "resume" };
            if round % 10 == 0 {
                stage.engine.tahr(&[verb, lane]);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        running.wait_exit(PATIENCE).assert_died();
        let running = stage.engine.start();
        // Read back from what was written before and after.
        tokio::time::sleep(Duration::from_millis(stage.random.below(2000))).await;
        if is_paused {
            tahr_tests::eventually(PATIENCE, "the lane goes on", async || {
                let resumed = stage.engine.tahr(&["resume", lane]);
                let is_resumed = resumed.code() == Some(0);
                is_resumed.then_some(()).ok_or(resumed.stderr)
            })
            .await;
        }
        load.end().await;
        stage.settle(&running).await;
        running.terminate().assert_success();
    }
}
