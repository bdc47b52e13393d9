//! Names of tables and columns as SQLite spells them.

use tahr_plugin_api::{Relation, TableName};

/// The table that holds the checkpoints.
pub(crate) const CHECKPOINT: &str = "tahr_checkpoint";

/// What the tables of copies under way begin with.
pub(crate) const LOAD_PREFIX: &str = "tahr_load_";

/// The table of a relation.
pub(crate) fn table(relation: &Relation) -> String {
    relation.target.flat()
}

/// The table that a relation is copied into before it becomes the table itself.
pub(crate) fn load_table(relation: &Relation) -> String {
    format!("{LOAD_PREFIX}{}", table(relation))
}

/// The relation's name in the checkpoint: that of the source.
pub(crate) fn source(name: &TableName) -> String {
    name.to_string()
}

/// `name` as an identifier in SQL.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `names` as identifiers with commas between.
pub(crate) fn quote_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// `name` as SQLite compares it: letters from a to z in either case are the same, others not.
pub(crate) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Whether no table of a user can have the name.
pub(crate) fn is_reserved(table: &str) -> bool {
    let table = folded(table);
    table.starts_with("sqlite_") || table.starts_with(LOAD_PREFIX) || table == CHECKPOINT
}

/// Two of the names that SQLite can't tell apart.
pub(crate) fn twins<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let mut seen = std::collections::HashMap::new();
    names
        .into_iter()
        .find_map(|name| seen.insert(folded(name), name).map(|first| (first, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_in_names_are_doubled() {
        assert_eq!(quote("a\"b.c"), "\"a\"\"b.c\"");
        assert_eq!(quote_list(["a", "B "]), "\"a\", \"B \"");
    }

    #[test]
    fn reserved_names_are_known_in_any_case() {
        for name in ["sqlite_x", "SQLite_stat", "Tahr_Checkpoint", "tahr_load_a"] {
            assert!(is_reserved(name), "{name}");
        }
        assert!(!is_reserved("items") && !is_reserved("tahr"));
    }

    #[test]
    fn names_differ_by_more_than_the_case_of_a_to_z() {
        assert_eq!(twins(["a", "b", "A"]), Some(("a", "A")));
        assert_eq!(twins(["ä", "Ä", "a"]), None);
    }
}
