//! A day and a time of day.

use std::fmt;

use super::{
    date::{CivilDate, Date, split_era},
    scanner::Scanner,
    time::{DAY, Time},
};

/// Microseconds from 1970-01-01 to 2000-01-01.
const UNIX_MICROS: i64 = 946_684_800_000_000;

/// A `timestamp`, with time zone (then in UTC) or without: microseconds since 2000-01-01 00:00.
///
/// Prints as PostgreSQL prints a `timestamp without time zone`, `2024-02-29 12:00:00.5`;
/// [`in_utc`](Self::in_utc) prints one with time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Later than every instant.
    pub const INFINITY: Self = Self(i64::MAX);
    /// Earlier than every instant.
    pub const NEG_INFINITY: Self = Self(i64::MIN);

    /// Parses PostgreSQL's text of a `timestamp without time zone`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::scan(text, false)
    }

    /// Parses PostgreSQL's text of a `timestamp with time zone`, whatever its offset, into UTC.
    #[must_use]
    pub fn parse_tz(text: &str) -> Option<Self> {
        Self::scan(text, true)
    }

    fn scan(text: &str, zone: bool) -> Option<Self> {
        match text {
            "infinity" => return Some(Self::INFINITY),
            "-infinity" => return Some(Self::NEG_INFINITY),
            _ => {}
        }
        let (text, bc) = split_era(text);
        let mut scanner = Scanner::new(text);
        let days = CivilDate::scan(&mut scanner, bc)?.days()?;
        scanner.expect(b' ')?;
        let time = Time::scan(&mut scanner)?;
        let offset = if zone {
            i64::from(scanner.offset()?)
        } else {
            0
        };
        let micros = days
            .checked_mul(DAY)?
            .checked_add(time.micros() - offset * 1_000_000)?;
        (scanner.is_done() && Self(micros).is_finite()).then_some(Self(micros))
    }

    /// The timestamp so many microseconds after 1970-01-01 00:00; none where it doesn't fit.
    #[must_use]
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        micros
            .checked_sub(UNIX_MICROS)
            .map(Self)
            .filter(|timestamp| timestamp.is_finite())
    }

    /// Microseconds since 1970-01-01 00:00; none for the infinities, and where it doesn't fit
    /// (from 294247-01-10 on).
    #[must_use]
    pub fn unix_micros(self) -> Option<i64> {
        if self.is_finite() {
            self.0.checked_add(UNIX_MICROS)
        } else {
            None
        }
    }

    /// Whether it is an instant, not an infinity.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self != Self::INFINITY && self != Self::NEG_INFINITY
    }

    /// Its day; the infinities are those of [`Date`].
    #[must_use]
    pub fn date(self) -> Date {
        match self {
            Self::INFINITY => Date::INFINITY,
            Self::NEG_INFINITY => Date::NEG_INFINITY,
            // A day has so many microseconds that the quotient always fits.
            Self(micros) => Date(micros.div_euclid(DAY) as i32),
        }
    }

    /// Its time of day, never 24:00:00; none for the infinities.
    #[must_use]
    pub fn time(self) -> Option<Time> {
        if self.is_finite() {
            Time::from_micros(self.0.rem_euclid(DAY))
        } else {
            None
        }
    }

    /// Its year, month, day and time of day; none for the infinities.
    #[must_use]
    pub fn civil(self) -> Option<(CivilDate, Time)> {
        self.date().civil().zip(self.time())
    }

    /// Prints as PostgreSQL prints a `timestamp with time zone` in UTC: `2024-02-29 12:00:00+00`.
    #[must_use]
    pub fn in_utc(self) -> InUtc {
        InUtc(self)
    }

    fn write(self, f: &mut fmt::Formatter<'_>, zone: &str) -> fmt::Result {
        let Some((civil, time)) = self.civil() else {
            return fmt::Display::fmt(&self.date(), f);
        };
        civil.write_digits(f)?;
        let era = if civil.is_bc() { " BC" } else { "" };
        write!(f, " {time}{zone}{era}")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "")
    }
}

/// Prints a [`Timestamp`] as one with time zone; made by [`Timestamp::in_utc`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InUtc(Timestamp);

impl fmt::Display for InUtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, "+00")
    }
}
