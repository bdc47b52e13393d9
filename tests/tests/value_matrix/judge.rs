//! What the matrix asks of each target.
//!
//! A judge is written by the documentation, never by the plugin's code: it reads rows in the target's
//! own terms and says what PostgreSQL's text has to look like there. A new target is one file with
//! one [`Judge`], and a line in [`judges`](super::judges).

use futures_util::future::BoxFuture;

/// A table of the source.
pub(crate) struct Table {
    /// In schema `public`.
    pub(crate) name: String,
    /// The first one is `id`, an integer that tells rows apart, not always the key.
    pub(crate) columns: Vec<Column>,
}

/// What the names of tables begin with whose keys may be empty text.
pub(crate) const EMPTY_KEYS: &str = "empty_";

/// A column of a [`Table`].
pub(crate) struct Column {
    pub(crate) name: String,
    /// Its type as PostgreSQL spells it; of a domain, the type under it.
    pub(crate) base: String,
    /// Whether its type is a domain.
    pub(crate) is_domain: bool,
}

/// A row. A value is spelled so that the target's type shows, and that different values differ:
/// `integer 1`, `text 1`.
pub(crate) type Cells = Vec<Option<String>>;

/// A target, and its rule.
pub(crate) trait Judge: Send + Sync {
    /// A name for its target.
    fn name(&self) -> &'static str;

    /// The keys of `[targets.NAME]`, in TOML.
    fn config(&self) -> String;

    /// Whether it takes tables without a key.
    fn takes_keyless(&self) -> bool {
        true
    }

    /// Whether it takes the tables of [`EMPTY_KEYS`].
    fn takes_empty_keys(&self) -> bool {
        true
    }

    /// Whether it is given the table.
    fn takes(&self, table: &Table) -> bool {
        self.takes_empty_keys() || !table.name.starts_with(EMPTY_KEYS)
    }

    /// All rows of a table, in any order, with the columns in theirs. A value that the target does
    /// not hold, or holds as its null, is none. An error where the table is not there (yet).
    fn read<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, Result<Vec<Cells>, String>>;

    /// What a value that PostgreSQL prints as `text` has to look like, in the spelling of
    /// [`read`](Self::read); none for null, too.
    fn expected(&self, base: &str, text: Option<&str>) -> Option<String>;

    /// As [`expected`](Self::expected), where the type is a domain over `base`.
    fn expected_of_domain(&self, base: &str, text: Option<&str>) -> Option<String> {
        self.expected(base, text)
    }
}
