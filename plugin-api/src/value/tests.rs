//! Texts as PostgreSQL 15 printed them, with what it said of their parts.

use super::*;

#[test]
fn dates_print_as_postgresql_printed_them() {
    let cases = [
        ("2000-01-01", 0, (2000, 1, 1)),
        ("1999-12-31", -1, (1999, 12, 31)),
        ("2024-02-29", 8825, (2024, 2, 29)),
        ("1900-03-01", -36_465, (1900, 3, 1)),
        ("0001-01-01", -730_119, (1, 1, 1)),
        ("0001-12-31 BC", -730_120, (0, 12, 31)),
        ("0005-02-29 BC", -731_887, (-4, 2, 29)),
        ("0044-03-15 BC", -746_117, (-43, 3, 15)),
        ("4714-11-24 BC", -2_451_545, (-4713, 11, 24)),
        ("10000-01-01", 2_921_940, (10_000, 1, 1)),
        ("5874897-12-31", 2_145_031_948, (5_874_897, 12, 31)),
    ];
    for (text, days, (year, month, day)) in cases {
        let date = Date::parse(text).expect(text);
        assert_eq!((date.0, date.to_string().as_str()), (days, text));
        let civil = CivilDate { year, month, day };
        assert_eq!(
            (date.civil(), Date::from_civil(civil)),
            (Some(civil), Some(date)),
            "{text}"
        );
    }
    assert_eq!(Date::parse("1970-01-01").and_then(Date::unix_days), Some(0));
    let ides = Date::parse("0044-03-15 BC").and_then(Date::civil).unwrap();
    assert!(ides.is_bc() && ides.year_of_era() == 44);
}

#[test]
fn every_day_of_the_calendar_follows_the_one_before() {
    let mut previous = CivilDate::from_days(-1_200_001);
    for days in -1_200_000..1_200_000 {
        let civil = CivilDate::from_days(days);
        assert!(civil > previous, "{civil}");
        assert_eq!(civil.days(), Some(i64::from(days)), "{civil}");
        previous = civil;
    }
}

#[test]
fn timestamps_print_as_postgresql_printed_them() {
    let cases = [
        ("2000-01-01 00:00:00.000001", 946_684_800_000_001),
        ("2000-01-01 00:00:00.1", 946_684_800_100_000),
        ("1999-12-31 23:59:59.999999", 946_684_799_999_999),
        ("1970-01-01 00:00:00", 0),
        ("0001-01-01 00:00:00", -62_135_596_800_000_000),
        ("0001-12-31 23:59:59.999999 BC", -62_135_596_800_000_001),
        ("4714-11-24 00:00:00 BC", -210_866_803_200_000_000),
        ("42651-04-26 16:01:31.247", 1_283_778_345_691_247_000),
        ("235098-05-11 19:05:06.020455", 7_356_820_446_306_020_455),
    ];
    for (text, unix_micros) in cases {
        let timestamp = Timestamp::parse(text).expect(text);
        assert_eq!(timestamp.to_string(), text);
        assert_eq!(timestamp.unix_micros(), Some(unix_micros), "{text}");
        assert_eq!(Timestamp::from_unix_micros(unix_micros), Some(timestamp));
        let (text, era) = text
            .strip_suffix(" BC")
            .map_or((text, ""), |text| (text, " BC"));
        let in_utc = format!("{text}+00{era}");
        assert_eq!(Timestamp::parse_tz(&in_utc), Some(timestamp));
        assert_eq!(timestamp.in_utc().to_string(), in_utc);
    }
    // PostgreSQL counts from 2000, so its last years don't fit a count from 1970.
    let last = Timestamp::parse("294276-12-31 23:59:59.999999").unwrap();
    assert_eq!(
        (last.unix_micros(), last.0),
        (None, 9_223_371_331_199_999_999)
    );
    assert_eq!(last.to_string(), "294276-12-31 23:59:59.999999");
}

#[test]
fn timestamps_of_any_zone_become_utc() {
    let cases = [
        (
            "3754-11-23 03:18:28.782+00:19:32 BC",
            -180_572_274_063_218_000,
        ),
        (
            "3754-11-22 23:28:04.782-03:30:52 BC",
            -180_572_274_063_218_000,
        ),
        (
            "3754-11-23 08:52:24.782+05:53:28 BC",
            -180_572_274_063_218_000,
        ),
        ("1970-01-01 05:30:00+05:30", 0),
        ("1969-12-31 21:00:00-03", 0),
    ];
    for (text, unix_micros) in cases {
        let timestamp = Timestamp::parse_tz(text).expect(text);
        assert_eq!(timestamp.unix_micros(), Some(unix_micros), "{text}");
    }
}

