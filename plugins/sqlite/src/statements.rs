//! The SQL that changes rows.
//!
//! Parameters are numbered by columns: `?1` is the new value of the relation's first column. What
//! names the old row follows behind, in the order of the key or, without one, of the columns.

use std::fmt::Write as _;

use tahr_plugin_api::Relation;

use crate::{
    names::{quote, quote_list},
    types::Form,
};

/// Makes the table for `relation` under the name `table`.
///
/// Keys are those that name rows; further unique keys of the source stay there, where they are
/// enforced.
pub(crate) fn create_table(relation: &Relation, table: &str) -> String {
    create_table_of(relation, table, |index| {
        Form::of(&relation.columns[index]).declared()
    })
}

/// As [`create_table`], with the type of each column from `declared`.
pub(crate) fn create_table_of(
    relation: &Relation,
    table: &str,
    declared: impl Fn(usize) -> &'static str,
) -> String {
    let key = relation.key();
    let mut columns: Vec<String> = Vec::with_capacity(relation.columns.len() + 1);
    for (index, column) in relation.columns.iter().enumerate() {
        let name = quote(&column.name);
        let declared = declared(index);
        // The one column of such a key is the row's number itself: no second index.
        columns.push(match &*key {
            [only] if *only == index && declared == "INTEGER" => {
                format!("{name} INTEGER PRIMARY KEY")
            }
            _ if key.contains(&index) => format!("{name} {declared} NOT NULL"),
            _ => format!("{name} {declared}"),
        });
    }
    let is_rowid = matches!(&*key, [only] if declared(*only) == "INTEGER");
    if !key.is_empty() && !is_rowid {
        columns.push(format!("PRIMARY KEY ({})", list(relation, &key)));
    }
    format!("CREATE TABLE {} ({})", quote(table), columns.join(", "))
}

/// Adds column `index` of `relation`.
pub(crate) fn add_column(relation: &Relation, table: &str, index: usize) -> String {
    let column = &relation.columns[index];
    format!(
        "ALTER TABLE {} ADD COLUMN {} {}",
        quote(table),
        quote(&column.name),
        Form::of(column).declared()
    )
}

/// Inserts a whole row.
pub(crate) fn insert(relation: &Relation, table: &str) -> String {
    let names = quote_list(relation.columns.iter().map(|column| &*column.name));
    let parameters: Vec<String> = (1..=relation.columns.len())
        .map(|number| format!("?{number}"))
        .collect();
    let parameters = parameters.join(", ");
    format!(
        "INSERT INTO {} ({names}) VALUES ({parameters})",
        quote(table)
    )
}

/// Inserts a whole row, or makes the row with its key equal to it. The table has a unique key of
/// exactly the relation's key.
pub(crate) fn upsert(relation: &Relation, table: &str) -> String {
    let key = relation.key();
    let mut sql = insert(relation, table);
    let _ = write!(sql, " ON CONFLICT ({}) DO ", list(relation, &key));
    let mut sets = Vec::new();
    for (index, column) in relation.columns.iter().enumerate() {
        if !key.contains(&index) {
            let name = quote(&column.name);
            sets.push(format!("{name} = excluded.{name}"));
        }
    }
    if sets.is_empty() {
        sql.push_str("NOTHING");
    } else {
        let _ = write!(sql, "UPDATE SET {}", sets.join(", "));
    }
    sql
}

/// Sets the columns `set` of one row.
pub(crate) fn update(relation: &Relation, table: &str, set: &[usize]) -> String {
    let sets: Vec<String> = set
        .iter()
        .map(|&index| format!("{} = ?{}", quote(&relation.columns[index].name), index + 1))
        .collect();
    format!(
        "UPDATE {} SET {} WHERE {}",
        quote(table),
        sets.join(", "),
        one_row(relation, table)
    )
}

/// Deletes one row.
pub(crate) fn delete(relation: &Relation, table: &str) -> String {
    format!(
        "DELETE FROM {} WHERE {}",
        quote(table),
        one_row(relation, table)
    )
}

/// Deletes all rows.
pub(crate) fn truncate(table: &str) -> String {
    format!("DELETE FROM {}", quote(table))
}

/// Names the old row: by its key, or one of the rows that are equal to it.
fn one_row(relation: &Relation, table: &str) -> String {
    let key = relation.key();
    let columns: Vec<usize> = if key.is_empty() {
        (0..relation.columns.len()).collect()
    } else {
        key.clone()
    };
    let operator = if key.is_empty() { "IS" } else { "=" };
    let first = relation.columns.len() + 1;
    let conditions: Vec<String> = columns
        .iter()
        .zip(first..)
        .map(|(&index, number)| {
            let name = quote(&relation.columns[index].name);
            format!("{name} {operator} ?{number}")
        })
        .collect();
    let conditions = conditions.join(" AND ");
    if !key.is_empty() {
        return conditions;
    }
    let rowid = rowid(relation);
    format!(
        "{rowid} = (SELECT {rowid} FROM {} WHERE {conditions} LIMIT 1)",
        quote(table)
    )
}

/// A name of the row's number that no column hides.
fn rowid(relation: &Relation) -> &'static str {
    let is_free = |name: &&&str| {
        let mut columns = relation.columns.iter();
        !columns.any(|column| column.name.eq_ignore_ascii_case(name))
    };
    ["rowid", "_rowid_", "oid"]
        .iter()
        .find(is_free)
        .unwrap_or(&"rowid")
}

fn list(relation: &Relation, columns: &[usize]) -> String {
    quote_list(columns.iter().map(|&index| &*relation.columns[index].name))
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::testing::relation;

    use super::*;

    #[test]
    fn statements_name_rows_by_their_key() {
        let stock = relation("public.stock")
            .column("amount", "integer")
            .column("shelf", "text")
            .column("shop", "integer")
            .key(["shop", "shelf"])
            .build();
        assert_eq!(
            create_table(&stock, "stock"),
            "CREATE TABLE \"stock\" (\"amount\" INTEGER, \"shelf\" TEXT NOT NULL, \
             \"shop\" INTEGER NOT NULL, PRIMARY KEY (\"shop\", \"shelf\"))"
        );
        assert_eq!(
            upsert(&stock, "stock"),
            "INSERT INTO \"stock\" (\"amount\", \"shelf\", \"shop\") VALUES (?1, ?2, ?3) \
             ON CONFLICT (\"shop\", \"shelf\") DO UPDATE SET \"amount\" = excluded.\"amount\""
        );
        assert_eq!(
            update(&stock, "stock", &[0, 2]),
            "UPDATE \"stock\" SET \"amount\" = ?1, \"shop\" = ?3 \
             WHERE \"shop\" = ?4 AND \"shelf\" = ?5"
        );
    }

    #[test]
    fn one_row_of_equal_ones_is_meant_without_a_key() {
        let log = relation("public.log")
            .column("RowID", "text")
            .column("line", "text")
            .full()
            .build();
        assert_eq!(
            delete(&log, "log"),
            "DELETE FROM \"log\" WHERE _rowid_ = (SELECT _rowid_ FROM \"log\" \
             WHERE \"RowID\" IS ?3 AND \"line\" IS ?4 LIMIT 1)"
        );
    }

    #[test]
    fn a_single_integer_key_is_the_rows_number() {
        let items = relation("public.items")
            .column("id", "bigint")
            .key(["id"])
            .build();
        assert_eq!(
            create_table(&items, "items"),
            "CREATE TABLE \"items\" (\"id\" INTEGER PRIMARY KEY)"
        );
        assert!(upsert(&items, "items").ends_with("DO NOTHING"));
    }
}
