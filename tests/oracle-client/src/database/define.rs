//! CREATE, DROP and TRUNCATE.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::catalog::{Catalog, SCHEMA, Table};
use crate::error::{OraError, Result};
use crate::sql::tree::{ColumnDefinition, ConstraintDefinition, Name, TableName};

/// Columns of a table at most.
const COLUMNS: usize = 1000;

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
    pub(super) fn table(&mut self, name: &str) -> Result<std::sync::Arc<Table>> {
        let mut catalog = Catalog::default();
        catalog.table(
            self.connection,
            &TableName {
                schema: None,
                name: name.to_owned(),
            },
        )
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
