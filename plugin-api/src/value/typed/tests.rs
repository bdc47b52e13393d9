//! What becomes typed, and what stays text.

use super::{super::*, *};

#[test]
fn what_is_not_of_the_kind_stays_text() {
    let cases: [(ValueKind, &[&str]); 11] = [
        (ValueKind::Bool, &["", "true", "T", "1"]),
        (
            ValueKind::Int,
            &["", "1.0", "9223372036854775808", " 1", "x"],
        ),
        (ValueKind::Float, &["", "1e400", "inf", "nan", "0x1"]),
        (
            ValueKind::Decimal,
            &["", "-", ".5", "1.", "1e5", "1.2.3", "+1", "inf"],
        ),
        (
            ValueKind::Uuid,
            &["", "a0eebc999c0b4ef8bb6d6bb9bd380a11", "€", "-"],
        ),
        (
            ValueKind::Date,
            &[
                "",
                "2023-02-29",
                "1900-02-29",
                "2024-13-01",
                "2024-00-01",
                "2024-01-00",
                "2024-1-1",
                "0000-01-01",
                "0000-01-01 BC",
                "02024-01-01",
                "24-01-01",
                "9999999-01-01",
                "2024-01-01 ",
                "2024-01-01 00:00:00",
                "-2024-01-01",
                "Infinity",
            ],
        ),
        (
            ValueKind::Time,
            &[
                "",
                "24:00:00.000001",
                "25:00:00",
                "00:60:00",
                "00:00:60",
                "1:00:00",
                "00:00",
            ],
        ),
        (
            ValueKind::TimeTz,
            &["", "00:00:00", "00:00:00+", "00:00:00+16", "00:00:00+05:3"],
        ),
        (
            ValueKind::Timestamp,
            &[
                "",
                "2024-01-01",
                "2024-01-01T00:00:00",
                "2024-01-01 00:00:00+00",
                "2024-01-01 00:00:00.",
                "2024-01-01 00:00:00.1234567",
                "300000-01-01 00:00:00",
                "9999999-01-01 00:00:00",
            ],
        ),
        (
            ValueKind::TimestampTz,
            &["", "2024-01-01 00:00:00", "2024-01-01 00:00:00 UTC"],
        ),
        (
            ValueKind::Interval,
            &[
                "",
                "1",
                "1 ",
                "1 week",
                "1 day ",
                "1 day 1 day",
                "1 day 1 year",
                "1 day 1",
                "00:00",
                "99999999999 days",
                "999999999999999999 years",
                "2562047788:00:54.775808",
                "999999999999999999:00:00",
                "9999999999999999999:00:00",
                "P1Y",
            ],
        ),
    ];
    for (kind, texts) in cases {
        for text in texts {
            assert_eq!(Typed::parse(kind, text), Typed::Other(text), "{kind:?}");
        }
    }
}

#[test]
fn values_of_each_kind_become_typed() {
    let uuid = *b"\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11";
    let cases = [
        (ValueKind::Bool, "t", Typed::Bool(true)),
        (ValueKind::Bool, "f", Typed::Bool(false)),
        (ValueKind::Int, "-9223372036854775808", Typed::Int(i64::MIN)),
        (ValueKind::Float, "0.1", Typed::Float(0.1)),
        (ValueKind::Float, "1e-310", Typed::Float(1e-310)),
        (
            ValueKind::Float,
            "-Infinity",
            Typed::Float(f64::NEG_INFINITY),
        ),
        (
            ValueKind::Decimal,
            "-0.0000001",
            Typed::Decimal("-0.0000001"),
        ),
        (ValueKind::Decimal, "NaN", Typed::Decimal("NaN")),
        (ValueKind::Text, "", Typed::Text("")),
        (ValueKind::Date, "2000-01-02", Typed::Date(Date(1))),
        (ValueKind::Time, "24:00:00", Typed::Time(Time::END_OF_DAY)),
        (
            ValueKind::TimeTz,
            "00:00:00+00",
            Typed::TimeTz(TimeTz::default()),
        ),
        (
            ValueKind::Timestamp,
            "2000-01-01 00:00:01",
            Typed::Timestamp(Timestamp(1_000_000)),
        ),
        (
            ValueKind::TimestampTz,
            "2000-01-01 00:00:00+00",
            Typed::TimestampTz(Timestamp(0)),
        ),
        (
            ValueKind::Interval,
            "00:00:00",
            Typed::Interval(Interval::default()),
        ),
        (
            ValueKind::Uuid,
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            Typed::Uuid(uuid),
        ),
        (ValueKind::Json, "null", Typed::Json("null")),
        (ValueKind::Array, "{}", Typed::Array("{}")),
        (ValueKind::Other, "(1,2)", Typed::Other("(1,2)")),
    ];
    for (kind, text, typed) in cases {
        let value = Value::Text(kind, text);
        assert_eq!(
            (value.typed(), value.text(), value.kind()),
            (typed, Some(text), Some(kind))
        );
    }
    assert!(matches!(Typed::parse(ValueKind::Float, "NaN"), Typed::Float(f) if f.is_nan()));
    assert!(
        matches!(Typed::parse(ValueKind::Float, "-0"), Typed::Float(f) if f.is_sign_negative())
    );
}

