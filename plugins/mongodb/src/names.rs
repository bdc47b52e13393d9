//! Names of collections and fields.

use tahr_plugin_api::{Relation, TableName};

/// The collection of the checkpoints.
pub(crate) const CHECKPOINT: &str = "tahr_checkpoint";
/// The collection of batches that a server without transactions is about to apply.
pub(crate) const REDO: &str = "tahr_redo";
/// What the collections of copies under way begin with.
pub(crate) const LOAD_PREFIX: &str = "tahr_load_";
/// The longest name of a collection, its database and a dot before it included.
const LONGEST: usize = 255;

/// The collection of a relation. No collection's name holds a `$` or begins with a dot: both
/// become `_`, and two tables of one name are an error of `check`.
pub(crate) fn collection(relation: &Relation) -> String {
    let name = relation.target.flat().replace('$', "_");
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

/// The collection that a relation is copied into before it becomes the collection itself.
pub(crate) fn load_collection(collection: &str) -> String {
    format!("{LOAD_PREFIX}{collection}")
}

/// What a collection is called in messages.
pub(crate) fn shown(collection: &str) -> &str {
    collection.strip_prefix(LOAD_PREFIX).unwrap_or(collection)
}

/// The relation's name in the checkpoint: that of the source.
pub(crate) fn source(name: &TableName) -> String {
    name.to_string()
}

/// What is wrong with a collection's name in `database`.
pub(crate) fn fault(collection: &str, database: &str) -> Option<String> {
    if collection == CHECKPOINT || collection == REDO || collection.starts_with(LOAD_PREFIX) {
        return Some(format!("collection name {collection:?} is tahr's own"));
    }
    if collection.starts_with("system.") {
        return Some(format!("collection name {collection:?} is reserved"));
    }
    // The copy's collection has the longest name.
    let length = database.len() + 1 + LOAD_PREFIX.len() + collection.len();
    (length > LONGEST).then(|| {
        format!("collection name {collection:?} is too long: {length} bytes with those before it, of {LONGEST}")
    })
}

/// The field of a column. `_id` is the document's own, so a column of that name that is not the
/// whole key is stored under another.
pub(crate) fn field(column: &str) -> &str {
    if column == "_id" { "_id_" } else { column }
}

/// The field of a key column inside an `_id` of several: no `$` may begin it there.
pub(crate) fn key_field(column: &str) -> String {
    match column.strip_prefix('$') {
        Some(rest) => format!("_{rest}"),
        None => column.to_owned(),
    }
}

/// Whether MongoDB takes the field's name for an operator or a path, so that plain updates can't
/// set it.
pub(crate) fn is_special(field: &str) -> bool {
    field.starts_with('$') || field.contains('.')
}

/// Two of the names that are the same.
pub(crate) fn twin<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_have_names_that_mongodb_takes() {
        for (schema, table, expected) in [
            ("public", "items", "items"),
            ("sales", "items", "sales_items"),
            ("public", "$x", "_x"),
            ("public", ".x", "_x"),
            ("public", "a.b$c", "a.b_c"),
        ] {
            let relation = Relation {
                target: TableName::new(schema, table),
                ..Relation::default()
            };
            assert_eq!(collection(&relation), expected);
        }
    }

    #[test]
    fn names_of_others_are_refused() {
        for name in [
            "tahr_checkpoint",
            "tahr_redo",
            "tahr_load_x",
            "system.users",
        ] {
            assert!(fault(name, "shop").is_some(), "{name}");
        }
        assert!(fault(&"x".repeat(241), "shop").unwrap().contains("255"));
        assert_eq!(fault("tahr", "shop"), None);
    }
}
