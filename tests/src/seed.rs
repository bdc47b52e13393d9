//! Random numbers that can be had again.

use std::time::{SystemTime, UNIX_EPOCH};

/// A seeded generator (splitmix64): small, even, and the same on every machine.
#[derive(Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Seeded by `TAHR_TEST_SEED`, or by the clock; either way the seed is printed, and shown with
    /// the output of a test that failed.
    #[expect(
        clippy::print_stderr,
        reason = "a test's output is where its seed is looked for"
    )]
    pub fn new() -> Self {
        let seed = match std::env::var("TAHR_TEST_SEED") {
            Ok(text) => text.parse().expect("TAHR_TEST_SEED is a number"),
            Err(_) => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .expect("a clock after 1970");
                u64::from(now.subsec_nanos()) ^ (now.as_secs() << 30)
            }
        };
        eprintln!("to repeat: TAHR_TEST_SEED={seed}");
        Self::from_seed(seed)
    }

    /// Seeded by hand.
    pub fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next_u64() % limit
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let limit = u64::try_from(choices.len()).expect("a length");
        &choices[usize::try_from(self.below(limit)).expect("an index")]
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_gives_the_published_sequence() {
        let mut random = Random::from_seed(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }
}
