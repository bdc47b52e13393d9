//! Errors that a test orders.

use crate::{code, rows, scene};

#[test]
fn the_ordered_call_fails_and_no_other() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER PRIMARY KEY)"]);
    database.order_fault("execute 2 ORA-00060");
    let insert = |id: i32| {
        session
            .execute("INSERT INTO t VALUES (:1)", &[&id])
            .map(|_| ())
    };
    insert(1).unwrap();
    let error = insert(2).unwrap_err();
    assert_eq!(code(&error), 60);
    assert!(error.to_string().contains("deadlock detected"), "{error}");
    insert(3).unwrap();
    session.commit().unwrap();
    assert_eq!(rows(&session, "SELECT id FROM t ORDER BY id"), ["1", "3"]);
    assert!(database.faults_left().is_empty());
}

#[test]
fn a_lost_connection_ends_the_session_and_its_transaction() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    session.execute("INSERT INTO t VALUES (1)", &[]).unwrap();
    database.order_fault("ping 1 ORA-03113");
    let error = session.ping().unwrap_err();
    assert_eq!(error.dpi_code(), Some(1080), "{error}");
    assert!(error.to_string().contains("ORA-03113"), "{error}");
    assert!(session.execute("INSERT INTO t VALUES (2)", &[]).is_err());
    drop(session);
    assert!(database.query("SELECT id FROM t").is_empty());
}

#[test]
fn a_commit_may_take_effect_though_its_answer_is_lost() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    for (order, expected) in [("commit 1 ORA-03113", 0), ("commit 1 ORA-03113 after", 1)] {
        let session = database.connect();
        session.execute("INSERT INTO t VALUES (1)", &[]).unwrap();
        database.order_fault(order);
        assert!(session.commit().is_err());
        drop(session);
        assert_eq!(
            database.query("SELECT id FROM t").len(),
            expected,
            "{order}"
        );
    }
    session.ping().unwrap();
}

#[test]
fn a_row_of_an_array_fails_alone() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    database.order_fault("row 2 ORA-01438 in INSERT");
    let mut batch = session
        .batch("INSERT INTO t VALUES (:1)", 3)
        .with_batch_errors()
        .build()
        .unwrap();
    for id in 1..=3 {
        batch.append_row(&[&id]).unwrap();
    }
    let error = batch.execute().unwrap_err();
    let errors: Vec<_> = error
        .batch_errors()
        .unwrap()
        .iter()
        .map(|error| (error.offset(), error.code()))
        .collect();
    assert_eq!(errors, [(1, 1438)]);
    assert_eq!(rows(&session, "SELECT id FROM t ORDER BY id"), ["1", "3"]);
}

#[test]
fn reaching_the_server_and_logging_in_fail_too() {
    let (database, _session) = scene(&[]);
    database.order_fault("attach 1 ORA-12541");
    database.order_fault("login 1 ORA-01017");
    let connect = || database.try_connect("stand-in").map(|_| ());
    assert_eq!(code(&connect().unwrap_err()), 12541);
    assert_eq!(code(&connect().unwrap_err()), 1017);
    connect().unwrap();
}
