//! Values of every kind, at their extremes.

use super::fixture::{Fixture, cases};
use crate::testing::{Cell, Row, relation};

cases![
    booleans_arrive,
    integers_arrive,
    floats_arrive,
    numerics_arrive,
    text_arrives,
    bytea_arrives,
    dates_arrive,
    times_arrive,
    timestamps_arrive,
    intervals_arrive,
    uuids_arrive,
    json_arrives,
    arrays_arrive,
    other_types_arrive,
    a_megabyte_arrives,
    text_keys_are_exact,
    keys_of_other_kinds_work,
];

/// Sends every value of `values` (and NULL) through an insert, then through an update, and
/// compares what can be read back.
#[track_caller]
fn arrive(f: &mut Fixture<'_>, type_name: &str, values: &[&str]) {
    let table = relation(&format!("public.of {type_name}"))
        .column("id", "integer")
        .column("v", type_name)
        .key(["id"])
        .build();
    let position = f.position.clone();
    f.flush(&position);
    super::fixture::ok(f.writer().prepare(&table));
    let cell = |index: usize| match values.get(index % (values.len() + 1)) {
        Some(text) => Cell::Text(text),
        None => Cell::Null,
    };
    let ids: Vec<String> = (10..=10 + values.len()).map(|id| id.to_string()).collect();
    for shift in [0, 1] {
        let mut batch = f.next();
        let mut expected: Vec<Row> = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let value = cell(index + shift);
            let row = [Cell::Text(id), value];
            batch = if shift == 0 {
                batch.insert(&table, row)
            } else {
                batch.update(&table, row)
            };
            let value = match value {
                Cell::Text(text) => f.subject.reads_back(&table.columns[1], text),
                _ => None,
            };
            expected.push(vec![Some(id.clone()), value]);
        }
        let batch = batch.build();
        f.write(&batch);
        f.expect_read_back(&table, &batch);
        let found = f.rows(&table);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{type_name}, shift {shift}");
        }
        assert_eq!(found.len(), expected.len(), "rows of {type_name}");
    }
}

fn booleans_arrive(f: &mut Fixture<'_>) {
    arrive(f, "boolean", &["t", "f"]);
}

fn integers_arrive(f: &mut Fixture<'_>) {
    arrive(f, "smallint", &["0", "-32768", "32767"]);
    arrive(f, "integer", &["0", "-2147483648", "2147483647"]);
    let extremes = ["0", "-1", "-9223372036854775808", "9223372036854775807"];
    arrive(f, "bigint", &extremes);
    arrive(f, "oid", &["0", "4294967295"]);
    arrive(f, "xid8", &["0", "18446744073709551615"]);
}

fn floats_arrive(f: &mut Fixture<'_>) {
    let doubles = [
        "0",
        "-0",
        "1",
        "0.1",
        "-1.5",
        "1e+100",
        "2.2250738585072014e-308",
        "5e-324",
        "1.7976931348623157e+308",
        "0.30000000000000004",
        "NaN",
        "Infinity",
        "-Infinity",
    ];
    arrive(f, "double precision", &doubles);
    let reals = ["0", "0.1", "3.4028235e+38", "1e-45", "NaN", "-Infinity"];
    arrive(f, "real", &reals);
}

fn numerics_arrive(f: &mut Fixture<'_>) {
    let numerics = [
        "0",
        "0.00",
        "1.50",
        "-1",
        "100000000000000000000",
        "1234567890123456789012345678901234567890",
        "0.1234567890123456789012345678901234567890",
        "-99999999999999999999.99999999999999999999",
        "9007199254740993",
        "NaN",
        "Infinity",
        "-Infinity",
    ];
    arrive(f, "numeric", &numerics);
    arrive(
        f,
        "numeric(10,2)",
        &["0.00", "-12345678.90", "99999999.99", "NaN"],
    );
}

