//! Formats of dates and timestamps, and those that a session has set.

use super::convert::inconsistent;
use super::elements::{Element, elements, unrecognized};
use super::{DateTime, Kind, Value};
use crate::error::{OraError, Result};

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// A session's NLS_…_FORMATs and its time zone, in minutes.
#[derive(Debug, Clone)]
pub(crate) struct Formats {
    pub(crate) date: String,
    pub(crate) timestamp: String,
    pub(crate) timestamp_tz: String,
    pub(crate) offset: i16,
}

impl Default for Formats {
    fn default() -> Self {
        Self {
            date: "DD-MON-RR".to_owned(),
            timestamp: "DD-MON-RR HH.MI.SSXFF AM".to_owned(),
            timestamp_tz: "DD-MON-RR HH.MI.SSXFF AM TZR".to_owned(),
            offset: 0,
        }
    }
}

impl Formats {
    fn of(&self, kind: Kind) -> &str {
        match kind {
            Kind::Date => &self.date,
            Kind::Timestamp => &self.timestamp,
            _ => &self.timestamp_tz,
        }
    }

    /// Text as a time, in the session's format.
    pub(crate) fn parse_implicitly(&self, text: &str, kind: Kind) -> Result<Value> {
        self.parse(text, self.of(kind), kind)
    }

    /// A time as text, in the session's format.
    pub(crate) fn write_implicitly(&self, value: &Value) -> Result<String> {
        write(value, self.of(value.kind()))
    }

    /// Text as a time, in a format.
    pub(crate) fn parse(&self, text: &str, format: &str, kind: Kind) -> Result<Value> {
        let time = Reader {
            rest: text,
            time: self.default_time(),
            is_pm: None,
            is_bc: false,
        }
        .read(&elements(format)?)?
        .check()?;
        Ok(match kind {
            Kind::Date => Value::Date(time.date()),
            Kind::Timestamp => Value::Timestamp(DateTime { offset: 0, ..time }),
            Kind::TimestampTz => Value::TimestampTz(time),
            _ => return Err(inconsistent(kind, Kind::Text)),
        })
    }

    /// The first of this month, at midnight: what a format leaves out.
    fn default_time(&self) -> DateTime {
        let now = DateTime::now();
        DateTime {
            year: now.year,
            month: now.month,
            day: 1,
            offset: self.offset,
            ..DateTime::default()
        }
    }
}

fn mismatch() -> OraError {
    OraError::new(1861, "literal does not match format string")
}

/// Text that is being read.
struct Reader<'a> {
    rest: &'a str,
    time: DateTime,
    is_pm: Option<bool>,
    is_bc: bool,
}

impl Reader<'_> {
    fn read(mut self, elements: &[Element]) -> Result<DateTime> {
        for element in elements {
            if self.rest.is_empty() {
                // A fraction and a zone may be absent, with what leads to them.
                if matches!(
                    element,
                    Element::Fraction(_) | Element::Point | Element::Punctuation(_)
                ) {
                    continue;
                }
                return Err(OraError::new(
                    1840,
                    "input value not long enough for date format",
                ));
            }
            self.element(element)?;
        }
        if !self.rest.is_empty() {
            return Err(OraError::new(
                1830,
                "date format picture ends before converting entire input string",
            ));
        }
        if let Some(is_pm) = self.is_pm {
            self.time.hour = self.time.hour % 12 + if is_pm { 12 } else { 0 };
        }
        if self.is_bc {
            self.time.year = -self.time.year;
        }
        Ok(self.time)
    }

    fn element(&mut self, element: &Element) -> Result<()> {
        match element {
            Element::Year { is_signed } => {
                let is_negative = *is_signed && self.take('-');
                if *is_signed && !is_negative && !self.take('+') {
                    self.take(' ');
                }
                let year = i16::try_from(self.digits(4)?).unwrap_or(i16::MAX);
                self.time.year = if is_negative { -year } else { year };
            }
            Element::ShortYear => {
                let year = i16::try_from(self.digits(2)?).unwrap_or(0);
                self.time.year = if year < 50 { 2000 + year } else { 1900 + year };
            }
            Element::Month => self.time.month = self.small(2)?,
            Element::MonthName => {
                let at = MONTHS.iter().position(|name| self.take_text(name));
                let at = at.ok_or_else(|| OraError::new(1843, "not a valid month"))?;
                self.time.month = u8::try_from(at + 1).unwrap_or(0);
            }
            Element::Day => self.time.day = self.small(2)?,
            Element::Hour24 => self.time.hour = self.small(2)?,
            Element::Hour12 => {
                self.time.hour = self.small(2)?;
                if !(1..=12).contains(&self.time.hour) {
                    return Err(OraError::new(1849, "hour must be between 1 and 12"));
                }
            }
            Element::Meridian => {
                let is_pm = self.take_text("PM");
                if !is_pm && !self.take_text("AM") {
                    return Err(OraError::new(1855, "AM/A.M. or PM/P.M. required"));
                }
                self.is_pm = Some(is_pm);
            }
            Element::Era => {
                self.is_bc = self.take_text("BC");
                if !self.is_bc && !self.take_text("AD") {
                    return Err(mismatch());
                }
            }
            Element::Minute => self.time.minute = self.small(2)?,
            Element::Second => self.time.second = self.small(2)?,
            Element::Fraction(digits) => {
                let length = usize::from(digits.unwrap_or(9));
                let given = self
                    .rest
                    .bytes()
                    .take_while(u8::is_ascii_digit)
                    .count()
                    .min(length);
                let value = self.digits(length)?;
                self.time.nanosecond = value * 10_u32.pow(9 - u32::try_from(given).unwrap_or(9));
            }
            Element::Point => {
                if !self.take('.') && !self.take(',') {
                    return Err(mismatch());
                }
            }
            Element::ZoneHour => {
                let is_negative = self.take('-');
                if !is_negative {
                    self.take('+');
                }
                let minutes = i16::from(self.small(2)?) * 60;
                self.time.offset = if is_negative { -minutes } else { minutes };
            }
            Element::ZoneMinute => {
                let minutes = i16::from(self.small(2)?);
                self.time.offset += if self.time.offset < 0 {
                    -minutes
                } else {
                    minutes
                };
            }
            Element::Zone => {
                if self.take_text("UTC") {
                    self.time.offset = 0;
                } else {
                    self.element(&Element::ZoneHour)?;
                    self.element(&Element::Punctuation(':'))?;
                    self.element(&Element::ZoneMinute)?;
                }
            }
            Element::Punctuation(_) => {
                let first = self.rest.chars().next().ok_or_else(mismatch)?;
                if first.is_alphanumeric() {
                    return Err(mismatch());
                }
                self.rest = &self.rest[first.len_utf8()..];
            }
            Element::Text(text) => {
                self.rest = self.rest.strip_prefix(text.as_str()).ok_or_else(mismatch)?;
            }
        }
        Ok(())
    }

    fn digits(&mut self, most: usize) -> Result<u32> {
        let length = self
            .rest
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        digits.parse().map_err(|_| {
            OraError::new(
                1858,
                "a non-numeric character was found where a numeric was expected",
            )
        })
    }

    fn small(&mut self, most: usize) -> Result<u8> {
        Ok(u8::try_from(self.digits(most)?).unwrap_or(u8::MAX))
    }

    fn take(&mut self, first: char) -> bool {
        let found = self.rest.strip_prefix(first);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn take_text(&mut self, text: &str) -> bool {
        let found = self
            .rest
            .get(..text.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(text));
        if found {
            self.rest = &self.rest[text.len()..];
        }
        found
    }
}

