//! Queries as SQLite's SQL.

use super::scope::Visible;
use super::translate::Translator;
use crate::error::{OraError, Result};
use crate::sql::tree::{Expr, Item, Order, Query};
use crate::value::{DataType, Kind, Number};

/// A column of a result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResultColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) not_null: bool,
}

/// A query in SQLite's SQL, its columns named `o0`, `o1` ….
#[derive(Debug, Clone)]
pub(crate) struct SelectSql {
    pub(crate) sql: String,
    pub(crate) columns: Vec<ResultColumn>,
}

/// SELECT to GROUP BY, its columns, and their SQL with its kind.
type Selected = (String, Vec<ResultColumn>, Vec<(String, Kind)>);

impl Translator<'_> {
    pub(crate) fn query(&mut self, query: &Query) -> Result<SelectSql> {
        let (from, sources, conditions) = self.from(&query.sources)?;
        self.scopes.enter(sources);
        let selected = self.selected(query, &from, conditions);
        let scope = self.scopes.leave();
        let (mut sql, columns, items) = selected?;
        let mut more = query.and.as_deref();
        while let Some(next) = more {
            let other = self.query(&Query {
                and: None,
                ..next.clone()
            })?;
            let same =
                |(a, b): (&ResultColumn, &ResultColumn)| a.data_type.kind() == b.data_type.kind();
            if other.columns.len() != columns.len() {
                return Err(OraError::new(
                    1789,
                    "query block has incorrect number of result columns",
                ));
            }
            if !columns.iter().zip(&other.columns).all(same) {
                return Err(OraError::new(
                    1790,
                    "expression must have same datatype as corresponding expression",
                ));
            }
            sql.push_str(" UNION ALL ");
            sql.push_str(&other.sql);
            more = next.and.as_deref();
        }
        self.scopes.enter(scope);
        let ordered = self.order(query, &items, &columns);
        let limited = self.limits(query);
        self.scopes.leave();
        sql.push_str(&ordered?);
        sql.push_str(&limited?);
        Ok(SelectSql { sql, columns })
    }

    /// SELECT to GROUP BY, the columns, and the items without `*`.
    fn selected(
        &mut self,
        query: &Query,
        from: &str,
        mut conditions: Vec<String>,
    ) -> Result<Selected> {
        let (condition, row_limit) = split_row_number(query.condition.as_ref());
        if let Some(condition) = condition {
            conditions.push(self.condition(&condition)?);
        }
        let mut tail = from.to_owned();
        if !conditions.is_empty() {
            tail.push_str(&format!(" WHERE {}", conditions.join(" AND ")));
        }
        if let Some(limit) = row_limit {
            tail = self.first_rows(&tail, &limit)?;
        }
        let (mut columns, mut items) = (Vec::new(), Vec::new());
        for item in &query.items {
            self.item(item, &mut columns, &mut items)?;
        }
        if !query.group.is_empty() {
            let mut parts = Vec::new();
            for value in &query.group {
                let value = self.value(value)?;
                self.orderable(&value)?;
                parts.push(value.sql);
            }
            tail.push_str(&format!(" GROUP BY {}", parts.join(", ")));
        }
        if query.is_distinct
            && columns
                .iter()
                .any(|column: &ResultColumn| column.data_type.kind().is_lob())
        {
            return Err(OraError::new(
                932,
                "inconsistent datatypes: expected - got CLOB",
            ));
        }
        let named = items
            .iter()
            .enumerate()
            .map(|(at, (sql, _))| format!("{sql} AS o{at}"));
        let named = named.collect::<Vec<_>>().join(", ");
        let distinct = if query.is_distinct { "DISTINCT " } else { "" };
        Ok((format!("SELECT {distinct}{named}{tail}"), columns, items))
    }

    /// ROWNUM counts before anything is sorted or summed up: a query of its own.
    fn first_rows(&mut self, tail: &str, limit: &RowLimit) -> Result<String> {
        let limit = self.limit(limit)?;
        self.count += 1;
        let alias = format!("q{}", self.count);
        let (mut named, mut at) = (Vec::new(), 0);
        for source in self.scopes.innermost() {
            let row_id = source.row_id.iter_mut();
            for sql in source
                .columns
                .iter_mut()
                .map(|column| &mut column.sql)
                .chain(row_id)
            {
                named.push(format!("{sql} AS k{at}"));
                *sql = format!("{alias}.k{at}");
                at += 1;
            }
        }
        // Else SQLite would sort before it counts: any rows are the first, to it.
        let rows = format!(
            "WITH w AS MATERIALIZED (SELECT {}{tail}{limit}) SELECT * FROM w",
            named.join(", ")
        );
        Ok(format!(" FROM ({rows}) AS {alias}"))
    }

    /// `LIMIT n`
    pub(super) fn limit(&mut self, limit: &RowLimit) -> Result<String> {
        let limit = match limit {
            RowLimit::None => "0".to_owned(),
            RowLimit::UpTo { last, less } => {
                let last = self.value(last)?;
                format!("{} - {less}", self.whole(&last)?)
            }
        };
        Ok(format!(" LIMIT {limit}"))
    }

    /// A value as SQLite's integer.
    fn whole(&mut self, value: &super::translate::Typed) -> Result<String> {
        Ok(format!("ora_int({})", self.convert(value, Kind::Number)?))
    }

    fn item(
        &mut self,
        item: &Item,
        columns: &mut Vec<ResultColumn>,
        items: &mut Vec<(String, Kind)>,
    ) -> Result<()> {
        match item {
            Item::All { table } => {
                let before = columns.len();
                for source in self.scopes.innermost() {
                    if table.is_some() && source.name != *table {
                        continue;
                    }
                    for Visible {
                        name,
                        data_type,
                        not_null,
                        sql,
                    } in &source.columns
                    {
                        columns.push(ResultColumn {
                            name: name.clone(),
                            data_type: *data_type,
                            not_null: *not_null,
                        });
                        items.push((sql.clone(), data_type.kind()));
                    }
                }
                if columns.len() == before {
                    return Err(OraError::new(904, "invalid identifier"));
                }
            }
            Item::Value { value, name, text } => {
                let typed = self.value(value)?;
                let own = match value {
                    Expr::Column { name, .. } => name.clone(),
                    _ => text.split_whitespace().collect::<String>().to_uppercase(),
                };
                let not_null = match value {
                    Expr::Column { table, name } => {
                        self.scopes.column(table.as_ref(), name)?.not_null
                    }
                    _ => false,
                };
                let name = name.clone().unwrap_or(own);
                columns.push(ResultColumn {
                    name,
                    data_type: typed.data_type,
                    not_null,
                });
                items.push((typed.sql, typed.kind));
            }
        }
        Ok(())
    }

    fn order(
        &mut self,
        query: &Query,
        items: &[(String, Kind)],
        columns: &[ResultColumn],
    ) -> Result<String> {
        let mut parts = Vec::new();
        for Order {
            value,
            is_descending,
            nulls_first,
        } in &query.order
        {
            let ordinal = match value {
                Expr::Number(number) => {
                    let at = number
                        .to_i128()
                        .and_then(|at| usize::try_from(at).ok())
                        .filter(|at| (1..=items.len()).contains(at));
                    Some(
                        at.ok_or_else(|| {
                            OraError::new(
                                1785,
                                "ORDER BY item must be the number of a SELECT-list expression",
                            )
                        })? - 1,
                    )
                }
                Expr::Column { table: None, name } => {
                    columns.iter().position(|column| column.name == *name)
                }
                _ => None,
            };
            let sql = match ordinal {
                Some(at) if items[at].1.is_lob() => {
                    return Err(OraError::new(
                        932,
                        "inconsistent datatypes: expected - got CLOB",
                    ));
                }
                Some(at) => (at + 1).to_string(),
                None if query.and.is_some() => {
                    return Err(OraError::new(904, "invalid identifier"));
                }
                None => {
                    let value = self.value(value)?;
                    self.orderable(&value)?;
                    value.sql
                }
            };
            let direction = if *is_descending { "DESC" } else { "ASC" };
            let nulls = if nulls_first.unwrap_or(*is_descending) {
                "FIRST"
            } else {
                "LAST"
            };
            parts.push(format!("{sql} {direction} NULLS {nulls}"));
        }
        Ok(if parts.is_empty() {
            String::new()
        } else {
            format!(" ORDER BY {}", parts.join(", "))
        })
    }

    fn limits(&mut self, query: &Query) -> Result<String> {
        let mut sql = String::new();
        if query.limit.is_some() || query.offset.is_some() {
            let limit = match &query.limit {
                Some(limit) => {
                    let limit = self.value(limit)?;
                    self.whole(&limit)?
                }
                None => "-1".to_owned(),
            };
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        if let Some(offset) = &query.offset {
            let offset = self.value(offset)?;
            sql.push_str(&format!(" OFFSET {}", self.whole(&offset)?));
        }
        Ok(sql)
    }
}

