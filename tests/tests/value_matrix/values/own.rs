//! The user's own types: enums, composites, domains, ranges, and those of extensions.

use super::{
    Type, float, integer,
    nested::make_range,
    one_of, quoted,
    text::{short, text},
};
use tahr_tests::Random;

/// What a database needs for them.
pub(crate) const SETUP: &str = r#"
    CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE SCHEMA "odd s";
    CREATE TYPE mood AS ENUM ('sad', 'it''s "ok", so so', 'back\slash', '{}', 'NULL', ' ', 'é🦌');
    CREATE TYPE "odd s"."Ty ""pe(1)" AS ENUM ('a', 'B');
    CREATE TYPE pair AS (a int, b text);
    CREATE TYPE nested AS (p pair, numbers numeric[], m mood, "odd ""name" timestamptz, y bytea);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE DOMAIN more_positive AS positive CHECK (VALUE > 1);
    CREATE DOMAIN short AS varchar(5);
    CREATE DOMAIN flag AS boolean;
    CREATE DOMAIN ratio AS double precision;
    CREATE DOMAIN price AS numeric(12,3);
    CREATE DOMAIN blob AS bytea;
    CREATE DOMAIN day AS date;
    CREATE DOMAIN document AS jsonb;
    CREATE DOMAIN numbers AS int[];
    CREATE DOMAIN couple AS pair;
    CREATE DOMAIN humour AS mood;
    CREATE TYPE floats AS RANGE (subtype = float8);
    CREATE TYPE texts AS RANGE (subtype = text, collation = "C");
"#;

fn mood(random: &mut Random) -> String {
    let labels = [
        "sad",
        "it's \"ok\", so so",
        "back\\slash",
        "{}",
        "NULL",
        " ",
        "é🦌",
    ];
    quoted(one_of(random, &labels))
}

fn pair(random: &mut Random) -> String {
    let number = match random.below(4) {
        0 => "NULL".to_owned(),
        _ => format!("({})", integer(random, 31)),
    };
    let text = match random.below(4) {
        0 => "NULL".to_owned(),
        _ => quoted(&text(random)),
    };
    format!("ROW({number}, {text})::pair")
}

fn hstore(random: &mut Random) -> String {
    let pairs: Vec<String> = (0..random.below(5))
        .map(|_| {
            let value = match random.below(4) {
                0 => "NULL".to_owned(),
                _ => quoted(&text(random)),
            };
            format!("hstore({}, {value})", quoted(&short(random, 10)))
        })
        .collect();
    format!(
        "''::hstore || {}",
        ["''::hstore".to_owned()]
            .into_iter()
            .chain(pairs)
            .collect::<Vec<_>>()
            .join(" || ")
    )
}

fn positive(random: &mut Random) -> String {
    (integer(random, 30).abs() + 2).to_string()
}

fn texts(random: &mut Random) -> String {
    make_range(random, "texts", "text COLLATE \"C\"", |random| {
        quoted(&short(random, 8))
    })
}

fn floats(random: &mut Random) -> String {
    make_range(random, "floats", "float8", |random| quoted(&float(random)))
}

/// The types of [`SETUP`], and arrays of them.
pub(crate) fn own() -> Vec<Type> {
    let enum_of_schema = || {
        Type::new("\"odd s\".\"Ty \"\"pe(1)\"", |random| {
            quoted(one_of(random, &["a", "B"]))
        })
    };
    let nested = || {
        Type::new("nested", |random| {
            let numbers = ["'{}'", "'{1.50,NULL,NaN}'", "NULL", "'[0:1]={1,2}'"];
            let moment = ["'infinity'", "'2024-01-01 00:00:00.5+00'", "NULL"];
            format!(
                "ROW({}, {}, {}, {}, '\\x00ff')::nested",
                pair(random),
                one_of(random, &numbers),
                mood(random),
                one_of(random, &moment)
            )
        })
    };
    vec![
        Type::new("mood", mood),
        enum_of_schema(),
        Type::new("citext", |random| quoted(&text(random))),
        Type::new("hstore", hstore),
        Type::new("pair", pair),
        nested(),
        Type::new("positive", positive).over("integer"),
        Type::new("more_positive", positive).over("integer"),
        Type::new("short", |random| quoted(&short(random, 5))).over("character varying"),
        Type::new("flag", |random| {
            one_of(random, &["true", "false"]).to_owned()
        })
        .over("boolean"),
        Type::new("ratio", |random| quoted(&float(random))).over("double precision"),
        Type::new("price", |random| {
            format!("{}::numeric / 1000", integer(random, 29))
        })
        .over("numeric"),
        Type::new("blob", |random| {
            quoted(&format!("\\x{:016x}", random.next_u64()))
        })
        .over("bytea"),
        Type::new("day", |random| {
            quoted(one_of(random, &["infinity", "0044-03-15 BC", "2024-02-29"]))
        })
        .over("date"),
        Type::new("document", |random| {
            let text = serde_json::Value::String(text(random));
            quoted(&format!("{{\"a\": [1.0, {text}]}}"))
        })
        .over("jsonb"),
        Type::new("numbers", |random| {
            quoted(one_of(
                random,
                &["{}", "{1,NULL}", "[-1:0]={1,2}", "{{1},{2}}"],
            ))
        })
        .over("integer[]"),
        Type::new("couple", pair).over("pair"),
        Type::new("humour", mood).over("mood"),
        Type::new("floats", floats),
        Type::new("texts", texts),
        Type::new("floats_multirange", |random| {
            let (first, second) = (floats(random), floats(random));
            format!("floats_multirange({first}, {second})")
        }),
        Type::new("texts_multirange", |random| {
            format!("texts_multirange({})", texts(random))
        }),
        Type::new("mood", mood).array(),
        enum_of_schema().array(),
        Type::new("citext", |random| quoted(&text(random))).array(),
        Type::new("hstore", hstore).array(),
        Type::new("pair", pair).array(),
        nested().array(),
        Type::new("positive", positive).array(),
        Type::new("short", |random| quoted(&short(random, 5))).array(),
        Type::new("texts", texts).array(),
    ]
}
