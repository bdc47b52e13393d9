//! What time it is on each source: `latest` judges by their clocks.
//!
//! `tahr check` asks once, and a running sync now and then, since clocks drift.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use tahr_postgres_connect::Session;

use crate::Error;

/// How much two clocks may differ before it is worth a word, in microseconds.
const TOLERANCE: i64 = 100_000;
/// How often a clock is asked; the quickest answer counts.
const SAMPLES: usize = 5;

const NOW: &str = "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint";

/// How far the clock of a source is ahead of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Microseconds.
    ahead: i64,
    /// By how much that may be wrong: half the time that the answer took.
    error: i64,
}

impl Clock {
    /// How far it is ahead of the engine's, in milliseconds.
    #[must_use]
    pub const fn ahead_ms(self) -> i64 {
        self.ahead / 1000
    }
}

/// The clock behind each session, where it answers.
pub async fn measure(sessions: &[Option<Session>]) -> Vec<Option<Clock>> {
    // Our own clock may be set meanwhile, so it is looked at once.
    let begun = Instant::now();
    let start = SystemTime::now().duration_since(UNIX_EPOCH);
    let start = start.map_or(0, |since| micros(since.as_micros()));
    let now = || start + micros(begun.elapsed().as_micros());
    let measured = sessions.iter().map(async |session| {
        let session = session.as_ref()?;
        let mut best: Option<Clock> = None;
        for _ in 0..SAMPLES {
            let asked = now();
            let there: i64 = session.query_one(NOW, &[]).await.ok()?.get(0);
            let answered = now();
            let clock = Clock {
                ahead: there - asked.midpoint(answered),
                error: (answered - asked) / 2 + 1,
            };
            if best.is_none_or(|best| clock.error < best.error) {
                best = Some(clock);
            }
        }
        best
    });
    join_all(measured).await
}

fn micros(count: u128) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A warning for each pair of sources whose clocks differ for certain.
#[must_use]
pub fn differences(sync: &str, clocks: &[(&str, Option<Clock>)]) -> Vec<Error> {
    let known = clocks
        .iter()
        .filter_map(|(name, clock)| Some((*name, (*clock)?)));
    let known: Vec<_> = known.collect();
    let mut warnings = Vec::new();
    for (place, (name, clock)) in known.iter().enumerate() {
        for (other, their) in &known[..place] {
            let error = clock.error + their.error;
            let ahead = clock.ahead - their.ahead;
            if ahead.abs() - error <= TOLERANCE {
                continue;
            }
            let (late, early) = if ahead > 0 {
                (name, other)
            } else {
                (other, name)
            };
            warnings.push(
                Error::source(format!(
                    "sync \"{sync}\": the clock of source \"{late}\" is {} ahead of that of source \
                     \"{early}\" (± {}), and `latest` judges by these clocks",
                    shown(ahead.abs()),
                    shown(error)
                ))
                .hint("set both by NTP: timedatectl set-ntp true"),
            );
        }
    }
    warnings
}

fn shown(micros: i64) -> String {
    let millis = micros / 1000;
    match millis {
        0..10_000 => format!("{millis}.{} ms", micros % 1000 / 100),
        _ => format!("{} s", millis / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_told_apart_only_where_they_differ_for_certain() {
        let clock = |ahead, error| Some(Clock { ahead, error });
        let of = |a, b| {
            let warnings = differences("shop", &[("a", a), ("away", None), ("b", b)]);
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(of(clock(0, 500), clock(100_500, 500)).is_empty());
        assert!(of(clock(0, 90_000), clock(150_000, 500)).is_empty());
        assert!(of(clock(0, 1), None).is_empty());
        assert_eq!(
            of(clock(250_300, 500), clock(-1_000, 500)),
            [
                "sync \"shop\": the clock of source \"a\" is 251.3 ms ahead of that of source \"b\" \
              (± 1.0 ms), and `latest` judges by these clocks"
            ]
        );
        assert!(of(clock(0, 0), clock(3_600_000_000, 0))[0].contains("\"b\" is 3600 s ahead"));
    }
}
