//! The second look: the rows of some buckets, one by one.

use std::collections::HashMap;

use tahr_plugin_api::read_back::{Digest, Found};

use super::Key;

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
        into.known.extend(self.differing);
        into.known
            .extend(self.expected.into_values().map(|(_, key)| key));
        into.foreign.extend(self.extra);
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
}
