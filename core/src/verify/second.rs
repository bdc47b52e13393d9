//! The second look: the rows of some buckets, one by one.

use std::collections::HashMap;

use tahr_plugin_api::read_back::{Digest, Found};

use super::Key;

/// Candidates that are looked at, beside those of the last buckets; and their bytes. Where there are
/// more, the table is better copied again.
const MOST: usize = 1_000_000;
const MOST_BYTES: usize = 64 << 20;

/// Candidates of one look at some buckets.
#[derive(Debug, Default)]
pub(super) struct Second {
    /// What the source has and the target has not shown to be equal, by the key's digest.
    expected: HashMap<u64, (u64, Key)>,
    /// Keys whose rows differ, and keys that only the target has.
    differing: Vec<Key>,
    extra: Vec<Key>,
    /// Rows of the target whose key has no text.
    pub(super) unnamed: u64,
}

/// What is to be looked at by key.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// As the source prints them.
    pub(super) known: Vec<Key>,
    /// As the target has them.
    pub(super) foreign: Vec<Key>,
    pub(super) unnamed: u64,
    /// What they take in memory, about.
    bytes: usize,
}

impl Candidates {
    /// Whether there are as many as are looked at.
    pub(super) fn is_full(&self) -> bool {
        self.count() >= MOST || self.bytes >= MOST_BYTES
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.known.len() + self.foreign.len()
    }

    fn add(&mut self, key: Key, is_known: bool) {
        self.bytes += key.size();
        match is_known {
            true => self.known.push(key),
            false => self.foreign.push(key),
        }
    }
}

impl Second {
    pub(super) fn expect(&mut self, digest: Digest, key: Key) {
        self.expected.insert(digest.key, (digest.row, key));
    }

    pub(super) fn found(&mut self, found: &Found<'_>) {
        match self.expected.remove(&found.digest.key) {
            Some((row, _)) if row == found.digest.row => {}
            Some((_, key)) => self.differing.push(key),
            None => match Key::read_back(&found.name) {
                Some(key) => self.extra.push(key),
                None => self.unnamed += 1,
            },
        }
    }

    pub(super) fn finish(self, into: &mut Candidates) {
        let missing = self.expected.into_values().map(|(_, key)| key);
        for key in self.differing.into_iter().chain(missing) {
            into.add(key, true);
        }
        for key in self.extra {
            into.add(key, false);
        }
        into.unnamed += self.unnamed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_on_both_sides_is_no_candidate() {
        let key = |name: &str| Key::from_texts([name.into()]);
        let mut second = Second::default();
        for number in 1..=3 {
            let digest = Digest {
                key: number,
                row: 10 * number,
            };
            second.expect(digest, key(&number.to_string()));
        }
        for (number, row, name) in [
            (1, 10, Some(&b"1"[..])),
            (2, 21, Some(b"2")),
            (4, 40, Some(b"4")),
            (5, 50, None),
        ] {
            second.found(&Found {
                digest: Digest { key: number, row },
                name: vec![name],
            });
        }
        let mut candidates = Candidates::default();
        second.finish(&mut candidates);
        assert_eq!(candidates.known, [key("2"), key("3")]);
        assert_eq!(candidates.foreign, [key("4")]);
        assert_eq!(candidates.unnamed, 1);
    }

    #[test]
    fn candidates_are_no_more_than_memory_allows() {
        let mut candidates = Candidates::default();
        let long = "x".repeat(1 << 20);
        let mut rounds = 0;
        while !candidates.is_full() {
            rounds += 1;
            let mut second = Second::default();
            for (digest, name) in [(1, "short"), (2, long.as_str())] {
                let (key, row) = (digest, 1);
                second.expect(Digest { key, row }, Key::from_texts([name.into()]));
            }
            second.finish(&mut candidates);
        }
        assert!((60..=64).contains(&rounds), "{rounds}");
        assert_eq!(candidates.count(), 2 * rounds);
    }
}
