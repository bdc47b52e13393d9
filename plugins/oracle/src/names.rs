//! Names of tables and columns as Oracle takes them.
//!
//! Every name is quoted, so that its case stays. What Oracle has no way to write (a double quote, a
//! name that is too long, the word `ROWID`) gets a name of its own: what fits of the old one, and a
//! hash of the whole, so that two names stay two and one name always becomes the same.

use tahr_plugin_api::{Relation, TableName};

/// The table that holds the checkpoints.
pub(crate) const CHECKPOINT: &str = "tahr_checkpoint";

/// What the tables of copies under way begin with.
pub(crate) const LOAD_PREFIX: &str = "tahr_load_";

/// Hexadecimal digits of the hash in a shortened name.
const HASH: usize = 8;

/// How many bytes a name may have: 30 before Oracle 12.2, 128 since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    max: usize,
}

impl Names {
    pub(crate) fn new(max: usize) -> Self {
        Self { max }
    }

    /// The table of a relation.
    pub(crate) fn table(self, relation: &Relation) -> String {
        self.fitted(&relation.target.flat())
    }

    /// The table that a relation is copied into while readers see the old rows.
    pub(crate) fn load_table(self, relation: &Relation) -> String {
        self.fitted(&format!("{LOAD_PREFIX}{}", relation.target.flat()))
    }

    /// The relation's columns, in order.
    pub(crate) fn columns(self, relation: &Relation) -> Vec<String> {
        let columns = relation.columns.iter();
        columns.map(|column| self.fitted(&column.name)).collect()
    }

    /// `name`, or another where Oracle can't have it.
    pub(crate) fn fitted(self, name: &str) -> String {
        if name.len() <= self.max && !name.contains(['"', '\0']) && name != "ROWID" {
            return name.to_owned();
        }
        let mut end = name.len().min(self.max - HASH - 1);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let kept = name[..end].replace(['"', '\0'], "_");
        format!("{kept}_{:0HASH$x}", hash(name))
    }
}

/// The relation's name in the checkpoint: that of the source.
pub(crate) fn source(name: &TableName) -> String {
    name.to_string()
}

/// FNV-1a, folded to 32 bits: names that were given once must come out the same in every version.
fn hash(name: &str) -> u32 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as u32
}

/// `name`, which fits, as an identifier in SQL.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{name}\"")
}

/// Whether no table of a user can have the name.
pub(crate) fn is_reserved(table: &str) -> bool {
    table.starts_with(LOAD_PREFIX) || table == CHECKPOINT
}

/// Two of the names that have become one.
pub(crate) fn twins(names: &[String]) -> Option<(usize, usize)> {
    let mut seen = std::collections::HashMap::new();
    let mut names = names.iter().enumerate();
    names.find_map(|(index, name)| seen.insert(name, index).map(|first| (first, index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_stay() {
        let names = Names::new(30);
        for name in ["Select", "a.b", "it's", "größe", "rowid", &"a".repeat(30)] {
            assert_eq!(names.fitted(name), name);
        }
    }

    #[test]
    fn others_are_cut_and_told_apart() {
        let names = Names::new(30);
        let long = ["ä".repeat(31) + "1", "ä".repeat(31) + "2"];
        let [first, second] = long.each_ref().map(|name| names.fitted(name));
        assert!(first.len() <= 30 && second.len() <= 30 && first != second);
        assert!(first.starts_with(&"ä".repeat(10)));
        assert_ne!(names.fitted("a\"b"), names.fitted("a_b"));
        assert!(!names.fitted("a\"b").contains('"'));
        assert_ne!(names.fitted("ROWID"), "ROWID");
        // Fixed for good: tables of older versions have these names.
        assert_eq!(names.fitted("a\"b"), "a_b_e2cfc5c1");
    }

    #[test]
    fn names_that_became_one_are_found() {
        let names = ["a", "b", "a"].map(str::to_owned);
        assert_eq!(twins(&names), Some((0, 2)));
        assert_eq!(twins(&names[..2]), None);
    }
}
