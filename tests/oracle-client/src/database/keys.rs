//! Constraints of tables, and the indexes that hold them.

use rusqlite::params;

use super::catalog::{Table, join_ids};
use super::define::Definitions;
use super::rows::unique;
use crate::error::{OraError, Result};
use crate::sql::tree::{Constraint, ConstraintDefinition, Name};
use crate::value::Kind;

/// Bytes of an index's columns at most, with blocks of 8 kB.
const KEY_BYTES: u32 = 6398;

impl Definitions<'_> {
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
    pub(super) fn key_columns(
        &self,
        table: &Table,
        names: &[Name],
        lob: i32,
        zone: i32,
    ) -> Result<Vec<i64>> {
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

    pub(super) fn add_index(
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
}

pub(super) fn column_ids(table: &Table, names: &[Name]) -> Result<Vec<i64>> {
    let ids = names
        .iter()
        .map(|name| Ok(table.columns[table.position(name)?].id));
    ids.collect()
}
