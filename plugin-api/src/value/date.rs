//! A day, and the calendar that names it.

use std::fmt;

use super::scanner::Scanner;

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's own first day.
const UNIX_DAYS: i64 = 10_957;
/// Days in 400 years, after which the calendar repeats.
const CYCLE: i64 = 146_097;

/// A `date`: days since 2000-01-01 in the proleptic Gregorian calendar.
///
/// Prints as PostgreSQL does: `2024-02-29`, `0044-03-15 BC`, `infinity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

impl Date {
    /// Later than every day.
    pub const INFINITY: Self = Self(i32::MAX);
    /// Earlier than every day.
    pub const NEG_INFINITY: Self = Self(i32::MIN);

    /// Parses PostgreSQL's text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "infinity" => return Some(Self::INFINITY),
            "-infinity" => return Some(Self::NEG_INFINITY),
            _ => {}
        }
        let (text, bc) = split_era(text);
        let mut scanner = Scanner::new(text);
        let date = Self::from_civil(CivilDate::scan(&mut scanner, bc)?)?;
        scanner.is_done().then_some(date)
    }

    /// The date of a day in the calendar; none when there is no such day.
    #[must_use]
    pub fn from_civil(civil: CivilDate) -> Option<Self> {
        let date = Self(i32::try_from(civil.days()?).ok()?);
        date.is_finite().then_some(date)
    }

    /// Whether it is a day, not an infinity.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self != Self::INFINITY && self != Self::NEG_INFINITY
    }

    /// Its year, month and day; none for the infinities.
    #[must_use]
    pub fn civil(self) -> Option<CivilDate> {
        self.is_finite().then(|| CivilDate::from_days(self.0))
    }

    /// Days since 1970-01-01; none for the infinities.
    #[must_use]
    pub fn unix_days(self) -> Option<i64> {
        self.is_finite().then(|| i64::from(self.0) + UNIX_DAYS)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.civil() {
            Some(civil) => fmt::Display::fmt(&civil, f),
            None => f.write_str(if *self == Self::INFINITY {
                "infinity"
            } else {
                "-infinity"
            }),
        }
    }
}

/// A year, month and day of the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CivilDate {
    /// The year as astronomers count: 0 is 1 BC, -1 is 2 BC.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl CivilDate {
    /// Whether it lies before the year 1.
    #[must_use]
    pub fn is_bc(self) -> bool {
        self.year <= 0
    }

    /// The year as people count, without its era: 44 for both 44 and 44 BC.
    #[must_use]
    pub fn year_of_era(self) -> u32 {
        if self.is_bc() {
            self.year.unsigned_abs() + 1
        } else {
            self.year.unsigned_abs()
        }
    }

    /// `YYYY-MM-DD`, the year of the given era.
    pub(super) fn scan(scanner: &mut Scanner<'_>, bc: bool) -> Option<Self> {
        let (year, count) = scanner.digits()?;
        // Exactly as PostgreSQL pads it, so that no text but its own is a date.
        if !(4..=7).contains(&count) || (count > 4 && year < 10_i64.pow(count as u32 - 1)) {
            return None;
        }
        scanner.expect(b'-')?;
        let month = scanner.two()?;
        scanner.expect(b'-')?;
        let day = scanner.two()?;
        let year = if bc { 1 - year } else { year };
        // There is no year 0 in either era.
        if (year <= 0) != bc {
            return None;
        }
        Some(Self {
            year: year as i32,
            month: month as u8,
            day: day as u8,
        })
    }

    /// Days since 2000-01-01; none when there is no such day.
    ///
    /// Counts years from March, so that the leap day is a year's last.
    pub(super) fn days(self) -> Option<i64> {
        if !(1..=12).contains(&self.month) || !(1..=self.days_in_month()).contains(&self.day) {
            return None;
        }
        let month = i64::from(self.month);
        let year = i64::from(self.year) - i64::from(month <= 2);
        let year_of_cycle = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100;
        Some(year.div_euclid(400) * CYCLE + day_of_cycle + day_of_year - MARCH_OF_YEAR_0)
    }

    /// The inverse of [`days`](Self::days).
    pub(super) fn from_days(days: i32) -> Self {
        let days = i64::from(days) + MARCH_OF_YEAR_0;
        let day_of_cycle = days.rem_euclid(CYCLE);
        let leap_days = day_of_cycle / 1_460 - day_of_cycle / 36_524 + day_of_cycle / (CYCLE - 1);
        let year_of_cycle = (day_of_cycle - leap_days) / 365;
        let day_of_year =
            day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12 + 1;
        let year = days.div_euclid(CYCLE) * 400 + year_of_cycle + i64::from(month <= 2);
        Self {
            year: year as i32,
            month: month as u8,
            day: day as u8,
        }
    }

    fn days_in_month(self) -> u8 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// `YYYY-MM-DD`, without the era.
    pub(super) fn write_digits(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}",
            self.year_of_era(),
            self.month,
            self.day
        )
    }
}

/// Days from March 1st of the year 0 (1 BC) to 2000-01-01.
const MARCH_OF_YEAR_0: i64 = 730_425;

/// As PostgreSQL prints a date: `2024-02-29`, `0044-03-15 BC`.
impl fmt::Display for CivilDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_digits(f)?;
        f.write_str(if self.is_bc() { " BC" } else { "" })
    }
}

/// Splits off the era, which PostgreSQL prints at the very end: true for BC.
pub(super) fn split_era(text: &str) -> (&str, bool) {
    match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    }
}
