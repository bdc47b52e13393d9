//! When a lane tries again.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

/// Waiting times that double from a tenth of a second to half a minute, each shortened by chance
/// so that lanes of one target don't all come at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(30);

    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = Self::FIRST * 2_u32.saturating_pow(self.failures.min(16));
        self.failures += 1;
        let chance = RandomState::new().build_hasher().finish() % 1000;
        let share = f64::from(u32::try_from(chance).unwrap_or(0)) / 1000.0;
        doubled.min(Self::LONGEST).mul_f64(1.0 - share / 2.0)
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Something worked: start over.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_start_over_after_success() {
        let mut backoff = Backoff::default();
        for failure in 0..40_u32 {
            let longest = Duration::from_millis(100 << failure.min(16)).min(Backoff::LONGEST);
            let wait = backoff.next();
            assert!(
                wait <= longest && wait >= longest / 2,
                "{failure}: {wait:?}"
            );
        }
        backoff.succeeded();
        assert!(backoff.next() <= Backoff::FIRST);
    }
}
