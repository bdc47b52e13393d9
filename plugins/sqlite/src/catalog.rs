//! What the file's own catalog says of a table.

use rusqlite::{Connection, OptionalExtension as _, Row};
use tahr_plugin_api::WriteError;

use crate::{error::failed, names::folded, types::Affinity};

/// A table as it is in the file.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) columns: Vec<TableColumn>,
    /// Names of the columns of every unique key that compares bytes; order means nothing.
    pub(crate) unique_keys: Vec<Vec<String>>,
    /// The statement that made it.
    pub(crate) sql: String,
    /// Whether it has indexes or triggers that are statements of their own.
    pub(crate) has_extras: bool,
}

/// A column as it is in the file.
#[derive(Clone, Debug)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    pub(crate) declared: String,
    pub(crate) affinity: Affinity,
    /// Whether a row must be given a value for it.
    pub(crate) needs_value: bool,
    pub(crate) is_generated: bool,
}

impl Table {
    /// The column `name`, in whatever case.
    pub(crate) fn column(&self, name: &str) -> Option<&TableColumn> {
        let name = folded(name);
        self.columns
            .iter()
            .find(|column| folded(&column.name) == name)
    }

    /// Whether exactly `columns` are a unique key.
    pub(crate) fn has_key<'a>(&self, columns: impl IntoIterator<Item = &'a str>) -> bool {
        let mut columns: Vec<String> = columns.into_iter().map(folded).collect();
        columns.sort();
        self.unique_keys.contains(&columns)
    }
}

/// Whether the file has the table (or a view of that name).
pub(crate) fn has_table(connection: &Connection, name: &str) -> Result<bool, WriteError> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view')
        AND name = ?1 COLLATE NOCASE";
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.exists([name]))
        .map_err(|error| failed("read the catalog", &error))
}

/// The tables whose names begin with `prefix`.
pub(crate) fn tables_with_prefix(
    connection: &Connection,
    prefix: &str,
) -> Result<Vec<String>, WriteError> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'
        AND substr(name, 1, length(?1)) = ?1";
    list(connection, sql, prefix, |row| row.get(0))
}

/// The table `name`, if there is one.
pub(crate) fn table(connection: &Connection, name: &str) -> Result<Option<Table>, WriteError> {
    let error = |error| failed("read the catalog", &error);
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    let made_by: Option<String> = connection
        .query_row(sql, [name], |row| row.get(0))
        .optional()
        .map_err(error)?;
    let Some(made_by) = made_by else {
        return Ok(None);
    };
    let is_strict: bool = connection
        .query_row(
            "SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
            [name],
            |row| row.get(0),
        )
        .map_err(error)?;
    let sql = "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)";
    let mut primary_key = Vec::new();
    let columns = list(connection, sql, name, |row| {
        let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let (not_null, default): (bool, Option<String>) = (row.get(2)?, row.get(3)?);
        let (key, hidden): (u32, u32) = (row.get(4)?, row.get(5)?);
        Ok((
            key,
            TableColumn {
                affinity: Affinity::of(&declared, is_strict),
                declared,
                needs_value: not_null && default.is_none() && hidden == 0,
                is_generated: hidden != 0,
                name,
            },
        ))
    })?;
    let columns: Vec<TableColumn> = columns
        .into_iter()
        .map(|(key, column)| {
            if key != 0 {
                primary_key.push(folded(&column.name));
            }
            column
        })
        .collect();
    let mut unique_keys = unique_indexes(connection, name)?;
    // An INTEGER PRIMARY KEY has no index; any other has one, which knows its collation.
    let is_rowid = primary_key.len() == 1
        && columns.iter().any(|column| {
            folded(&column.name) == primary_key[0] && folded(&column.declared) == "integer"
        });
    if is_rowid {
        unique_keys.push(primary_key);
    }
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type IN ('index', 'trigger')
        AND sql IS NOT NULL AND tbl_name = ?1 COLLATE NOCASE";
    let extras: i64 = connection
        .query_row(sql, [name], |row| row.get(0))
        .map_err(error)?;
    Ok(Some(Table {
        columns,
        unique_keys,
        sql: made_by,
        has_extras: extras != 0,
    }))
}

/// The whole unique indexes of a table whose columns all compare bytes.
fn unique_indexes(connection: &Connection, table: &str) -> Result<Vec<Vec<String>>, WriteError> {
    let sql = "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND NOT partial";
    let mut keys = Vec::new();
    for index in list(connection, sql, table, |row| row.get::<_, String>(0))? {
        let sql = "SELECT name, coll FROM pragma_index_xinfo(?1) WHERE key";
        let columns = list(connection, sql, &index, |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?))
        })?;
        let columns = columns
            .into_iter()
            .map(|(name, collation)| name.filter(|_| collation == "BINARY"));
        // An expression has no name.
        if let Some(mut names) = columns.collect::<Option<Vec<_>>>() {
            names.iter_mut().for_each(|name| *name = folded(name));
            names.sort();
            keys.push(names);
        }
    }
    Ok(keys)
}

fn list<T>(
    connection: &Connection,
    sql: &str,
    parameter: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, WriteError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_map([parameter], read)?.collect())
        .map_err(|error| failed("read the catalog", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_extras_are_seen() {
        let connection = Connection::open_in_memory().unwrap();
        let sql = "CREATE TABLE t (Id INTEGER PRIMARY KEY, a TEXT UNIQUE,
                b TEXT COLLATE NOCASE UNIQUE, c NOT NULL, d NOT NULL DEFAULT 1,
                e AS (a || b));
            CREATE TABLE plain (k TEXT, n INT, PRIMARY KEY (n, k));
            CREATE INDEX i ON t (c);";
        connection.execute_batch(sql).unwrap();
        let table = super::table(&connection, "T").unwrap().unwrap();
        assert!(table.has_extras);
        assert!(table.has_key(["ID"]) && table.has_key(["a"]));
        assert!(!table.has_key(["b"]), "its index ignores case");
        let needs_value: Vec<_> = table.columns.iter().map(|c| c.needs_value).collect();
        assert_eq!(needs_value, [false, false, false, true, false, false]);
        assert!(table.column("E").unwrap().is_generated);
        let plain = super::table(&connection, "plain").unwrap().unwrap();
        assert!(plain.has_key(["k", "n"]) && !plain.has_extras);
        assert!(super::table(&connection, "absent").unwrap().is_none());
    }
}
