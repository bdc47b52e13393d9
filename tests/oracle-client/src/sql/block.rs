//! Statements by their first word, and blocks of PL/SQL as far as scripts need them.

use super::parser::Parser;
use super::tokens::Token;
use super::tree::{Block, Statement};
use crate::error::{OraError, Result};

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement> {
        let Token::Word(word) = self.peek().clone() else {
            return Err(OraError::new(900, "invalid SQL statement"));
        };
        if word == "SELECT" {
            return self.query().map(Statement::Query);
        }
        self.next();
        match word.as_str() {
            "INSERT" => self.insert(),
            "UPDATE" => self.update(),
            "DELETE" => self.delete(),
            "MERGE" => self.merge(),
            "CREATE" => self.create(),
            "DROP" => self.drop(),
            "COMMIT" => {
                self.takes_word("WORK");
                Ok(Statement::Commit)
            }
            "ROLLBACK" => {
                self.takes_word("WORK");
                Ok(Statement::Rollback)
            }
            "TRUNCATE" => {
                self.word("TABLE")?;
                let table = self.table_name()?;
                if self.takes_word("DROP") || self.takes_word("REUSE") {
                    self.word("STORAGE")?;
                }
                Ok(Statement::Truncate(table))
            }
            "COMMENT" => {
                self.word("ON")?;
                while !matches!(self.peek(), Token::End) {
                    self.next();
                }
                Ok(Statement::Comment)
            }
            "LOCK" => self.lock(),
            "ALTER" if self.takes_word("TABLE") => self.alter_table(),
            "ALTER" if self.takes_word("SESSION") => self.alter_session(),
            "BEGIN" => Ok(Statement::Block(self.block()?)),
            _ => Err(OraError::unknown(word)),
        }
    }

    fn lock(&mut self) -> Result<Statement> {
        self.word("TABLE")?;
        let table = self.table_name()?;
        self.word("IN")?;
        while !self.takes_word("MODE") {
            if !matches!(self.next(), Token::Word(_)) {
                return self.unknown();
            }
        }
        let is_nowait = self.takes_word("NOWAIT");
        Ok(Statement::Lock { table, is_nowait })
    }

    /// `SET NAME = value …`
    fn alter_session(&mut self) -> Result<Statement> {
        self.word("SET")?;
        let mut settings = Vec::new();
        while let Token::Word(name) = self.peek().clone() {
            self.next();
            self.symbol("=")?;
            let value = match self.next() {
                Token::Word(text)
                | Token::Quoted(text)
                | Token::Text(text)
                | Token::Number(text) => text,
                _ => return Err(OraError::new(922, "missing or invalid option")),
            };
            settings.push((name, value));
        }
        if settings.is_empty() {
            return Err(OraError::new(922, "missing or invalid option"));
        }
        Ok(Statement::AlterSession(settings))
    }

    /// What follows BEGIN, up to and with `END;`.
    fn block(&mut self) -> Result<Vec<Block>> {
        let mut body = Vec::new();
        while !self.peek().is_word("END") && !self.peek().is_word("EXCEPTION") {
            body.push(self.block_statement()?);
        }
        if self.takes_word("EXCEPTION") {
            body = vec![Block::Guarded {
                body,
                passing: self.handler()?,
            }];
        }
        self.word("END")?;
        self.semicolon()?;
        Ok(body)
    }

    fn block_statement(&mut self) -> Result<Block> {
        if self.takes_word("BEGIN") {
            let body = self.block()?;
            return Ok(Block::Guarded {
                body,
                passing: Vec::new(),
            });
        }
        let statement = if self.takes_words(&["EXECUTE", "IMMEDIATE"]) {
            let Token::Text(sql) = self.next() else {
                return self.unknown();
            };
            Block::Execute(sql)
        } else if self.takes_word("NULL") {
            Block::Null
        } else {
            let statement = self.statement()?;
            if statement.is_definition()
                || matches!(statement, Statement::Query(_) | Statement::Block(_))
            {
                return Err(OraError::new(6550, "PL/SQL: statement not allowed here"));
            }
            Block::Statement(Box::new(statement))
        };
        self.semicolon()?;
        Ok(statement)
    }

    /// `WHEN OTHERS THEN NULL;`, or `… IF SQLCODE != -1 [AND SQLCODE != -2] THEN RAISE; END IF;`:
    /// the codes that pass, where none is all.
    fn handler(&mut self) -> Result<Vec<i32>> {
        self.word("WHEN")?;
        self.word("OTHERS")?;
        self.word("THEN")?;
        if self.takes_word("NULL") {
            self.semicolon()?;
            return Ok(vec![0]);
        }
        self.word("IF")?;
        let mut passing = Vec::new();
        let is_list = self.takes_words(&["SQLCODE", "NOT", "IN"]);
        if is_list {
            self.symbol("(")?;
            for code in self.list(Self::integer)? {
                passing.push(i32::try_from(-code).unwrap_or(0));
            }
            self.symbol(")")?;
        }
        // One comparison, or several that all must hold.
        let mut has_more = !is_list;
        while has_more {
            self.word("SQLCODE")?;
            if !self.takes("!=") {
                self.symbol("<>")?;
            }
            passing.push(i32::try_from(-self.integer()?).unwrap_or(0));
            has_more = self.takes_word("AND");
        }
        for word in ["THEN", "RAISE"] {
            self.word(word)?;
        }
        self.semicolon()?;
        self.word("END")?;
        self.word("IF")?;
        self.semicolon()?;
        Ok(passing)
    }

    fn semicolon(&mut self) -> Result<()> {
        if self.takes(";") {
            return Ok(());
        }
        Err(OraError::new(
            6550,
            format!(
                "PLS-00103: encountered {} where ; was expected",
                self.peek()
            ),
        ))
    }
}
