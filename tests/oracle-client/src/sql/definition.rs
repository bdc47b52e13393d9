//! CREATE, ALTER, DROP, TRUNCATE.

use super::parser::Parser;
use super::tokens::Token;
use super::tree::{Alteration, ColumnDefinition, Constraint, ConstraintDefinition, Statement};
use crate::error::{OraError, Result};

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Result<Statement> {
        let is_unique = self.takes_word("UNIQUE");
        if self.takes_word("INDEX") {
            let name = self.table_name()?.name;
            self.word("ON")?;
            let table = self.table_name()?;
            return Ok(Statement::CreateIndex {
                name,
                table,
                columns: self.names()?,
                is_unique,
            });
        }
        self.word("TABLE")?;
        let table = self.table_name()?;
        self.symbol("(")?;
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        loop {
            match self.table_constraint()? {
                Some(constraint) => constraints.push(constraint),
                None => columns.push(self.column_definition(true)?),
            }
            if !self.takes(",") {
                break;
            }
        }
        self.symbol(")")?;
        while let Token::Word(word) = self.peek() {
            if !STORAGE.contains(&word.as_str()) {
                return self.unknown();
            }
            self.next();
            if self.peek().is_symbol("(") {
                return self.unknown();
            }
        }
        Ok(Statement::CreateTable {
            table,
            columns,
            constraints,
        })
    }

    fn column_definition(&mut self, needs_type: bool) -> Result<ColumnDefinition> {
        let name = self.column_name()?;
        let has_type = needs_type
            || matches!(self.peek(), Token::Word(word) if !["NULL", "NOT", "DEFAULT", "CONSTRAINT", "PRIMARY", "UNIQUE"].contains(&word.as_str()));
        let data_type = if has_type {
            Some(self.data_type()?)
        } else {
            None
        };
        let mut column = ColumnDefinition {
            name,
            data_type,
            default: None,
            not_null: None,
            is_identity: false,
            constraints: Vec::new(),
        };
        loop {
            if self.takes_word("DEFAULT") {
                let on_null = self.takes_words(&["ON", "NULL"]);
                if on_null {
                    return self.unknown();
                }
                let start = self.offset();
                let value = self.sum()?;
                column.default = Some((value, self.text_since(start)));
            } else if self.takes_word("GENERATED") {
                if !self.takes_word("ALWAYS") {
                    self.takes_words(&["BY", "DEFAULT"]);
                    self.takes_words(&["ON", "NULL"]);
                }
                self.word("AS")?;
                self.word("IDENTITY")?;
                column.is_identity = true;
                column.not_null = Some(true);
            } else if self.takes_words(&["NOT", "NULL"]) {
                column.not_null = Some(true);
            } else if self.takes_word("NULL") {
                column.not_null = Some(false);
            } else {
                let at = if self.peek().is_word("CONSTRAINT") {
                    2
                } else {
                    0
                };
                if at == 2 && self.peek_at(at).is_word("NOT") {
                    self.next();
                    self.next();
                    continue;
                }
                match self.column_constraint(&column.name)? {
                    Some(constraint) => column.constraints.push(constraint),
                    None => return Ok(column),
                }
            }
        }
    }

    fn constraint_name(&mut self) -> Result<Option<String>> {
        if self.takes_word("CONSTRAINT") {
            self.name(904).map(Some)
        } else {
            Ok(None)
        }
    }

    fn column_constraint(&mut self, column: &str) -> Result<Option<ConstraintDefinition>> {
        let name = self.constraint_name()?;
        let columns = vec![column.to_owned()];
        let constraint = if self.takes_words(&["PRIMARY", "KEY"]) {
            Constraint::Primary(columns)
        } else if self.takes_word("UNIQUE") {
            Constraint::Unique(columns)
        } else if self.takes_word("REFERENCES") {
            self.references(columns)?
        } else if self.takes_word("CHECK") {
            self.check()?
        } else if name.is_some() {
            return self.unknown();
        } else {
            return Ok(None);
        };
        Ok(Some(ConstraintDefinition { name, constraint }))
    }

    fn table_constraint(&mut self) -> Result<Option<ConstraintDefinition>> {
        let name = self.constraint_name()?;
        let constraint = if self.takes_words(&["PRIMARY", "KEY"]) {
            Constraint::Primary(self.names()?)
        } else if self.takes_word("UNIQUE") {
            Constraint::Unique(self.names()?)
        } else if self.takes_words(&["FOREIGN", "KEY"]) {
            let columns = self.names()?;
            self.word("REFERENCES")?;
            self.references(columns)?
        } else if self.takes_word("CHECK") {
            self.check()?
        } else if name.is_some() {
            return self.unknown();
        } else {
            return Ok(None);
        };
        Ok(Some(ConstraintDefinition { name, constraint }))
    }

    fn references(&mut self, columns: Vec<String>) -> Result<Constraint> {
        let table = self.table_name()?;
        let others = if self.peek().is_symbol("(") {
            self.names()?
        } else {
            Vec::new()
        };
        if self.peek().is_word("ON") {
            return self.unknown();
        }
        Ok(Constraint::Foreign {
            columns,
            table,
            others,
        })
    }

    fn check(&mut self) -> Result<Constraint> {
        self.symbol("(")?;
        let start = self.offset();
        self.expression()?;
        let text = self.text_since(start);
        self.symbol(")")?;
        Ok(Constraint::Check(text))
    }

    pub(super) fn alter_table(&mut self) -> Result<Statement> {
        let table = self.table_name()?;
        let mut alterations = Vec::new();
        while !matches!(self.peek(), Token::End) {
            alterations.push(self.alteration()?);
        }
        if alterations.is_empty() {
            return Err(OraError::new(2210, "no options specified for ALTER TABLE"));
        }
        Ok(Statement::AlterTable { table, alterations })
    }

    fn alteration(&mut self) -> Result<Alteration> {
        if self.takes_word("ADD") {
            return self.addition();
        }
        if self.takes_word("MODIFY") {
            let columns = self.in_parentheses(|parser| parser.column_definition(false))?;
            return Ok(Alteration::Modify(columns));
        }
        if self.takes_word("DROP") {
            return self.dropping();
        }
        if self.takes_words(&["RENAME", "COLUMN"]) {
            let from = self.column_name()?;
            self.word("TO")?;
            return Ok(Alteration::RenameColumn {
                from,
                to: self.column_name()?,
            });
        }
        if self.takes_words(&["RENAME", "TO"]) {
            return Ok(Alteration::Rename(self.name(903)?));
        }
        match self.next() {
            Token::Word(word) if STORAGE.contains(&word.as_str()) => Ok(Alteration::Nothing),
            _ => Err(OraError::new(1735, "invalid ALTER TABLE option")),
        }
    }

    fn addition(&mut self) -> Result<Alteration> {
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        let in_parentheses = self.takes("(");
        loop {
            match self.table_constraint()? {
                Some(constraint) => constraints.push(constraint),
                None => columns.push(self.column_definition(true)?),
            }
            if !in_parentheses || !self.takes(",") {
                break;
            }
        }
        if in_parentheses {
            self.symbol(")")?;
        }
        Ok(Alteration::Add {
            columns,
            constraints,
        })
    }

    fn dropping(&mut self) -> Result<Alteration> {
        if self.takes_word("COLUMN") {
            return Ok(Alteration::DropColumns(vec![self.column_name()?]));
        }
        if self.peek().is_symbol("(") {
            return Ok(Alteration::DropColumns(self.names()?));
        }
        if self.takes_word("CONSTRAINT") {
            return Ok(Alteration::DropConstraint(self.name(904)?));
        }
        self.word("PRIMARY")?;
        self.word("KEY")?;
        Ok(Alteration::DropPrimary)
    }

    /// One, or several in parentheses.
    fn in_parentheses<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        if !self.takes("(") {
            return Ok(vec![one(self)?]);
        }
        let all = self.list(one)?;
        self.symbol(")")?;
        Ok(all)
    }

    pub(super) fn drop(&mut self) -> Result<Statement> {
        if self.takes_word("INDEX") {
            return Ok(Statement::DropIndex(self.table_name()?.name));
        }
        self.word("TABLE")?;
        let table = self.table_name()?;
        let cascades = self.takes_words(&["CASCADE", "CONSTRAINTS"]);
        self.takes_word("PURGE");
        Ok(Statement::DropTable { table, cascades })
    }
}

/// Clauses of a table that change nothing here.
const STORAGE: [&str; 8] = [
    "LOGGING",
    "NOLOGGING",
    "CACHE",
    "NOCACHE",
    "PARALLEL",
    "NOPARALLEL",
    "NOCOMPRESS",
    "SEGMENT",
];
