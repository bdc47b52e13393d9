//! INSERT, UPDATE and DELETE beyond arrays.

use crate::{refused, rows, scene};

#[test]
fn of_equal_rows_one_can_be_deleted() {
    let (_database, session) = scene(&["CREATE TABLE log (line VARCHAR2(10), level_ NUMBER)"]);
    for _ in 0..3 {
        session
            .execute("INSERT INTO log VALUES ('x', NULL)", &[])
            .unwrap();
    }
    let delete = "DELETE FROM log WHERE line = :1 AND level_ IS NULL AND ROWNUM = 1";
    assert_eq!(
        session
            .execute(delete, &[&"x"])
            .unwrap()
            .row_count()
            .unwrap(),
        1
    );
    let update = "UPDATE log SET line = 'y' WHERE line = 'x' AND ROWNUM <= 1";
    assert_eq!(
        session.execute(update, &[]).unwrap().row_count().unwrap(),
        1
    );
    assert_eq!(
        rows(&session, "SELECT line FROM log ORDER BY line"),
        ["x", "y"]
    );
}

#[test]
fn empty_text_is_null() {
    let (_database, session) =
        scene(&["CREATE TABLE t (a VARCHAR2(5), b RAW(5), c VARCHAR2(5) DEFAULT 'd', d CLOB)"]);
    session
        .execute(
            "INSERT INTO t (a, b, d) VALUES (:1, :2, :3)",
            &[&"", &b"".as_slice(), &""],
        )
        .unwrap();
    session
        .execute("INSERT INTO t VALUES ('', HEXTORAW(''), '', '')", &[])
        .unwrap();
    assert_eq!(rows(&session, "SELECT * FROM t"), ["-|-|d|-", "-|-|-|-"]);
    assert_eq!(rows(&session, "SELECT COUNT(*) FROM t WHERE a = ''"), ["0"]);
    assert_eq!(
        rows(
            &session,
            "SELECT COUNT(*) FROM t WHERE a IS NULL AND d IS NULL"
        ),
        ["2"]
    );
}

#[test]
fn lobs_are_not_compared() {
    let (_database, session) = scene(&["CREATE TABLE t (a CLOB, b BLOB)"]);
    session
        .execute("INSERT INTO t VALUES ('text', HEXTORAW('00FF'))", &[])
        .unwrap();
    for sql in [
        "DELETE FROM t WHERE a = 'text'",
        "SELECT a FROM t ORDER BY a",
        "SELECT DISTINCT b FROM t",
    ] {
        assert_eq!(refused(&session, sql).0, 932, "{sql}");
    }
    let delete = "DELETE FROM t WHERE DBMS_LOB.COMPARE(a, :1) = 0 AND DBMS_LOB.COMPARE(b, HEXTORAW('00FF')) = 0";
    assert_eq!(
        session
            .execute(delete, &[&"text"])
            .unwrap()
            .row_count()
            .unwrap(),
        1
    );
}

#[test]
fn wide_text_comes_before_lobs() {
    let (_database, session) = scene(&["CREATE TABLE t (id NUMBER, c CLOB, v VARCHAR2(4000))"]);
    let long = "x".repeat(40_000);
    let wide = ("y", oracle::sql_type::OracleType::Varchar2(4001));
    let binds: &[&dyn oracle::sql_type::ToSql] = &[&1, &long, &(&wide.0, &wide.1)];
    let error = session
        .execute("INSERT INTO t (id, c, v) VALUES (:1, :2, :3)", binds)
        .unwrap_err();
    assert_eq!(crate::code(&error), 24816);
    let binds: &[&dyn oracle::sql_type::ToSql] = &[&1, &(&wide.0, &wide.1), &long];
    session
        .execute("INSERT INTO t (id, v, c) VALUES (:1, :2, :3)", binds)
        .unwrap();
    assert_eq!(
        rows(&session, "SELECT id, LENGTH(c), v FROM t"),
        ["1|40000|y"]
    );
}

#[test]
fn foreign_keys_hold() {
    let (_database, session) = scene(&[
        "CREATE TABLE parent (id NUMBER PRIMARY KEY)",
        "CREATE TABLE child (id NUMBER, p NUMBER CONSTRAINT has_parent REFERENCES parent (id))",
    ]);
    session
        .execute("INSERT INTO parent VALUES (1)", &[])
        .unwrap();
    session
        .execute("INSERT INTO child VALUES (1, 1)", &[])
        .unwrap();
    session
        .execute("INSERT INTO child VALUES (2, NULL)", &[])
        .unwrap();
    let (code, message) = refused(&session, "INSERT INTO child VALUES (3, 9)");
    assert_eq!(code, 2291);
    assert!(message.contains("(TAHR.HAS_PARENT)"), "{message}");
    assert_eq!(refused(&session, "DELETE FROM parent").0, 2292);
    assert_eq!(rows(&session, "SELECT COUNT(*) FROM child"), ["2"]);
    assert_eq!(refused(&session, "DROP TABLE parent").0, 2449);
    session
        .execute("DROP TABLE parent CASCADE CONSTRAINTS PURGE", &[])
        .unwrap();
}

#[test]
fn unknown_sql_is_refused_and_names_what_is_unknown() {
    let (_database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    for (sql, code) in [
        ("GRANT SELECT ON t TO x", 900),
        ("SELECT * FROM t LIMIT 5", 933),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", 933),
        ("SELECT `id` FROM t", 911),
        ("SELECT nothing FROM t", 904),
        ("SELECT * FROM nowhere", 942),
        ("SELECT frobnicate(id) FROM t", 904),
        ("INSERT INTO t (id, id2) VALUES (1, 2)", 904),
        ("INSERT INTO t VALUES (1, 2)", 913),
        ("INSERT INTO t VALUES ('one')", 1722),
        ("CREATE TABLE u (a TEXT)", 902),
        ("CREATE TABLE u (date NUMBER)", 904),
        ("CREATE TABLE \"u\" (a NUMBER(39))", 1727),
        ("SELECT 1", 923),
        ("SELECT id FROM t;", 933),
    ] {
        assert_eq!(refused(&session, sql).0, code, "{sql}");
    }
}
