//! Values of each type arrive as they were sent.

use oracle::sql_type::{IntervalDS, IntervalYM, OracleType, Timestamp};

use crate::{code, refused, rows, scene};

#[test]
fn numbers_are_exact() {
    let (_database, session) =
        scene(&["CREATE TABLE t (n NUMBER, i NUMBER(19), d NUMBER(38, 10), big NUMBER(3, -2))"]);
    let sent = "99999999999999999999.5";
    session
        .execute(
            "INSERT INTO t VALUES (:1, 9007199254740993, -0.1234567891, 12345)",
            &[&sent],
        )
        .unwrap();
    let number = (&"-123456789.125", &OracleType::Number(0, -127));
    session
        .execute("INSERT INTO t (d) VALUES (:1)", &[&number])
        .unwrap();
    session
        .execute("INSERT INTO t (n) VALUES (1E-100)", &[])
        .unwrap();
    assert_eq!(
        rows(
            &session,
            "SELECT n, i, d, big FROM t WHERE n > 0 ORDER BY n DESC"
        ),
        [
            "99999999999999999999.5|9007199254740993|-0.1234567891|12300",
            &format!("0.{}1|-|-|-", "0".repeat(99)),
        ]
    );
    assert_eq!(
        rows(&session, "SELECT d FROM t WHERE d < -1"),
        ["-123456789.125"]
    );
    assert_eq!(
        rows(
            &session,
            "SELECT COUNT(*) FROM t WHERE n = 99999999999999999999.50"
        ),
        ["1"]
    );
    assert_eq!(
        rows(&session, "SELECT n + 0.5, i - 1, d * 2 FROM t WHERE n > 1"),
        ["100000000000000000000|9007199254740992|-0.2469135782"]
    );
}

#[test]
fn timestamps_keep_microseconds_and_the_offset() {
    let (_database, session) = scene(&[
        "CREATE TABLE t (a TIMESTAMP(6) WITH TIME ZONE, b TIMESTAMP(3), c DATE, d TIMESTAMP)",
    ]);
    let time = Timestamp::new(2024, 1, 2, 3, 4, 5, 123_456_000).unwrap();
    let zoned = time.and_tz_hm_offset(2, 0).unwrap();
    session
        .execute(
            "INSERT INTO t VALUES (:1, :2, :3, :4)",
            &[&zoned, &time, &time, &time],
        )
        .unwrap();
    assert_eq!(
        rows(&session, "SELECT * FROM t"),
        [
            "2024-01-02 03:04:05.123456 +02:00|2024-01-02 03:04:05.123|2024-01-02 03:04:05|2024-01-02 03:04:05.123456"
        ]
    );
    // The same instant elsewhere is equal.
    let elsewhere = Timestamp::new(2024, 1, 2, 1, 4, 5, 123_456_000)
        .unwrap()
        .and_tz_hm_offset(0, 0)
        .unwrap();
    assert_eq!(
        session
            .query_row_as::<i32>("SELECT COUNT(*) FROM t WHERE a = :1", &[&elsewhere])
            .unwrap(),
        1
    );
    let early = Timestamp::new(-4712, 1, 1, 0, 0, 0, 0).unwrap();
    let late = Timestamp::new(9999, 12, 31, 23, 59, 59, 999_999_000).unwrap();
    session
        .execute("UPDATE t SET d = :1, c = :2", &[&early, &late])
        .unwrap();
    assert_eq!(
        rows(&session, "SELECT d, c FROM t"),
        ["-4712-01-01 00:00:00.000000|9999-12-31 23:59:59"]
    );
    // Rounded up, the last microsecond would be in the year 10000.
    assert_eq!(
        code(
            &session
                .execute("UPDATE t SET b = :1", &[&late])
                .unwrap_err()
        ),
        1841
    );
}

#[test]
fn formats_of_the_session_and_of_functions_are_followed() {
    let (_database, session) = scene(&["CREATE TABLE t (a TIMESTAMP WITH TIME ZONE, b DATE)"]);
    session
        .execute(
            "INSERT INTO t VALUES (TO_TIMESTAMP_TZ(:1, 'SYYYY-MM-DD HH24:MI:SS.FF6TZH:TZM'), TO_DATE(:2, 'YYYY-MM-DD'))",
            &[&"-0044-03-15 12:00:00.000001-05:30", &"2024-02-29"],
        )
        .unwrap();
    assert_eq!(
        rows(
            &session,
            "SELECT TO_CHAR(a, 'SYYYY-MM-DD HH24:MI:SS.FF6 TZR'), TO_CHAR(b, 'DD.MM.YYYY') FROM t"
        ),
        ["-0044-03-15 12:00:00.000001 -05:30|29.02.2024"]
    );
    assert_eq!(refused(&session, "UPDATE t SET b = '2024-02-30'").0, 1861);
    session
        .execute(
            "ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD' TIME_ZONE = '+01:00'",
            &[],
        )
        .unwrap();
    assert_eq!(refused(&session, "UPDATE t SET b = '2024-02-30'").0, 1847);
    session
        .execute("UPDATE t SET b = '2024-03-01'", &[])
        .unwrap();
    assert_eq!(
        rows(&session, "SELECT b FROM t WHERE b = DATE '2024-03-01'"),
        ["2024-03-01 00:00:00"]
    );
}

#[test]
fn intervals_and_bytes_arrive() {
    let (_database, session) = scene(&[
        "CREATE TABLE t (a INTERVAL DAY(9) TO SECOND(6), b INTERVAL YEAR(9) TO MONTH, c RAW(16), d CHAR(4))",
    ]);
    let day = IntervalDS::new(-3, -4, -5, -6, -7_000).unwrap();
    let month = IntervalYM::new(12, 11).unwrap();
    session
        .execute(
            "INSERT INTO t VALUES (:1, :2, :3, 'ab')",
            &[&day, &month, &[0_u8, 1, 255].as_slice()],
        )
        .unwrap();
    let row = session.query_row("SELECT a, b, c, d FROM t", &[]).unwrap();
    assert_eq!(row.get::<_, IntervalDS>(0).unwrap(), day);
    assert_eq!(row.get::<_, IntervalYM>(1).unwrap(), month);
    assert_eq!(row.get::<_, Vec<u8>>(2).unwrap(), [0, 1, 255]);
    assert_eq!(row.get::<_, String>(3).unwrap(), "ab  ");
    let (code, message) = refused(
        &session,
        "UPDATE t SET c = HEXTORAW('000102030405060708090A0B0C0D0E0F10')",
    );
    assert_eq!(code, 12899);
    assert!(message.contains("(actual: 17, maximum: 16)"), "{message}");
}

#[test]
fn kinds_that_do_not_fit_are_refused() {
    let (_database, session) = scene(&["CREATE TABLE t (n NUMBER, d DATE, c CLOB, b BLOB)"]);
    for (sql, code) in [
        ("INSERT INTO t (n) VALUES (SYSDATE)", 932),
        ("INSERT INTO t (d) VALUES (1)", 932),
        ("INSERT INTO t (b) VALUES ('xyz')", 1465),
        ("SELECT * FROM t WHERE d = 1", 932),
        ("INSERT INTO t (n) SELECT c FROM t", 932),
    ] {
        assert_eq!(refused(&session, sql).0, code, "{sql}");
    }
}
