//! Whatever stands in the place of a value, it is parsed into what it says, or kept as text.

use crate::{
    Array, ArrayItem, Date, Interval, Time, TimeTz, Timestamp, Typed, ValueKind, testing::fuzz,
};

const KINDS: [ValueKind; 13] = [
    ValueKind::Bool,
    ValueKind::Int,
    ValueKind::Float,
    ValueKind::Decimal,
    ValueKind::Text,
    ValueKind::Date,
    ValueKind::Time,
    ValueKind::TimeTz,
    ValueKind::Timestamp,
    ValueKind::TimestampTz,
    ValueKind::Interval,
    ValueKind::Uuid,
    ValueKind::Array,
];

const SAMPLES: [&str; 24] = [
    "t",
    "-9223372036854775808",
    "1.7976931348623157e+308",
    "NaN",
    "-12345678901234567890.0123456789",
    "2024-02-29",
    "infinity",
    "4713-01-01 BC",
    "5874897-12-31",
    "24:00:00",
    "23:59:59.999999+15:59:59",
    "04:05:06.789-08",
    "294276-12-31 23:59:59.999999",
    "2024-01-01 00:00:00.5+00",
    "0044-03-15 12:00:00+00 BC",
    "-178000000 years -11 mons +2147483647 days -2562047788:00:54.775808",
    "1 year 2 mons -3 days +04:05:06.7",
    "00:00:00",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "{}",
    "{1,NULL,\"two words\",\"a \\\"b\\\"\"}",
    "{{1,2},{3,4}}",
    "[-2:-1][0:1]={{a,b},{c,d}}",
    "{{{{{{1}}}}}}",
];

/// What is parsed prints as something that parses to the same.
fn look_at(kind: ValueKind, text: &str) -> bool {
    match Typed::parse(kind, text) {
        Typed::Date(date) => {
            let _ = (date.is_finite(), date.civil(), date.unix_days());
            assert_eq!(Date::parse(&date.to_string()), Some(date));
        }
        Typed::Time(time) => {
            let _ = (
                time.hour(),
                time.minute(),
                time.second(),
                time.microsecond(),
            );
            assert_eq!(Time::parse(&time.to_string()), Some(time));
        }
        Typed::TimeTz(time) => assert_eq!(TimeTz::parse(&time.to_string()), Some(time)),
        Typed::Timestamp(at) => {
            let _ = (at.unix_micros(), at.date(), at.time(), at.civil());
            assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        }
        Typed::TimestampTz(at) => {
            assert_eq!(Timestamp::parse_tz(&at.in_utc().to_string()), Some(at));
        }
        Typed::Interval(interval) => {
            assert_eq!(Interval::parse(&interval.to_string()), Some(interval));
        }
        Typed::Float(number) => assert!(number.is_finite() || text.ends_with(['N', 'y'])),
        Typed::Array(literal) => return whole(literal),
        Typed::Text(_) => return false,
        Typed::Other(kept) => {
            assert_eq!(kept, text);
            return false;
        }
        _ => {}
    }
    true
}

/// Whether the literal is an array, of which every branch is as long as its bounds say.
fn whole(literal: &str) -> bool {
    fn depth(items: &[ArrayItem<'_>]) -> usize {
        let inner = items.iter().map(|item| match item {
            ArrayItem::Array(items) => depth(items),
            _ => 0,
        });
        1 + inner.max().unwrap_or(0)
    }
    let semicolons = Array::parse_delimited(literal, b';');
    let Some(array) = Array::parse(literal) else {
        return semicolons.is_some();
    };
    let _ = array.starts_at_one();
    let depth = if array.items.is_empty() {
        0
    } else {
        depth(&array.items)
    };
    assert_eq!(array.lower_bounds.len(), depth, "{literal}");
    true
}

#[test]
fn no_text_makes_a_parser_panic_and_what_is_parsed_is_printed_again() {
    let samples = SAMPLES.map(|sample| sample.as_bytes().to_vec());
    fuzz("values", &samples, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return false;
        };
        let taken = KINDS.iter().filter(|&&kind| look_at(kind, text));
        taken.count() > 0
    });
}