fn text_arrives(f: &mut Fixture<'_>) {
    let texts = [
        "",
        " ",
        "plain",
        "  spaces  ",
        "trailing ",
        "12345",
        "007",
        "1e3",
        "1.50",
        "NULL",
        "null",
        "\\N",
        "\\.",
        "\\",
        "back\\slash \\n \\t \\x41",
        "it's",
        "''",
        "\"double\"",
        "new\nline",
        "carriage\r\nreturn",
        "tab\tbed",
        "\u{1}\u{7f}",
        "comma,semi;colon",
        "$1 ? :a @b %s {} {{ }}",
        "größe ÄÖÜ ß",
        "日本語",
        "🦀 e\u{301} \u{feff}",
        "\u{10ffff}",
        "t",
        "Infinity",
    ];
    arrive(f, "text", &texts);
    arrive(f, "character varying(30)", &texts[..20]);
    arrive(f, "character(3)", &["   ", "a  ", "abc"]);
    arrive(f, "name", &["Some Name"]);
}

fn bytea_arrives(f: &mut Fixture<'_>) {
    use std::fmt::Write as _;
    let mut all = "\\x".to_owned();
    for byte in 0..=255_u8 {
        write!(all, "{byte:02x}").expect("a string takes all");
    }
    arrive(
        f,
        "bytea",
        &["\\x", "\\x00", "\\xff00", "\\x68656c6c6f", &all],
    );
}

fn dates_arrive(f: &mut Fixture<'_>) {
    let dates = [
        "2000-01-01",
        "1970-01-01",
        "2024-02-29",
        "0001-01-01",
        "4713-01-01 BC",
        "0044-03-15 BC",
        "9999-12-31",
        "10000-01-01",
        "5874897-12-31",
        "infinity",
        "-infinity",
    ];
    arrive(f, "date", &dates);
}

fn times_arrive(f: &mut Fixture<'_>) {
    let times = ["00:00:00", "12:34:56.789012", "23:59:59.999999", "24:00:00"];
    arrive(f, "time without time zone", &times);
    let zoned = ["00:00:00+00", "12:34:56.5+05:30", "24:00:00-15:59:59"];
    arrive(f, "time with time zone", &zoned);
}

fn timestamps_arrive(f: &mut Fixture<'_>) {
    let plain = [
        "2000-01-01 00:00:00",
        "2024-02-29 23:59:59.999999",
        "1969-12-31 23:59:59.5",
        "0001-01-01 00:00:00",
        "4713-11-24 00:00:00 BC",
        "0044-03-15 12:00:00.000001 BC",
        "10000-01-01 00:00:00",
        "294276-12-31 23:59:59.999999",
        "infinity",
        "-infinity",
    ];
    arrive(f, "timestamp without time zone", &plain);
    let zoned = [
        "2000-01-01 00:00:00+00",
        "2024-02-29 23:59:59.999999+00",
        "0044-03-15 12:00:00.000001+00 BC",
        "294276-12-31 23:59:59.999999+00",
        "infinity",
        "-infinity",
    ];
    arrive(f, "timestamp with time zone", &zoned);
}

fn intervals_arrive(f: &mut Fixture<'_>) {
    let intervals = [
        "00:00:00",
        "1 day",
        "-1 days",
        "1 year 2 mons 3 days 04:05:06.789",
        "-1 years -2 mons +3 days -04:05:06.789",
        "178000000 years",
        "00:00:00.000001",
    ];
    arrive(f, "interval", &intervals);
}

fn uuids_arrive(f: &mut Fixture<'_>) {
    let uuids = [
        "00000000-0000-0000-0000-000000000000",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ];
    arrive(f, "uuid", &uuids);
}

fn json_arrives(f: &mut Fixture<'_>) {
    let jsonb = [
        "null",
        "true",
        "1",
        "12345678901234567890.10",
        "\"text\"",
        "\"qu\\\"ote \\\\ \\n é 🦀\"",
        "[]",
        "{}",
        "{\"a\": [1, {\"b\": null}], \"ü\": \"x\"}",
    ];
    arrive(f, "jsonb", &jsonb);
    arrive(
        f,
        "json",
        &["{\"b\":1,  \"a\":2,\"a\":3}", "[1 ,\n2]", "null"],
    );
}

