//! JSON text as the BSON that it stands for.
//!
//! Numbers stay exact: a whole number is an `int` or a `long`, one with a fraction a `double` where
//! that prints as the very same digits, and any other a `decimal`, as long as it fits.

use std::io::Write as _;

use crate::{
    decimal,
    raw::{self, kind},
    values::{Notes, Unfit},
};

/// Levels that a value may have: MongoDB promises a hundred, of which the document is the first.
const DEEPEST: usize = 99;

pub(crate) const TOO_MANY_DIGITS: &str = "a number of more than 34 digits";
const TOO_DEEP: &str = "a document of more than 100 levels";
const MALFORMED: &str = "text that is no JSON";

/// Writes the value that `text` stands for; returns its type. With `clamp`, numbers that don't fit
/// are rounded.
pub(crate) fn value(
    text: &str,
    clamp: bool,
    out: &mut Vec<u8>,
    notes: &mut Notes,
) -> Result<u8, Unfit> {
    let mut parser = Parser {
        rest: text.trim_ascii(),
        clamp,
        notes,
    };
    let kind = parser.value(out, 0)?;
    parser.skip();
    if parser.rest.is_empty() {
        Ok(kind)
    } else {
        Err(MALFORMED)
    }
}

struct Parser<'a, 'n> {
    rest: &'a str,
    clamp: bool,
    notes: &'n mut Notes,
}

