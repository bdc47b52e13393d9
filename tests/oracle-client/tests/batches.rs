//! Arrays of binds: counts, errors of single rows, what stays when one fails.

use oracle::ErrorKind;
use oracle::sql_type::OracleType;

use crate::{code, rows, scene};

const TABLE: &str =
    "CREATE TABLE item (id NUMBER(10) PRIMARY KEY, name VARCHAR2(5 CHAR), price NUMBER(4, 2))";

#[test]
fn rows_that_fail_are_told_one_by_one_and_the_others_stay() {
    let (_database, session) = scene(&[TABLE]);
    let mut batch = session
        .batch("INSERT INTO item VALUES (:1, :2, :3)", 10)
        .with_batch_errors()
        .with_row_counts()
        .build()
        .unwrap();
    batch.append_row(&[&1, &"one", &"1.005"]).unwrap();
    batch.append_row(&[&1, &"again", &"1"]).unwrap();
    batch.append_row(&[&2, &"too long", &"1"]).unwrap();
    batch.append_row(&[&3, &"three", &"99.995"]).unwrap();
    batch.append_row(&[&None::<i32>, &"none", &"1"]).unwrap();
    batch.append_row(&[&4, &"äöüÄÖ", &None::<&str>]).unwrap();
    let error = batch.execute().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BatchErrors);
    let errors = error.batch_errors().unwrap();
    let told: Vec<_> = errors
        .iter()
        .map(|error| (error.offset(), error.code(), error.message()))
        .collect();
    assert_eq!(
        told,
        [
            (
                1,
                1,
                "ORA-00001: unique constraint (TAHR.SYS_C008001) violated"
            ),
            (
                2,
                12899,
                "ORA-12899: value too large for column \"TAHR\".\"ITEM\".\"NAME\" (actual: 8, maximum: 5)"
            ),
            (
                3,
                1438,
                "ORA-01438: value larger than specified precision allowed for this column"
            ),
            (
                4,
                1400,
                "ORA-01400: cannot insert NULL into (\"TAHR\".\"ITEM\".\"ID\")"
            ),
        ]
    );
    assert_eq!(batch.row_counts().unwrap(), [1, 0, 0, 0, 0, 1]);
    session.commit().unwrap();
    assert_eq!(
        rows(&session, "SELECT * FROM item ORDER BY id"),
        ["1|one|1.01", "4|äöüÄÖ|-"]
    );
}

#[test]
fn without_batch_errors_the_rows_before_the_first_error_stay_uncommitted() {
    let (database, session) = scene(&[TABLE]);
    let mut batch = session
        .batch("INSERT INTO item (id) VALUES (:1)", 10)
        .build()
        .unwrap();
    for id in [1, 2, 1, 3] {
        batch.append_row(&[&id]).unwrap();
    }
    assert_eq!(code(&batch.execute().unwrap_err()), 1);
    assert_eq!(
        rows(&session, "SELECT id FROM item ORDER BY id"),
        ["1", "2"]
    );
    assert!(database.query("SELECT id FROM item").is_empty());
    session.rollback().unwrap();
    assert!(rows(&session, "SELECT id FROM item").is_empty());
}

#[test]
fn each_row_has_its_count() {
    let (_database, session) = scene(&[TABLE]);
    for id in 1..=5 {
        session
            .execute("INSERT INTO item (id, name) VALUES (:1, :2)", &[&id, &"x"])
            .unwrap();
    }
    let mut batch = session
        .batch("DELETE FROM item WHERE id >= :1", 3)
        .with_row_counts()
        .build()
        .unwrap();
    for id in [5, 9, 2] {
        batch.append_row(&[&id]).unwrap();
    }
    batch.execute().unwrap();
    assert_eq!(batch.row_counts().unwrap(), [1, 0, 3]);
    let statement = session.execute("UPDATE item SET name = 'y'", &[]).unwrap();
    assert_eq!(statement.row_count().unwrap(), 1);
}

#[test]
fn binds_by_name_reach_every_place_of_the_name() {
    let (_database, session) = scene(&[TABLE]);
    let sql = "INSERT INTO item (id, name) VALUES (:Id, TO_CHAR(:id) || :suffix)";
    session
        .execute_named(sql, &[("id", &7), ("suffix", &"!")])
        .unwrap();
    assert_eq!(rows(&session, "SELECT id, name FROM item"), ["7|7!"]);
}

#[test]
fn a_parameter_without_a_value_is_refused() {
    let (_database, session) = scene(&[TABLE]);
    let mut statement = session
        .statement("INSERT INTO item (id) VALUES (:1)")
        .build()
        .unwrap();
    assert!(statement.execute(&[]).is_err());
    let mut statement = session
        .statement("INSERT INTO item (id, name) VALUES (:a, :b)")
        .build()
        .unwrap();
    assert_eq!(
        code(&statement.execute_named(&[("a", &1)]).unwrap_err()),
        1008
    );
}

#[test]
fn a_row_that_fails_leaves_nothing_of_itself() {
    let (_database, session) = scene(&[TABLE]);
    for id in 1..=3 {
        session
            .execute("INSERT INTO item (id, price) VALUES (:1, :2)", &[&id, &id])
            .unwrap();
    }
    // The third row fails, when two were changed.
    let update = "UPDATE item SET price = DECODE(id, 3, 100, 5)";
    assert_eq!(code(&session.execute(update, &[]).unwrap_err()), 1438);
    assert_eq!(
        rows(&session, "SELECT price FROM item ORDER BY id"),
        ["1", "2", "3"]
    );
}

#[test]
fn keys_may_change_places_within_a_statement() {
    let (_database, session) = scene(&[TABLE]);
    for id in 1..=3 {
        session
            .execute("INSERT INTO item (id) VALUES (:1)", &[&id])
            .unwrap();
    }
    session.execute("UPDATE item SET id = id + 1", &[]).unwrap();
    assert_eq!(
        rows(&session, "SELECT id FROM item ORDER BY 1"),
        ["2", "3", "4"]
    );
    assert_eq!(
        code(
            &session
                .execute("UPDATE item SET id = 4 WHERE id < 4", &[])
                .unwrap_err()
        ),
        1
    );
    assert_eq!(
        rows(&session, "SELECT id FROM item ORDER BY 1"),
        ["2", "3", "4"]
    );
}

#[test]
fn numbers_are_bound_as_native_integers_too() {
    let (_database, session) =
        scene(&["CREATE TABLE n (a NUMBER, b BINARY_DOUBLE, c BINARY_FLOAT)"]);
    let mut batch = session
        .batch("INSERT INTO n VALUES (:1, :2, :3)", 4)
        .build()
        .unwrap();
    batch.set_type(1, &OracleType::Int64).unwrap();
    batch.set_type(2, &OracleType::BinaryDouble).unwrap();
    batch.set_type(3, &OracleType::BinaryFloat).unwrap();
    batch
        .append_row(&[&i64::MIN, &f64::NAN, &f32::INFINITY])
        .unwrap();
    batch
        .append_row(&[&i64::MAX, &-1.5e300, &-0.25_f32])
        .unwrap();
    batch.execute().unwrap();
    let sql = "SELECT a, b, c FROM n ORDER BY a";
    let found: Vec<(i64, f64, f32)> = session
        .query_as(sql, &[])
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(found[1], (i64::MAX, -1.5e300, -0.25));
    assert!(found[0].0 == i64::MIN && found[0].1.is_nan() && found[0].2 == f32::INFINITY);
}
