//! Dates, timestamps and intervals.

use std::fmt;

use crate::error::{OraError, Result};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Local date and time, to the nanosecond, with the offset of its zone in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct DateTime {
    pub(crate) year: i16,
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) nanosecond: u32,
    pub(crate) offset: i16,
}

impl DateTime {
    /// Refuses what Oracle has no date for.
    pub(crate) fn check(self) -> Result<Self> {
        if !(-4712..=9999).contains(&self.year) || self.year == 0 {
            return Err(OraError::new(
                1841,
                "(full) year must be between -4713 and +9999, and not be 0",
            ));
        }
        if !(1..=12).contains(&self.month) {
            return Err(OraError::new(1843, "not a valid month"));
        }
        let is_left_out = (self.year, self.month) == (1582, 10) && (5..15).contains(&self.day);
        if self.day == 0 || self.day > days_of_month(self.year, self.month) || is_left_out {
            return Err(OraError::new(
                1847,
                "day of month must be between 1 and last day of month",
            ));
        }
        if self.hour > 23 {
            return Err(OraError::new(1850, "hour must be between 0 and 23"));
        }
        if self.minute > 59 {
            return Err(OraError::new(1851, "minutes must be between 0 and 59"));
        }
        if self.second > 59 {
            return Err(OraError::new(1852, "seconds must be between 0 and 59"));
        }
        if self.nanosecond > 999_999_999 {
            return Err(OraError::new(
                1880,
                "the fractional seconds must be between 0 and 999999999",
            ));
        }
        if !(-15 * 60 - 59..=15 * 60 + 59).contains(&self.offset) {
            return Err(OraError::new(
                1881,
                "timezone region id or offset is invalid",
            ));
        }
        Ok(self)
    }

    /// Seconds since 1970 of the local time. Oracle has no year 0: -1 comes before 1.
    fn local_seconds(self) -> i64 {
        let days = days_from_civil(astronomical(self.year), self.month, self.day);
        days * DAY
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
    }

    fn from_local_seconds(seconds: i64, nanosecond: u32, offset: i16) -> Self {
        let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let (year, month, day) = civil_from_days(days);
        let small = |number: i64| u8::try_from(number).unwrap_or(0);
        Self {
            year: i16::try_from(if year <= 0 { year - 1 } else { year }).unwrap_or(i16::MAX),
            month,
            day,
            hour: small(rest / 3600),
            minute: small(rest / 60 % 60),
            second: small(rest % 60),
            nanosecond,
            offset,
        }
    }

    /// The same instant at another offset.
    pub(crate) fn at_offset(self, offset: i16) -> Self {
        // Days of Oracle's older calendar don't survive the arithmetic.
        if offset == self.offset {
            return self;
        }
        let seconds = self.local_seconds() + i64::from(offset - self.offset) * 60;
        Self::from_local_seconds(seconds, self.nanosecond, offset)
    }

    /// Rounds the fraction to so many digits, as a column does.
    pub(crate) fn round(self, digits: u8) -> Self {
        let unit = 10_u32.pow(9 - u32::from(digits.min(9)));
        let rounded = (self.nanosecond + unit / 2) / unit * unit;
        if rounded < 1_000_000_000 {
            return Self {
                nanosecond: rounded,
                ..self
            };
        }
        Self::from_local_seconds(self.local_seconds() + 1, 0, self.offset)
    }

    /// As DATE has it: without a fraction, cut.
    pub(crate) fn date(self) -> Self {
        Self {
            nanosecond: 0,
            offset: 0,
            ..self
        }
    }

    pub(crate) fn now() -> Self {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(0);
        Self::from_local_seconds(seconds, now.subsec_nanos(), 0)
    }