#[test]
fn infinities_are_explicit_and_have_no_parts() {
    for (text, date, timestamp) in [
        ("infinity", Date::INFINITY, Timestamp::INFINITY),
        ("-infinity", Date::NEG_INFINITY, Timestamp::NEG_INFINITY),
    ] {
        assert_eq!(
            (Date::parse(text), date.to_string().as_str()),
            (Some(date), text)
        );
        assert_eq!((date.civil(), date.unix_days()), (None, None));
        assert_eq!(Timestamp::parse(text), Some(timestamp));
        assert_eq!(Timestamp::parse_tz(text), Some(timestamp));
        assert_eq!(timestamp.to_string(), text);
        assert_eq!(timestamp.in_utc().to_string(), text);
        assert_eq!((timestamp.civil(), timestamp.unix_micros()), (None, None));
        assert_eq!(timestamp.date(), date);
    }
    assert!(Date::NEG_INFINITY < Date(0) && Timestamp(0) < Timestamp::INFINITY);
}

#[test]
fn times_print_as_postgresql_printed_them() {
    let cases = [
        ("00:00:00", 0),
        ("00:00:00.000001", 1),
        ("04:05:06.789", 14_706_789_000),
        ("23:59:59.999999", 86_399_999_999),
        ("24:00:00", 86_400_000_000),
    ];
    for (text, micros) in cases {
        let time = Time::parse(text).expect(text);
        assert_eq!((time.micros(), time.to_string().as_str()), (micros, text));
    }
    let time = Time::parse("04:05:06.789").unwrap();
    assert_eq!((time.hour(), time.minute(), time.second()), (4, 5, 6));
    assert_eq!(time.microsecond(), 789_000);
    assert_eq!(
        (Time::END_OF_DAY.hour(), Time::END_OF_DAY.minute()),
        (24, 0)
    );

    let cases = [
        ("24:00:00+15:59:59", 57_599),
        ("00:00:00-15:59:59", -57_599),
        ("00:00:00-00:00:01", -1),
        ("12:00:00.5+05:30", 19_800),
        ("12:00:00+00", 0),
        ("12:00:00-03", -10_800),
    ];
    for (text, offset) in cases {
        let time = TimeTz::parse(text).expect(text);
        assert_eq!((time.offset, time.to_string().as_str()), (offset, text));
    }
}

#[test]
fn intervals_print_as_postgresql_printed_them() {
    let cases = [
        ("00:00:00", (0, 0, 0)),
        ("-00:00:01", (0, 0, -1_000_000)),
        (
            "1 year 2 mons -3 days +04:05:06.789",
            (14, -3, 14_706_789_000),
        ),
        ("1 mon 1 day -00:00:00.000001", (1, 1, -1)),
        ("-1 mons +1 day 00:00:00.000001", (-1, 1, 1)),
        ("-1 years +00:00:00.000001", (-12, 0, 1)),
        ("1 year -1 days", (12, -1, 0)),
        ("-1 years -2 mons +1 day", (-14, 1, 0)),
        ("1 mon 01:00:00", (1, 0, 3_600_000_000)),
        (
            "-1448502055 days +00:06:24",
            (0, -1_448_502_055, 384_000_000),
        ),
        ("-2562047788:00:54.775808", (0, 0, i64::MIN)),
        (
            "-178956970 years -8 mons -2147483648 days",
            (i32::MIN, i32::MIN, 0),
        ),
        (
            "178956970 years 7 mons -2147483647 days +2562047788:00:54.775807",
            (i32::MAX, -i32::MAX, i64::MAX),
        ),
    ];
    for (text, (months, days, micros)) in cases {
        let interval = Interval::parse(text).expect(text);
        assert_eq!(
            interval,
            Interval {
                months,
                days,
                micros
            },
            "{text}"
        );
        assert_eq!(interval.to_string(), text);
    }
    for (text, interval) in [
        ("infinity", Interval::INFINITY),
        ("-infinity", Interval::NEG_INFINITY),
    ] {
        assert_eq!(
            (Interval::parse(text), interval.to_string()),
            (Some(interval), text.into())
        );
    }
    // A span in PostgreSQL 15, whose parts mean infinity in PostgreSQL 17.
    let longest = "178956970 years 7 mons 2147483647 days 2562047788:00:54.775807";
    assert_eq!(
        Typed::parse(ValueKind::Interval, longest),
        Typed::Other(longest)
    );
}
