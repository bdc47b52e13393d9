//! Killed at random moments. `make torture` does so two hundred times, or `TAHR_TORTURE_KILLS`, and
//! restarts and kills the servers in between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tahr_tests::{Engine, Finished, Random, eventually};

use super::load::{Load, SETUP};
use super::targets::Servers;

/// In a run of all tests.
const FEW: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(60);
/// How long all targets may take to follow at the end.
const LONG: Duration = Duration::from_secs(300);

/// How often to kill, where somebody asked for more than a run of all tests does.
pub(super) fn kills() -> Option<u64> {
    let asked = std::env::var("TAHR_TORTURE_KILLS").ok()?;
    Some(asked.parse().expect("TAHR_TORTURE_KILLS is a number"))
}

/// How many transactions the lanes have stored in this run of the engine.
fn stored(engine: &Engine) -> Result<u64, String> {
    let lanes = engine.report()?.lanes;
    Ok(lanes.iter().map(|lane| lane.transactions).sum())
}

/// An engine that was killed had nothing to complain about that it can't mend itself.
#[track_caller]
fn assert_fine(finished: &Finished) {
    let error = finished
        .stderr
        .lines()
        .find(|line| line.contains("ERROR") || line.contains("panicked"));
    if let Some(error) = error {
        panic!("the engine complained: {error}\n{}", finished.stderr);
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a test's output is where its numbers are looked for"
)]
fn say(line: &str) {
    eprintln!("{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_kinds_of_targets_lose_and_repeat_nothing_when_the_engine_is_killed_under_load() {
    let asked = kills();
    let kills = asked.unwrap_or(FEW);
    let mut random = Random::new();
    let mut servers = match asked {
        Some(_) => Servers::own(),
        None => Servers::shared(),
    };
    let source = servers.source().await;
    source.execute(SETUP).await;
    let targets = servers.targets().await;
    let engine = Engine::builder()
        .config(targets.config(&source))
        // So little that some of the load goes through files.
        .setting("memory = \"1MiB\"")
        .build();
    let begun = Instant::now();
    // The first kills come in the middle of the copy.
    let mut running = engine.start();
    // The machine has to keep up with it.
    let pause = Duration::from_millis(if asked.is_some() { 250 } else { 60 });
    let load = Load::start(source.url(), &mut random, 0, pause);
    let (mut at_work, mut strikes) = (0, Vec::new());
    let mut in_the_middle = BTreeMap::<&str, u64>::new();
    for kill in 0..kills {
        // Else not waits for anything: the moment is what is random.
        match random.below(4) {
            // Each lane gets its turn, however often the machine was too slow for it to do anything.
            0 | 1 => {
                let target = *random.pick(&["postgres", "sqlite", "mysql", "mongodb", "redis"]);
                eventually(PATIENCE, format!("{target} stored something"), async || {
                    let stored = engine.lane(target)?.transactions;
                    (stored > 0).then_some(()).ok_or("nothing yet".to_owned())
                })
                .await;
                *in_the_middle.entry(target).or_default() += 1;
                tokio::time::sleep(Duration::from_millis(random.below(400))).await;
            }
            2 => tokio::time::sleep(Duration::from_millis(random.below(1500))).await,
            _ => tokio::time::sleep(Duration::from_millis(random.below(200))).await,
        }
        if asked.is_some() && random.one_in(12) {
            strikes.push(servers.strike(&mut random));
            tokio::time::sleep(Duration::from_millis(random.below(1000))).await;
        }
        at_work += u64::from(stored(&engine).is_ok_and(|stored| stored > 0));
        assert!(running.is_running(), "the engine ended by itself");
        assert_fine(&running.kill9());
        running = engine.start();
        if kill % 5 == 4 {
            targets.assert_whole().await;
        }
        if kill % 20 == 19 {
            let (kills, seconds) = (kill + 1, begun.elapsed().as_secs());
            say(&format!(
                "{kills} kills in {seconds} s, {} transactions",
                load.transactions()
            ));
        }
    }
    let transactions = load.end().await;
    let caught_up = Instant::now();
    targets.settle(&running, &source, LONG).await;
    let caught_up = caught_up.elapsed();
    let tallies: u64 = source
        .value("SELECT sum(n) FROM tallies")
        .await
        .parse()
        .expect("a number");
    // One that was under way as the source died may have been committed without an answer.
    assert!(tallies >= transactions, "{tallies} of {transactions}");
    assert!(
        transactions > 3 * kills,
        "{transactions} transactions are no load"
    );
    let events = source.value("SELECT count(*) FROM events").await;
    say(&format!(
        "{kills} kills in {} s, {at_work} of them after something was stored ({in_the_middle:?}); {} strikes against \
         servers {strikes:?}; {transactions} transactions, {events} rows without a key; caught up in {} s",
        begun.elapsed().as_secs(),
        strikes.len(),
        caught_up.as_secs()
    ));
    let finished = running.terminate();
    finished.assert_success();
    assert_fine(&finished);
    targets.compare(&source).await.expect("after the end");
}
