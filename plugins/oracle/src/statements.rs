//! Every statement that the writer sends: few shapes, valid since Oracle 12.1.
//!
//! Names come as they are in the target and are always quoted. Parameters are `:b1`, `:b2` … in the
//! order of their appearance, each once, and always bound with an explicit type; a statement that
//! changes rows is run for many rows at once. LOB columns come last wherever parameters are listed,
//! since Oracle refuses long text behind them (ORA-24816), and never inside a MERGE.

use std::fmt::Write as _;

use crate::names::{CHECKPOINT, quote};

/// Gives every session the same reading of numbers, text and time, whatever the server's defaults.
pub(crate) const SESSION: &str = "ALTER SESSION SET TIME_ZONE = '+00:00' NLS_COMP = BINARY \
    NLS_SORT = BINARY NLS_NUMERIC_CHARACTERS = '.,'";

/// The schema that unqualified names mean. No parameter.
pub(crate) const CURRENT_SCHEMA: &str = "SELECT SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') FROM dual";

/// The database's character set. No parameter.
pub(crate) const CHARACTER_SET: &str =
    "SELECT value FROM nls_database_parameters WHERE parameter = 'NLS_CHARACTERSET'";

/// The columns of a table. Parameters: schema, table.
pub(crate) const COLUMNS: &str = "SELECT column_name, data_type, data_length, char_length, char_used, data_precision, \
     data_scale, nullable, default_length, virtual_column FROM all_tab_cols \
     WHERE owner = :b1 AND table_name = :b2 AND hidden_column = 'NO' ORDER BY column_id";

/// The columns of a table's unique indexes. Parameters: schema, table.
pub(crate) const UNIQUE_KEYS: &str = "SELECT i.index_name, c.column_name FROM all_indexes i JOIN all_ind_columns c \
     ON c.index_owner = i.owner AND c.index_name = i.index_name \
     WHERE i.table_owner = :b1 AND i.table_name = :b2 AND i.uniqueness = 'UNIQUE' \
     ORDER BY i.index_name, c.column_position";

/// How many enforced foreign keys a table has or is the target of. Parameters: schema, table,
/// schema, table.
pub(crate) const FOREIGN_KEYS: &str = "SELECT COUNT(*) FROM all_constraints f WHERE f.constraint_type = 'R' \
     AND f.status = 'ENABLED' AND (f.owner = :b1 AND f.table_name = :b2 OR EXISTS (SELECT 1 \
     FROM all_constraints k WHERE k.owner = f.r_owner AND k.constraint_name = f.r_constraint_name \
     AND k.owner = :b3 AND k.table_name = :b4))";

/// The tables of copies under way. Parameter: schema.
pub(crate) const LOAD_TABLES: &str = "SELECT table_name FROM all_tables WHERE owner = :b1 \
    AND SUBSTR(table_name, 1, 10) = 'tahr_load_'";

/// Makes the table of checkpoints. The row of the stream itself has `*` for a table, since Oracle
/// has no empty text.
pub(crate) const CREATE_CHECKPOINT: &str = "CREATE TABLE \"tahr_checkpoint\" (\
    \"sync\" VARCHAR2(200 CHAR) NOT NULL, \"source\" VARCHAR2(200 CHAR) NOT NULL, \
    \"table\" VARCHAR2(255 CHAR) NOT NULL, \"stream\" VARCHAR2(4000 BYTE) NOT NULL, \
    \"position\" VARCHAR2(4000 BYTE) NOT NULL, PRIMARY KEY (\"sync\", \"source\", \"table\"))";

/// What [`CREATE_CHECKPOINT`]'s table calls the stream's own row.
pub(crate) const STREAM: &str = "*";

/// The rows of a stream. Parameters: sync, source.
pub(crate) const READ_CHECKPOINT: &str = "SELECT \"table\", \"stream\", \"position\" FROM \"tahr_checkpoint\" \
     WHERE \"sync\" = :b1 AND \"source\" = :b2";

/// Moves the stream's row on. Parameters: stream, new position, sync, source, expected position.
pub(crate) const ADVANCE_CHECKPOINT: &str = "UPDATE \"tahr_checkpoint\" \
    SET \"stream\" = :b1, \"position\" = :b2 \
    WHERE \"sync\" = :b3 AND \"source\" = :b4 AND \"table\" = '*' AND \"position\" = :b5";

/// Adds a row. Parameters: sync, source, table, stream, position.
pub(crate) const ADD_CHECKPOINT: &str = "INSERT INTO \"tahr_checkpoint\" \
    (\"sync\", \"source\", \"table\", \"stream\", \"position\") \
    VALUES (:b1, :b2, :b3, :b4, :b5)";

