//! A span of time.

use std::fmt;

use super::{
    scanner::Scanner,
    time::{HOUR, write_clock},
};

/// An `interval`. Its three parts are independent, since months and days differ in length, and
/// each has its own sign.
///
/// Prints as PostgreSQL does with `IntervalStyle = postgres`: `1 year 2 mons -3 days +04:05:06.789`.
/// Equality is that of the parts: `1 day` and `24:00:00` differ, though PostgreSQL compares them
/// equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Months, twelve to a year.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds, any number of hours.
    pub micros: i64,
}

impl Interval {
    /// Longer than every span; PostgreSQL 17 and later.
    pub const INFINITY: Self = Self {
        months: i32::MAX,
        days: i32::MAX,
        micros: i64::MAX,
    };
    /// Its opposite.
    pub const NEG_INFINITY: Self = Self {
        months: i32::MIN,
        days: i32::MIN,
        micros: i64::MIN,
    };

    /// Whether it is a span, not an infinity.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self != Self::INFINITY && self != Self::NEG_INFINITY
    }

    /// Parses PostgreSQL's text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "infinity" => return Some(Self::INFINITY),
            "-infinity" => return Some(Self::NEG_INFINITY),
            _ => {}
        }
        let mut scanner = Scanner::new(text);
        let (mut months, mut days) = (0_i64, 0_i64);
        // Each part may come once, the longest first.
        let mut longest = Part::Years;
        loop {
            let start = scanner;
            let signed = scanner.sign();
            let (number, _) = scanner.digits()?;
            if !scanner.take(b' ') {
                scanner = start;
                break;
            }
            let number = if signed == Some(true) {
                -number
            } else {
                number
            };
            let part = Part::named(scanner.word()).filter(|&part| part >= longest)?;
            longest = match part {
                Part::Years => {
                    months = number.checked_mul(12)?;
                    Part::Months
                }
                Part::Months => {
                    months = months.checked_add(number)?;
                    Part::Days
                }
                Part::Days => {
                    days = number;
                    Part::Clock
                }
                Part::Clock => return None,
            };
            if scanner.is_done() {
                return Self::checked(months, days, 0);
            }
            scanner.expect(b' ')?;
        }
        let negative = scanner.sign() == Some(true);
        let (hours, _) = scanner.digits()?;
        let rest = i128::from(scanner.minutes_and_seconds()?);
        let micros = i128::from(hours) * i128::from(HOUR) + rest;
        let micros = i64::try_from(if negative { -micros } else { micros }).ok()?;
        if !scanner.is_done() {
            return None;
        }
        Self::checked(months, days, micros)
    }

    /// Before PostgreSQL 17 the greatest values were spans as well: they have no form here.
    fn checked(months: i64, days: i64, micros: i64) -> Option<Self> {
        let (months, days) = (i32::try_from(months).ok()?, i32::try_from(days).ok()?);
        Some(Self {
            months,
            days,
            micros,
        })
        .filter(|interval| interval.is_finite())
    }
}

/// The parts of an interval's text, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Years,
    Months,
    Days,
    /// Only the hours, minutes and seconds are left.
    Clock,
}

impl Part {
    fn named(word: &[u8]) -> Option<Self> {
        match word {
            b"year" | b"years" => Some(Self::Years),
            b"mon" | b"mons" => Some(Self::Months),
            b"day" | b"days" => Some(Self::Days),
            _ => None,
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_finite() {
            return f.write_str(if self.months > 0 {
                "infinity"
            } else {
                "-infinity"
            });
        }
        let mut separator = "";
        // A positive part has a plus only where the part before it is negative.
        let mut plus = "";
        let parts = [
            (self.months / 12, "year"),
            (self.months % 12, "mon"),
            (self.days, "day"),
        ];
        for (number, unit) in parts.into_iter().filter(|&(number, _)| number != 0) {
            let plus_here = if number > 0 { plus } else { "" };
            let plural = if number == 1 { "" } else { "s" };
            write!(f, "{separator}{plus_here}{number} {unit}{plural}")?;
            separator = " ";
            plus = if number < 0 { "+" } else { "" };
        }
        if self.micros == 0 && !separator.is_empty() {
            return Ok(());
        }
        f.write_str(separator)?;
        f.write_str(if self.micros < 0 { "-" } else { plus })?;
        write_clock(f, self.micros.unsigned_abs())
    }
}
