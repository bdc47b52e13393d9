//! Queries: what writers and those who look after them ask.

use oracle::sql_type::OracleType;

use crate::{rows, scene};

#[test]
fn columns_are_described_as_declared() {
    let (_database, session) = scene(&[
        "CREATE TABLE t (a NUMBER(10) NOT NULL, b NUMBER, c NUMBER(8, 2), \
        d VARCHAR2(20 CHAR), \"e f\" RAW(9), g CLOB, h TIMESTAMP(3) WITH TIME ZONE, i DATE, j BINARY_DOUBLE, k FLOAT(5))",
    ]);
    let mut statement = session
        .statement("SELECT t.*, a + 1, COUNT(*) AS n FROM t GROUP BY a")
        .build()
        .unwrap();
    let result = statement.query(&[]).unwrap();
    let described: Vec<_> = result
        .column_info()
        .iter()
        .map(|column| {
            (
                column.name().to_owned(),
                column.oracle_type().clone(),
                column.nullable(),
            )
        })
        .collect();
    let expected = [
        ("A", OracleType::Number(10, 0), false),
        ("B", OracleType::Number(0, -127), true),
        ("C", OracleType::Number(8, 2), true),
        ("D", OracleType::Varchar2(80), true),
        ("e f", OracleType::Raw(9), true),
        ("G", OracleType::CLOB, true),
        ("H", OracleType::TimestampTZ(3), true),
        ("I", OracleType::Date, true),
        ("J", OracleType::BinaryDouble, true),
        ("K", OracleType::Float(5), true),
        ("A+1", OracleType::Number(0, -127), true),
        ("N", OracleType::Number(0, -127), true),
    ];
    for (found, expected) in described.iter().zip(expected) {
        assert_eq!((found.0.as_str(), found.1.clone(), found.2), expected);
    }
    assert_eq!(described.len(), 12);
}

#[test]
fn rows_are_numbered_before_they_are_sorted_or_counted() {
    let (_database, session) = scene(&["CREATE TABLE t (id NUMBER, v VARCHAR2(9))"]);
    assert_eq!(
        rows(&session, "SELECT COUNT(*) FROM t WHERE ROWNUM = 1"),
        ["0"]
    );
    for id in [3, 1, 2] {
        session
            .execute(
                "INSERT INTO t VALUES (:1, DECODE(:2, 2, NULL, 'v'))",
                &[&id, &id],
            )
            .unwrap();
    }
    assert_eq!(
        rows(&session, "SELECT COUNT(*) FROM t WHERE ROWNUM = 1"),
        ["1"]
    );
    assert_eq!(
        rows(&session, "SELECT id FROM t WHERE ROWNUM <= 2 ORDER BY id"),
        ["1", "3"]
    );
    assert_eq!(
        rows(
            &session,
            "SELECT id FROM t ORDER BY id FETCH FIRST 2 ROWS ONLY"
        ),
        ["1", "2"]
    );
    assert_eq!(
        rows(
            &session,
            "SELECT id FROM t ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY"
        ),
        ["2"]
    );
    assert_eq!(
        rows(
            &session,
            "SELECT id FROM (SELECT id FROM t ORDER BY id DESC) WHERE ROWNUM < 2"
        ),
        ["3"]
    );
    // NULL comes last.
    assert_eq!(
        rows(&session, "SELECT id FROM t ORDER BY v, id"),
        ["1", "3", "2"]
    );
    assert_eq!(
        rows(&session, "SELECT MIN(id), MAX(v), SUM(id) FROM t"),
        ["1|v|6"]
    );
    assert_eq!(
        rows(
            &session,
            "SELECT v, COUNT(*) n FROM t GROUP BY v ORDER BY n"
        ),
        ["-|1", "v|2"]
    );
}

#[test]
fn functions_and_conditions_mean_what_they_do_in_oracle() {
    let (_database, session) = scene(&[]);
    for (expression, value) in [
        ("NVL(NULL, 'x') || NULL || 'y'", "xy"),
        ("SUBSTR('größe', 2, 3)", "röß"),
        ("SUBSTR('abc', -2)", "bc"),
        ("LENGTH('größe')", "5"),
        ("LENGTHB('größe')", "7"),
        ("TO_CHAR(1234.50)", "1234.5"),
        ("TO_CHAR(0.5)", ".5"),
        ("TO_NUMBER('-1E3')", "-1000"),
        ("DECODE(NULL, NULL, 'same', 'other')", "same"),
        ("CASE WHEN 1 = 2 THEN 'a' ELSE 'b' END", "b"),
        ("CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", "b"),
        ("CAST('12' AS NUMBER(5))", "12"),
        ("RAWTOHEX(HEXTORAW('0aff'))", "0AFF"),
        ("SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')", "TAHR"),
        ("USER", "TAHR"),
        ("REPLACE('abcb', 'b', 'xx')", "axxcxx"),
        ("COALESCE(NULL, 3, 4)", "3"),
        (
            "TO_CHAR(TIMESTAMP '2024-01-02 03:04:05.6 +01:00', 'YYYY TZH')",
            "2024 +01",
        ),
    ] {
        assert_eq!(
            rows(&session, &format!("SELECT {expression} FROM dual")),
            [value],
            "{expression}"
        );
    }
    for (condition, holds) in [
        ("'a' < 'B'", false),
        ("'10' = 10", true),
        ("9 < '10'", true),
        ("NULL = NULL", false),
        ("NOT NULL = NULL", false),
        ("2 BETWEEN 1 AND 3", true),
        ("2 NOT IN (1, 3)", true),
        ("'abc' LIKE 'a%'", true),
        ("'abc' LIKE 'A%'", false),
        ("EXISTS (SELECT 1 FROM dual)", true),
        ("1 IN (SELECT 1 FROM dual)", true),
        ("'x' IS NOT NULL AND '' IS NULL", true),
    ] {
        let found = rows(&session, &format!("SELECT 1 FROM dual WHERE {condition}"));
        assert_eq!(!found.is_empty(), holds, "{condition}");
    }
}

#[test]
fn a_query_keeps_its_rows_while_others_change_them() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    session
        .execute(
            "INSERT INTO t SELECT 1 FROM dual UNION ALL SELECT 2 FROM dual",
            &[],
        )
        .unwrap();
    session.commit().unwrap();
    let mut statement = session
        .statement("SELECT id FROM t ORDER BY id")
        .fetch_array_size(1)
        .build()
        .unwrap();
    let mut rows = statement.query_as::<i32>(&[]).unwrap();
    assert_eq!(rows.next().unwrap().unwrap(), 1);
    database.execute("DELETE FROM t");
    assert_eq!(rows.next().unwrap().unwrap(), 2);
    assert!(rows.next().is_none());
}