    /// Bytes that sort as the times do.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let year = (i32::from(self.year) + 10_000).to_be_bytes();
        let mut bytes = vec![
            year[2],
            year[3],
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second,
        ];
        bytes.extend(self.nanosecond.to_be_bytes());
        bytes
    }

    /// As [`to_bytes`](Self::to_bytes), of the instant, and then the offset.
    pub(crate) fn to_zoned_bytes(self) -> Vec<u8> {
        let mut bytes = self.at_offset(0).to_bytes();
        bytes.extend(self.offset.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (time, zone) = bytes.split_at_checked(11)?;
        let year = i32::from(u16::from_be_bytes([time[0], time[1]])) - 10_000;
        let time = Self {
            year: i16::try_from(year).ok()?,
            month: time[2],
            day: time[3],
            hour: time[4],
            minute: time[5],
            second: time[6],
            nanosecond: u32::from_be_bytes([time[7], time[8], time[9], time[10]]),
            offset: 0,
        };
        match zone {
            [] => Some(time),
            &[high, low] => Some(time.at_offset(i16::from_be_bytes([high, low]))),
            _ => None,
        }
    }
}

/// Oracle's year as one with a year 0.
fn astronomical(year: i16) -> i64 {
    i64::from(year) + i64::from(year < 0)
}

fn days_of_month(year: i16, month: u8) -> u8 {
    let year = astronomical(year);
    // Before the Gregorian calendar every fourth year is a leap year.
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0 || year < 1582);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = u8::try_from(day_of_year - (153 * shifted + 2) / 5 + 1).unwrap_or(1);
    let month = u8::try_from(if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    })
    .unwrap_or(1);
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// An INTERVAL, in nanoseconds or in months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Interval {
    DaySecond(i128),
    YearMonth(i32),
}

impl Interval {
    /// Bytes that sort as the intervals do.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::DaySecond(nanoseconds) => (nanoseconds ^ i128::MIN).to_be_bytes().to_vec(),
            Self::YearMonth(months) => (months ^ i32::MIN).to_be_bytes().to_vec(),
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
            return Some(Self::DaySecond(i128::from_be_bytes(bytes) ^ i128::MIN));
        }
        let bytes = <[u8; 4]>::try_from(bytes).ok()?;
        Some(Self::YearMonth(i32::from_be_bytes(bytes) ^ i32::MIN))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DaySecond(nanoseconds) => {
                let sign = if nanoseconds < 0 { '-' } else { '+' };
                let all = nanoseconds.unsigned_abs();
                let (seconds, fraction) = (all / 1_000_000_000, all % 1_000_000_000);
                write!(
                    f,
                    "{sign}{:09} {:02}:{:02}:{:02}.{fraction:09}",
                    seconds / 86_400,
                    seconds / 3600 % 24,
                    seconds / 60 % 60,
                    seconds % 60
                )
            }
            Self::YearMonth(months) => {
                let sign = if months < 0 { '-' } else { '+' };
                let all = months.unsigned_abs();
                write!(f, "{sign}{:09}-{:02}", all / 12, all % 12)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(year: i16, month: u8, day: u8, hour: u8, offset: i16) -> DateTime {
        DateTime {
            year,
            month,
            day,
            hour,
            offset,
            ..DateTime::default()
        }
    }

    #[test]
    fn zoned_bytes_keep_the_offset_and_sort_by_the_instant() {
        let east = time(2024, 1, 1, 1, 120);
        let west = time(2023, 12, 31, 20, -180);
        assert_eq!(east.to_zoned_bytes()[..11], west.to_zoned_bytes()[..11]);
        assert_eq!(DateTime::from_bytes(&east.to_zoned_bytes()), Some(east));
        assert!(time(-1, 12, 31, 23, 0).to_bytes() < time(1, 1, 1, 0, 0).to_bytes());
        assert_eq!(
            time(1, 1, 1, 0, 0).at_offset(-60),
            time(-1, 12, 31, 23, -60)
        );
    }

    #[test]
    fn years_beyond_oracle_are_refused() {
        assert_eq!(time(10_000, 1, 1, 0, 0).check().unwrap_err().code, 1841);
        assert_eq!(time(0, 1, 1, 0, 0).check().unwrap_err().code, 1841);
        assert_eq!(time(2023, 2, 29, 0, 0).check().unwrap_err().code, 1847);
        assert!(time(-4712, 1, 1, 0, 0).check().is_ok());
    }
}
