//! What gathers for lanes that rest comes to them in few large batches, where changes are merged and
//! take other ways than one by one. `make torture` lets them rest again and again.

use std::time::Duration;

use tahr_tests::{Engine, Random};

use super::kills::kills;
use super::load::{Load, SETUP};
use super::points::PATIENCE;
use super::targets::Servers;

/// In a run of all tests.
const FEW: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn five_kinds_of_targets_lose_and_repeat_nothing_of_what_has_gathered_for_them() {
    let rounds = kills().map_or(FEW, |kills| kills / 4);
    let mut random = Random::new();
    let servers = Servers::shared();
    let source = servers.source().await;
    source.execute(SETUP).await;
    let targets = servers.targets().await;
    let engine = Engine::builder().config(targets.config(&source)).build();
    let running = engine.start();
    targets.settle(&running, &source, PATIENCE).await;
    for round in 0..rounds {
        for sync in ["all", "keyed"] {
            engine.tahr(&["pause", sync]).assert_success();
        }
        let load = Load::start(source.url(), &mut random, round, Duration::from_millis(2));
        tokio::time::sleep(Duration::from_millis(500 + random.below(1500))).await;
        load.end().await;
        for sync in ["all", "keyed"] {
            engine.tahr(&["resume", sync]).assert_success();
        }
        targets.settle(&running, &source, PATIENCE).await;
    }
    running.terminate().assert_success();
}
