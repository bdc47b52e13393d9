//! A time of day, without and with an offset from UTC.

use std::fmt;

use super::scanner::Scanner;

/// Microseconds in an hour.
pub(super) const HOUR: i64 = 3_600_000_000;
/// Microseconds in a day.
pub(super) const DAY: i64 = 24 * HOUR;

/// A `time without time zone`: microseconds since midnight, up to and including 24:00:00.
///
/// Prints as PostgreSQL does: `04:05:06.789`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// 00:00:00.
    pub const MIDNIGHT: Self = Self(0);
    /// 24:00:00, which PostgreSQL tells apart from 00:00:00.
    pub const END_OF_DAY: Self = Self(DAY);

    /// The time so many microseconds after midnight; none beyond 24:00:00.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        (0..=DAY).contains(&micros).then_some(Self(micros))
    }

    /// Parses PostgreSQL's text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        let time = Self::scan(&mut scanner)?;
        scanner.is_done().then_some(time)
    }

    /// `HH:MM:SS` with up to six decimals.
    pub(super) fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        let hours = scanner.two()?;
        Self::from_micros(hours * HOUR + scanner.minutes_and_seconds()?)
    }

    /// Microseconds since midnight, 0 to 86,400,000,000.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// 0 to 24.
    #[must_use]
    pub fn hour(self) -> u8 {
        (self.0 / HOUR) as u8
    }

    /// 0 to 59.
    #[must_use]
    pub fn minute(self) -> u8 {
        (self.0 / 60_000_000 % 60) as u8
    }

    /// 0 to 59.
    #[must_use]
    pub fn second(self) -> u8 {
        (self.0 / 1_000_000 % 60) as u8
    }

    /// The part of a second, 0 to 999,999.
    #[must_use]
    pub fn microsecond(self) -> u32 {
        (self.0 % 1_000_000) as u32
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_clock(f, self.0.unsigned_abs())
    }
}

/// A `time with time zone`: a time of day and its offset from UTC.
///
/// Prints as PostgreSQL does: `04:05:06+05:30`. Two of them may mean the same instant of a day and
/// still differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimeTz {
    /// The time of day there.
    pub time: Time,
    /// Seconds that it is ahead of UTC: positive in the east. PostgreSQL itself stores its negative.
    pub offset: i32,
}

impl TimeTz {
    /// Parses PostgreSQL's text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        let time = Time::scan(&mut scanner)?;
        let offset = scanner.offset()?;
        scanner.is_done().then_some(Self { time, offset })
    }
}

impl fmt::Display for TimeTz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.offset.unsigned_abs();
        let sign = if self.offset < 0 { '-' } else { '+' };
        write!(f, "{}{sign}{:02}", self.time, seconds / 3600)?;
        let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
        match (minutes, seconds) {
            (0, 0) => Ok(()),
            (_, 0) => write!(f, ":{minutes:02}"),
            _ => write!(f, ":{minutes:02}:{seconds:02}"),
        }
    }
}

/// `HH:MM:SS`, and as many decimals as are not zero.
pub(super) fn write_clock(f: &mut fmt::Formatter<'_>, micros: u64) -> fmt::Result {
    let seconds = micros / 1_000_000;
    write!(
        f,
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )?;
    let mut fraction = micros % 1_000_000;
    if fraction == 0 {
        return Ok(());
    }
    let mut width = 6;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    write!(f, ".{fraction:0width$}")
}
