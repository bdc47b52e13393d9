//! The order in which sources are asked for a table's rows: the same on all of them.
//!
//! Collations differ between databases, and so does the order of what is sorted by them. So columns
//! of a key are sorted by their bytes in UTF-8, as the output function of their type writes them,
//! and whole numbers by their value, for which the primary key's own index can be read.

use super::super::SharedTable;
use crate::source::quote_identifier;

/// A table's key as it is sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The positions of its columns in a row, and how each is sorted.
    columns: Vec<(usize, Sort)>,
}

/// How a column of a key is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Whole numbers, by value.
    Number,
    /// A type whose own order is that of its text's bytes.
    Plain,
    /// Text, by its bytes.
    Text,
    /// Whatever it is, by the bytes of its text.
    Printed,
}

impl Sort {
    fn of(type_name: &str) -> Self {
        let bare = type_name.split('(').next().unwrap_or_default().trim();
        match bare {
            "smallint" | "integer" | "bigint" => Self::Number,
            "uuid" | "bytea" => Self::Plain,
            "text" | "character varying" => Self::Text,
            _ => Self::Printed,
        }
    }
}

impl Key {
    /// The key of `table` as these of its members have it.
    #[must_use]
    pub fn of(table: &SharedTable, members: &[usize]) -> Self {
        let sort = |column: usize| {
            let types = members
                .iter()
                .filter_map(|&member| table.members.get(member)?.types.get(column));
            let mut sorts = types.map(|name| Sort::of(name));
            let first = sorts.next().unwrap_or(Sort::Printed);
            if sorts.all(|sort| sort == first) {
                first
            } else {
                Sort::Printed
            }
        };
        Self {
            columns: table
                .key
                .iter()
                .map(|&column| (column, sort(column)))
                .collect(),
        }
    }

    /// What `ORDER BY` is given on a source whose texts are stored as UTF-8, or otherwise.
    #[must_use]
    pub fn expressions(&self, table: &SharedTable, is_utf8: bool) -> String {
        let expression = |&(column, sort): &(usize, Sort)| {
            let name = quote_identifier(&table.columns[column].name);
            match sort {
                Sort::Number | Sort::Plain => name,
                Sort::Text if is_utf8 => format!("{name} COLLATE \"C\""),
                Sort::Printed if is_utf8 => format!("pg_catalog.concat({name}) COLLATE \"C\""),
                _ => format!("pg_catalog.convert_to(pg_catalog.concat({name}), 'UTF8')"),
            }
        };
        let expressions: Vec<String> = self.columns.iter().map(expression).collect();
        expressions.join(", ")
    }

    /// The positions of its columns in a row.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().map(|(column, _)| *column)
    }

    /// Adds to `bytes` what sorts as the value of the key's column `place` does. Texts hold no zero,
    /// so one ends them: a shorter one comes first.
    pub(super) fn push(&self, place: usize, text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
        if self.columns.get(place)?.1 == Sort::Number {
            let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            bytes.extend((number ^ i64::MIN).to_be_bytes());
        } else {
            bytes.extend(text);
            bytes.push(0);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::{Column, TableName};

    use super::{Key, SharedTable};
    use crate::{masters::MemberTable, reconcile::TableId};

    fn table(types: &[[&str; 2]]) -> SharedTable {
        let column = |index: usize| Column {
            name: format!("k{index}"),
            ..Column::default()
        };
        let member = |member: usize| MemberTable {
            types: types.iter().map(|types| types[member].to_owned()).collect(),
            ..MemberTable::default()
        };
        SharedTable {
            id: TableId(1),
            name: TableName::new("public", "t"),
            columns: (0..types.len()).map(column).collect(),
            key: (0..types.len()).collect(),
            unique_keys: Vec::new(),
            foreign_keys: false,
            members: vec![member(0), member(1)],
        }
    }

    #[test]
    fn columns_are_sorted_alike_on_all_sources() {
        let table = table(&[
            ["integer", "bigint"],
            ["uuid", "uuid"],
            ["character varying(20)", "text"],
            ["character(3)", "character(3)"],
            ["bigint", "text"],
        ]);
        let key = Key::of(&table, &[0, 1]);
        assert_eq!(
            key.expressions(&table, true),
            "\"k0\", \"k1\", \"k2\" COLLATE \"C\", pg_catalog.concat(\"k3\") COLLATE \"C\", \
             pg_catalog.concat(\"k4\") COLLATE \"C\""
        );
        let latin = key.expressions(&table, false);
        assert!(latin.ends_with("pg_catalog.convert_to(pg_catalog.concat(\"k4\"), 'UTF8')"));
    }

    #[test]
    fn bytes_sort_as_the_values_do() {
        let numbers = Key::of(&table(&[["integer", "integer"]]), &[0, 1]);
        let texts = Key::of(&table(&[["text", "text"], ["text", "text"]]), &[0, 1]);
        let number = |text: &str| {
            let mut bytes = Vec::new();
            numbers.push(0, text.as_bytes(), &mut bytes).map(|()| bytes)
        };
        let values = [
            "-9223372036854775808",
            "-10",
            "-9",
            "0",
            "9",
            "10",
            "9223372036854775807",
        ];
        assert!(values.map(number).is_sorted());
        assert_eq!(number("ten"), None);
        let pair = |[first, second]: [&str; 2]| {
            let mut bytes = Vec::new();
            texts.push(0, first.as_bytes(), &mut bytes).unwrap();
            texts.push(1, second.as_bytes(), &mut bytes).unwrap();
            bytes
        };
        let pairs = [["", "z"], ["a", "b"], ["a\u{1}", ""], ["ab", ""], ["é", ""]];
        assert!(pairs.map(pair).is_sorted());
    }
}
