//! What names mean at a place of a statement.

use std::sync::Arc;

use super::catalog::Table;
use crate::error::{OraError, Result};
use crate::sql::tree::Name;
use crate::value::DataType;

/// A column that can be named.
#[derive(Debug, Clone)]
pub(crate) struct Visible {
    pub(crate) name: Name,
    pub(crate) data_type: DataType,
    pub(crate) not_null: bool,
    /// Its value in SQLite's SQL.
    pub(crate) sql: String,
}

/// A table, a view or a query of a FROM clause.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The alias, or else the table's name.
    pub(crate) name: Option<Name>,
    pub(crate) columns: Vec<Visible>,
    /// Of tables only.
    pub(crate) row_id: Option<String>,
}

impl Source {
    /// A table under an alias of SQLite's.
    pub(crate) fn table(table: &Arc<Table>, alias: Option<&Name>, sqlite: &str) -> Self {
        let columns = table.columns.iter().map(|column| Visible {
            name: column.name.clone(),
            data_type: column.data_type,
            not_null: column.not_null,
            sql: format!("{sqlite}.{}", column.sqlite()),
        });
        Self {
            name: Some(alias.unwrap_or(&table.name).clone()),
            columns: columns.collect(),
            row_id: Some(format!("{sqlite}.rowid")),
        }
    }
}

/// The sources of a query, and those of the queries around it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scopes {
    /// The innermost last.
    levels: Vec<Vec<Source>>,
}

impl Scopes {
    pub(crate) fn enter(&mut self, sources: Vec<Source>) {
        self.levels.push(sources);
    }

    pub(crate) fn leave(&mut self) -> Vec<Source> {
        self.levels.pop().unwrap_or_default()
    }

    pub(crate) fn innermost(&mut self) -> &mut Vec<Source> {
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// A column by its name, with its table's if that was written.
    pub(crate) fn column(&self, table: Option<&Name>, name: &str) -> Result<&Visible> {
        for level in self.levels.iter().rev() {
            let sources = level
                .iter()
                .filter(|source| table.is_none() || source.name.as_ref() == table);
            let mut found = sources
                .flat_map(|source| &source.columns)
                .filter(|column| column.name == name);
            if let Some(column) = found.next() {
                if found.next().is_some() {
                    return Err(OraError::new(
                        918,
                        format!("column ambiguously defined ({name})"),
                    ));
                }
                return Ok(column);
            }
        }
        let table = table
            .map(|table| format!("\"{table}\"."))
            .unwrap_or_default();
        Err(OraError::new(
            904,
            format!("{table}\"{name}\": invalid identifier"),
        ))
    }

    pub(crate) fn row_id(&self, table: Option<&Name>) -> Result<&str> {
        let mut sources = self.levels.iter().rev().flatten();
        let source = sources.find(|source| {
            source.row_id.is_some() && (table.is_none() || source.name.as_ref() == table)
        });
        source
            .and_then(|source| source.row_id.as_deref())
            .ok_or_else(|| OraError::new(904, "\"ROWID\": invalid identifier"))
    }
}