/// What a condition on ROWNUM leaves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RowLimit {
    None,
    UpTo { last: Expr, less: u8 },
}

/// Takes the conditions on ROWNUM out of those that all must hold.
pub(crate) fn split_row_number(condition: Option<&Expr>) -> (Option<Expr>, Option<RowLimit>) {
    match condition {
        None => (None, None),
        Some(Expr::And(left, right)) => {
            let (left, a) = split_row_number(Some(left));
            let (right, b) = split_row_number(Some(right));
            let rest = match (left, right) {
                (Some(left), Some(right)) => Some(Expr::And(Box::new(left), Box::new(right))),
                (left, right) => left.or(right),
            };
            (rest, a.or(b))
        }
        Some(Expr::Compare {
            operator,
            left,
            right,
        }) if **left == Expr::RowNum => {
            let is_first = **right == Expr::Number(Number::from(1_i64));
            let limit = match *operator {
                "<=" => RowLimit::UpTo {
                    last: (**right).clone(),
                    less: 0,
                },
                "<" => RowLimit::UpTo {
                    last: (**right).clone(),
                    less: 1,
                },
                "=" if is_first => RowLimit::UpTo {
                    last: (**right).clone(),
                    less: 0,
                },
                // No row is ever the second: the first was not taken.
                "=" | ">" => RowLimit::None,
                _ => return (condition.cloned(), None),
            };
            (None, Some(limit))
        }
        Some(other) => (Some(other.clone()), None),
    }
}
