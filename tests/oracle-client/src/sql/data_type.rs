//! Types as SQL declares them.

use super::parser::Parser;
use super::tokens::Token;
use crate::error::{OraError, Result};
use crate::value::DataType;

impl Parser<'_> {
    pub(super) fn data_type(&mut self) -> Result<DataType> {
        let Token::Word(word) = self.next() else {
            return Err(OraError::new(902, "invalid datatype"));
        };
        match word.as_str() {
            "NUMBER" | "DECIMAL" | "NUMERIC" | "DEC" => self.number(word != "NUMBER"),
            "INTEGER" | "INT" | "SMALLINT" => Ok(DataType::Number {
                precision: None,
                scale: Some(0),
            }),
            "FLOAT" => {
                let precision = self.length()?.unwrap_or(126);
                Ok(DataType::FloatNumber {
                    precision: small(precision, 126, 1724)?,
                })
            }
            "REAL" => Ok(DataType::FloatNumber { precision: 63 }),
            "DOUBLE" => {
                self.word("PRECISION")?;
                Ok(DataType::FloatNumber { precision: 126 })
            }
            "BINARY_DOUBLE" => Ok(DataType::Double),
            "BINARY_FLOAT" => Ok(DataType::Float),
            "VARCHAR2" | "VARCHAR" => {
                let (length, in_chars) = self
                    .text_length()?
                    .ok_or_else(|| OraError::new(906, "missing left parenthesis"))?;
                checked(length, 4000)?;
                Ok(DataType::Varchar { length, in_chars })
            }
            "NVARCHAR2" => {
                let length = self
                    .length()?
                    .ok_or_else(|| OraError::new(906, "missing left parenthesis"))?;
                checked(length, 2000)?;
                Ok(DataType::Varchar {
                    length,
                    in_chars: true,
                })
            }
            "CHAR" | "NCHAR" => {
                let (length, in_chars) = self.text_length()?.unwrap_or((1, false));
                checked(length, 2000)?;
                Ok(DataType::Char {
                    length,
                    in_chars: in_chars || word == "NCHAR",
                })
            }
            "RAW" => {
                let length = self
                    .length()?
                    .ok_or_else(|| OraError::new(906, "missing left parenthesis"))?;
                checked(length, 2000)?;
                Ok(DataType::Raw { length })
            }
            "CLOB" | "NCLOB" => Ok(DataType::Clob),
            "BLOB" => Ok(DataType::Blob),
            "DATE" => Ok(DataType::Date),
            "TIMESTAMP" => self.timestamp(),
            "INTERVAL" => self.interval(),
            _ => Err(OraError::new(902, format!("invalid datatype ({word})"))),
        }
    }

    fn number(&mut self, is_whole: bool) -> Result<DataType> {
        if !self.takes("(") {
            return Ok(DataType::Number {
                precision: None,
                scale: is_whole.then_some(0),
            });
        }
        let precision = if self.takes("*") {
            None
        } else {
            Some(self.integer()?)
        };
        let scale = if self.takes(",") {
            Some(self.integer()?)
        } else {
            None
        };
        self.symbol(")")?;
        if precision.is_some_and(|precision| !(1..=38).contains(&precision)) {
            return Err(OraError::new(
                1727,
                "numeric precision specifier is out of range (1 to 38)",
            ));
        }
        if scale.is_some_and(|scale| !(-84..=127).contains(&scale)) {
            return Err(OraError::new(
                1728,
                "numeric scale specifier is out of range (-84 to 127)",
            ));
        }
        Ok(DataType::Number {
            precision: precision.and_then(|precision| u8::try_from(precision).ok()),
            scale: Some(
                scale
                    .and_then(|scale| i8::try_from(scale).ok())
                    .unwrap_or(0),
            ),
        })
    }

    /// `(n)`
    fn length(&mut self) -> Result<Option<u32>> {
        if !self.takes("(") {
            return Ok(None);
        }
        let length = u32::try_from(self.integer()?).map_err(|_| zero_length())?;
        self.symbol(")")?;
        Ok(Some(length))
    }

    /// `(n)`, `(n CHAR)`, `(n BYTE)`
    fn text_length(&mut self) -> Result<Option<(u32, bool)>> {
        if !self.takes("(") {
            return Ok(None);
        }
        let length = u32::try_from(self.integer()?).map_err(|_| zero_length())?;
        let in_chars = self.takes_word("CHAR");
        if !in_chars {
            self.takes_word("BYTE");
        }
        self.symbol(")")?;
        Ok(Some((length, in_chars)))
    }

    fn timestamp(&mut self) -> Result<DataType> {
        let digits = small(self.length()?.unwrap_or(6), 9, 30088)?;
        if self.takes_words(&["WITH", "TIME", "ZONE"]) {
            return Ok(DataType::TimestampTz { digits });
        }
        if self.peek().is_word("WITH") {
            return self.unknown();
        }
        Ok(DataType::Timestamp { digits })
    }

    fn interval(&mut self) -> Result<DataType> {
        if self.takes_word("YEAR") {
            let years = small(self.length()?.unwrap_or(2), 9, 30088)?;
            self.word("TO")?;
            self.word("MONTH")?;
            return Ok(DataType::IntervalYm { years });
        }
        self.word("DAY")?;
        let days = small(self.length()?.unwrap_or(2), 9, 30088)?;
        self.word("TO")?;
        self.word("SECOND")?;
        let digits = small(self.length()?.unwrap_or(6), 9, 30088)?;
        Ok(DataType::IntervalDs { days, digits })
    }
}

fn zero_length() -> OraError {
    OraError::new(1723, "zero-length columns are not allowed")
}

fn checked(length: u32, most: u32) -> Result<()> {
    if length == 0 {
        return Err(zero_length());
    }
    if length > most {
        return Err(OraError::new(
            910,
            "specified length too long for its datatype",
        ));
    }
    Ok(())
}

fn small(number: u32, most: u8, code: i32) -> Result<u8> {
    u8::try_from(number)
        .ok()
        .filter(|number| *number <= most)
        .ok_or_else(|| OraError::new(code, "datetime/interval precision is out of range"))
}
