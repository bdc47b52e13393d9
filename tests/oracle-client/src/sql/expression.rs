//! Expressions and conditions.

use super::parser::Parser;
use super::tokens::Token;
use super::tree::{Expr, Name};
use crate::error::{OraError, Result};
use crate::value::Number;

impl Parser<'_> {
    /// A condition or a value: which of them, its user finds out.
    pub(super) fn expression(&mut self) -> Result<Expr> {
        let mut left = self.conjunction()?;
        while self.takes_word("OR") {
            left = Expr::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Expr> {
        let mut left = self.negation()?;
        while self.takes_word("AND") {
            left = Expr::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expr> {
        if self.takes_word("NOT") {
            return Ok(Expr::Not(Box::new(self.negation()?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expr> {
        let left = self.sum()?;
        if self.takes_word("IS") {
            let is_not = self.takes_word("NOT");
            self.word("NULL")?;
            return Ok(negated(is_not, Expr::IsNull(Box::new(left))));
        }
        let is_not = self.peek().is_word("NOT")
            && ["IN", "BETWEEN", "LIKE"]
                .iter()
                .any(|word| self.peek_at(1).is_word(word));
        if is_not {
            self.next();
        }
        let value = Box::new(left);
        if self.takes_word("IN") {
            return Ok(negated(is_not, self.membership(value)?));
        }
        if self.takes_word("BETWEEN") {
            let low = Box::new(self.sum()?);
            self.word("AND")?;
            let high = Box::new(self.sum()?);
            return Ok(negated(is_not, Expr::Between { value, low, high }));
        }
        if self.takes_word("LIKE") {
            let pattern = Box::new(self.sum()?);
            let escape = if self.takes_word("ESCAPE") {
                Some(Box::new(self.sum()?))
            } else {
                None
            };
            return Ok(negated(
                is_not,
                Expr::Like {
                    value,
                    pattern,
                    escape,
                },
            ));
        }
        let operator = match self.peek() {
            Token::Symbol(symbol @ ("=" | "<" | ">" | "<=" | ">=" | "<>")) => *symbol,
            Token::Symbol("!=" | "^=") => "<>",
            _ => return Ok(*value),
        };
        self.next();
        let right = Box::new(self.sum()?);
        Ok(Expr::Compare {
            operator,
            left: value,
            right,
        })
    }

    fn membership(&mut self, value: Box<Expr>) -> Result<Expr> {
        self.symbol("(")?;
        let expression = if self.peek().is_word("SELECT") {
            Expr::InQuery {
                value,
                query: Box::new(self.query()?),
            }
        } else {
            let list = self.list(Self::sum)?;
            if list.len() > 1000 {
                return Err(OraError::new(
                    1795,
                    "maximum number of expressions in a list is 1000",
                ));
            }
            Expr::In { value, list }
        };
        self.symbol(")")?;
        Ok(expression)
    }

    /// A value: no condition unless in parentheses.
    pub(super) fn sum(&mut self) -> Result<Expr> {
        let mut left = self.product()?;
        loop {
            if self.takes("||") {
                left = Expr::Concat(Box::new(left), Box::new(self.product()?));
                continue;
            }
            let operator = match self.peek() {
                Token::Symbol("+") => '+',
                Token::Symbol("-") => '-',
                _ => return Ok(left),
            };
            self.next();
            let right = Box::new(self.product()?);
            left = Expr::Arithmetic {
                operator,
                left: Box::new(left),
                right,
            };
        }
    }

    fn product(&mut self) -> Result<Expr> {
        let mut left = self.factor()?;
        loop {
            let operator = match self.peek() {
                Token::Symbol("*") => '*',
                Token::Symbol("/") => '/',
                _ => return Ok(left),
            };
            self.next();
            let right = Box::new(self.factor()?);
            left = Expr::Arithmetic {
                operator,
                left: Box::new(left),
                right,
            };
        }
    }

    fn factor(&mut self) -> Result<Expr> {
        match self.peek().clone() {
            Token::Symbol("-") => {
                self.next();
                Ok(match self.factor()? {
                    Expr::Number(number) => Expr::Number(number.negate()),
                    other => Expr::Negate(Box::new(other)),
                })
            }
            Token::Symbol("+") => {
                self.next();
                self.factor()
            }
            Token::Symbol("(") => {
                self.next();
                let inner = if self.peek().is_word("SELECT") {
                    Expr::Query(Box::new(self.query()?))
                } else {
                    self.expression()?
                };
                self.symbol(")")?;
                Ok(inner)
            }
            Token::Number(digits) => {
                self.next();
                Number::parse(&digits)
                    .map(Expr::Number)
                    .ok_or_else(|| OraError::new(1426, "numeric overflow"))
            }
            Token::Text(text) => {
                self.next();
                Ok(if text.is_empty() {
                    Expr::Null
                } else {
                    Expr::Text(text)
                })
            }
            Token::Bind(name) => {
                self.next();
                self.binds.push(name);
                Ok(Expr::Bind(self.binds.len() - 1))
            }
            Token::Word(word) => self.word_expression(&word),
            Token::Quoted(_) => self.column_or_call(),
            Token::Symbol(_) | Token::End => Err(OraError::new(
                936,
                format!("missing expression (found {})", self.peek()),
            )),
        }
    }

    fn word_expression(&mut self, word: &str) -> Result<Expr> {
        match word {
            "NULL" => {
                self.next();
                Ok(Expr::Null)
            }
            "ROWNUM" => {
                self.next();
                Ok(Expr::RowNum)
            }
            "ROWID" => {
                self.next();
                Ok(Expr::RowId { table: None })
            }
            "SYSDATE" | "USER" => {
                self.next();
                Ok(Expr::Call {
                    name: word.to_owned(),
                    args: Vec::new(),
                })
            }
            "DATE" | "TIMESTAMP" if matches!(self.peek_at(1), Token::Text(_)) => {
                self.next();
                let Token::Text(text) = self.next() else {
                    return self.unknown();
                };
                Ok(Expr::Time {
                    is_date: word == "DATE",
                    text,
                })
            }
            "EXISTS" => {
                self.next();
                self.symbol("(")?;
                let query = Box::new(self.query()?);
                self.symbol(")")?;
                Ok(Expr::Exists(query))
            }
            "CASE" => {
                self.next();
                self.case()
            }
            "CAST" => {
                self.next();
                self.symbol("(")?;
                let value = Box::new(self.expression()?);
                self.word("AS")?;
                let to = self.data_type()?;
                self.symbol(")")?;
                Ok(Expr::Cast { value, to })
            }
            _ => self.column_or_call(),
        }
    }

    fn case(&mut self) -> Result<Expr> {
        let subject = if self.peek().is_word("WHEN") {
            None
        } else {
            Some(self.sum()?)
        };
        let mut branches = Vec::new();
        while self.takes_word("WHEN") {
            let when = self.expression()?;
            let condition = match &subject {
                Some(subject) => Expr::Compare {
                    operator: "=",
                    left: Box::new(subject.clone()),
                    right: Box::new(when),
                },
                None => when,
            };
            self.word("THEN")?;
            branches.push((condition, self.sum()?));
        }
        let otherwise = if self.takes_word("ELSE") {
            Some(Box::new(self.sum()?))
        } else {
            None
        };
        self.word("END")?;
        Ok(Expr::Case {
            branches,
            otherwise,
        })
    }

    /// `a`, `t.a`, `s.t.a`, `f(…)`, `p.f(…)`
    fn column_or_call(&mut self) -> Result<Expr> {
        let mut path: Vec<Name> = vec![self.column_name()?];
        while self.takes(".") {
            if self.takes_word("ROWID") {
                return Ok(Expr::RowId { table: path.pop() });
            }
            path.push(self.column_name()?);
        }
        if self.takes("(") {
            return self.call(path.join("."));
        }
        let name = path.pop().unwrap_or_default();
        if path.is_empty()
            && matches!(
                name.as_str(),
                "SYSTIMESTAMP" | "CURRENT_TIMESTAMP" | "LOCALTIMESTAMP"
            )
        {
            return Ok(Expr::Call {
                name,
                args: Vec::new(),
            });
        }
        Ok(Expr::Column {
            table: path.pop(),
            name,
        })
    }

    fn call(&mut self, name: Name) -> Result<Expr> {
        if name == "COUNT" && self.takes("*") {
            self.symbol(")")?;
            return Ok(Expr::CountAll);
        }
        if self.takes(")") {
            return Ok(Expr::Call {
                name,
                args: Vec::new(),
            });
        }
        let args = self.list(Self::sum)?;
        self.symbol(")")?;
        Ok(Expr::Call { name, args })
    }
}

fn negated(is_not: bool, condition: Expr) -> Expr {
    if is_not {
        Expr::Not(Box::new(condition))
    } else {
        condition
    }
}
