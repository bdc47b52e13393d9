//! Checked reads over the bytes of one message.
//!
//! Every read names what it wants, so that an error says what was missing and where. A failed
//! read moves nothing; no read panics, whatever the bytes.

use std::{error::Error, fmt};

/// What was wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The message ends before the value does.
    Truncated {
        /// How many bytes the value takes.
        wanted: usize,
        /// How many are left.
        left: usize,
    },
    /// A text without its closing zero byte.
    Unterminated,
    /// A name that isn't UTF-8.
    NotUtf8,
    /// A count or length below zero.
    Negative,
    /// A tag or flag that the protocol doesn't have.
    Unknown(u8),
    /// The message goes on after its end.
    Trailing {
        /// How many bytes are left over.
        left: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { wanted, left } => write!(f, "takes {wanted} bytes, {left} are left"),
            Self::Unterminated => f.write_str("has no closing zero byte"),
            Self::NotUtf8 => f.write_str("is not UTF-8"),
            Self::Negative => f.write_str("is negative"),
            Self::Unknown(byte) => write!(f, "is unknown: 0x{byte:02x}"),
            Self::Trailing { left } => write!(f, "is followed by {left} more bytes"),
        }
    }
}

/// A read that failed: what was read, at which offset in the message, and what was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// What was read, such as `column name`.
    pub what: &'static str,
    /// Where it starts, counted from the message's first byte.
    pub offset: usize,
    /// What was wrong with it.
    pub problem: Problem,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} {}", self.what, self.offset, self.problem)
    }
}

impl Error for ReadError {}

/// A place in the bytes of one message.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// The offset of the next read.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// All bytes that are left, without reading them.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    /// The bytes read since `start`, an earlier [`offset`](Self::offset).
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.offset).unwrap_or_default()
    }

    /// An error about the value that starts at `offset`.
    pub(super) fn error(what: &'static str, offset: usize, problem: Problem) -> ReadError {
        ReadError {
            what,
            offset,
            problem,
        }
    }

    /// The next `count` bytes.
    pub(super) fn slice(
        &mut self,
        what: &'static str,
        count: usize,
    ) -> Result<&'a [u8], ReadError> {
        let rest = self.rest();
        let Some(slice) = rest.get(..count) else {
            let problem = Problem::Truncated {
                wanted: count,
                left: rest.len(),
            };
            return Err(Self::error(what, self.offset, problem));
        };
        self.offset += count;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ReadError> {
        let Some(array) = self.rest().first_chunk::<N>() else {
            let problem = Problem::Truncated {
                wanted: N,
                left: self.rest().len(),
            };
            return Err(Self::error(what, self.offset, problem));
        };
        self.offset += N;
        Ok(*array)
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, ReadError> {
        self.array(what).map(|[byte]| byte)
    }

    pub(super) fn i16(&mut self, what: &'static str) -> Result<i16, ReadError> {
        self.array(what).map(i16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, ReadError> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self, what: &'static str) -> Result<i32, ReadError> {
        self.array(what).map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self, what: &'static str) -> Result<i64, ReadError> {
        self.array(what).map(i64::from_be_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, ReadError> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// A 16-bit count, which is signed on the wire.
    pub(super) fn count16(&mut self, what: &'static str) -> Result<usize, ReadError> {
        let offset = self.offset;
        let count = self.i16(what)?;
        usize::try_from(count).map_err(|_| Self::error(what, offset, Problem::Negative))
    }

    /// A 32-bit count or length, which is signed on the wire.
    pub(super) fn count32(&mut self, what: &'static str) -> Result<usize, ReadError> {
        let offset = self.offset;
        let count = self.i32(what)?;
        usize::try_from(count).map_err(|_| Self::error(what, offset, Problem::Negative))
    }

    /// A byte of flags, of which only those in `known` may be set.
    pub(super) fn flags(&mut self, what: &'static str, known: u8) -> Result<u8, ReadError> {
        let offset = self.offset;
        let flags = self.u8(what)?;
        match flags & !known {
            0 => Ok(flags),
            _ => Err(Self::error(what, offset, Problem::Unknown(flags))),
        }
    }

    /// A name: UTF-8 up to a zero byte, which is read too.
    pub(super) fn name(&mut self, what: &'static str) -> Result<&'a str, ReadError> {
        let start = self.offset;
        let rest = self.rest();
        let length = rest.iter().position(|&byte| byte == 0).ok_or(Self::error(
            what,
            start,
            Problem::Unterminated,
        ))?;
        let name = rest.get(..length).unwrap_or_default();
        let name = simdutf8::basic::from_utf8(name)
            .map_err(|_| Self::error(what, start, Problem::NotUtf8))?;
        self.offset += length + 1;
        Ok(name)
    }

    /// Says that the message should end here.
    pub(super) fn finish(&self) -> Result<(), ReadError> {
        match self.rest().len() {
            0 => Ok(()),
            left => Err(Self::error(
                "message",
                self.offset,
                Problem::Trailing { left },
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Problem};

    #[test]
    fn numbers_are_big_endian() {
        let bytes: Vec<u8> = (1..=27).collect();
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(cursor.u8("a"), Ok(1));
        assert_eq!(cursor.i16("b"), Ok(0x0203));
        assert_eq!(cursor.u32("c"), Ok(0x0405_0607));
        assert_eq!(cursor.i32("d"), Ok(0x0809_0a0b));
        assert_eq!(cursor.u64("e"), Ok(0x0c0d_0e0f_1011_1213));
        assert_eq!(cursor.i64("f"), Ok(0x1415_1617_1819_1a1b));
        assert_eq!(cursor.finish(), Ok(()));
    }

    #[test]
    fn a_failed_read_moves_nothing_and_says_where() {
        let mut cursor = Cursor::new(&[0xff, 0xff, 0xff]);
        assert_eq!(cursor.u8("first"), Ok(0xff));
        let error = cursor.u32("second").unwrap_err();
        assert_eq!(
            error.to_string(),
            "second at byte 1 takes 4 bytes, 2 are left"
        );
        assert_eq!(cursor.slice("all", usize::MAX).unwrap_err().offset, 1);
        assert_eq!(cursor.i16("second"), Ok(-1));
    }

    #[test]
    fn names_end_at_a_zero_byte_and_are_utf8() {
        let mut cursor = Cursor::new(b"gr\xc3\xbcn\0\0\xff\0open");
        assert_eq!(cursor.name("n"), Ok("grün"));
        assert_eq!(cursor.name("n"), Ok(""));
        assert_eq!(cursor.name("n").unwrap_err().problem, Problem::NotUtf8);
        assert_eq!(cursor.slice("skipped", 2).map(<[u8]>::len), Ok(2));
        assert_eq!(cursor.name("n").unwrap_err().problem, Problem::Unterminated);
        assert_eq!(
            cursor.finish().unwrap_err().problem,
            Problem::Trailing { left: 4 }
        );
    }

    #[test]
    fn counts_below_zero_and_unknown_flags_are_refused() {
        let mut cursor = Cursor::new(&[0xff, 0xff, 0x80, 0, 0, 0, 0b101]);
        assert_eq!(cursor.count16("n").unwrap_err().problem, Problem::Negative);
        let mut cursor = Cursor::new(&[0x80, 0, 0, 0, 0b101]);
        assert_eq!(cursor.count32("n").unwrap_err().problem, Problem::Negative);
        assert_eq!(
            cursor.flags("f", 0b11).unwrap_err().problem,
            Problem::Unknown(0b101)
        );
    }
}