impl<'a> Parser<'a, '_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn take(&mut self, byte: u8) -> bool {
        self.skip();
        let is_next = self.rest.as_bytes().first() == Some(&byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unfit> {
        self.take(byte).then_some(()).ok_or(MALFORMED)
    }

    fn word(&mut self, word: &str) -> Result<(), Unfit> {
        self.rest = self.rest.strip_prefix(word).ok_or(MALFORMED)?;
        Ok(())
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<u8, Unfit> {
        self.skip();
        match self.rest.as_bytes().first() {
            Some(b'{') => self.object(out, depth),
            Some(b'[') => self.array(out, depth),
            Some(b'"') => {
                // The length is known behind the text.
                let start = out.len();
                out.extend_from_slice(&[0; 4]);
                self.string(out)?;
                out.push(0);
                let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
                out[start..start + 4].copy_from_slice(&length.to_le_bytes());
                Ok(kind::STRING)
            }
            Some(b't') => {
                self.word("true")?;
                out.push(1);
                Ok(kind::BOOL)
            }
            Some(b'f') => {
                self.word("false")?;
                out.push(0);
                Ok(kind::BOOL)
            }
            Some(b'n') => {
                self.word("null")?;
                Ok(kind::NULL)
            }
            _ => self.number(out),
        }
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<u8, Unfit> {
        if depth == DEEPEST {
            return Err(TOO_DEEP);
        }
        self.expect(b'{')?;
        let start = raw::open(out);
        if !self.take(b'}') {
            loop {
                self.skip();
                let place = out.len();
                out.push(0);
                self.string(out)?;
                if out[place + 1..].contains(&0) {
                    return Err("a name with NUL in it");
                }
                out.push(0);
                self.expect(b':')?;
                out[place] = self.value(out, depth + 1)?;
                if self.take(b'}') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        raw::close(out, start);
        Ok(kind::DOCUMENT)
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<u8, Unfit> {
        if depth == DEEPEST {
            return Err(TOO_DEEP);
        }
        self.expect(b'[')?;
        let start = raw::open(out);
        if !self.take(b']') {
            for index in 0.. {
                let place = raw::item(out, index);
                out[place] = self.value(out, depth + 1)?;
                if self.take(b']') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        raw::close(out, start);
        Ok(kind::ARRAY)
    }

    /// Writes a text's characters, without its quotes and escapes.
    fn string(&mut self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.word("\"")?;
        loop {
            let end = self
                .rest
                .bytes()
                .position(|byte| matches!(byte, b'"' | b'\\'));
            let (plain, rest) = self.rest.split_at(end.ok_or(MALFORMED)?);
            out.extend_from_slice(plain.as_bytes());
            let is_end = rest.starts_with('"');
            self.rest = &rest[1..];
            if is_end {
                return Ok(());
            }
            let escape = self.rest.chars().next().ok_or(MALFORMED)?;
            self.rest = &self.rest[escape.len_utf8()..];
            let character = match escape {
                '"' | '\\' | '/' => escape,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => self.unicode()?,
                _ => return Err(MALFORMED),
            };
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    /// What follows `\u`.
    fn unicode(&mut self) -> Result<char, Unfit> {
        let first = self.hex()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first).ok_or(MALFORMED);
        }
        self.word("\\u")?;
        let second = self.hex()?;
        let low = second.checked_sub(0xDC00).filter(|&low| low < 0x400);
        let low = low.ok_or(MALFORMED)?;
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + low).ok_or(MALFORMED)
    }

    fn hex(&mut self) -> Result<u32, Unfit> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or(MALFORMED)?;
        self.rest = rest;
        u32::from_str_radix(digits, 16).map_err(|_| MALFORMED)
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Result<u8, Unfit> {
        let end = self
            .rest
            .bytes()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        if !text.contains(['.', 'e', 'E'])
            && let Ok(number) = text.parse::<i64>()
            && text != "-0"
        {
            return Ok(match i32::try_from(number) {
                Ok(number) => {
                    out.extend_from_slice(&number.to_le_bytes());
                    kind::INT32
                }
                Err(_) => {
                    out.extend_from_slice(&number.to_le_bytes());
                    kind::INT64
                }
            });
        }
        if let Ok(number) = text.parse::<f64>()
            && number.is_finite()
            && prints_as(number, text)
        {
            out.extend_from_slice(&number.to_le_bytes());
            return Ok(kind::DOUBLE);
        }
        let bytes = match decimal::exact(text) {
            Some(bytes) => bytes,
            None if self.clamp => {
                self.notes.clamped += 1;
                decimal::nearest(text).ok_or(MALFORMED)?
            }
            None if decimal::nearest(text).is_none() => return Err(MALFORMED),
            None => return Err(TOO_MANY_DIGITS),
        };
        out.extend_from_slice(&bytes);
        Ok(kind::DECIMAL)
    }
}

/// Whether a double prints as these very characters.
fn prints_as(number: f64, text: &str) -> bool {
    let mut printed = [0; 32];
    let mut rest = &mut printed[..];
    // What doesn't fit is no short text.
    let is_whole = write!(rest, "{number}").is_ok();
    let left = rest.len();
    is_whole && text.as_bytes() == &printed[..32 - left]
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, Decimal128, Document, doc};

    use super::*;

    fn read(text: &str) -> Result<Bson, Unfit> {
        let mut out = Vec::new();
        let start = raw::open(&mut out);
        let place = raw::element(&mut out, "v");
        out[place] = value(text, false, &mut out, &mut Notes::default())?;
        raw::close(&mut out, start);
        let mut document = Document::from_reader(&out[..]).unwrap();
        Ok(document.remove("v").unwrap())
    }

    #[test]
    fn values_become_what_they_stand_for() {
        let text = r#"{"a": [1, {"b": null}], "ü": "x\n\"é😀", "": true, "$c.d": {}}"#;
        let expected = doc! {
            "a": [1, { "b": Bson::Null }], "ü": "x\n\"é😀", "": true, "$c.d": {},
        };
        assert_eq!(read(text), Ok(expected.into()));
        assert_eq!(read("[]"), Ok(Bson::Array(Vec::new())));
        assert_eq!(read(" null "), Ok(Bson::Null));
        assert_eq!(read("\"\\u0007\""), Ok("\u{7}".into()));
    }

    #[test]
    fn numbers_stay_exact() {
        let decimal = |text: &str| Bson::Decimal128(text.parse::<Decimal128>().unwrap());
        for (text, expected) in [
            ("7", Bson::Int32(7)),
            ("-2147483649", Bson::Int64(-2_147_483_649)),
            ("9223372036854775808", decimal("9223372036854775808")),
            ("0.1", Bson::Double(0.1)),
            ("-1.5", Bson::Double(-1.5)),
            ("1.50", decimal("1.50")),
            (
                "12345678901234567890.10",
                decimal("12345678901234567890.10"),
            ),
            (
                "0.1000000000000000055511151231257827",
                decimal("0.1000000000000000055511151231257827"),
            ),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        assert_eq!(read(&"1".repeat(40)), Err(TOO_MANY_DIGITS));
    }

    #[test]
    fn depth_has_a_limit_and_nonsense_is_refused() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&deep(99)).is_ok());
        assert_eq!(read(&deep(100)), Err(TOO_DEEP));
        assert_eq!(read(&deep(100_000)), Err(TOO_DEEP));
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "tru",
            "1 2",
            "\"a",
            "\"\\x\"",
            "\"\\ud800\"",
            "1.2.3",
            "-",
        ] {
            assert_eq!(read(text), Err(MALFORMED), "{text:?}");
        }
        assert!(read("{\"a\\u0000b\": 1}").is_err());
    }
}
