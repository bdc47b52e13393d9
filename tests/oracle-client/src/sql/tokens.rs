//! Text to tokens.

use crate::error::{OraError, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A word without quotes, in upper case.
    Word(String),
    /// A name in double quotes.
    Quoted(String),
    Number(String),
    Text(String),
    /// `:name`, in upper case if not quoted.
    Bind(String),
    Symbol(&'static str),
    End,
}

impl Token {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found == word)
    }

    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self, Self::Symbol(found) if *found == symbol)
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(text) | Self::Number(text) => f.write_str(text),
            Self::Quoted(text) => write!(f, "\"{text}\""),
            // A literal may be anybody's data.
            Self::Text(_) => f.write_str("a literal"),
            Self::Bind(name) => write!(f, ":{name}"),
            Self::Symbol(symbol) => f.write_str(symbol),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Symbols, longer ones before those that they begin with.
const SYMBOLS: [&str; 21] = [
    ":=", "<>", "!=", "^=", "<=", ">=", "||", "=>", "(", ")", ",", ".", ";", "+", "-", "*", "/",
    "=", "<", ">", "%",
];

/// All tokens of a statement, the end last, each with its offset.
pub(crate) fn tokens(sql: &str) -> Result<Vec<(Token, usize)>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < sql.len() {
        let rest = &sql[at..];
        let first = rest.chars().next().unwrap_or(' ');
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
        } else {
            let (token, length) = token(rest, first)?;
            found.push((token, at));
            at += length;
        }
    }
    found.push((Token::End, sql.len()));
    Ok(found)
}

fn token(rest: &str, first: char) -> Result<(Token, usize)> {
    match first {
        '\'' => text(rest),
        '"' => {
            let (name, length) = quoted(rest)?;
            Ok((Token::Quoted(name), length))
        }
        ':' if !rest.starts_with(":=") => bind(rest),
        '0'..='9' => Ok(number(rest)),
        '.' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => Ok(number(rest)),
        _ if first.is_alphabetic() => {
            let length = word_length(rest);
            Ok((Token::Word(rest[..length].to_uppercase()), length))
        }
        _ => SYMBOLS
            .iter()
            .find(|symbol| rest.starts_with(**symbol))
            .map(|symbol| (Token::Symbol(symbol), symbol.len()))
            .ok_or_else(|| OraError::new(911, format!("invalid character: {first}"))),
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '$' | '#'))
        .unwrap_or(text.len())
}

fn text(rest: &str) -> Result<(Token, usize)> {
    let mut text = String::new();
    let mut at = 1;
    loop {
        let end = rest[at..]
            .find('\'')
            .ok_or_else(|| OraError::new(1756, "quoted string not properly terminated"))?;
        text.push_str(&rest[at..at + end]);
        at += end + 1;
        if !rest[at..].starts_with('\'') {
            return Ok((Token::Text(text), at));
        }
        text.push('\'');
        at += 1;
    }
}

fn quoted(rest: &str) -> Result<(String, usize)> {
    let end = rest[1..]
        .find('"')
        .ok_or_else(|| OraError::new(1740, "missing double quote in identifier"))?;
    if end == 0 {
        return Err(OraError::new(1741, "illegal zero-length identifier"));
    }
    Ok((rest[1..=end].to_owned(), end + 2))
}

fn bind(rest: &str) -> Result<(Token, usize)> {
    if rest[1..].starts_with('"') {
        let (name, length) = quoted(&rest[1..])?;
        return Ok((Token::Bind(name), length + 1));
    }
    let length = word_length(&rest[1..]);
    if length == 0 {
        return Err(OraError::new(1745, "invalid host/bind variable name"));
    }
    Ok((Token::Bind(rest[1..=length].to_uppercase()), length + 1))
}

fn number(rest: &str) -> (Token, usize) {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut at = digits(0);
    if rest[at..].starts_with('.') {
        at += 1 + digits(at + 1);
    }
    if rest[at..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[at + 1..].starts_with(['+', '-']));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    (Token::Number(rest[..at].to_owned()), at)
}
