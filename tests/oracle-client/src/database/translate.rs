//! Expressions and conditions of the tree as SQLite's SQL, with the kind of each known.
//!
//! The kinds of binds are known when a statement is executed, so conversions are written into the
//! SQL, and what Oracle refuses (ORA-00932 and its like) is refused before SQLite sees anything.

use rusqlite::Connection;
use rusqlite::types::Value as Cell;

use super::calls::signature;
use super::catalog::Catalog;
use super::scope::Scopes;
use crate::error::{OraError, Result};
use crate::sql::tree::{Expr, Query};
use crate::value::{DataType, Formats, Kind, Value, inconsistent};

/// A parameter of SQLite's SQL, in the order of `?1`, `?2` ….
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Param {
    /// A bind of the statement, by its position from 0.
    Bind(usize),
    /// A column of MERGE's source, by its position from 0.
    Source(usize),
    Constant(Cell),
}

/// An expression in SQLite's SQL.
#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub(crate) sql: String,
    pub(crate) data_type: DataType,
    /// That of the type, or nothing's.
    pub(crate) kind: Kind,
}

impl Typed {
    pub(super) fn of_kind(sql: String, kind: Kind) -> Self {
        Self {
            sql,
            data_type: DataType::of_kind(kind),
            kind,
        }
    }
}

/// Turns the parts of one statement into SQLite's SQL.
pub(crate) struct Translator<'a> {
    pub(super) connection: &'a Connection,
    pub(super) catalog: &'a mut Catalog,
    /// The kind of each bind.
    pub(super) binds: &'a [Kind],
    pub(super) version: &'a str,
    pub(super) scopes: Scopes,
    pub(crate) params: Vec<Param>,
    /// For names that SQLite needs.
    pub(super) count: usize,
}

