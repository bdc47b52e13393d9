//! SELECT.

use super::parser::Parser;
use super::tokens::Token;
use super::tree::{Expr, Item, Join, Name, Order, Query, Relation, Source};
use crate::error::Result;
use crate::value::Number;

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Result<Query> {
        let mut query = self.select()?;
        if self.takes_words(&["UNION", "ALL"]) {
            // What orders and limits comes last, and is meant for all.
            let mut more = self.query()?;
            query.order = std::mem::take(&mut more.order);
            query.offset = more.offset.take();
            query.limit = more.limit.take();
            query.and = Some(Box::new(more));
            return Ok(query);
        }
        if self.takes_words(&["ORDER", "BY"]) {
            query.order = self.list(Self::order)?;
        }
        if self.takes_word("OFFSET") {
            query.offset = Some(self.sum()?);
            self.rows_word()?;
        }
        if self.takes_word("FETCH") {
            if !self.takes_word("FIRST") {
                self.word("NEXT")?;
            }
            let one = matches!(self.peek(), Token::Word(word) if word.starts_with("ROW"));
            query.limit = Some(if one {
                Expr::Number(Number::from(1_i64))
            } else {
                self.sum()?
            });
            self.rows_word()?;
            self.word("ONLY")?;
        }
        if self.takes_words(&["FOR", "UPDATE"]) {
            query.is_for_update = true;
            self.takes_word("NOWAIT");
        }
        Ok(query)
    }

    fn rows_word(&mut self) -> Result<()> {
        if self.takes_word("ROW") {
            Ok(())
        } else {
            self.word("ROWS")
        }
    }

    fn select(&mut self) -> Result<Query> {
        self.word("SELECT")?;
        let is_distinct = self.takes_word("DISTINCT") || self.takes_word("UNIQUE");
        if !is_distinct {
            self.takes_word("ALL");
        }
        let items = self.list(Self::item)?;
        self.word("FROM")?;
        let sources = self.sources()?;
        let condition = if self.takes_word("WHERE") {
            Some(self.expression()?)
        } else {
            None
        };
        let group = if self.takes_words(&["GROUP", "BY"]) {
            self.list(Self::sum)?
        } else {
            Vec::new()
        };
        if self.peek().is_word("HAVING") || self.peek().is_word("CONNECT") {
            return self.unknown();
        }
        Ok(Query {
            is_distinct,
            items,
            sources,
            condition,
            group,
            order: Vec::new(),
            offset: None,
            limit: None,
            is_for_update: false,
            and: None,
        })
    }

    fn item(&mut self) -> Result<Item> {
        if self.takes("*") {
            return Ok(Item::All { table: None });
        }
        if self.peek_at(1).is_symbol(".") && self.peek_at(2).is_symbol("*") {
            let table = Some(self.column_name()?);
            self.next();
            self.next();
            return Ok(Item::All { table });
        }
        let start = self.offset();
        let value = self.expression()?;
        let text = self.text_since(start);
        let name = self.item_name()?;
        Ok(Item::Value { value, name, text })
    }

    fn item_name(&mut self) -> Result<Option<Name>> {
        if self.takes_word("AS") {
            return self.column_name().map(Some);
        }
        self.alias()
    }

    fn sources(&mut self) -> Result<Vec<Source>> {
        let mut sources = vec![self.source()?];
        loop {
            if self.takes(",") {
                sources.push(self.source()?);
                continue;
            }
            let join = if self.takes_word("JOIN") || self.takes_words(&["INNER", "JOIN"]) {
                Join::Inner
            } else if self.takes_words(&["LEFT", "JOIN"])
                || self.takes_words(&["LEFT", "OUTER", "JOIN"])
            {
                Join::Left
            } else {
                return Ok(sources);
            };
            let mut source = self.source()?;
            self.word("ON")?;
            source.join = Some((join, self.expression()?));
            sources.push(source);
        }
    }

    /// A table or a query in parentheses, and its alias.
    pub(super) fn source(&mut self) -> Result<Source> {
        let table = if self.takes("(") {
            let query = self.query()?;
            self.symbol(")")?;
            Relation::Query(Box::new(query))
        } else {
            Relation::Table(self.table_name()?)
        };
        let alias = self.alias()?;
        Ok(Source {
            table,
            alias,
            join: None,
        })
    }

    fn order(&mut self) -> Result<Order> {
        let value = self.sum()?;
        let is_descending = self.takes_word("DESC");
        if !is_descending {
            self.takes_word("ASC");
        }
        let nulls_first = if self.takes_word("NULLS") {
            let is_first = self.takes_word("FIRST");
            if !is_first {
                self.word("LAST")?;
            }
            Some(is_first)
        } else {
            None
        };
        Ok(Order {
            value,
            is_descending,
            nulls_first,
        })
    }
}