#[test]
fn null_unchanged_and_empty_are_three_things() {
    let empty = Value::Text(ValueKind::Text, "");
    assert!(Value::Null.is_null() && !Value::Unchanged.is_null() && !empty.is_null());
    assert!(Value::Unchanged.is_unchanged() && !Value::Null.is_unchanged());
    assert!(!empty.is_unchanged());
    assert_eq!(
        (Value::Null.typed(), Value::Unchanged.typed()),
        (Typed::Null, Typed::Unchanged)
    );
    assert_eq!((Value::Null.text(), Value::Unchanged.text()), (None, None));
    assert_eq!((Value::Null.kind(), Value::Unchanged.kind()), (None, None));
    let bytes = Value::Bytes(&[0, 255]);
    assert_eq!((bytes.text(), bytes.kind()), (None, Some(ValueKind::Bytes)));
    assert_eq!(bytes.typed(), Typed::Bytes(&[0, 255]));
}

/// Texts with a byte changed, removed or added: parsed or not, but never a panic, and whatever
/// parses prints a text that means the same.
#[test]
fn damaged_texts_never_panic() {
    let texts = [
        "4714-11-24 23:59:59.999999+15:59:59 BC",
        "294276-12-31 23:59:59.999999",
        "5874897-12-31",
        "24:00:00-15:59:59",
        "-178956970 years -8 mons +2147483647 days -2562047788:00:54.775808",
        "[-1:0][5:6]={{a,NULL},{\"c\\\"\",\"d ü\"}}",
        "{{{{{{1,2}}}}}}",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ];
    let mut seed = 1_u64;
    let mut below = |limit: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % limit
    };
    for round in 0..50_000 {
        let mut text: Vec<char> = texts[round % texts.len()].chars().collect();
        for _ in 0..=below(3) {
            let new = [
                '0', '9', '-', '+', ':', '.', ' ', '{', '}', '"', '\\', ']', '€',
            ][below(13)];
            let at = below(text.len());
            match below(4) {
                0 => text.insert(at, new),
                1 if text.len() > 1 => drop(text.remove(at)),
                2 => text.truncate(at + 1),
                _ => text[at] = new,
            }
        }
        let text: String = text.into_iter().collect();
        if let Some(date) = Date::parse(&text) {
            assert_eq!(date.to_string(), text);
        }
        if let Some(timestamp) = Timestamp::parse(&text) {
            assert_eq!(
                Timestamp::parse(&timestamp.to_string()),
                Some(timestamp),
                "{text}"
            );
        }
        if let Some(timestamp) = Timestamp::parse_tz(&text) {
            let printed = timestamp.in_utc().to_string();
            assert_eq!(Timestamp::parse_tz(&printed), Some(timestamp), "{text}");
        }
        if let Some(time) = TimeTz::parse(&text) {
            assert_eq!(TimeTz::parse(&time.to_string()), Some(time), "{text}");
        }
        if let Some(interval) = Interval::parse(&text) {
            assert_eq!(
                Interval::parse(&interval.to_string()),
                Some(interval),
                "{text}"
            );
        }
        let _ = (Array::parse(&text), Array::parse_delimited(&text, 0xe2));
        let _ = Typed::parse(ValueKind::Uuid, &text);
    }
}