/// A time as text, in a format.
pub(crate) fn write(value: &Value, format: &str) -> Result<String> {
    use std::fmt::Write as _;
    let (Value::Date(time) | Value::Timestamp(time) | Value::TimestampTz(time)) = value else {
        return Err(inconsistent(Kind::Date, value.kind()));
    };
    let elements = elements(format)?;
    let has_era = elements.contains(&Element::Era);
    let mut text = String::new();
    for element in elements {
        let written = match element {
            Element::Year { is_signed } => {
                let sign = match (is_signed, time.year < 0) {
                    (true, true) => "-",
                    (true, false) if !has_era => " ",
                    _ => "",
                };
                write!(text, "{sign}{:04}", time.year.unsigned_abs())
            }
            Element::ShortYear => write!(text, "{:02}", time.year.unsigned_abs() % 100),
            Element::Month => write!(text, "{:02}", time.month),
            Element::MonthName => {
                write!(text, "{}", MONTHS[usize::from(time.month.clamp(1, 12)) - 1])
            }
            Element::Day => write!(text, "{:02}", time.day),
            Element::Hour24 => write!(text, "{:02}", time.hour),
            Element::Hour12 => write!(text, "{:02}", (time.hour + 11) % 12 + 1),
            Element::Meridian => write!(text, "{}", if time.hour < 12 { "AM" } else { "PM" }),
            Element::Era => write!(text, "{}", if time.year < 0 { "BC" } else { "AD" }),
            Element::Minute => write!(text, "{:02}", time.minute),
            Element::Second => write!(text, "{:02}", time.second),
            Element::Fraction(digits) => {
                let all = format!("{:09}", time.nanosecond);
                write!(text, "{}", &all[..usize::from(digits.unwrap_or(9))])
            }
            Element::Point => write!(text, "."),
            Element::ZoneHour => write!(
                text,
                "{}{:02}",
                if time.offset < 0 { '-' } else { '+' },
                time.offset.abs() / 60
            ),
            Element::ZoneMinute => write!(text, "{:02}", time.offset.abs() % 60),
            Element::Zone => {
                let sign = if time.offset < 0 { '-' } else { '+' };
                write!(
                    text,
                    "{sign}{:02}:{:02}",
                    time.offset.abs() / 60,
                    time.offset.abs() % 60
                )
            }
            Element::Punctuation(mark) => write!(text, "{mark}"),
            Element::Text(literal) => write!(text, "{literal}"),
        };
        written.map_err(|_| unrecognized())?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_reads_what_it_wrote() {
        let format = "SYYYY-MM-DD\"T\"HH24:MI:SS.FF6 TZH:TZM";
        let text = "-4712-01-31T23:59:58.123456 -05:30";
        let value = Formats::default()
            .parse(text, format, Kind::TimestampTz)
            .unwrap();
        assert_eq!(write(&value, format).unwrap(), text);
    }

    #[test]
    fn a_wrong_text_is_refused_as_oracle_does() {
        let code = |text, format| {
            Formats::default()
                .parse(text, format, Kind::Date)
                .unwrap_err()
                .code
        };
        assert_eq!(code("2024-13-01", "YYYY-MM-DD"), 1843);
        assert_eq!(code("2024-01-01 x", "YYYY-MM-DD"), 1830);
        assert_eq!(code("2024", "YYYY-MM-DD"), 1840);
        assert_eq!(code("2024-01-01", "QQQQ"), 1821);
        assert_eq!(code("today", "YYYY"), 1858);
    }
}
