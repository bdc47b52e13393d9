//! CREATE, ALTER, DROP, TRUNCATE.

use crate::{refused, rows, scene};

#[test]
fn names_fold_unless_they_are_quoted_and_end_at_their_limit() {
    let (database, session) = scene(&["CREATE TABLE Mixed (\"a\" NUMBER, A NUMBER)"]);
    session
        .execute("INSERT INTO MIXED (\"a\", \"A\") VALUES (1, 2)", &[])
        .unwrap();
    assert_eq!(rows(&session, "SELECT a, \"a\" FROM mixed"), ["2|1"]);
    assert_eq!(refused(&session, "SELECT * FROM \"Mixed\"").0, 942);
    let long = "x".repeat(128);
    session
        .execute(&format!("CREATE TABLE {long} (id NUMBER)"), &[])
        .unwrap();
    assert_eq!(
        refused(&session, &format!("CREATE TABLE {long}y (id NUMBER)")).0,
        972
    );
    database.set_version("12.1.0.2.0");
    let older = database.connect();
    assert_eq!(
        refused(
            &older,
            &format!("CREATE TABLE \"{}\" (id NUMBER)", "ä".repeat(16))
        )
        .0,
        972
    );
    older
        .execute(
            &format!("CREATE TABLE \"{}\" (id NUMBER)", "ä".repeat(15)),
            &[],
        )
        .unwrap();
}

#[test]
fn definitions_commit_what_was_done() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    session.execute("INSERT INTO t VALUES (1)", &[]).unwrap();
    session.execute("CREATE TABLE u (id NUMBER)", &[]).unwrap();
    session.rollback().unwrap();
    assert_eq!(database.query("SELECT id FROM t").len(), 1);
    session.execute("INSERT INTO t VALUES (2)", &[]).unwrap();
    assert_eq!(refused(&session, "CREATE TABLE u (id NUMBER)").0, 955);
    session.rollback().unwrap();
    assert_eq!(database.query("SELECT id FROM t").len(), 2);
}

#[test]
fn keys_take_no_lobs_no_zones_and_no_more_bytes_than_a_block() {
    let (_database, session) = scene(&["CREATE TABLE t (a CLOB, b NUMBER)"]);
    for (sql, code) in [
        ("CREATE TABLE u (a CLOB PRIMARY KEY)", 2329),
        (
            "CREATE TABLE u (a TIMESTAMP WITH TIME ZONE, UNIQUE (a))",
            2329,
        ),
        ("CREATE INDEX i ON t (a)", 2327),
        (
            "CREATE TABLE u (a VARCHAR2(4000), b VARCHAR2(4000), PRIMARY KEY (a, b))",
            1450,
        ),
        ("CREATE TABLE u (a NUMBER, a NUMBER)", 957),
        (
            "CREATE TABLE u (a NUMBER PRIMARY KEY, b NUMBER PRIMARY KEY)",
            2260,
        ),
        ("CREATE TABLE u (a NUMBER, PRIMARY KEY (b))", 904),
        ("CREATE TABLE u (a VARCHAR2(4001))", 910),
        ("CREATE TABLE u (a RAW(2001))", 910),
        ("CREATE TABLE u (a VARCHAR2)", 906),
    ] {
        assert_eq!(refused(&session, sql).0, code, "{sql}");
    }
    assert_eq!(rows(&session, "SELECT COUNT(*) FROM user_tables"), ["1"]);
}

#[test]
fn columns_are_added_widened_and_renamed() {
    let (_database, session) =
        scene(&["CREATE TABLE t (id NUMBER(3) PRIMARY KEY, v VARCHAR2(2 CHAR))"]);
    session
        .execute("INSERT INTO t VALUES (1, 'ab')", &[])
        .unwrap();
    session
        .execute(
            "ALTER TABLE t ADD (w VARCHAR2(9) DEFAULT 'x' NOT NULL)",
            &[],
        )
        .unwrap();
    session
        .execute(
            "ALTER TABLE t MODIFY (id NUMBER(10), v VARCHAR2(5 CHAR))",
            &[],
        )
        .unwrap();
    session
        .execute("INSERT INTO t (id, v) VALUES (1234567890, 'abcde')", &[])
        .unwrap();
    assert_eq!(
        rows(&session, "SELECT * FROM t ORDER BY id"),
        ["1|ab|x", "1234567890|abcde|x"]
    );
    for (sql, code) in [
        ("ALTER TABLE t MODIFY (id NUMBER(3))", 1440),
        ("ALTER TABLE t MODIFY (v VARCHAR2(3 CHAR))", 1441),
        ("ALTER TABLE t MODIFY (v NUMBER)", 1439),
        ("ALTER TABLE t MODIFY (v CLOB)", 22858),
        ("ALTER TABLE t ADD (z NUMBER NOT NULL)", 1758),
        ("ALTER TABLE t ADD (v NUMBER)", 1430),
        ("ALTER TABLE t DROP COLUMN nothing", 904),
        ("ALTER TABLE t MODIFY (id NOT NULL)", 1442),
    ] {
        assert_eq!(refused(&session, sql).0, code, "{sql}");
    }
    session
        .execute("ALTER TABLE t RENAME COLUMN v TO \"v w\"", &[])
        .unwrap();
    session.execute("ALTER TABLE t DROP COLUMN w", &[]).unwrap();
    session.execute("ALTER TABLE t RENAME TO u", &[]).unwrap();
    assert_eq!(rows(&session, "SELECT \"v w\" FROM u WHERE id = 1"), ["ab"]);
    session.execute("TRUNCATE TABLE u", &[]).unwrap();
    session.rollback().unwrap();
    assert_eq!(rows(&session, "SELECT * FROM u").len(), 0);
    session.execute("DROP TABLE u PURGE", &[]).unwrap();
    assert_eq!(refused(&session, "SELECT * FROM u").0, 942);
}

#[test]
fn another_sessions_definitions_are_seen() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    let other = database.connect();
    assert_eq!(rows(&other, "SELECT * FROM t").len(), 0);
    session
        .execute("ALTER TABLE t ADD (v NUMBER)", &[])
        .unwrap();
    other
        .execute("INSERT INTO t (id, v) VALUES (1, 2)", &[])
        .unwrap();
    assert_eq!(rows(&other, "SELECT v FROM t"), ["2"]);
}

#[test]
fn blocks_run_statements_and_let_named_errors_pass() {
    let (_database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    let block = "BEGIN EXECUTE IMMEDIATE 'CREATE TABLE t (id NUMBER)'; EXCEPTION WHEN OTHERS THEN \
        IF SQLCODE != -955 THEN RAISE; END IF; END;";
    session.execute(block, &[]).unwrap();
    assert_eq!(refused(&session, &block.replace("955", "942")).0, 955);
    session
        .execute(
            "BEGIN INSERT INTO t VALUES (1); DELETE FROM t WHERE id = 2; END;",
            &[],
        )
        .unwrap();
    assert_eq!(rows(&session, "SELECT * FROM t"), ["1"]);
}
