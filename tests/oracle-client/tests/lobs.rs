//! LOBs: as long text and bytes, and through locators.

use std::io::{Read as _, Write as _};

use oracle::sql_type::{Blob, Clob, OracleType};

use crate::{rows, scene};

const TABLE: &str = "CREATE TABLE t (id NUMBER PRIMARY KEY, c CLOB, b BLOB)";

#[test]
fn long_text_and_bytes_are_bound_and_fetched_whole() {
    let (_database, session) = scene(&[TABLE]);
    let text: String = "aäß€😀".chars().cycle().take(200_000).collect();
    let bytes: Vec<u8> = (0..=255_u8).cycle().take(150_000).collect();
    let mut batch = session
        .batch("INSERT INTO t VALUES (:1, :2, :3)", 5)
        .build()
        .unwrap();
    batch.set_type(1, &OracleType::Int64).unwrap();
    batch.set_type(2, &OracleType::Long).unwrap();
    batch.set_type(3, &OracleType::LongRaw).unwrap();
    batch.append_row(&[&1, &text, &bytes]).unwrap();
    batch
        .append_row(&[&2, &None::<&str>, &None::<&[u8]>])
        .unwrap();
    batch
        .append_row(&[&3, &"short", &[1_u8].as_slice()])
        .unwrap();
    batch.execute().unwrap();
    let row = session
        .query_row("SELECT c, b FROM t WHERE id = 1", &[])
        .unwrap();
    assert!(row.get::<_, String>(0).unwrap() == text);
    assert!(row.get::<_, Vec<u8>>(1).unwrap() == bytes);
    assert_eq!(
        rows(
            &session,
            "SELECT id, c, DBMS_LOB.GETLENGTH(b) FROM t WHERE id > 1 ORDER BY id"
        ),
        ["2|-|-", "3|short|1"]
    );
}

#[test]
fn temporary_lobs_are_bound_by_their_locators() {
    let (_database, session) = scene(&[TABLE]);
    let mut text = Clob::new(&session).unwrap();
    text.write_all("ein größerer Text".as_bytes()).unwrap();
    let mut bytes = Blob::new(&session).unwrap();
    bytes.write_all(&[7; 70_000]).unwrap();
    session
        .execute("INSERT INTO t VALUES (1, :1, :2)", &[&text, &bytes])
        .unwrap();
    // A LOB that is empty is not NULL.
    let empty = Clob::new(&session).unwrap();
    session
        .execute("INSERT INTO t (id, c) VALUES (2, :1)", &[&empty])
        .unwrap();
    assert_eq!(
        rows(
            &session,
            "SELECT c, DBMS_LOB.GETLENGTH(b), DBMS_LOB.GETLENGTH(c) FROM t ORDER BY id"
        ),
        ["ein größerer Text|70000|17", "|-|0"]
    );
    let update = "UPDATE t SET b = NULL WHERE DBMS_LOB.COMPARE(c, :1) = 0 AND ROWNUM = 1";
    assert_eq!(
        session
            .execute(update, &[&text])
            .unwrap()
            .row_count()
            .unwrap(),
        1
    );
}

#[test]
fn arrays_bind_text_as_lobs() {
    let (_database, session) = scene(&[TABLE]);
    let mut batch = session
        .batch("UPDATE t SET b = :1, c = :2 WHERE id = :3", 3)
        .with_row_counts()
        .build()
        .unwrap();
    batch.set_type(1, &OracleType::BLOB).unwrap();
    batch.set_type(2, &OracleType::CLOB).unwrap();
    batch.set_type(3, &OracleType::Int64).unwrap();
    for id in 1..=3 {
        session
            .execute("INSERT INTO t (id) VALUES (:1)", &[&id])
            .unwrap();
        batch
            .append_row(&[&vec![id; 3], &"x".repeat(50_000 * usize::from(id)), &id])
            .unwrap();
    }
    batch.execute().unwrap();
    assert_eq!(batch.row_counts().unwrap(), [1, 1, 1]);
    let lengths = "SELECT LENGTH(c), DBMS_LOB.GETLENGTH(b) FROM t ORDER BY id";
    assert_eq!(rows(&session, lengths), ["50000|3", "100000|3", "150000|3"]);
}

#[test]
fn locators_of_a_query_are_read() {
    let (_database, session) = scene(&[TABLE]);
    session
        .execute(
            "INSERT INTO t VALUES (1, :1, NULL)",
            &[&"äbc".repeat(30_000)],
        )
        .unwrap();
    let mut statement = session
        .statement("SELECT c FROM t")
        .lob_locator()
        .build()
        .unwrap();
    let mut lob = statement.query_row_as::<Clob>(&[]).unwrap();
    let mut text = String::new();
    lob.read_to_string(&mut text).unwrap();
    assert!(text == "äbc".repeat(30_000));
}
