//! CREATE, DROP and TRUNCATE.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::catalog::{Catalog, SCHEMA, Table, join_ids};
use super::rows::unique;
use crate::error::{OraError, Result};
use crate::sql::tree::{ColumnDefinition, Constraint, ConstraintDefinition, Name, TableName};
use crate::value::Kind;

/// Columns of a table at most.
const COLUMNS: usize = 1000;

/// Bytes of an index's columns at most, with blocks of 8 kB.
const KEY_BYTES: u32 = 6398;

/// Definitions, as one session makes them.
pub(crate) struct Definitions<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) catalog: &'a mut Catalog,
}

impl Definitions<'_> {
    /// Tells all sessions that the catalog is another.
    pub(crate) fn changed(&mut self) -> Result<()> {
        self.connection
            .execute("UPDATE ora_version SET version = version + 1", [])?;
        self.catalog.refresh(self.connection)
    }

    fn check_schema(table: &TableName) -> Result<()> {
        match &table.schema {
            Some(schema) if schema != SCHEMA => Err(OraError::new(
                1918,
                format!("user '{schema}' does not exist"),
            )),
            _ => Ok(()),
        }
    }

    fn is_used(&self, name: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM ora_tables WHERE name = ?1 UNION ALL SELECT 1 FROM ora_indexes WHERE name = ?1";
        Ok(self.connection.prepare_cached(sql)?.exists([name])?)
    }

    pub(super) fn check_unused(&self, name: &str) -> Result<()> {
        if self.is_used(name)? {
            return Err(OraError::new(
                955,
                "name is already used by an existing object",
            ));
        }
        Ok(())
    }

    pub(crate) fn create_table(
        &mut self,
        name: &TableName,
        columns: &[ColumnDefinition],
        constraints: &[ConstraintDefinition],
    ) -> Result<()> {
        Self::check_schema(name)?;
        self.check_unused(&name.name)?;
        if columns.len() > COLUMNS {
            return Err(OraError::new(
                1792,
                "maximum number of columns in a table or view is 1000",
            ));
        }
        self.connection
            .execute("INSERT INTO ora_tables (name) VALUES (?)", [&name.name])?;
        let id = self.connection.last_insert_rowid();
        self.connection
            .execute_batch(&format!("CREATE TABLE t{id} (\"nothing\")"))?;
        for column in columns {
            self.add_column(id, column)?;
        }
        let of_columns = columns.iter().flat_map(|column| &column.constraints);
        for constraint in of_columns.chain(constraints) {
            self.add_constraint(&name.name, constraint)?;
        }
        self.changed()
    }

    /// Adds a column without its constraints.
    pub(super) fn add_column(&mut self, table: i64, column: &ColumnDefinition) -> Result<i64> {
        let data_type = column
            .data_type
            .ok_or_else(|| OraError::new(2263, "need to specify the datatype for this column"))?;
        let inserted = self.connection.execute(
            "INSERT INTO ora_columns (table_id, position, name, type, not_null, default_text, is_identity) VALUES \
             (?1, (SELECT count(*) + 1 FROM ora_columns WHERE table_id = ?1), ?2, ?3, ?4, ?5, ?6)",
            params![
                table,
                column.name,
                data_type.declaration(),
                column.not_null.unwrap_or(false),
                column.default.as_ref().map(|(_, text)| text),
                column.is_identity
            ],
        );
        inserted.map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => {
                OraError::new(957, "duplicate column name")
            }
            _ => error.into(),
        })?;
        let id = self.connection.last_insert_rowid();
        self.connection
            .execute_batch(&format!("ALTER TABLE t{table} ADD COLUMN c{id}"))?;
        Ok(id)
    }

    /// The table as it is just now.
    pub(super) fn table(&mut self, name: &str) -> Result<std::rc::Rc<Table>> {
        let mut catalog = Catalog::default();
        catalog.table(
            self.connection,
            &TableName {
                schema: None,
                name: name.to_owned(),
            },
        )
    }

    pub(super) fn add_constraint(
        &mut self,
        table: &str,
        definition: &ConstraintDefinition,
    ) -> Result<()> {
        let table = self.table(table)?;
        let name = match &definition.name {
            Some(name) => name.clone(),
            None => self.free_name()?,
        };
        let is_used = self
            .connection
            .prepare_cached("SELECT 1 FROM ora_constraints WHERE name = ?")?
            .exists([&name])?;
        if is_used {
            return Err(OraError::new(
                2264,
                "name already used by an existing constraint",
            ));
        }
        match &definition.constraint {
            Constraint::Primary(columns) => {
                if table
                    .constraints
                    .iter()
                    .any(|constraint| constraint.letter == 'P')
                {
                    return Err(OraError::new(2260, "table can have only one primary key"));
                }
                let ids = self.key_columns(&table, columns, 2329, 2329)?;
                self.check_not_null(&table, &ids)?;
                for id in &ids {
                    self.connection
                        .execute("UPDATE ora_columns SET not_null = 1 WHERE id = ?", [id])?;
                }
                self.add_key(&table, &name, "P", &ids)
            }
            Constraint::Unique(columns) => {
                let ids = self.key_columns(&table, columns, 2329, 2329)?;
                self.add_key(&table, &name, "U", &ids)
            }
            Constraint::Foreign {
                columns,
                table: other,
                others,
            } => {
                let ids = column_ids(&table, columns)?;
                let other = self.table(&other.name)?;
                let key = other
                    .constraints
                    .iter()
                    .find(|key| match others.is_empty() {
                        true => key.letter == 'P',
                        false => {
                            matches!(key.letter, 'P' | 'U')
                                && column_ids(&other, others).is_ok_and(|ids| ids == key.columns)
                        }
                    });
                let key = key.ok_or_else(|| {
                    OraError::new(
                        2270,
                        "no matching unique or primary key for this column-list",
                    )
                })?;
                self.connection.execute(
                    "INSERT INTO ora_constraints (table_id, name, type, columns, other_table, other_columns) \
                     VALUES (?, ?, 'R', ?, ?, ?)",
                    params![table.id, name, join_ids(&ids), other.id, join_ids(&key.columns)],
                )?;
                Ok(())
            }
            Constraint::Check(text) => {
                self.connection.execute(
                    "INSERT INTO ora_constraints (table_id, name, type, columns, condition) VALUES (?, ?, 'C', '', ?)",
                    params![table.id, name, text],
                )?;
                Ok(())
            }
        }
    }

    fn free_name(&self) -> Result<Name> {
        let last: i64 = self.connection.query_row(
            "SELECT coalesce(max(id), 0) FROM ora_constraints",
            [],
            |row| row.get(0),
        )?;
        Ok(format!("SYS_C{:06}", last + 8001))
    }

    /// Refuses types that no key has; the codes are those for LOBs and for zones.
    fn key_columns(&self, table: &Table, names: &[Name], lob: i32, zone: i32) -> Result<Vec<i64>> {
        let ids = column_ids(table, names)?;
        let mut bytes = 0;
        for id in &ids {
            let Some(column) = table.columns.iter().find(|column| column.id == *id) else {
                continue;
            };
            let kind = column.data_type.kind();
            bytes += column.data_type.bytes() + 1;
            if kind.is_lob() && lob == 2327 {
                return Err(OraError::new(
                    2327,
                    "cannot create index on expression with datatype LOB",
                ));
            }
            if kind.is_lob() {
                return Err(OraError::new(
                    2329,
                    "column of datatype LOB cannot be unique or a primary key",
                ));
            }
            if kind == Kind::TimestampTz && zone == 2329 {
                return Err(OraError::new(
                    2329,
                    "column of datatype TIME/TIMESTAMP WITH TIME ZONE cannot be unique or a primary key",
                ));
            }
        }
        if bytes > KEY_BYTES {
            return Err(OraError::new(1450, "maximum key length (6398) exceeded"));
        }
        Ok(ids)
    }

    fn check_not_null(&self, table: &Table, ids: &[i64]) -> Result<()> {
        let conditions: Vec<String> = ids.iter().map(|id| format!("c{id} IS NULL")).collect();
        let sql = format!(
            "SELECT 1 FROM {} WHERE {}",
            table.sqlite(),
            conditions.join(" OR ")
        );
        if self.connection.prepare(&sql)?.exists([])? {
            return Err(OraError::new(
                1449,
                "column contains NULL values; cannot alter to NOT NULL",
            ));
        }
        Ok(())
    }

    fn add_key(&mut self, table: &Table, name: &str, letter: &str, ids: &[i64]) -> Result<()> {
        let duplicate = table
            .constraints
            .iter()
            .any(|key| matches!(key.letter, 'P' | 'U') && key.columns == ids);
        if duplicate {
            return Err(OraError::new(
                2261,
                "such unique or primary key already exists in the table",
            ));
        }
        let index = self.add_index(table, name, ids, true)?;
        self.connection.execute(
            "INSERT INTO ora_constraints (table_id, name, type, columns, index_id) VALUES (?, ?, ?, ?, ?)",
            params![table.id, name, letter, join_ids(ids), index],
        )?;
        Ok(())
    }

    fn add_index(
        &mut self,
        table: &Table,
        name: &str,
        ids: &[i64],
        is_unique: bool,
    ) -> Result<i64> {
        self.check_unused(name)?;
        self.connection.execute(
            "INSERT INTO ora_indexes (table_id, name, is_unique, columns) VALUES (?, ?, ?, ?)",
            params![table.id, name, is_unique, join_ids(ids)],
        )?;
        let id = self.connection.last_insert_rowid();
        let columns: Vec<String> = ids.iter().map(|id| format!("c{id}")).collect();
        let word = if is_unique { "UNIQUE INDEX" } else { "INDEX" };
        let sql = format!(
            "CREATE {word} i{id} ON {} ({})",
            table.sqlite(),
            columns.join(", ")
        );
        self.connection
            .execute_batch(&sql)
            .map_err(|error| match unique(table, error) {
                OraError { code: 1, .. } => {
                    OraError::new(2437, "cannot validate - duplicate keys found")
                }
                other => other,
            })?;
        Ok(id)
    }

    pub(crate) fn create_index(
        &mut self,
        name: &str,
        table: &TableName,
        columns: &[Name],
        is_unique: bool,
    ) -> Result<()> {
        let table = self.catalog.table(self.connection, table)?;
        let ids = self.key_columns(&table, columns, 2327, 0)?;
        if table.indexes.iter().any(|index| index.columns == ids) {
            return Err(OraError::new(1408, "such column list already indexed"));
        }
        self.add_index(&table, name, &ids, is_unique)?;
        self.changed()
    }

    pub(crate) fn drop_index(&mut self, name: &str) -> Result<()> {
        let sql = "SELECT i.id, c.id FROM ora_indexes i LEFT JOIN ora_constraints c ON c.index_id = i.id WHERE i.name = ?";
        let found: Option<(i64, Option<i64>)> = self
            .connection
            .query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            None => Err(OraError::new(1418, "specified index does not exist")),
            Some((_, Some(_))) => Err(OraError::new(
                2429,
                "cannot drop index used for enforcement of unique/primary key",
            )),
            Some((id, None)) => {
                self.remove_index(id)?;
                self.changed()
            }
        }
    }

    pub(super) fn remove_index(&mut self, id: i64) -> Result<()> {
        self.connection
            .execute_batch(&format!("DROP INDEX i{id}"))?;
        self.connection
            .execute("DELETE FROM ora_indexes WHERE id = ?", [id])?;
        Ok(())
    }

    pub(crate) fn drop_table(&mut self, name: &TableName, cascades: bool) -> Result<()> {
        let table = self.catalog.table(self.connection, name)?;
        let children = self.catalog.children(self.connection, &table)?;
        if !cascades && children.iter().any(|child| child.id != table.id) {
            return Err(OraError::new(
                2449,
                "unique/primary keys in table referenced by foreign keys",
            ));
        }
        self.connection.execute(
            "DELETE FROM ora_constraints WHERE table_id = ?1 OR other_table = ?1",
            [table.id],
        )?;
        self.connection
            .execute("DELETE FROM ora_indexes WHERE table_id = ?", [table.id])?;
        self.connection
            .execute("DELETE FROM ora_columns WHERE table_id = ?", [table.id])?;
        self.connection
            .execute("DELETE FROM ora_tables WHERE id = ?", [table.id])?;
        self.connection
            .execute_batch(&format!("DROP TABLE {}", table.sqlite()))?;
        self.changed()
    }

    pub(crate) fn truncate(&mut self, name: &TableName) -> Result<()> {
        let table = self.catalog.table(self.connection, name)?;
        let children = self.catalog.children(self.connection, &table)?;
        if children.iter().any(|child| child.id != table.id) {
            return Err(OraError::new(
                2266,
                "unique/primary keys in table referenced by enabled foreign keys",
            ));
        }
        self.connection
            .execute_batch(&format!("DELETE FROM {}", table.sqlite()))?;
        Ok(())
    }
}

pub(super) fn column_ids(table: &Table, names: &[Name]) -> Result<Vec<i64>> {
    let ids = names
        .iter()
        .map(|name| Ok(table.columns[table.position(name)?].id));
    ids.collect()
}