fn arrays_arrive(f: &mut Fixture<'_>) {
    arrive(
        f,
        "integer[]",
        &["{}", "{1,NULL,-3}", "{{1,2},{3,4}}", "[0:1]={5,6}"],
    );
    let texts = [
        "{}",
        "{a,b}",
        "{NULL,\"NULL\",\"\"}",
        "{\"a,b\",\"c\\\"d\",\"e\\\\f\",\"{g}\",\" h \"}",
        "{größe,🦀}",
    ];
    arrive(f, "text[]", &texts);
    arrive(f, "numeric[]", &["{1.50,NaN}"]);
    arrive(f, "bytea[]", &["{\"\\\\x00ff\"}"]);
}

fn other_types_arrive(f: &mut Fixture<'_>) {
    arrive(f, "inet", &["192.168.0.1", "10.0.0.0/8", "::1"]);
    arrive(f, "money", &["$1,234.50", "-$0.01"]);
    arrive(f, "point", &["(1.5,-2)"]);
    arrive(f, "bit varying(8)", &["", "0101"]);
    arrive(f, "int4range", &["empty", "[1,10)", "(,)"]);
    arrive(f, "xml", &["<a b=\"c\">d</a>"]);
    arrive(f, "tsvector", &["'fat':2 'rat':3"]);
    arrive(f, "public.mood", &["happy", "sad'"]);
    arrive(f, "public.pair", &["(1,\"a b\")", "(,)"]);
}

fn a_megabyte_arrives(f: &mut Fixture<'_>) {
    let long = "tähr ".repeat(180_000);
    arrive(f, "text", &[&long]);
    let bytes = format!("\\x{}", "00ff5c27".repeat(262_144));
    arrive(f, "bytea", &[&bytes]);
}

fn text_keys_are_exact(f: &mut Fixture<'_>) {
    let words = relation("public.words")
        .column("word", "text")
        .column("n", "integer")
        .key(["word"])
        .build();
    f.start(&[&words]);
    // All different in PostgreSQL, though not under every collation or affinity.
    let keys = [
        "a", "A", "á", "a ", " a", "ä", "ae", "1", "01", "1.0", "1e0", "ß", "ss", "a:b", "a\\:b",
        "e\u{301}", "\u{e9}", "🦀", "🦞", "'", "\\",
    ];
    let numbers: Vec<String> = (0..keys.len()).map(|number| number.to_string()).collect();
    let mut batch = f.next();
    for (key, number) in keys.iter().zip(&numbers) {
        batch = batch.insert(&words, [*key, number.as_str()]);
    }
    f.write(&batch.build());
    let pairs: Vec<_> = keys
        .iter()
        .zip(&numbers)
        .map(|(key, number)| [*key, number.as_str()])
        .collect();
    f.expect(&words, pairs.iter().copied());
    let mut batch = f.next();
    for key in &keys[1..] {
        batch = batch.delete(&words, [*key]);
    }
    f.write(&batch.build());
    f.expect(&words, [["a", "0"]]);
}

fn keys_of_other_kinds_work(f: &mut Fixture<'_>) {
    f.start(&[]);
    for (type_name, [one, two, three]) in [
        (
            "uuid",
            [
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
                "00000000-0000-0000-0000-000000000000",
            ],
        ),
        (
            "numeric",
            ["1.50", "1.5000000000000000000000000000001", "-7"],
        ),
        (
            "timestamp with time zone",
            [
                "2024-01-01 00:00:00+00",
                "2024-01-01 00:00:00.000001+00",
                "infinity",
            ],
        ),
        ("date", ["2024-01-01", "2024-01-02", "0044-03-15 BC"]),
        ("boolean", ["t", "f", "t"]),
        ("bigint", ["9007199254740993", "9007199254740992", "-1"]),
        ("bytea", ["\\x00", "\\x0000", "\\xff"]),
    ] {
        let table = relation(&format!("public.by {type_name}"))
            .column("k", type_name)
            .column("v", "text")
            .key(["k"])
            .build();
        super::fixture::ok(f.writer().prepare(&table));
        let batch = f
            .next()
            .insert(&table, [one, "one"])
            .insert(&table, [two, "two"])
            .build();
        f.write(&batch);
        let batch = f
            .next()
            .update(&table, [two, "deux"])
            .delete(&table, [one])
            .update_moved(&table, [two], [three, "trois"])
            .build();
        f.write(&batch);
        let three = f.subject.reads_back(&table.columns[0], three);
        f.expect(&table, [[three.as_deref(), Some("trois")]]);
    }
}
