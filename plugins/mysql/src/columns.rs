//! The columns that a relation wants: their types in a table that tahr makes, and the least that a
//! table of others must offer.
//!
//! Keys have 3,072 bytes: fixed types take what they need, and texts share the rest, which leaves a
//! single text 768 characters. A row has 65,535 bytes, of which a `LONGTEXT` takes a dozen: where the
//! `VARCHAR`s would fill it, the later ones become `LONGTEXT`.

use tahr_plugin_api::{Column, Relation, Unfit};

use crate::{
    names::{column_name, quote},
    session::Server,
    types::{Form, Mapping, Type, mapping},
};

/// Bytes of an index entry.
const KEY_BYTES: u64 = 3072;

/// Bytes of a row, with a margin for lengths and null bits.
const ROW_BYTES: u64 = 64_000;

/// Bytes of a character at most.
const CHARACTER: u64 = 4;

/// Columns of an InnoDB table.
pub(crate) const COLUMNS: usize = 1017;

/// What one column of a relation wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Its name in MySQL, and that in quotes.
    pub(crate) name: String,
    pub(crate) quoted: String,
    pub(crate) mapping: Mapping,
    pub(crate) is_key: bool,
    /// In a key: the characters (of text) or bytes (of bytes) that it holds, where its values may be
    /// longer.
    pub(crate) limit: Option<u64>,
    /// The type to declare, with character set and collation.
    pub(crate) sql: String,
}

/// What the columns of `relation` want, in their order.
pub(crate) fn wanted(relation: &Relation, unfit: Unfit, server: &Server) -> Vec<Wanted> {
    let key = relation.key();
    let mappings: Vec<Mapping> = (relation.columns.iter())
        .map(|column| mapping(column, unfit))
        .collect();
    let limits = key_limits(&key, &mappings);
    let mut row = 16 * mappings.len() as u64;
    let mut columns = Vec::with_capacity(mappings.len());
    for (index, mapping) in mappings.into_iter().enumerate() {
        let name = column_name(&relation.columns[index].name);
        let is_key = key.contains(&index);
        let limit = limits.iter().find(|(column, _)| *column == index);
        let mut limit = limit.map(|(_, limit)| *limit);
        let sql = match (&mapping.declared, limit) {
            (Type::Text(_), Some(length)) => {
                row += length * CHARACTER;
                server.key_text(length)
            }
            (Type::Bytes, Some(length)) => {
                row += length;
                format!("VARBINARY({length})")
            }
            (Type::Text(Some(length)), None) => {
                let declared = mapping.declared.name();
                let is_varchar = declared != "LONGTEXT" && row + length * CHARACTER <= ROW_BYTES;
                if is_varchar {
                    row += length * CHARACTER;
                }
                server.text(if is_varchar { &declared } else { "LONGTEXT" })
            }
            (Type::Text(None), None) => server.text("LONGTEXT"),
            (Type::Uuid, _) => "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin".to_owned(),
            (declared, _) => declared.name(),
        };
        if let (Type::Text(Some(width)), Some(length)) = (&mapping.declared, limit)
            && length >= *width
        {
            limit = None;
        }
        columns.push(Wanted {
            quoted: quote(&name),
            name,
            mapping,
            is_key,
            limit,
            sql,
        });
    }
    columns
}

/// The length of each text and bytes column of a key.
fn key_limits(key: &[usize], mappings: &[Mapping]) -> Vec<(usize, u64)> {
    let unit = |index: usize| match mappings[index].declared {
        Type::Bytes => 1,
        _ => CHARACTER,
    };
    let mut left = KEY_BYTES;
    let mut open: Vec<(usize, u64)> = Vec::new();
    for &index in key {
        match &mappings[index].declared {
            Type::Text(width) => open.push((index, width.unwrap_or(u64::MAX))),
            Type::Bytes => open.push((index, u64::MAX)),
            Type::Uuid => left = left.saturating_sub(36),
            Type::Plain(_) if mappings[index].form == Form::Decimal => {
                left = left.saturating_sub(32);
            }
            Type::Plain(_) => left = left.saturating_sub(8),
        }
    }
    // The shortest first, so that what they leave goes to the others.
    open.sort_by_key(|&(_, width)| width);
    let mut remaining = open.len() as u64;
    for (index, width) in &mut open {
        let share = left / remaining / unit(*index);
        *width = share.min(*width).max(1);
        left = left.saturating_sub(*width * unit(*index));
        remaining -= 1;
    }
    open
}

