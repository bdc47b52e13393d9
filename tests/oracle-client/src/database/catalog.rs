//! The catalog: tables with their declared types, constraints and indexes.
//!
//! SQLite's own tables and columns are named by number, so that no name of Oracle's means anything to
//! SQLite, and a renaming changes the catalog only. A version that every change of the catalog raises
//! tells sessions when to read it again.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};

use crate::error::{OraError, Result};
use crate::sql::parse_type;
use crate::sql::tree::TableName;
use crate::value::DataType;

/// The only schema, and the only user.
pub(crate) const SCHEMA: &str = "TAHR";

const TABLES: &str = "
    CREATE TABLE ora_version (version INTEGER NOT NULL);
    INSERT INTO ora_version VALUES (1);
    CREATE TABLE ora_tables (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
    CREATE TABLE ora_columns (
        id INTEGER PRIMARY KEY AUTOINCREMENT, table_id INTEGER NOT NULL, position INTEGER NOT NULL,
        name TEXT NOT NULL, type TEXT NOT NULL, not_null INTEGER NOT NULL, default_text TEXT,
        is_identity INTEGER NOT NULL, UNIQUE (table_id, name));
    CREATE TABLE ora_constraints (
        id INTEGER PRIMARY KEY AUTOINCREMENT, table_id INTEGER NOT NULL, name TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL, columns TEXT NOT NULL, condition TEXT, other_table INTEGER,
        other_columns TEXT, index_id INTEGER);
    CREATE TABLE ora_indexes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, table_id INTEGER NOT NULL, name TEXT NOT NULL UNIQUE,
        is_unique INTEGER NOT NULL, columns TEXT NOT NULL);";

#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) not_null: bool,
    pub(crate) default: Option<String>,
    pub(crate) is_identity: bool,
}

impl Column {
    /// Its name in SQLite.
    pub(crate) fn sqlite(&self) -> String {
        format!("c{}", self.id)
    }
}

/// A primary key (P), a unique key (U), a foreign key (R) or a condition (C).
#[derive(Debug, Clone)]
pub(crate) struct Constraint {
    pub(crate) name: String,
    pub(crate) letter: char,
    pub(crate) columns: Vec<i64>,
    pub(crate) other_table: i64,
    pub(crate) other_columns: Vec<i64>,
    /// Of CHECK constraints: the text.
    pub(crate) condition: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) is_unique: bool,
    pub(crate) columns: Vec<i64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) indexes: Vec<Index>,
}

impl Table {
    /// Its name in SQLite.
    pub(crate) fn sqlite(&self) -> String {
        format!("t{}", self.id)
    }

    /// The position of a column, or ORA-00904.
    pub(crate) fn position(&self, name: &str) -> Result<usize> {
        let position = self.columns.iter().position(|column| column.name == name);
        position.ok_or_else(|| OraError::new(904, format!("\"{name}\": invalid identifier")))
    }

    pub(crate) fn by_id(&self, id: i64) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }

    /// The constraint or index over just these columns, for an error.
    pub(crate) fn key_name(&self, columns: &[i64]) -> &str {
        let constraints = self
            .constraints
            .iter()
            .filter(|constraint| matches!(constraint.letter, 'P' | 'U'));
        let constraints = constraints.map(|constraint| (&constraint.name, &constraint.columns));
        let indexes = self
            .indexes
            .iter()
            .map(|index| (&index.name, &index.columns));
        let mut all = constraints.chain(indexes);
        all.find(|(_, found)| *found == columns)
            .map_or("?", |(name, _)| name)
    }
}

/// What a session knows of the catalog.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    version: i64,
    tables: HashMap<String, Arc<Table>>,
}

/// Makes the catalog's tables in a new file.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    Ok(connection.execute_batch(TABLES)?)
}

/// `1 2 3`
pub(crate) fn join_ids(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(" ")
}

fn split_ids(ids: &str) -> Vec<i64> {
    ids.split(' ').filter_map(|id| id.parse().ok()).collect()
}

impl Catalog {
    /// Forgets what another session has changed since.
    pub(crate) fn refresh(&mut self, connection: &Connection) -> Result<()> {
        let version = connection
            .prepare_cached("SELECT version FROM ora_version")?
            .query_row([], |row| row.get(0))?;
        if self.version != version {
            self.version = version;
            self.tables.clear();
        }
        Ok(())
    }

    /// A table, or ORA-00942.
    pub(crate) fn table(
        &mut self,
        connection: &Connection,
        name: &TableName,
    ) -> Result<Arc<Table>> {
        let missing = || OraError::new(942, "table or view does not exist");
        if name.schema.as_ref().is_some_and(|schema| schema != SCHEMA) {
            return Err(missing());
        }
        if let Some(table) = self.tables.get(&name.name) {
            return Ok(Arc::clone(table));
        }
        let id: Option<i64> = connection
            .prepare_cached("SELECT id FROM ora_tables WHERE name = ?")?
            .query_row([&name.name], |row| row.get(0))
            .optional()?;
        let table = Arc::new(load(connection, id.ok_or_else(missing)?, &name.name)?);
        self.tables.insert(name.name.clone(), Arc::clone(&table));
        Ok(table)
    }

    /// A table by its number.
    pub(crate) fn table_by_id(&mut self, connection: &Connection, id: i64) -> Result<Arc<Table>> {
        let name = connection
            .prepare_cached("SELECT name FROM ora_tables WHERE id = ?")?
            .query_row([id], |row| row.get(0))?;
        self.table(connection, &TableName { schema: None, name })
    }

    /// The tables with a foreign key to a table.
    pub(crate) fn children(
        &mut self,
        connection: &Connection,
        table: &Table,
    ) -> Result<Vec<Arc<Table>>> {
        let ids: Vec<i64> = connection
            .prepare_cached("SELECT DISTINCT table_id FROM ora_constraints WHERE other_table = ?")?
            .query_map([table.id], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        ids.into_iter()
            .map(|id| self.table_by_id(connection, id))
            .collect()
    }
}

fn load(connection: &Connection, id: i64, name: &str) -> Result<Table> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, type, not_null, default_text, is_identity FROM ora_columns WHERE table_id = ? ORDER BY position",
    )?;
    let mut rows = statement.query([id])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        let declared: String = row.get(2)?;
        columns.push(Column {
            id: row.get(0)?,
            name: row.get(1)?,
            data_type: parse_type(&declared)?,
            not_null: row.get(3)?,
            default: row.get(4)?,
            is_identity: row.get(5)?,
        });
    }
    let constraints = connection
        .prepare_cached("SELECT name, type, columns, other_table, other_columns, condition FROM ora_constraints WHERE table_id = ?")?
        .query_map([id], |row| {
            let (letter, columns): (String, String) = (row.get(1)?, row.get(2)?);
            let other_columns: Option<String> = row.get(4)?;
            Ok(Constraint {
                name: row.get(0)?,
                letter: letter.chars().next().unwrap_or('C'),
                columns: split_ids(&columns),
                other_table: row.get::<_, Option<i64>>(3)?.unwrap_or(0),
                other_columns: split_ids(&other_columns.unwrap_or_default()),
                condition: row.get(5)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let indexes = connection
        .prepare_cached("SELECT id, name, is_unique, columns FROM ora_indexes WHERE table_id = ?")?
        .query_map([id], |row| {
            let columns: String = row.get(3)?;
            Ok(Index {
                id: row.get(0)?,
                name: row.get(1)?,
                is_unique: row.get(2)?,
                columns: split_ids(&columns),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Table {
        id,
        name: name.to_owned(),
        columns,
        constraints,
        indexes,
    })
}