impl<'a> Translator<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        catalog: &'a mut Catalog,
        binds: &'a [Kind],
        version: &'a str,
    ) -> Self {
        Self {
            connection,
            catalog,
            binds,
            version,
            scopes: Scopes::default(),
            params: Vec::new(),
            count: 0,
        }
    }

    /// A parameter's place.
    pub(super) fn param(&mut self, param: Param) -> String {
        let at = self
            .params
            .iter()
            .position(|known| *known == param)
            .unwrap_or_else(|| {
                self.params.push(param);
                self.params.len() - 1
            });
        format!("?{}", at + 1)
    }

    fn constant(&mut self, value: &Value) -> Typed {
        let sql = self.param(Param::Constant(value.to_cell()));
        Typed::of_kind(sql, value.kind())
    }

    /// A value.
    pub(crate) fn value(&mut self, expr: &Expr) -> Result<Typed> {
        match expr {
            Expr::Bind(at) => {
                let kind = self.binds.get(*at).copied().unwrap_or(Kind::Null);
                Ok(Typed::of_kind(self.param(Param::Bind(*at)), kind))
            }
            Expr::Number(number) => Ok(self.constant(&Value::Number(number.clone()))),
            Expr::Text(text) => {
                let mut typed = self.constant(&Value::text(text));
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                typed.data_type = DataType::Char {
                    length,
                    in_chars: false,
                };
                Ok(typed)
            }
            Expr::Null => Ok(Typed::of_kind("NULL".to_owned(), Kind::Null)),
            Expr::Time { is_date, text } => {
                let formats = Formats::default();
                let value = if *is_date {
                    formats.parse(text, "SYYYY-MM-DD", Kind::Date)?
                } else {
                    let without = formats.parse(text, "SYYYY-MM-DD HH24:MI:SSXFF", Kind::Timestamp);
                    without.or_else(|_| {
                        formats.parse(text, "SYYYY-MM-DD HH24:MI:SSXFF TZR", Kind::TimestampTz)
                    })?
                };
                Ok(self.constant(&value))
            }
            Expr::Column { table, name } => {
                let column = self.scopes.column(table.as_ref(), name)?;
                Ok(Typed {
                    sql: column.sql.clone(),
                    data_type: column.data_type,
                    kind: column.data_type.kind(),
                })
            }
            Expr::RowId { table } => {
                let sql = self.scopes.row_id(table.as_ref())?.to_owned();
                Ok(Typed::of_kind(sql, Kind::RowId))
            }
            Expr::CountAll => Ok(Typed::of_kind("ora_num(count(*))".to_owned(), Kind::Number)),
            Expr::Call { name, args } => self.call(name, args),
            Expr::Negate(value) => self.operation(
                "-",
                &[
                    Expr::Number(crate::value::Number::zero()),
                    (**value).clone(),
                ],
            ),
            Expr::Arithmetic { operator: '/', .. } => Err(OraError::unknown("division")),
            Expr::Arithmetic {
                operator,
                left,
                right,
            } => self.operation(
                &operator.to_string(),
                &[(**left).clone(), (**right).clone()],
            ),
            Expr::Concat(left, right) => {
                self.operation("CONCAT", &[(**left).clone(), (**right).clone()])
            }
            Expr::Query(query) => {
                let typed = self.scalar(query)?;
                Ok(Typed {
                    sql: format!("({})", typed.sql),
                    ..typed
                })
            }
            Expr::Case {
                branches,
                otherwise,
            } => self.case(branches, otherwise.as_deref()),
            Expr::Cast { value, to } => {
                let value = self.value(value)?;
                let kind = to.kind();
                let sql = self.convert(&value, kind)?;
                Ok(Typed {
                    sql,
                    data_type: *to,
                    kind,
                })
            }
            Expr::RowNum => Err(OraError::unknown("ROWNUM here")),
            Expr::Compare { .. }
            | Expr::And(..)
            | Expr::Or(..)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::In { .. }
            | Expr::InQuery { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::Exists(_) => Err(OraError::new(936, "missing expression")),
        }
    }

    /// The SQL of a value as another kind.
    pub(crate) fn convert(&self, value: &Typed, to: Kind) -> Result<String> {
        let from = value.kind;
        if from == to || from == Kind::Null {
            return Ok(value.sql.clone());
        }
        check_conversion(from, to)?;
        Ok(format!(
            "ora_as('{}', '{}', {})",
            from.letter(),
            to.letter(),
            value.sql
        ))
    }

    fn operation(&mut self, name: &str, args: &[Expr]) -> Result<Typed> {
        let args = args
            .iter()
            .map(|arg| self.value(arg))
            .collect::<Result<Vec<_>>>()?;
        self.called(name, &args)
    }

    fn called(&mut self, name: &str, args: &[Typed]) -> Result<Typed> {
        let given: Vec<Kind> = args.iter().map(|arg| arg.kind).collect();
        let signature = signature(name, &given)?;
        let mut sql = String::new();
        for (arg, kind) in args.iter().zip(&signature.args) {
            sql.push_str(", ");
            sql.push_str(&self.convert(arg, *kind)?);
        }
        let letters: String = signature.args.iter().map(|kind| kind.letter()).collect();
        let sql = format!("ora('{name}', '{letters}'{sql})");
        Ok(Typed::of_kind(sql, signature.result))
    }

    fn call(&mut self, name: &str, args: &[Expr]) -> Result<Typed> {
        let args = args
            .iter()
            .map(|arg| self.value(arg))
            .collect::<Result<Vec<_>>>()?;
        match (name, args.as_slice()) {
            ("COUNT", [value]) => Ok(Typed::of_kind(
                format!("ora_num(count({}))", value.sql),
                Kind::Number,
            )),
            ("MIN" | "MAX", [value]) => {
                self.orderable(value)?;
                let sql = format!("{}({})", name.to_lowercase(), value.sql);
                Ok(Typed {
                    sql,
                    ..value.clone()
                })
            }
            ("SUM", [value]) => {
                let sql = self.convert(value, Kind::Number)?;
                Ok(Typed::of_kind(format!("ora_sum({sql})"), Kind::Number))
            }
            ("NVL", [_, _]) | ("COALESCE", [_, _, ..]) => {
                let kind = common(&args);
                let parts = args
                    .iter()
                    .map(|arg| self.convert(arg, kind))
                    .collect::<Result<Vec<_>>>()?;
                Ok(Typed::of_kind(
                    format!("coalesce({})", parts.join(", ")),
                    kind,
                ))
            }
            ("NULLIF", [value, other]) => {
                let equal = self.comparison("=", value, other)?;
                Ok(Typed {
                    sql: format!("CASE WHEN {equal} THEN NULL ELSE {} END", value.sql),
                    ..value.clone()
                })
            }
            ("GREATEST" | "LEAST", [_, _, ..]) => {
                let kind = common(&args);
                let parts = args
                    .iter()
                    .map(|arg| self.convert(arg, kind))
                    .collect::<Result<Vec<_>>>()?;
                let function = if name == "LEAST" { "min" } else { "max" };
                Ok(Typed::of_kind(
                    format!("{function}({})", parts.join(", ")),
                    kind,
                ))
            }
            ("DECODE", [value, rest @ ..]) if rest.len() >= 2 => self.decode(value, rest),
            _ => self.called(name, &args),
        }
    }

    /// DECODE, for which NULL equals NULL.
    fn decode(&mut self, value: &Typed, rest: &[Typed]) -> Result<Typed> {
        let results: Vec<Typed> = rest
            .chunks(2)
            .map(|pair| pair[pair.len() - 1].clone())
            .collect();
        let kind = common(&results);
        let mut sql = String::from("CASE");
        let mut otherwise = "NULL".to_owned();
        for pair in rest.chunks(2) {
            match pair {
                [search, result] => {
                    let search = self.convert(search, value.kind)?;
                    let result = self.convert(result, kind)?;
                    sql.push_str(&format!(" WHEN {} IS {search} THEN {result}", value.sql));
                }
                [last] => otherwise = self.convert(last, kind)?,
                _ => {}
            }
        }
        Ok(Typed::of_kind(format!("{sql} ELSE {otherwise} END"), kind))
    }

    fn case(&mut self, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Result<Typed> {
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for (condition, result) in branches {
            conditions.push(self.condition(condition)?);
            results.push(self.value(result)?);
        }
        if let Some(otherwise) = otherwise {
            results.push(self.value(otherwise)?);
        }
        let kind = common(&results);
        let mut sql = String::from("CASE");
        for (condition, result) in conditions.iter().zip(&results) {
            sql.push_str(&format!(
                " WHEN {condition} THEN {}",
                self.convert(result, kind)?
            ));
        }
        if let Some(last) = results.get(conditions.len()) {
            sql.push_str(&format!(" ELSE {}", self.convert(last, kind)?));
        }
        Ok(Typed::of_kind(sql + " END", kind))
    }

    /// A query of one column.
    pub(super) fn scalar(&mut self, query: &Query) -> Result<Typed> {
        let query = self.query(query)?;
        let [column] = query.columns.as_slice() else {
            return Err(OraError::new(913, "too many values"));
        };
        Ok(Typed {
            sql: query.sql,
            data_type: column.data_type,
            kind: column.data_type.kind(),
        })
    }
}

/// ORA-00932, where no value of a kind is one of another.
pub(super) fn check_conversion(from: Kind, to: Kind) -> Result<()> {
    let is_possible = from == to
        || from == Kind::Null
        || from == Kind::Text
        || to == Kind::Text && from != Kind::Blob
        || from.is_numeric() && to.is_numeric()
        || from.is_time() && to.is_time()
        || matches!(
            (from, to),
            (Kind::Raw, Kind::Blob) | (Kind::Blob, Kind::Raw)
        );
    if is_possible {
        Ok(())
    } else {
        Err(inconsistent(to, from))
    }
}

/// The kind of several results: that of the first that is not NULL, or a LOB's if one is.
fn common(values: &[Typed]) -> Kind {
    let kinds = || {
        values
            .iter()
            .map(|value| value.kind)
            .filter(|kind| *kind != Kind::Null)
    };
    kinds()
        .find(|kind| *kind == Kind::Clob)
        .or_else(|| kinds().next())
        .unwrap_or(Kind::Null)
}
