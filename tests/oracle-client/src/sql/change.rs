//! INSERT, UPDATE, DELETE and MERGE.

use super::parser::Parser;
use super::tree::{Assignment, Expr, Merge, MergeInsert, MergeUpdate, Rows, Statement};
use crate::error::{OraError, Result};

impl Parser<'_> {
    pub(super) fn insert(&mut self) -> Result<Statement> {
        self.word("INTO")?;
        let table = self.table_name()?;
        let columns = if self.peek().is_symbol("(") {
            self.names()?
        } else {
            Vec::new()
        };
        let rows = if self.takes_word("VALUES") {
            Rows::Values(self.values(&columns)?)
        } else {
            if !self.peek().is_word("SELECT") {
                self.word("VALUES")?;
            }
            Rows::Query(Box::new(self.query()?))
        };
        Ok(Statement::Insert {
            table,
            columns,
            rows,
        })
    }

    /// `(a, DEFAULT, …)`, as many as the columns if they are named.
    fn values(&mut self, columns: &[String]) -> Result<Vec<Option<Expr>>> {
        self.symbol("(")?;
        let values = self.list(Self::value)?;
        self.symbol(")")?;
        if !columns.is_empty() && values.len() < columns.len() {
            return Err(OraError::new(947, "not enough values"));
        }
        if !columns.is_empty() && values.len() > columns.len() {
            return Err(OraError::new(913, "too many values"));
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<Option<Expr>> {
        if self.takes_word("DEFAULT") {
            return Ok(None);
        }
        self.sum().map(Some)
    }

    pub(super) fn update(&mut self) -> Result<Statement> {
        let table = self.table_name()?;
        let alias = self.alias()?;
        self.word("SET")?;
        let set = self.list(Self::assignment)?;
        let condition = self.optional_condition()?;
        Ok(Statement::Update {
            table,
            alias,
            set,
            condition,
        })
    }

    pub(super) fn delete(&mut self) -> Result<Statement> {
        self.takes_word("FROM");
        let table = self.table_name()?;
        let alias = self.alias()?;
        let condition = self.optional_condition()?;
        Ok(Statement::Delete {
            table,
            alias,
            condition,
        })
    }

    pub(super) fn merge(&mut self) -> Result<Statement> {
        self.word("INTO")?;
        let table = self.table_name()?;
        let alias = self.alias()?;
        self.word("USING")?;
        let source = self.source()?;
        self.word("ON")?;
        // Oracle wants the parentheses that others do without.
        self.symbol("(")?;
        let on = self.expression()?;
        self.symbol(")")?;
        let (mut update, mut insert) = (None, None);
        while self.takes_word("WHEN") {
            if self.takes_words(&["MATCHED", "THEN", "UPDATE"]) && update.is_none() {
                update = Some(self.merge_update()?);
            } else if self.takes_words(&["NOT", "MATCHED", "THEN", "INSERT"]) && insert.is_none() {
                insert = Some(self.merge_insert()?);
            } else {
                return self.unknown();
            }
        }
        if update.is_none() && insert.is_none() {
            self.word("WHEN")?;
        }
        Ok(Statement::Merge(Box::new(Merge {
            table,
            alias,
            source,
            on,
            update,
            insert,
        })))
    }

    fn merge_update(&mut self) -> Result<MergeUpdate> {
        self.word("SET")?;
        let set = self.list(Self::assignment)?;
        let condition = self.optional_condition()?;
        let delete = if self.takes_word("DELETE") {
            self.word("WHERE")?;
            Some(self.expression()?)
        } else {
            None
        };
        Ok(MergeUpdate {
            set,
            condition,
            delete,
        })
    }

    fn merge_insert(&mut self) -> Result<MergeInsert> {
        let mut columns = Vec::new();
        if self.takes("(") {
            columns = self.list(Self::target_column)?;
            self.symbol(")")?;
        }
        self.word("VALUES")?;
        let values = self.values(&columns)?;
        let condition = self.optional_condition()?;
        Ok(MergeInsert {
            columns,
            values,
            condition,
        })
    }

    fn optional_condition(&mut self) -> Result<Option<Expr>> {
        if self.takes_word("WHERE") {
            self.expression().map(Some)
        } else {
            Ok(None)
        }
    }

    /// `a`, or `t.a`
    fn target_column(&mut self) -> Result<String> {
        let name = self.column_name()?;
        if self.takes(".") {
            self.column_name()
        } else {
            Ok(name)
        }
    }

    fn assignment(&mut self) -> Result<Assignment> {
        let name = self.target_column()?;
        self.symbol("=")?;
        Ok((name, self.value()?))
    }
}
