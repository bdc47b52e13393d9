//! Every built-in type, with the values that are hard to carry, copied and streamed alike.

use tahr_tests::Postgres;

use crate::scene::{Scene, Site, clean};

/// Types with values; each column also gets NULL.
const VALUES: &[(&str, &[&str])] = &[
    ("boolean", &["true", "false"]),
    ("smallint", &["-32768", "32767", "0"]),
    ("integer", &["-2147483648", "2147483647"]),
    (
        "bigint",
        &[
            "-9223372036854775808",
            "9223372036854775807",
            "9007199254740993",
        ],
    ),
    (
        "real",
        &[
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "'-0'",
            "1e-45",
            "3.4028235e38",
            "0.1",
        ],
    ),
    (
        "double precision",
        &[
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "'-0'",
            "5e-324",
            "1.7976931348623157e308",
            "0.1",
        ],
    ),
    (
        "numeric",
        &[
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "0",
            "1.500",
            "-0.0000000000000000000001",
            "repeat('9', 1000)::numeric",
            "('0.' || repeat('1', 1000))::numeric",
        ],
    ),
    ("numeric(10,3)", &["1234567.891", "-0.001", "'NaN'"]),
    ("numeric(3,-2)", &["12300"]),
    (
        "money",
        &["'-92233720368547758.08'", "'92233720368547758.07'", "'0'"],
    ),
    (
        "text",
        &[
            "''",
            "' '",
            "'it''s \"quoted\"'",
            "E'back\\\\slash \\\\N \\\\.'",
            "E'tab\\tnew\\nline\\rreturn\\b\\f\\v'",
            "E'\\x01\\x7f'",
            "'🦌 ﷽ e\u{301} \u{200d}\u{feff}'",
            "'NULL'",
            "'{}'",
            "'\\N'",
        ],
    ),
    ("character varying", &["''", "'trailing  '"]),
    ("character varying(5)", &["'12345'", "'äöüß🦌'"]),
    ("character(6)", &["''", "'ab'", "'ab  c'", "'日本'"]),
    ("\"char\"", &["'x'", "''", "'\\'", "E'\\n'"]),
    ("name", &["''", "'some name'"]),
    (
        "bytea",
        &[
            "''",
            "'\\x00'",
            "decode(string_agg_bytes(), 'hex')",
            "'\\x5c78'",
            "E'\\\\\\\\'",
        ],
    ),
    (
        "date",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 BC'",
            "'5874897-12-31'",
            "'2024-02-29'",
            "'0001-12-31 BC'",
        ],
    ),
    (
        "time",
        &["'00:00'", "'24:00:00'", "'23:59:59.999999'", "'12:34:56.7'"],
    ),
    ("time(3)", &["'12:34:56.789'"]),
    (
        "timetz",
        &[
            "'00:00+15:59:59'",
            "'24:00:00-12'",
            "'12:34:56.000001+05:30'",
            "'01:02:03Z'",
        ],
    ),
    (
        "timestamp",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 00:00:00 BC'",
            "'294276-12-31 23:59:59.999999'",
            "'1999-12-31 23:59:59.5'",
            "'10000-01-01'",
        ],
    ),
    ("timestamp(0)", &["'2020-02-20 20:20:20'"]),
    (
        "timestamptz",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 00:00:00+00 BC'",
            "'294276-12-31 23:59:59.999999+00'",
            "'2024-03-31 02:30:00+01'",
            "'0044-03-15 00:00:00+00 BC'",
        ],
    ),
    (
        "interval",
        &[
            "'1 year 2 mons -3 days +04:05:06.789'",
            "'-178000000 years'",
            "'0'",
            "'-0.000001 s'",
            "'2147483647 days -2562047788:00:54.775807'",
            "'1 mon -1 day'",
            "'-13 mons'",
        ],
    ),
    ("interval day to second", &["'1 02:03:04'"]),
    (
        "uuid",
        &[
            "'00000000-0000-0000-0000-000000000000'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        ],
    ),
    (
        "json",
        &[
            "'null'",
            "'{\"b\" :1,  \"a\":2, \"a\": 3}'",
            "'\"\\u0041\\u00e9\\ud83e\\udd8c\\\"\\\\\"'",
            "'[1.10, 1e400, -0, 12345678901234567890123]'",
            "'\"\\u0000\"'",
            "'{}'",
            "E'[1,\\n2]'",
        ],
    ),
    (
        "jsonb",
        &[
            "'null'",
            "'{\"b\":1, \"a\":{\"c\":[null,true,\"\"]}}'",
            "'\"\\u0041\\u00e9\\ud83e\\udd8c\\\"\\\\\"'",
            "'[1.10, 12345678901234567890123.450]'",
            "'\"\"'",
            "'{}'",
        ],
    ),
    ("xml", &["'<a b=\"1\">&lt;é</a>'", "''"]),
    ("bit(5)", &["B'10101'"]),
    ("bit varying(9)", &["B''", "B'1'", "B'010101010'"]),
    ("bit varying", &["B'0'"]),
    ("tsvector", &["'a:1A fat:2B,4C ''it''''s'':5'", "''"]),
    ("tsquery", &["'fat & (rat | !cat) <2> ''it''''s'':*A'"]),
    (
        "inet",
        &["'192.168.0.1'", "'10.1.2.3/8'", "'::1'", "'2001:db8::/32'"],
    ),
    ("cidr", &["'10.0.0.0/8'", "'::/0'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    ("point", &["'(1.5,-2e300)'", "'(NaN,Infinity)'"]),
    ("line", &["'{1,-1,0.5}'"]),
    ("lseg", &["'[(0,0),(1,1)]'"]),
    ("box", &["'(2,2),(1,1)'"]),
    ("path", &["'((0,0),(1,1))'", "'[(0,0),(1,1),(2,0)]'"]),
    ("polygon", &["'((0,0),(1,1),(1,0))'"]),
    ("circle", &["'<(1,2),3>'"]),
    ("oid", &["4294967295", "0"]),
    ("xid", &["'4294967295'"]),
    ("xid8", &["'18446744073709551615'"]),
    ("cid", &["'7'"]),
    ("tid", &["'(4294967295,65535)'"]),
    ("pg_lsn", &["'FFFFFFFF/FFFFFFFF'", "'0/0'"]),
    ("txid_snapshot", &["'10:20:10,14,15'"]),
    ("jsonpath", &["'$.a[*] ? (@.b > 1)'"]),
    ("int4range", &["'[1,5)'", "'empty'", "'(,)'", "'[5,)'"]),
    ("int8range", &["'[1,9223372036854775807)'"]),
    ("numrange", &["'(1.10,2.20]'"]),
    ("tsrange", &["'[\"2020-01-01 00:00\",infinity]'"]),
    (
        "tstzrange",
        &["'(\"2020-01-01 00:00+00\",\"2021-01-01 00:00+00\"]'"],
    ),
    ("daterange", &["'[2020-01-01,2020-02-01)'"]),
    ("int4multirange", &["'{[1,3),[5,9)}'", "'{}'"]),
    (
        "tstzmultirange",
        &["'{[\"2020-01-01 00:00+00\",\"2021-01-01 00:00+00\")}'"],
    ),
    (
        "integer[]",
        &[
            "'{}'",
            "'{1,NULL,-3}'",
            "'{{1,2},{3,NULL}}'",
            "'[-1:1]={1,2,3}'",
            "'[0:1][5:6]={{1,2},{3,4}}'",
        ],
    ),
    (
        "text[]",
        &[
            "'{}'",
            "ARRAY[NULL, '', 'NULL', 'a\"b', E'c\\\\d', '{}', ',', ' ', E'\\n', '🦌']",
            "'{{{a,b}},{{c,NULL}}}'",
        ],
    ),
    ("bytea[]", &["ARRAY['\\x00ff'::bytea, '', NULL]"]),
    ("boolean[]", &["'{t,f,NULL}'"]),
    ("numeric[]", &["'{NaN,Infinity,1.500,NULL}'"]),
    ("double precision[]", &["'{NaN,Infinity,-0,0.1}'"]),
    (
        "timestamptz[]",
        &["'{infinity,\"2020-01-01 00:00:00+00\",NULL}'"],
    ),
    ("date[]", &["'{-infinity,\"0044-03-15 BC\"}'"]),
    ("interval[]", &["'{\"1 year -2 days\",\"-00:00:01\"}'"]),
    ("json[]", &["ARRAY['{\"a\": \"x,y\"}'::json, 'null', NULL]"]),
    (
        "jsonb[]",
        &["ARRAY['{\"a\": \"x,y\"}'::jsonb, 'null', NULL]"],
    ),
    ("uuid[]", &["'{00000000-0000-0000-0000-000000000000,NULL}'"]),
    ("box[]", &["'{(2,2),(1,1);(4,4),(3,3)}'"]),
    ("character(3)[]", &["'{a,NULL,\"b c\"}'"]),
    ("int4range[]", &["'{\"[1,3)\",empty,NULL}'"]),
    ("inet[]", &["'{10.0.0.1/8,::1}'"]),
];

/// The user's own types.
const OWN: &[(&str, &[&str])] = &[
    ("mood", &["'sad'", "'it''s \"ok\", so so'"]),
    (
        "pair",
        &["'(1,\"a,b\"\"c\\\\\\\\d\")'", "'(,)'", "'(1,\"\")'"],
    ),
    ("positive", &["1", "2147483647"]),
    ("short", &["'abc'", "''"]),
    ("flag", &["true", "false"]),
    ("floats", &["'[1.5,2.5]'", "'empty'"]),
    ("mood[]", &["'{sad,NULL}'"]),
    ("pair[]", &["ARRAY[ROW(1,'a')::pair, NULL]"]),
    ("nested", &["ROW(ROW(1, 'a\"b'), '{1,2}', 'sad')::nested"]),
    ("hstore", &[r#"'a=>1, "b c"=>NULL, "q\""=>"\\"'"#, "''"]),
    ("citext", &["'Straße'"]),
];

const OWN_TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'it''s \"ok\", so so');
     CREATE TYPE pair AS (a int, b text); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
     CREATE DOMAIN short AS varchar(5); CREATE DOMAIN flag AS boolean;
     CREATE TYPE floats AS RANGE (subtype = float8);
     CREATE TYPE nested AS (p pair, numbers int[], m mood);
     CREATE EXTENSION hstore; CREATE EXTENSION citext;";

/// All bytes there are, in hexadecimal.
const BYTES: &str = "(SELECT string_agg(lpad(to_hex(i), 2, '0'), '' ORDER BY i)
     FROM generate_series(0, 255) i)";

fn create(types: &[(&str, &[&str])]) -> String {
    let columns = (0..)
        .zip(types)
        .map(|(number, (name, _))| format!("c{number} {name}"));
    let columns: Vec<String> = columns.collect();
    format!(
        "CREATE TABLE v (id int PRIMARY KEY, {}); INSERT INTO v VALUES (0);",
        columns.join(", ")
    )
}

/// Statements that insert a row for the first value of each type, one for the second, and so on.
fn insert(types: &[(&str, &[&str])], first: usize) -> String {
    let longest = types
        .iter()
        .map(|(_, values)| values.len())
        .max()
        .unwrap_or(0);
    let mut statements = String::new();
    for row in 0..longest {
        let values = types.iter().map(|(name, values)| match values.get(row) {
            Some(value) => format!("({value})::{name}").replace("string_agg_bytes()", BYTES),
            None => "NULL".to_owned(),
        });
        let values: Vec<String> = values.collect();
        statements += &format!(
            "INSERT INTO v VALUES ({}, {});",
            first + row,
            values.join(", ")
        );
    }
    statements
}

/// Statements that give each row the values of the next one.
fn rotate(types: &[(&str, &[&str])], first: usize) -> String {
    let columns: Vec<String> = (0..types.len())
        .map(|number| format!("c{number}"))
        .collect();
    let next: Vec<String> = columns.iter().map(|column| format!("n.{column}")).collect();
    format!(
        "UPDATE v SET ({}) = ROW({}) FROM v n WHERE n.id = v.id + 1 AND v.id >= {first};",
        columns.join(", "),
        next.join(", ")
    )
}

async fn carries(types: &[(&str, &[&str])], before: &str) {
    let setup = format!("{before}{}{}", create(types), insert(types, 1));
    let scene = Scene::of(&setup).await;
    scene.change(&insert(types, 101)).await;
    scene.change(&rotate(types, 0)).await;
    scene
        .change("UPDATE v SET id = id + 1000 WHERE id > 100; DELETE FROM v WHERE id IN (1, 3)")
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_built_in_type_is_carried_exactly() {
    carries(VALUES, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_types_arrive_as_text_where_the_target_lacks_them() {
    carries(OWN, OWN_TYPES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_types_stay_themselves_where_the_target_has_them() {
    let server = Postgres::shared();
    let source = server.database().await;
    let setup = format!("{OWN_TYPES}{}{}", create(OWN), insert(OWN, 1));
    source.execute(&setup).await;
    let site = Site::new(&server, &source, "tables = ['v']").await;
    site.postgres.execute(OWN_TYPES).await;
    let running = site.start().await;
    source
        .execute(&format!("{}{}", insert(OWN, 101), rotate(OWN, 0)))
        .await;
    site.settle(&running, &source).await;
    let types = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
                 WHERE attrelid = 'v'::regclass AND attnum > 0 ORDER BY attnum";
    assert_eq!(source.query(types).await, site.postgres.query(types).await);
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_get_the_sources_types() {
    let server = Postgres::shared();
    let source = server.database().await;
    source.execute(&create(VALUES)).await;
    let site = Site::new(&server, &source, "tables = ['v']").await;
    let running = site.start().await;
    let types = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
                 WHERE attrelid = 'v'::regclass AND attnum > 0 ORDER BY attnum";
    assert_eq!(source.query(types).await, site.postgres.query(types).await);
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_text_is_not_null() {
    let scene = Scene::of(
        "CREATE TABLE e (id int PRIMARY KEY, t text, c varchar(3), n text, b bytea, a text[]);
         INSERT INTO e VALUES (1, '', '', NULL, '', '{}'), (2, NULL, NULL, '', NULL, NULL)",
    )
    .await;
    scene
        .change(
            "INSERT INTO e VALUES (3, '', '', NULL, '', '{}'), (4, NULL, NULL, '', NULL, NULL);
             UPDATE e SET t = NULL, n = '' WHERE id IN (1, 3); UPDATE e SET t = '' WHERE id = 2",
        )
        .await;
    scene.end().await;
}
