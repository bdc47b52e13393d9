//! Conditions as SQLite's SQL.

use super::translate::{Translator, Typed};
use crate::error::{OraError, Result};
use crate::sql::tree::Expr;
use crate::value::{Kind, inconsistent};

impl Translator<'_> {
    /// Refuses what Oracle neither compares nor sorts.
    pub(super) fn orderable(&self, value: &Typed) -> Result<()> {
        if value.kind.is_lob() {
            return Err(inconsistent(Kind::Null, value.kind));
        }
        Ok(())
    }

    /// A condition.
    pub(crate) fn condition(&mut self, expr: &Expr) -> Result<String> {
        Ok(match expr {
            Expr::And(left, right) => {
                format!("({} AND {})", self.condition(left)?, self.condition(right)?)
            }
            Expr::Or(left, right) => {
                format!("({} OR {})", self.condition(left)?, self.condition(right)?)
            }
            Expr::Not(inner) => format!("(NOT {})", self.condition(inner)?),
            Expr::IsNull(value) => format!("({} IS NULL)", self.value(value)?.sql),
            Expr::Compare {
                operator,
                left,
                right,
            } => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.comparison(operator, &left, &right)?
            }
            Expr::In { value, list } => {
                let value = self.value(value)?;
                let mut parts = Vec::with_capacity(list.len());
                for one in list {
                    let one = self.value(one)?;
                    parts.push(self.comparison("=", &value, &one)?);
                }
                format!("({})", parts.join(" OR "))
            }
            Expr::InQuery { value, query } => {
                let value = self.value(value)?;
                self.orderable(&value)?;
                let rows = self.scalar(query)?;
                if rows.kind != value.kind {
                    return Err(inconsistent(value.kind, rows.kind));
                }
                format!("({} IN ({}))", value.sql, rows.sql)
            }
            Expr::Between { value, low, high } => {
                let (value, low, high) = (self.value(value)?, self.value(low)?, self.value(high)?);
                let (above, below) = (
                    self.comparison(">=", &value, &low)?,
                    self.comparison("<=", &value, &high)?,
                );
                format!("({above} AND {below})")
            }
            Expr::Like {
                value,
                pattern,
                escape,
            } => self.like(value, pattern, escape.as_deref())?,
            Expr::Exists(query) => {
                let query = self.query(query)?;
                format!("EXISTS ({})", query.sql)
            }
            _ => return Err(OraError::new(920, "invalid relational operator")),
        })
    }

    fn like(&mut self, value: &Expr, pattern: &Expr, escape: Option<&Expr>) -> Result<String> {
        let (value, pattern) = (self.value(value)?, self.value(pattern)?);
        let value = self.convert(
            &value,
            if value.kind == Kind::Clob {
                Kind::Clob
            } else {
                Kind::Text
            },
        )?;
        let pattern = self.convert(&pattern, Kind::Text)?;
        let escape = match escape {
            Some(escape) => format!(" ESCAPE {}", self.value(escape)?.sql),
            None => String::new(),
        };
        Ok(format!("({value} LIKE {pattern}{escape})"))
    }

    /// A comparison, in the kind that Oracle compares the two in.
    pub(super) fn comparison(
        &mut self,
        operator: &str,
        left: &Typed,
        right: &Typed,
    ) -> Result<String> {
        let (a, b) = (left.kind, right.kind);
        for side in [left, right] {
            self.orderable(side)?;
        }
        let kind = match (a, b) {
            (Kind::Null, other) | (other, Kind::Null) => other,
            (Kind::Double | Kind::Float, other) | (other, Kind::Double | Kind::Float)
                if other.is_numeric() || other == Kind::Text =>
            {
                Kind::Double
            }
            (Kind::Text, other) | (other, Kind::Text) => other,
            (Kind::TimestampTz, other) | (other, Kind::TimestampTz) if other.is_time() => {
                Kind::TimestampTz
            }
            (Kind::Timestamp, other) | (other, Kind::Timestamp) if other.is_time() => {
                Kind::Timestamp
            }
            _ if a == b => a,
            _ => return Err(inconsistent(a, b)),
        };
        let (mut left, mut right) = (self.convert(left, kind)?, self.convert(right, kind)?);
        if kind == Kind::TimestampTz {
            // The instant, without the offset.
            left = format!("substr({left}, 1, 11)");
            right = format!("substr({right}, 1, 11)");
        }
        Ok(format!("({left} {operator} {right})"))
    }
}
