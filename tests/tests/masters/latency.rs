//! A change is on all other masters at once.

use std::time::{Duration, Instant};

use super::PLAIN;
use tahr_tests::Masters;

/// `make bench-masters` asks a release build on an idle machine for 50 ms; here tests run beside it.
const BOUND: Duration = Duration::from_millis(if cfg!(debug_assertions) { 250 } else { 50 });

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_on_the_other_masters_within_moments() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("").await;
    let mut samples = Vec::new();
    for sample in 0..100 {
        let place = sample % 3;
        let value = format!("sample {sample}");
        masters[place]
            .execute(&format!("UPDATE t SET v = '{value}' WHERE id = 1"))
            .await;
        let committed = Instant::now();
        for other in (0..3).filter(|other| *other != place) {
            while masters[other].value("SELECT v FROM t WHERE id = 1").await != value {
                assert!(
                    committed.elapsed() < Duration::from_secs(20),
                    "{value} doesn't arrive"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        samples.push(committed.elapsed());
    }
    samples.sort();
    let median = samples[samples.len() / 2];
    assert!(
        median < BOUND,
        "median {median:?}, longest {:?}",
        samples[samples.len() - 1]
    );
    masters.end().await;
}