/// Sets the row of a table. Parameters: stream, position, sync, source, table.
pub(crate) const SET_CHECKPOINT: &str = "UPDATE \"tahr_checkpoint\" \
    SET \"stream\" = :b1, \"position\" = :b2 \
    WHERE \"sync\" = :b3 AND \"source\" = :b4 AND \"table\" = :b5";

/// Removes the rows of a stream. Parameters: sync, source.
pub(crate) const FORGET_CHECKPOINT: &str =
    "DELETE FROM \"tahr_checkpoint\" WHERE \"sync\" = :b1 AND \"source\" = :b2";

/// How many rows there are. No parameter.
pub(crate) const COUNT_CHECKPOINTS: &str = "SELECT COUNT(*) FROM \"tahr_checkpoint\"";

/// Whether a table has a row. No parameter.
pub(crate) fn has_rows(table: &str) -> String {
    format!("SELECT COUNT(*) FROM {} WHERE ROWNUM = 1", quote(table))
}

/// A column of a table to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewColumn<'a> {
    pub(crate) name: &'a str,
    pub(crate) declared: &'a str,
}

/// Makes a table; `key` are positions in `columns`, which are NOT NULL.
pub(crate) fn create_table(table: &str, columns: &[NewColumn<'_>], key: &[usize]) -> String {
    let mut parts: Vec<String> = Vec::with_capacity(columns.len() + 1);
    for (index, column) in columns.iter().enumerate() {
        let not_null = if key.contains(&index) {
            " NOT NULL"
        } else {
            ""
        };
        parts.push(format!(
            "{} {}{not_null}",
            quote(column.name),
            column.declared
        ));
    }
    if !key.is_empty() {
        let names = key.iter().map(|&index| columns[index].name);
        parts.push(format!("PRIMARY KEY ({})", list(names)));
    }
    format!("CREATE TABLE {} ({})", quote(table), parts.join(", "))
}

/// Adds a column.
pub(crate) fn add_column(table: &str, column: &NewColumn<'_>) -> String {
    let (name, declared) = (quote(column.name), column.declared);
    format!("ALTER TABLE {} ADD ({name} {declared})", quote(table))
}

/// Makes a column wider.
pub(crate) fn modify_column(table: &str, column: &NewColumn<'_>) -> String {
    let (name, declared) = (quote(column.name), column.declared);
    format!("ALTER TABLE {} MODIFY ({name} {declared})", quote(table))
}

/// Drops a table for good.
pub(crate) fn drop_table(table: &str) -> String {
    format!("DROP TABLE {} PURGE", quote(table))
}

/// Removes the table of checkpoints for good.
pub(crate) fn drop_checkpoint() -> String {
    drop_table(CHECKPOINT)
}

/// Deletes all rows.
pub(crate) fn delete_all(table: &str) -> String {
    format!("DELETE FROM {}", quote(table))
}

/// Puts the rows of one table into another.
pub(crate) fn move_rows(from: &str, to: &str, columns: &[&str]) -> String {
    let columns = list(columns.iter().copied());
    format!(
        "INSERT INTO {} ({columns}) SELECT {columns} FROM {}",
        quote(to),
        quote(from)
    )
}

/// Inserts rows; parameters: `columns` in order.
pub(crate) fn insert(table: &str, columns: &[&str]) -> String {
    let names = list(columns.iter().copied());
    let parameters: Vec<String> = (1..=columns.len()).map(parameter).collect();
    let parameters = parameters.join(", ");
    format!(
        "INSERT INTO {} ({names}) VALUES ({parameters})",
        quote(table)
    )
}

/// Inserts rows or makes the rows of their keys equal to them; `key` are the first of the parameters,
/// `others` the rest. No LOB is among them.
pub(crate) fn merge(table: &str, key: &[&str], others: &[&str]) -> String {
    let names: Vec<String> = key.iter().chain(others).map(|name| quote(name)).collect();
    let join = |each: &dyn Fn(&String) -> String, names: &[String], between: &str| {
        names.iter().map(each).collect::<Vec<_>>().join(between)
    };
    let mut number = 0;
    let mut source = Vec::with_capacity(names.len());
    for name in &names {
        number += 1;
        source.push(format!("{} AS {name}", parameter(number)));
    }
    let on = join(
        &|name| format!("t.{name} = s.{name}"),
        &names[..key.len()],
        " AND ",
    );
    let mut sql = format!(
        "MERGE INTO {} t USING (SELECT {} FROM dual) s ON ({on})",
        quote(table),
        source.join(", ")
    );
    if !others.is_empty() {
        let sets = join(
            &|name| format!("t.{name} = s.{name}"),
            &names[key.len()..],
            ", ",
        );
        let _ = write!(sql, " WHEN MATCHED THEN UPDATE SET {sets}");
    }
    let _ = write!(
        sql,
        " WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
        names.join(", "),
        join(&|name| format!("s.{name}"), &names, ", ")
    );
    sql
}

/// Sets columns of the rows that `old` names; parameters: `set`, then those of `old`. A LOB among
/// `set` comes last there, and `old` has none then, or the row is one.
pub(crate) fn update(table: &str, set: &[&str], old: &[Condition<'_>], is_one: bool) -> String {
    let sets: Vec<String> = (1..)
        .zip(set)
        .map(|(number, name)| format!("{} = {}", quote(name), parameter(number)))
        .collect();
    format!(
        "UPDATE {} SET {} WHERE {}",
        quote(table),
        sets.join(", "),
        conditions(old, set.len() + 1, is_one)
    )
}

/// Deletes the rows that `old` names; parameters: those of `old`.
pub(crate) fn delete(table: &str, old: &[Condition<'_>], is_one: bool) -> String {
    let conditions = conditions(old, 1, is_one);
    format!("DELETE FROM {} WHERE {conditions}", quote(table))
}

/// How one column names an old row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition<'a> {
    /// The column equals the parameter.
    Equal(&'a str),
    /// The LOB in the column equals the LOB that the parameter is.
    EqualLob(&'a str),
    /// The column is null; no parameter.
    Null(&'a str),
}

/// `is_one`: of several such rows, one.
fn conditions(old: &[Condition<'_>], first: usize, is_one: bool) -> String {
    let mut number = first;
    let mut next = || {
        number += 1;
        parameter(number - 1)
    };
    let mut parts: Vec<String> = old
        .iter()
        .map(|condition| match *condition {
            Condition::Equal(name) => format!("{} = {}", quote(name), next()),
            Condition::EqualLob(name) => {
                format!("DBMS_LOB.COMPARE({}, {}) = 0", quote(name), next())
            }
            Condition::Null(name) => format!("{} IS NULL", quote(name)),
        })
        .collect();
    if is_one {
        parts.push("ROWNUM = 1".to_owned());
    }
    parts.join(" AND ")
}

fn parameter(number: usize) -> String {
    format!(":b{number}")
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_by_their_key() {
        let stock = [
            ("amount", "NUMBER(10)"),
            ("shelf", "VARCHAR2(20 CHAR)"),
            ("shop", "NUMBER(10)"),
        ];
        let columns = stock.map(|(name, declared)| NewColumn { name, declared });
        assert_eq!(
            create_table("stock", &columns, &[2, 1]),
            "CREATE TABLE \"stock\" (\"amount\" NUMBER(10), \"shelf\" VARCHAR2(20 CHAR) NOT NULL, \
             \"shop\" NUMBER(10) NOT NULL, PRIMARY KEY (\"shop\", \"shelf\"))"
        );
        assert_eq!(
            merge("stock", &["shop", "shelf"], &["amount"]),
            "MERGE INTO \"stock\" t USING (SELECT :b1 AS \"shop\", :b2 AS \"shelf\", :b3 AS \
             \"amount\" FROM dual) s ON (t.\"shop\" = s.\"shop\" AND t.\"shelf\" = s.\"shelf\") \
             WHEN MATCHED THEN UPDATE SET t.\"amount\" = s.\"amount\" WHEN NOT MATCHED THEN \
             INSERT (\"shop\", \"shelf\", \"amount\") VALUES (s.\"shop\", s.\"shelf\", s.\"amount\")"
        );
        let key = [Condition::Equal("shop"), Condition::Equal("shelf")];
        assert_eq!(
            update("stock", &["amount"], &key, false),
            "UPDATE \"stock\" SET \"amount\" = :b1 WHERE \"shop\" = :b2 AND \"shelf\" = :b3"
        );
    }

    #[test]
    fn of_equal_rows_one_is_meant() {
        let old = [
            Condition::Equal("level"),
            Condition::Null("who"),
            Condition::EqualLob("line"),
        ];
        assert_eq!(
            delete("log", &old, true),
            "DELETE FROM \"log\" WHERE \"level\" = :b1 AND \"who\" IS NULL AND \
             DBMS_LOB.COMPARE(\"line\", :b2) = 0 AND ROWNUM = 1"
        );
    }

    #[test]
    fn a_merge_of_keys_only_inserts() {
        assert!(!merge("t", &["id"], &[]).contains("WHEN MATCHED"));
    }
}
