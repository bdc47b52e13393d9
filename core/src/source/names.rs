//! Names that tahr gives, and quoting of names that others gave.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
};

use tahr_plugin_api::TableName;

use super::SourceError;
use crate::masters::checkpoint;

/// The most bytes that PostgreSQL keeps of a name.
const MAX_NAME: usize = 63;

/// Who made an object: noted in the publication's comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The engine's name.
    pub engine: String,
    /// The source's name in the engine's config.
    pub source: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tahr engine={} source={}", self.engine, self.source)
    }
}

/// The name of an engine's slot and publication for one source: `tahr_<engine>_<source>`.
///
/// # Errors
/// PostgreSQL takes only `a-z`, `0-9` and `_` in a slot's name, and 63 bytes.
pub fn object_name(owner: &Owner) -> Result<String, SourceError> {
    let is_plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    for (what, name) in [("engine", &owner.engine), ("source", &owner.source)] {
        if !is_plain(name) {
            return Err(SourceError::unusable(format!(
                "{what} name {name:?} can't be part of a slot's name"
            ))
            .hint("use only a-z, 0-9 and _"));
        }
    }
    let name = format!("tahr_{}_{}", owner.engine, owner.source);
    if name.len() > MAX_NAME {
        return Err(SourceError::unusable(format!(
            "slot name {name} has {} bytes, PostgreSQL takes {MAX_NAME}",
            name.len()
        ))
        .hint("shorten the engine's or the source's name"));
    }
    Ok(name)
}

/// The name of tahr's own table on a source that others replicate to.
#[must_use]
pub fn own_table() -> TableName {
    TableName::new(checkpoint::SCHEMA, checkpoint::TABLE)
}

/// Whether `table` is one of tahr's own, which no sync replicates: what marks its transactions, and
/// what sequences were before.
#[must_use]
pub fn is_own_table(table: &TableName) -> bool {
    table.schema == checkpoint::SCHEMA
        && matches!(table.table.as_str(), checkpoint::TABLE | "sequence")
}

/// A name for a temporary slot that no other session has: a cluster has one name space for all.
#[must_use]
pub fn temporary_slot_name() -> String {
    format!(
        "tahr_copy_{:016x}",
        RandomState::new().build_hasher().finish()
    )
}

/// `name` as an identifier in SQL, whatever it holds.
#[must_use]
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as a literal in SQL, under `standard_conforming_strings`.
#[must_use]
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `table` in SQL.
#[must_use]
pub fn quote_table(table: &TableName) -> String {
    format!(
        "{}.{}",
        quote_identifier(&table.schema),
        quote_identifier(&table.table)
    )
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::TableName;

    use super::{Owner, object_name, quote_literal, quote_table, temporary_slot_name};

    fn owner(engine: &str, source: &str) -> Owner {
        Owner {
            engine: engine.to_owned(),
            source: source.to_owned(),
        }
    }

    #[test]
    fn slot_names_are_plain_and_fit() {
        assert_eq!(
            object_name(&owner("tahr", "shop")).unwrap(),
            "tahr_tahr_shop"
        );
        assert!(object_name(&owner("a", &"b".repeat(56))).is_ok());
        for (engine, source) in [("Tahr", "s"), ("", "s"), ("a-b", "s"), ("a", "é")] {
            assert!(
                object_name(&owner(engine, source)).is_err(),
                "{engine} {source}"
            );
        }
        assert!(object_name(&owner("a", &"b".repeat(57))).is_err());
    }

    #[test]
    fn temporary_slots_have_names_of_their_own() {
        assert_ne!(temporary_slot_name(), temporary_slot_name());
    }

    #[test]
    fn quoting_survives_any_name() {
        let name = TableName::new("a\"b", "'; DROP TABLE x; --");
        assert_eq!(quote_table(&name), "\"a\"\"b\".\"'; DROP TABLE x; --\"");
        assert_eq!(quote_literal("it's \\"), "'it''s \\'");
    }
}