/// The statement that makes the table of `relation` under the quoted name `table`.
///
/// Its one key is that which names rows; further unique keys of the source stay there, where they are
/// enforced.
pub(crate) fn create_table(
    relation: &Relation,
    table: &str,
    columns: &[Wanted],
    server: &Server,
) -> String {
    let mut lines: Vec<String> = columns
        .iter()
        .map(|column| {
            let null = if column.is_key { " NOT NULL" } else { "" };
            format!("{} {}{null}", column.quoted, column.sql)
        })
        .collect();
    let key = relation.key();
    if !key.is_empty() {
        let names: Vec<&str> = key.iter().map(|&index| &*columns[index].quoted).collect();
        lines.push(format!("PRIMARY KEY ({})", names.join(", ")));
    }
    format!(
        "CREATE TABLE {table} ({}) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 \
         COLLATE {}",
        lines.join(", "),
        server.collation()
    )
}

/// The statement that adds a column.
pub(crate) fn add_column(table: &str, column: &Wanted) -> String {
    format!(
        "ALTER TABLE {table} ADD COLUMN {} {}",
        column.quoted, column.sql
    )
}

/// The statement that gives a column the type that it needs.
pub(crate) fn modify_column(table: &str, column: &Wanted, is_nullable: bool) -> String {
    let null = if is_nullable { "" } else { " NOT NULL" };
    format!(
        "ALTER TABLE {table} MODIFY COLUMN {} {}{null}",
        column.quoted, column.sql
    )
}

/// `column "price" (numeric(10,2)) of table "items"`.
pub(crate) fn named(column: &Column, table: &str) -> String {
    format!(
        "column {:?} ({}) of table {table:?}",
        column.name, column.type_name
    )
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::testing::relation;

    use super::*;

    fn types(relation: &Relation) -> Vec<(String, Option<u64>)> {
        wanted(relation, Unfit::Error, &Server::default())
            .into_iter()
            .map(|column| {
                let name = column.sql.split(' ').next().unwrap_or_default().to_owned();
                (name, column.limit)
            })
            .collect()
    }

    #[test]
    fn texts_of_a_key_share_its_bytes() {
        let table = relation("public.t")
            .column("a", "text")
            .column("b", "character varying(20)")
            .column("c", "bytea")
            .column("d", "bigint")
            .key(["a", "b", "c", "d"])
            .build();
        let expected = [
            ("VARCHAR(373)", Some(373)),
            ("VARCHAR(20)", None),
            ("VARBINARY(1492)", Some(1492)),
            ("BIGINT", None),
        ];
        let expected = expected.map(|(name, limit)| (name.to_owned(), limit));
        assert_eq!(types(&table), expected);
        let table = relation("public.t").column("a", "text").key(["a"]).build();
        assert_eq!(types(&table), [("VARCHAR(768)".to_owned(), Some(768))]);
    }

    #[test]
    fn a_row_of_many_long_texts_has_room() {
        let mut table = relation("public.t").column("id", "integer");
        for number in 0..6 {
            table = table.column(&format!("c{number}"), "character varying(4000)");
        }
        let types = types(&table.key(["id"]).build());
        let names: Vec<&str> = types.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[1..4], ["VARCHAR(4000)"; 3]);
        assert_eq!(names[4..], ["LONGTEXT"; 3]);
    }
}
