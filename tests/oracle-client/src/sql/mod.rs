//! Text to a syntax tree: the part of Oracle's SQL that a writer sends, and a little more for those
//! who look at what it wrote.
//!
//! The grammar is Oracle's where this parser knows it: MERGE needs parentheses around its condition,
//! names that are reserved must be quoted, names end at their limit, and so on. All else is an error.

mod block;
mod change;
mod data_type;
mod definition;
mod expression;
mod parser;
mod query;
mod tokens;
pub(crate) mod tree;
mod words;

use self::parser::Parser;
use self::tree::{Expr, Name, Statement};
use crate::error::{OraError, Result};

/// A parsed statement and the names of its binds, one for each occurrence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parsed {
    pub(crate) statement: Statement,
    pub(crate) binds: Vec<Name>,
}

/// Parses a statement; names have so many bytes at most.
pub(crate) fn parse(sql: &str, name_bytes: usize) -> Result<Parsed> {
    let mut parser = Parser::new(sql, name_bytes)?;
    let statement = parser.statement()?;
    parser.end()?;
    if statement.is_definition() && !parser.binds.is_empty() {
        return Err(OraError::new(
            1027,
            "bind variables not allowed for data definition operations",
        ));
    }
    Ok(Parsed {
        statement,
        binds: parser.binds,
    })
}

/// Parses an expression by itself: a column's default.
pub(crate) fn parse_expression(sql: &str) -> Result<Expr> {
    let mut parser = Parser::new(sql, 128)?;
    let expression = parser.sum()?;
    parser.end()?;
    Ok(expression)
}

/// Parses a condition by itself: that of a CHECK constraint.
pub(crate) fn parse_condition(sql: &str) -> Result<Expr> {
    let mut parser = Parser::new(sql, 128)?;
    let condition = parser.expression()?;
    parser.end()?;
    Ok(condition)
}

/// Parses a type by itself.
pub(crate) fn parse_type(sql: &str) -> Result<crate::value::DataType> {
    let mut parser = Parser::new(sql, 128)?;
    let data_type = parser.data_type()?;
    parser.end()?;
    Ok(data_type)
}

/// What is known of a statement before it is parsed: what a client finds out without a server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outline {
    /// OCI's number for the type of statement, 0 if it has none.
    pub(crate) oci_type: u16,
    /// Names of the binds, one for each occurrence; in PL/SQL one for each name.
    pub(crate) binds: Vec<Name>,
}

/// Looks at a statement's first word and its binds.
pub(crate) fn outline(sql: &str) -> Outline {
    let tokens = tokens::tokens(sql).unwrap_or_default();
    let first = sql
        .trim_start()
        .split(|c: char| !c.is_alphabetic())
        .next()
        .unwrap_or_default();
    let oci_type = match first.to_uppercase().as_str() {
        "SELECT" | "WITH" => 1,
        "UPDATE" => 2,
        "DELETE" => 3,
        "INSERT" => 4,
        "CREATE" => 5,
        "DROP" => 6,
        "ALTER" => 7,
        "BEGIN" => 8,
        "DECLARE" => 9,
        "CALL" => 10,
        "MERGE" => 16,
        _ => 0,
    };
    let mut binds: Vec<Name> = Vec::new();
    if !(5..=7).contains(&oci_type) {
        for (token, _) in tokens {
            if let tokens::Token::Bind(name) = token
                && !((8..=10).contains(&oci_type) && binds.contains(&name))
            {
                binds.push(name);
            }
        }
    }
    Outline { oci_type, binds }
}
