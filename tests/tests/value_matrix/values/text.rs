//! Texts, bytes, documents, and types whose values are told by their text.

use tahr_tests::Random;

use super::{Type, corner_or, float, integer, one_of, quoted};

/// Texts that somebody could take for something else.
const ODD: &[&str] = &[
    "",
    " ",
    "  both  ",
    "NULL",
    "null",
    "\\N",
    "\\.",
    "{}",
    "{NULL}",
    "t",
    "NaN",
    "Infinity",
    "0x1F",
    "007",
    "-0",
    "1.0",
    "1e5",
    "it's \"quoted\"",
    "back\\slash\\",
    "tab\tnew\nline\rreturn",
    "\u{1}\u{8}\u{b}\u{c}\u{1b}\u{7f}",
    "a,b;c:d|e",
    "(1,2)",
    "\\x00",
    "🦌 ﷽ e\u{301} \u{200d}\u{feff}",
    "\u{fffe}\u{ffff}\u{10ffff}\u{d7ff}\u{e000}",
    "ﬀ ß İ ı ſ",
    "'; DROP TABLE v; --",
    "${x} {{y}} %s %n $1",
    "$set",
    "a.b",
    "𝕬\u{85}\u{2028}\u{2029}",
];

/// Any text without NUL, which PostgreSQL refuses.
pub(super) fn text(random: &mut Random) -> String {
    match random.below(30) {
        0..12 => one_of(random, ODD).to_owned(),
        12 => {
            // Longer than what stays in a row, and of no pattern that could be compressed.
            let length = 2500 + random.below(6000);
            (0..length).map(|_| character(random)).collect()
        }
        _ => (0..random.below(20)).map(|_| character(random)).collect(),
    }
}

/// A text of at most `most` characters.
pub(super) fn short(random: &mut Random, most: u64) -> String {
    let most = usize::try_from(most).unwrap_or_default();
    text(random).chars().take(most).collect()
}

fn character(random: &mut Random) -> char {
    let code = match random.below(8) {
        0..5 => 32 + random.below(95),
        5 => 1 + random.below(0x2ff),
        6 => random.below(0x1_0000),
        _ => random.below(0x11_0000),
    };
    let code = u32::try_from(code).unwrap_or_default();
    char::from_u32(code).filter(|&c| c != '\0').unwrap_or('x')
}

fn bytes(random: &mut Random) -> String {
    let length = match random.below(30) {
        0..4 => 0,
        4 => 3000 + random.below(3000),
        _ => random.below(40),
    };
    let bytes = (0..length).map(|_| format!("{:02x}", random.below(256)));
    quoted(&format!("\\x{}", bytes.collect::<String>()))
}

pub(super) fn types() -> Vec<Type> {
    vec![
        Type::new("text", |random| quoted(&text(random))),
        Type::new("character varying", |random| quoted(&text(random))),
        Type::new("character varying(5)", |random| quoted(&short(random, 5))),
        Type::new("character(6)", |random| quoted(&short(random, 6))),
        Type::new("\"char\"", |random| {
            let code = 1 + random.below(126);
            let text = char::from(u8::try_from(code).unwrap_or_default()).to_string();
            quoted(if random.one_in(6) { "" } else { &text })
        }),
        // 63 bytes at most.
        Type::new("name", |random| quoted(&short(random, 15))),
        Type::new("bytea", bytes),
        Type::new("json", |random| quoted(&document(random, 4, Dialect::Json))),
        Type::new("jsonb", |random| {
            quoted(&document(random, 4, Dialect::Jsonb))
        }),
        Type::new("jsonpath", |random| {
            let paths = [
                "$",
                "$.a[*] ? (@.b > 1)",
                "strict $.\"a b\"",
                "$[0 to last]",
            ];
            quoted(one_of(random, &paths))
        }),
        Type::new("xml", xml),
        Type::new("tsvector", |random| {
            let words: Vec<String> = (0..random.below(6))
                .map(|_| short(random, 20))
                .filter(|word| !word.is_empty())
                .map(|word| quoted(&word))
                .collect();
            let vector = format!("array_to_tsvector(ARRAY[{}]::text[])", words.join(", "));
            let corners = ["a:1A fat:2B,4C 'it''s':5", ""];
            corner_or(random, &corners, |_| vector)
        }),
        Type::new("tsquery", |random| {
            let queries = ["fat & (rat | !cat) <2> 'it''s':*A", "", "'a b' & \"c\""];
            corner_or(random, &queries, |random| {
                format!("plainto_tsquery('simple', {})", quoted(&short(random, 60)))
            })
        }),
        Type::new("inet", |random| address(random, true)),
        Type::new("cidr", |random| {
            format!("network({})", address(random, true))
        }),
        Type::new("macaddr", |random| {
            quoted(&format!("{:012x}", random.next_u64() >> 16))
        }),
        Type::new("macaddr8", |random| {
            quoted(&format!("{:016x}", random.next_u64()))
        }),
        Type::new("point", |random| {
            quoted(&format!("({},{})", float(random), float(random)))
        }),
        Type::new("line", |random| {
            let corners = ["{1,-1,0.5}", "{0,1,-0}"];
            corner_or(random, &corners, |random| {
                quoted(&format!("{{{},1,{}}}", number(random), number(random)))
            })
        }),
        Type::new("lseg", |random| quoted(&format!("[{}]", points(random, 2)))),
        Type::new("box", |random| quoted(&points(random, 2))),
        Type::new("path", |random| {
            let (open, close) = *random.pick(&[('(', ')'), ('[', ']')]);
            let count = 1 + random.below(4);
            quoted(&format!("{open}{}{close}", points(random, count)))
        }),
        Type::new("polygon", |random| {
            let count = 3 + random.below(4);
            quoted(&format!("({})", points(random, count)))
        }),
        Type::new("circle", |random| {
            let radius = integer(random, 20).abs();
            quoted(&format!(
                "<({},{}),{radius}>",
                number(random),
                float(random)
            ))
        }),
        Type::new("txid_snapshot", |_| quoted("10:20:10,14,15")),
        Type::new("pg_snapshot", |_| quoted("10:20:10,14,15")),
        Type::new("regtype", |random| {
            quoted(one_of(
                random,
                &["integer", "text[]", "timestamp with time zone", "\"char\""],
            ))
        }),
        Type::new("int2vector", |_| quoted("1 -2 3")),
        Type::new("oidvector", |_| quoted("1 2 4294967295")),
    ]
}

