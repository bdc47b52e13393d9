//! Dates, times and lengths of time.

use tahr_tests::Random;

use super::{Type, corner_or, quoted};

/// Days from 2000-01-01 to the ends of what a timestamp holds: 4714 BC to 294276.
const FIRST_DAY: i64 = -2_451_545;
const LAST_DAY: i64 = 106_751_982;

/// And of a date: 5874897-12-31.
const LAST_DATE: i64 = 2_145_031_948;

const DAY: u64 = 86_400_000_000;

pub(super) fn types() -> Vec<Type> {
    vec![
        Type::new("date", |random| {
            let corners = [
                "infinity",
                "-infinity",
                "4713-01-01 BC",
                "5874897-12-31",
                "0001-12-31 BC",
                "0001-01-01",
                "9999-12-31",
                "10000-01-01",
                "1582-10-10",
                "2024-02-29",
                "1970-01-01",
            ];
            corner_or(random, &corners, |random| {
                let day = day(random, LAST_DATE);
                format!("('2000-01-01'::date + ({day}))")
            })
        }),
        Type::new("time without time zone", time),
        Type::new("time(3) without time zone", time),
        Type::new("time with time zone", |random| {
            let corners = [
                "00:00+15:59:59",
                "24:00:00-12",
                "12:34:56.000001+05:30",
                "01:02:03Z",
                "23:59:59.999999-15:59:59",
            ];
            corner_or(random, &corners, |random| {
                let offset = random.below(15 * 3600 + 3600);
                let sign = if random.one_in(2) { '+' } else { '-' };
                let zone = format!("{sign}{}", clock(offset * 1_000_000));
                quoted(&format!("{}{zone}", clock(random.below(DAY))))
            })
        }),
        Type::new("timestamp without time zone", timestamp),
        Type::new("timestamp(0) without time zone", timestamp),
        Type::new("timestamp(3) without time zone", timestamp),
        Type::new("timestamp with time zone", |random| {
            let corners = [
                "infinity",
                "-infinity",
                "4713-01-01 00:00:00+00 BC",
                "294276-12-31 23:59:59.999999+00",
                "2024-03-31 02:30:00+01",
                "0044-03-15 00:00:00+00 BC",
                "1969-12-31 23:59:59.999999+00",
                "2038-01-19 03:14:08+00",
            ];
            corner_or(random, &corners, |random| {
                format!("(({}) AT TIME ZONE 'UTC')", moment(random))
            })
        }),
        Type::new("interval", |random| {
            let corners = [
                "0",
                "1 year 2 mons -3 days +04:05:06.789",
                "-178000000 years",
                "-0.000001 s",
                "2147483647 days -2562047788:00:54.775807",
                "1 mon -1 day",
                "-13 mons",
                "24 hours",
                "1 day",
            ];
            corner_or(random, &corners, |random| {
                let mut part = |most: u64| {
                    let number = random.below(most) >> random.below(40);
                    let sign = if random.one_in(2) { "-" } else { "" };
                    match random.below(3) {
                        0 => "0".to_owned(),
                        _ => format!("{sign}{number}"),
                    }
                };
                let (months, days, hours) = (part(1 << 31), part(1 << 31), part(1 << 31));
                quoted(&format!("{months} mons {days} days {hours}:59:58.7654321"))
            })
        }),
        Type::new("interval day to second(3)", |random| {
            let days = random.below(1000);
            quoted(&format!("-{days} {}", clock(random.below(DAY))))
        }),
        Type::new("interval year to month", |random| {
            quoted(&format!("{}-{}", random.below(1000), random.below(12)))
        }),
    ]
}

fn time(random: &mut Random) -> String {
    let corners = ["00:00", "24:00:00", "23:59:59.999999", "12:34:56.7"];
    corner_or(random, &corners, |random| {
        quoted(&clock(random.below(DAY + 1)))
    })
}

fn timestamp(random: &mut Random) -> String {
    let corners = [
        "infinity",
        "-infinity",
        "4713-01-01 00:00:00 BC",
        "294276-12-31 23:59:59",
        "1999-12-31 23:59:59.5",
        "9999-12-31 23:59:59.999999",
        "10000-01-01",
        "0999-12-31 23:59:59",
        "1900-02-28 00:00:00",
        "0001-01-01 00:00:00",
    ];
    corner_or(random, &corners, moment)
}

/// A timestamp; half of them in times that people write of.
fn moment(random: &mut Random) -> String {
    format!(
        "('2000-01-01'::date + ({}) + time '{}')",
        day(random, LAST_DAY),
        clock(random.below(DAY))
    )
}

/// Days since 2000-01-01.
fn day(random: &mut Random, last: i64) -> i64 {
    let (first, last) = if random.one_in(2) {
        (-36_500, 36_500)
    } else {
        (FIRST_DAY, last)
    };
    let span = u64::try_from(last - first).unwrap_or(1);
    first + i64::try_from(random.below(span)).unwrap_or_default()
}

fn clock(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    let clock = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    match micros % 1_000_000 {
        0 => clock,
        part => format!("{clock}.{part:06}"),
    }
}
