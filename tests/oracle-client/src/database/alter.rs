//! ALTER TABLE.

use rusqlite::{OptionalExtension as _, params};

use super::catalog::{Column, SCHEMA, Table};
use super::define::Definitions;
use super::plan::{Given, Reading};
use crate::error::{OraError, Result};
use crate::sql::parse_expression;
use crate::sql::tree::{Alteration, ColumnDefinition, Expr, TableName};
use crate::value::{ColumnName, DataType, Formats, Value, store};

impl Definitions<'_> {
    pub(crate) fn alter_table(
        &mut self,
        name: &TableName,
        alterations: &[Alteration],
    ) -> Result<()> {
        let mut name = self.catalog.table(self.connection, name)?.name.clone();
        for alteration in alterations {
            let table = self.table(&name)?;
            match alteration {
                Alteration::Nothing => {}
                Alteration::Add {
                    columns,
                    constraints,
                } => {
                    for column in columns {
                        self.add(&table, column)?;
                    }
                    let of_columns = columns.iter().flat_map(|column| &column.constraints);
                    for constraint in of_columns.chain(constraints) {
                        self.add_constraint(&name, constraint)?;
                    }
                }
                Alteration::Modify(columns) => {
                    for column in columns {
                        self.modify(&table, column)?;
                    }
                }
                Alteration::DropColumns(names) => {
                    for column in names {
                        self.drop_column(&table, column)?;
                    }
                }
                Alteration::DropConstraint(constraint) => self.drop_constraint(&table, |sql| {
                    (format!("{sql} AND name = ?2"), constraint.clone())
                })?,
                Alteration::DropPrimary => {
                    self.drop_constraint(&table, |sql| {
                        (format!("{sql} AND type = ?2"), "P".to_owned())
                    })?;
                }
                Alteration::RenameColumn { from, to } => {
                    let id = table.columns[table.position(from)?].id;
                    if table.position(to).is_ok() {
                        return Err(OraError::new(957, "duplicate column name"));
                    }
                    self.connection.execute(
                        "UPDATE ora_columns SET name = ? WHERE id = ?",
                        params![to, id],
                    )?;
                }
                Alteration::Rename(to) => {
                    self.check_unused(to)?;
                    self.connection.execute(
                        "UPDATE ora_tables SET name = ? WHERE id = ?",
                        params![to, table.id],
                    )?;
                    name.clone_from(to);
                }
            }
        }
        self.changed()
    }

    fn add(&mut self, table: &Table, column: &ColumnDefinition) -> Result<()> {
        if table.position(&column.name).is_ok() {
            return Err(OraError::new(
                1430,
                "column being added already exists in table",
            ));
        }
        let has_rows = self.has_rows(table, "1")?;
        if column.not_null == Some(true) && column.default.is_none() && has_rows {
            return Err(OraError::new(
                1758,
                "table must be empty to add mandatory (NOT NULL) column",
            ));
        }
        let id = self.add_column(table.id, column)?;
        if let (Some((_, text)), true, Some(data_type)) =
            (&column.default, has_rows, column.data_type)
        {
            let value = match parse_expression(text)? {
                Expr::Text(text) => Value::text(text),
                Expr::Number(number) => Value::Number(number),
                Expr::Null => Value::Null,
                _ => {
                    return Err(OraError::unknown(
                        "a default that is no literal, for rows that are there",
                    ));
                }
            };
            let name = ColumnName {
                schema: SCHEMA,
                table: &table.name,
                column: &column.name,
            };
            let value = store(value, data_type, name, &Formats::default())?;
            self.connection.execute(
                &format!("UPDATE {} SET c{id} = ?", table.sqlite()),
                [value.to_cell()],
            )?;
        }
        Ok(())
    }

    fn has_rows(&self, table: &Table, condition: &str) -> Result<bool> {
        let sql = format!("SELECT 1 FROM {} WHERE {condition}", table.sqlite());
        Ok(self.connection.prepare(&sql)?.exists([])?)
    }

    fn modify(&mut self, table: &Table, definition: &ColumnDefinition) -> Result<()> {
        let column = &table.columns[table.position(&definition.name)?];
        if let Some(data_type) = definition.data_type {
            self.check_type(table, column, data_type)?;
            self.connection.execute(
                "UPDATE ora_columns SET type = ? WHERE id = ?",
                params![data_type.declaration(), column.id],
            )?;
        }
        match definition.not_null {
            Some(true) if column.not_null => {
                return Err(OraError::new(
                    1442,
                    "column to be modified to NOT NULL is already NOT NULL",
                ));
            }
            Some(false) if !column.not_null => {
                return Err(OraError::new(
                    1451,
                    "column to be modified to NULL cannot be modified to NULL",
                ));
            }
            Some(true) if self.has_rows(table, &format!("{} IS NULL", column.sqlite()))? => {
                return Err(OraError::new(
                    2296,
                    format!("cannot enable ({SCHEMA}.) - null values found"),
                ));
            }
            Some(not_null) => {
                self.connection.execute(
                    "UPDATE ora_columns SET not_null = ? WHERE id = ?",
                    params![not_null, column.id],
                )?;
            }
            None => {}
        }
        if let Some((_, text)) = &definition.default {
            self.connection.execute(
                "UPDATE ora_columns SET default_text = ? WHERE id = ?",
                params![text, column.id],
            )?;
        }
        for constraint in &definition.constraints {
            self.add_constraint(&table.name, constraint)?;
        }
        Ok(())
    }

    /// What Oracle lets a column become while it has values.
    fn check_type(&self, table: &Table, column: &Column, to: DataType) -> Result<()> {
        let from = column.data_type;
        if from == to {
            return Ok(());
        }
        if from.kind().is_lob() || to.kind().is_lob() {
            return Err(OraError::new(22858, "invalid alteration of datatype"));
        }
        if !self.has_rows(table, &format!("{} IS NOT NULL", column.sqlite()))? {
            return Ok(());
        }
        match (from, to) {
            (
                DataType::Number {
                    precision: a,
                    scale: b,
                },
                DataType::Number {
                    precision: c,
                    scale: d,
                },
            ) => {
                // As many digits before the point, and after it.
                let digits = |precision: Option<u8>, scale: Option<i8>| match (precision, scale) {
                    (None, None) => (i32::MAX, i32::MAX),
                    _ => {
                        let scale = scale.map_or(0, i32::from);
                        (precision.map_or(38, i32::from) - scale, scale)
                    }
                };
                let ((before, after), (new_before, new_after)) = (digits(a, b), digits(c, d));
                if new_before < before || new_after < after {
                    return Err(OraError::new(
                        1440,
                        "column to be modified must be empty to decrease precision or scale",
                    ));
                }
                Ok(())
            }
            (DataType::Varchar { .. } | DataType::Char { .. }, DataType::Varchar { .. })
            | (DataType::Raw { .. }, DataType::Raw { .. }) => self.check_lengths(table, column, to),
            (DataType::Date, DataType::Timestamp { .. }) | (DataType::Float, DataType::Double) => {
                Ok(())
            }
            (DataType::Timestamp { digits: a }, DataType::Timestamp { digits: b })
            | (DataType::TimestampTz { digits: a }, DataType::TimestampTz { digits: b })
                if b >= a =>
            {
                Ok(())
            }
            _ if from.kind() == to.kind() => Err(OraError::new(
                1440,
                "column to be modified must be empty to decrease precision or scale",
            )),
            _ => Err(OraError::new(
                1439,
                "column to be modified must be empty to change datatype",
            )),
        }
    }

    fn check_lengths(&self, table: &Table, column: &Column, to: DataType) -> Result<()> {
        let reading = Reading {
            sql: format!("SELECT {} FROM {}", column.sqlite(), table.sqlite()),
            params: Vec::new(),
            kinds: vec![column.data_type.kind()],
        };
        let name = ColumnName {
            schema: SCHEMA,
            table: &table.name,
            column: &column.name,
        };
        for value in reading
            .rows(
                self.connection,
                Given {
                    binds: &[],
                    source: &[],
                },
            )?
            .into_iter()
            .flatten()
        {
            store(value, to, name, &Formats::default()).map_err(|_| {
                OraError::new(
                    1441,
                    "cannot decrease column length because some value is too big",
                )
            })?;
        }
        Ok(())
    }

    fn drop_column(&mut self, table: &Table, name: &str) -> Result<()> {
        let id = table.columns[table.position(name)?].id;
        if table.columns.len() == 1 {
            return Err(OraError::new(12983, "cannot drop all columns in a table"));
        }
        let keys = table
            .constraints
            .iter()
            .filter(|constraint| constraint.columns.contains(&id));
        for key in keys {
            if key.columns.len() > 1 {
                return Err(OraError::new(
                    12991,
                    "column is referenced in a multi-column constraint",
                ));
            }
            let name = key.name.clone();
            self.drop_constraint(table, |sql| (format!("{sql} AND name = ?2"), name))?;
        }
        for index in table
            .indexes
            .iter()
            .filter(|index| index.columns.contains(&id))
        {
            let still: bool = self
                .connection
                .prepare("SELECT 1 FROM ora_indexes WHERE id = ?")?
                .exists([index.id])?;
            if still {
                self.remove_index(index.id)?;
            }
        }
        let position: i64 = self.connection.query_row(
            "SELECT position FROM ora_columns WHERE id = ?",
            [id],
            |row| row.get(0),
        )?;
        self.connection
            .execute("DELETE FROM ora_columns WHERE id = ?", [id])?;
        self.connection.execute(
            "UPDATE ora_columns SET position = position - 1 WHERE table_id = ? AND position > ?",
            [table.id, position],
        )?;
        self.connection
            .execute_batch(&format!("ALTER TABLE {} DROP COLUMN c{id}", table.sqlite()))?;
        Ok(())
    }

    fn drop_constraint(
        &mut self,
        table: &Table,
        which: impl FnOnce(&str) -> (String, String),
    ) -> Result<()> {
        let (sql, value) = which("SELECT id, index_id FROM ora_constraints WHERE table_id = ?1");
        let found: Option<(i64, Option<i64>)> = self
            .connection
            .query_row(&sql, params![table.id, value], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let (id, index) = found.ok_or_else(|| {
            OraError::new(2443, "Cannot drop constraint  - nonexistent constraint")
        })?;
        self.connection
            .execute("DELETE FROM ora_constraints WHERE id = ?", [id])?;
        if let Some(index) = index {
            self.remove_index(index)?;
        }
        Ok(())
    }
}