fn number(random: &mut Random) -> String {
    format!("{:e}", integer(random, 50) as f64 / 1024.0)
}

fn points(random: &mut Random, count: u64) -> String {
    let points: Vec<String> = (0..count)
        .map(|_| format!("({},{})", number(random), number(random)))
        .collect();
    points.join(",")
}

fn address(random: &mut Random, has_mask: bool) -> String {
    let (text, most) = if random.one_in(2) {
        let octets: Vec<String> = (0..4).map(|_| random.below(256).to_string()).collect();
        (octets.join("."), 33)
    } else {
        let word = |random: &mut Random| match random.below(3) {
            0 => "0".to_owned(),
            _ => format!("{:x}", random.below(0x1_0000)),
        };
        let words: Vec<String> = (0..8).map(|_| word(random)).collect();
        (words.join(":"), 129)
    };
    if has_mask && random.one_in(2) {
        format!("'{text}/{}'::inet", random.below(most))
    } else {
        format!("'{text}'::inet")
    }
}

fn xml(random: &mut Random) -> String {
    let corners = [
        "",
        "<a b=\"1\">&lt;é</a>",
        "<?xml version=\"1.0\"?><r/>",
        "loose text <b/> more",
        "<!-- c --><a><![CDATA[<>]]></a>",
    ];
    corner_or(random, &corners, |random| {
        let text: String = short(random, 30)
            .chars()
            .filter(|c| c.is_ascii_graphic() || c.is_alphanumeric())
            .collect();
        let text = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        quoted(&format!("<t>{text}</t>"))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// Kept as it was written: blanks, the same key twice, `\u0000`.
    Json,
    Jsonb,
}

fn document(random: &mut Random, depth: u64, dialect: Dialect) -> String {
    let blank = |random: &mut Random| match random.below(4) {
        0 => *random.pick(&[" ", "\n", "\t  "]),
        _ => "",
    };
    if depth == 0 || random.one_in(3) {
        return scalar(random, dialect);
    }
    let items: Vec<String> = (0..random.below(4))
        .map(|_| format!("{}{}", blank(random), document(random, depth - 1, dialect)))
        .collect();
    if random.one_in(2) {
        return format!("[{}{}]", items.join(","), blank(random));
    }
    let pairs: Vec<String> = items
        .into_iter()
        .map(|item| {
            let key = string(random, dialect);
            format!("{}{key}{}:{item}", blank(random), blank(random))
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn scalar(random: &mut Random, dialect: Dialect) -> String {
    let numbers = [
        "0",
        "-0",
        "1.10",
        "1e400",
        "-1E-7",
        "9007199254740993",
        "12345678901234567890123",
        "0.1234567890123456789",
        "18446744073709551616",
        "2147483648",
    ];
    match random.below(5) {
        0 => one_of(random, &["null", "true", "false", "{}", "[]", "\"\""]).to_owned(),
        1 | 2 => one_of(random, &numbers).to_owned(),
        _ => string(random, dialect),
    }
}

fn string(random: &mut Random, dialect: Dialect) -> String {
    let escapes = [
        r#""\u0041\u00e9\ud83e\udd8c\"\\\/\b\f\n\r\t""#,
        r#""$oid""#,
        r#""a.b""#,
        r#""$numberLong""#,
        r#""""#,
    ];
    match random.below(6) {
        0 => one_of(random, &escapes).to_owned(),
        1 if dialect == Dialect::Json => {
            one_of(random, &[r#""\u0000""#, r#""\ud83e""#, r#""a\u0000b""#]).to_owned()
        }
        _ => {
            let text = if random.one_in(10) {
                text(random)
            } else {
                short(random, 12)
            };
            serde_json::Value::String(text).to_string()
        }
    }
}
