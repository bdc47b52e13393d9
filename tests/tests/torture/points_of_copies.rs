//! The engine dies at every named point of a copy: the first one, one that was asked for, and one
//! that mends a gap.

use super::points::{Stage, assert_dies, say};

/// Points of a first copy, with the highest number of passings that is tried.
pub(super) const FIRST: [(&str, u64); 13] = [
    ("source.published", 1),
    ("source.slot", 1),
    ("anew.first", 5),
    ("anew.begun", 5),
    ("copy.begun", 12),
    ("copy.load", 12),
    ("copy.loaded", 12),
    ("copy.stored", 12),
    ("copy.next", 12),
    ("copy.done", 5),
    ("postgres.marked", 4),
    ("mysql.dropped", 4),
    ("sqlite.swapped", 4),
];

/// Points of a copy of what the targets hold already.
pub(super) const AGAIN: [(&str, u64); 6] = [
    ("copy.kept", 3),
    ("copy.noted", 8),
    ("resync.written", 8),
    ("mysql.renamed", 4),
    ("mysql.marked", 4),
    ("mongodb.renamed", 4),
];

/// Points of beginning from scratch after a gap.
pub(super) const ANEW: [&str; 2] = ["anew.asked", "anew.forgotten"];

#[tokio::test(flavor = "multi_thread")]
async fn a_first_copy_is_complete_whatever_point_the_engine_dies_at() {
    let mut stage = Stage::new().await;
    for (point, most) in FIRST {
        say(point);
        let load = stage.load();
        assert_dies(stage.start_to_die(point, most));
        let running = stage.engine.start();
        load.end().await;
        stage.settle(&running).await;
        running.terminate().assert_success();
        stage.begin_anew().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_asked_for_is_complete_whatever_point_the_engine_dies_at() {
    let mut stage = Stage::new().await;
    let running = stage.engine.start();
    stage.settle(&running).await;
    running.terminate().assert_success();
    for (point, most) in AGAIN {
        say(point);
        let load = stage.load();
        let running = stage.start_to_die(point, most);
        tahr_tests::eventually(super::points::PATIENCE, "it copies again", async || {
            let asked = stage.engine.tahr(&["resync", "all"]);
            match asked.code() {
                Some(0) => Ok(()),
                // It has died already.
                _ if !running.is_running() => Ok(()),
                _ => Err(asked.stderr),
            }
        })
        .await;
        assert_dies(running);
        let running = stage.engine.start();
        load.end().await;
        stage.settle(&running).await;
        tahr_tests::eventually(
            super::points::PATIENCE,
            "nothing is left to copy",
            async || {
                let lanes = stage.engine.report()?.lanes;
                let left: usize = lanes.iter().map(|lane| lane.resync.len()).sum();
                (left == 0).then_some(()).ok_or(format!("{left} tables"))
            },
        )
        .await;
        stage.settle(&running).await;
        running.terminate().assert_success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_mended_whatever_point_the_engine_dies_at() {
    let mut stage = Stage::new().await;
    let running = stage.engine.start();
    stage.settle(&running).await;
    running.terminate().assert_success();
    for point in ANEW {
        say(point);
        let load = stage.load();
        let key = "tahr:checkpoint:keyed:src";
        // A backup of long ago.
        let () = stage
            .targets
            .redis
            .command(&format!("HSET {key} position 0/1"));
        assert_dies(stage.start_to_die(point, 1));
        let running = stage.engine.start();
        load.end().await;
        stage.settle(&running).await;
        running.terminate().assert_success();
    }
}
