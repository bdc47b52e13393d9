//! Dates and times in Oracle's calendar.
//!
//! It is the Julian one up to 1582-10-04 and goes on with 1582-10-15, and knows the years from 4712 BC
//! to 9999. Days are kept by their names, which is exact; those that it doesn't have don't fit.

use tahr_plugin_api::Typed;

use crate::values::{Bind, Misfit};

/// A date and a time as Oracle counts years: 1 BC is -1, and there is no year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) year: i32,
    pub(crate) month: u8,
    pub(crate) day: u8,
    /// Microseconds since midnight.
    pub(crate) micros: i64,
}

/// The first and the last day that Oracle has.
const FIRST: Moment = Moment {
    year: -4712,
    month: 1,
    day: 1,
    micros: 0,
};
const LAST: Moment = Moment {
    year: 9999,
    month: 12,
    day: 31,
    micros: 0,
};
/// The last microsecond of a day.
const LATEST: i64 = 86_399_999_999;

/// The moment that a value of a date or timestamp is.
pub(crate) fn moment<'a>(value: Typed<'a>) -> Result<Bind<'a>, Misfit<'a>> {
    let (is_finite, is_late, civil, is_time) = match value {
        Typed::Date(date) => (
            date.is_finite(),
            date.0 > 0,
            date.civil().map(|date| (date, 0)),
            false,
        ),
        Typed::Timestamp(at) | Typed::TimestampTz(at) => {
            let civil = at.civil().map(|(date, time)| (date, time.micros()));
            (at.is_finite(), at.0 > 0, civil, true)
        }
        _ => return Err(Misfit::new("text that is no date")),
    };
    let nearest = |what, moment| Misfit {
        what,
        nearest: Bind::Moment(moment),
    };
    let last = Moment {
        micros: if is_time { LATEST } else { 0 },
        ..LAST
    };
    let Some((date, micros)) = civil else {
        return Err(match (is_finite, is_late) {
            (true, _) => Misfit::new("such a date"),
            (false, true) => nearest("infinity", last),
            (false, false) => nearest("-infinity", FIRST),
        });
    };
    // Astronomers' year 0 is 1 BC.
    let year = if date.year <= 0 {
        date.year - 1
    } else {
        date.year
    };
    let (month, day) = (date.month, date.day);
    let moment = Moment {
        year,
        month,
        day,
        micros,
    };
    match year {
        ..-4712 => Err(nearest("a date before 4712 BC", FIRST)),
        10_000.. => Err(nearest("a date after 9999", last)),
        1582 if month == 10 && (5..15).contains(&day) => {
            let next = Moment {
                day: 15,
                micros: 0,
                ..moment
            };
            Err(nearest("a day that Oracle's calendar leaves out", next))
        }
        ..0 if month == 2 && day == 29 => {
            let before = Moment { day: 28, ..moment };
            Err(nearest("a 29th of February BC", before))
        }
        _ => Ok(Bind::Moment(moment)),
    }
}
