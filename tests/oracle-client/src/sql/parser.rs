//! The parser's place in the text, and what all of its parts need.

use super::tokens::{Token, tokens};
use super::tree::{Name, TableName};
use super::words::is_reserved;
use crate::error::{OraError, Result};

/// A statement that is being parsed.
pub(crate) struct Parser<'a> {
    sql: &'a str,
    tokens: Vec<(Token, usize)>,
    at: usize,
    /// Names of the binds so far, one for each occurrence.
    pub(super) binds: Vec<Name>,
    /// Bytes of a name at most.
    name_bytes: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(sql: &'a str, name_bytes: usize) -> Result<Self> {
        Ok(Self {
            sql,
            tokens: tokens(sql)?,
            at: 0,
            binds: Vec::new(),
            name_bytes,
        })
    }

    pub(super) fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    /// The token so many after the next one.
    pub(super) fn peek_at(&self, ahead: usize) -> &Token {
        let at = (self.at + ahead).min(self.tokens.len() - 1);
        &self.tokens[at].0
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// The offset of the next token.
    pub(super) fn offset(&self) -> usize {
        self.tokens[self.at].1
    }

    /// What was written from an offset up to the next token.
    pub(super) fn text_since(&self, start: usize) -> String {
        self.sql[start..self.offset()].trim_end().to_owned()
    }

    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_word(word);
        if found {
            self.next();
        }
        found
    }

    /// Takes all of some words, or none.
    pub(super) fn takes_words(&mut self, words: &[&str]) -> bool {
        let found = words
            .iter()
            .enumerate()
            .all(|(at, word)| self.peek_at(at).is_word(word));
        if found {
            self.at += words.len();
        }
        found
    }

    pub(super) fn takes(&mut self, symbol: &str) -> bool {
        let found = self.peek().is_symbol(symbol);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn word(&mut self, word: &str) -> Result<()> {
        if self.takes_word(word) {
            return Ok(());
        }
        let code = match word {
            "FROM" => 923,
            "INTO" => 925,
            "SET" => 971,
            "VALUES" => 926,
            _ => 905,
        };
        let name = if code == 905 {
            "keyword".to_owned()
        } else {
            format!("{word} keyword")
        };
        Err(OraError::new(
            code,
            format!("missing {name} (expected {word}, found {})", self.peek()),
        ))
    }

    pub(super) fn symbol(&mut self, symbol: &str) -> Result<()> {
        if self.takes(symbol) {
            return Ok(());
        }
        let (code, what) = match symbol {
            "(" => (906, "missing left parenthesis"),
            ")" => (907, "missing right parenthesis"),
            "," => (917, "missing comma"),
            "=" => (927, "missing equal sign"),
            _ => (900, "invalid SQL statement"),
        };
        Err(OraError::new(
            code,
            format!("{what} (found {})", self.peek()),
        ))
    }

    /// An end of the statement is all that may follow.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.peek() {
            Token::End => Ok(()),
            Token::Symbol(";") => Err(OraError::new(
                933,
                "SQL command not properly ended (found ;)",
            )),
            other => Err(OraError::new(
                933,
                format!("SQL command not properly ended (found {other})"),
            )),
        }
    }

    pub(super) fn unknown<T>(&self) -> Result<T> {
        Err(OraError::unknown(self.peek()))
    }

    /// A name; the code is that of the error where there is none.
    pub(super) fn name(&mut self, code: i32) -> Result<Name> {
        let name = match self.peek() {
            Token::Quoted(name) => name.clone(),
            Token::Word(word) if !is_reserved(word) => word.clone(),
            other => {
                let what = if code == 903 {
                    "invalid table name"
                } else {
                    "invalid identifier"
                };
                return Err(OraError::new(code, format!("{what} ({other})")));
            }
        };
        if name.len() > self.name_bytes {
            return Err(OraError::new(
                972,
                format!("identifier is too long (at most {} bytes)", self.name_bytes),
            ));
        }
        self.next();
        Ok(name)
    }

    pub(super) fn column_name(&mut self) -> Result<Name> {
        self.name(904)
    }

    pub(super) fn table_name(&mut self) -> Result<TableName> {
        let first = self.name(903)?;
        if self.takes(".") {
            return Ok(TableName {
                schema: Some(first),
                name: self.name(903)?,
            });
        }
        Ok(TableName {
            schema: None,
            name: first,
        })
    }

    /// An alias without AS, if one follows.
    pub(super) fn alias(&mut self) -> Result<Option<Name>> {
        match self.peek() {
            Token::Quoted(_) => self.name(904).map(Some),
            Token::Word(word) if !is_reserved(word) && !CLAUSES.contains(&word.as_str()) => {
                self.name(904).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// `(a, b, …)`
    pub(super) fn names(&mut self) -> Result<Vec<Name>> {
        self.symbol("(")?;
        let names = self.list(Self::column_name)?;
        self.symbol(")")?;
        Ok(names)
    }

    /// One or more, with commas between.
    pub(super) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = vec![one(self)?];
        while self.takes(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }

    pub(super) fn integer(&mut self) -> Result<i64> {
        let is_negative = self.takes("-");
        let Token::Number(digits) = self.next() else {
            return Err(OraError::new(1722, "invalid number"));
        };
        let value: i64 = digits
            .parse()
            .map_err(|_| OraError::new(1722, "invalid number"))?;
        Ok(if is_negative { -value } else { value })
    }
}

/// Words that follow a table and are no aliases, though not reserved.
const CLAUSES: [&str; 15] = [
    "USING",
    "WHEN",
    "JOIN",
    "LEFT",
    "INNER",
    "CROSS",
    "FETCH",
    "OFFSET",
    "RIGHT",
    "FULL",
    "OUTER",
    "RETURNING",
    "LOG",
    "NATURAL",
    "PARTITION",
];
