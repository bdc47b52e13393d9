//! What a row comes to.

use xxhash_rust::xxh3::xxh3_64;

/// A row in two numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    /// Of its key.
    pub key: u64,
    /// Of all its values, its key included; 0: the target keeps no such row.
    pub row: u64,
}

impl Digest {
    /// The digest of a row that the target is not to hold, as that of a single value that is null.
    #[must_use]
    pub fn not_kept(self) -> Self {
        Self { row: 0, ..self }
    }

    /// Whether the target is to hold the row.
    #[must_use]
    pub fn is_kept(self) -> bool {
        self.row != 0
    }
}

/// Makes digests, row after row.
///
/// The same values have to come in the same order and forms whenever a row is put in. What a form's
/// number means is the writer's affair: text and a number of the same bytes are told apart by it.
#[derive(Clone, Debug, Default)]
pub struct Digester {
    key: Vec<u8>,
    row: Vec<u8>,
}

impl Digester {
    /// The next value is null, or absent.
    pub fn null(&mut self, in_key: bool) {
        self.row.push(0);
        if in_key {
            self.key.push(0);
        }
    }

    /// The next value.
    pub fn value(&mut self, in_key: bool, form: u8, bytes: &[u8]) {
        put(&mut self.row, form, bytes);
        if in_key {
            put(&mut self.key, form, bytes);
        }
    }

    /// The digest of the row; the next one begins.
    pub fn finish(&mut self) -> Digest {
        let digest = Digest {
            key: xxh3_64(&self.key),
            row: xxh3_64(&self.row).max(1),
        };
        self.key.clear();
        self.row.clear();
        digest
    }
}

/// With its length, so that no two rows run together.
fn put(into: &mut Vec<u8>, form: u8, bytes: &[u8]) {
    into.push(form.wrapping_add(1).max(1));
    into.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    into.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(values: &[Option<&str>]) -> Digest {
        let mut digester = Digester::default();
        for (place, value) in values.iter().enumerate() {
            match value {
                Some(text) => digester.value(place == 0, 1, text.as_bytes()),
                None => digester.null(place == 0),
            }
        }
        digester.finish()
    }

    #[test]
    fn a_row_is_its_values_one_by_one() {
        let row = digest(&[Some("k"), Some("ab"), Some("")]);
        assert_eq!(row, digest(&[Some("k"), Some("ab"), Some("")]));
        for other in [
            [Some("k"), Some("a"), Some("b")],
            [Some("k"), Some("ab"), None],
            [Some("k"), Some(""), Some("ab")],
        ] {
            let other = digest(&other);
            assert_eq!(other.key, row.key);
            assert_ne!(other.row, row.row);
        }
        assert_ne!(digest(&[Some("l"), Some("ab"), Some("")]).key, row.key);
    }

    #[test]
    fn rows_leave_nothing_behind_for_the_next() {
        let mut digester = Digester::default();
        digester.value(true, 1, b"a");
        let first = digester.finish();
        digester.value(true, 1, b"a");
        assert_eq!(digester.finish(), first);
        digester.value(true, 2, b"a");
        assert_ne!(digester.finish(), first, "a form is part of a value");
    }
}
