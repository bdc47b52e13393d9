//! Sessions: connecting, transactions side by side, cancelling.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tahr_tests::OracleStandIn;

use crate::{code, rows, scene};

#[test]
fn connecting_fails_as_with_a_server() {
    let database = OracleStandIn::new();
    assert_eq!(code(&database.try_connect("wrong").unwrap_err()), 1017);
    database.stop_listening();
    assert_eq!(code(&database.try_connect("stand-in").unwrap_err()), 12541);
    database.listen();
    let session = database.connect();
    session.ping().unwrap();
    session.close().unwrap();
    let nowhere = oracle::Connection::connect("tahr", "stand-in", "stand-in:/nowhere/at/all.db");
    assert_eq!(code(&nowhere.unwrap_err()), 12514);
}

#[test]
fn what_is_not_committed_is_seen_by_its_session_only_and_ends_with_it() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    let other = database.connect();
    session.execute("INSERT INTO t VALUES (1)", &[]).unwrap();
    assert_eq!(rows(&session, "SELECT id FROM t"), ["1"]);
    assert!(rows(&other, "SELECT id FROM t").is_empty());
    session.commit().unwrap();
    assert_eq!(rows(&other, "SELECT id FROM t"), ["1"]);
    session.execute("INSERT INTO t VALUES (2)", &[]).unwrap();
    session.close().unwrap();
    assert_eq!(rows(&other, "SELECT id FROM t"), ["1"]);
}

#[test]
fn a_writer_waits_for_another_and_goes_on() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    session.execute("INSERT INTO t VALUES (1)", &[]).unwrap();
    let other = database.connect();
    let waiting = std::thread::spawn(move || {
        other.execute("INSERT INTO t VALUES (2)", &[]).unwrap();
        other.commit().unwrap();
    });
    std::thread::sleep(Duration::from_millis(100));
    assert!(!waiting.is_finished());
    session.commit().unwrap();
    waiting.join().unwrap();
    assert_eq!(rows(&session, "SELECT COUNT(*) FROM t"), ["2"]);
}

#[test]
fn a_call_that_waits_can_be_cancelled_and_the_session_goes_on() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    session.execute("INSERT INTO t VALUES (1)", &[]).unwrap();
    let other = Arc::new(database.connect());
    let waiting = {
        let other = Arc::clone(&other);
        std::thread::spawn(move || other.execute("INSERT INTO t VALUES (2)", &[]).map(|_| ()))
    };
    std::thread::sleep(Duration::from_millis(100));
    other.break_execution().unwrap();
    assert_eq!(code(&waiting.join().unwrap().unwrap_err()), 1013);
    session.commit().unwrap();
    other.execute("INSERT INTO t VALUES (3)", &[]).unwrap();
    other.commit().unwrap();
    assert_eq!(rows(&session, "SELECT id FROM t ORDER BY id"), ["1", "3"]);
}

#[test]
fn a_call_has_its_timeout() {
    let (database, session) = scene(&["CREATE TABLE t (id NUMBER)"]);
    session.execute("INSERT INTO t VALUES (1)", &[]).unwrap();
    let other = database.connect();
    other
        .set_call_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let started = Instant::now();
    let error = other.execute("INSERT INTO t VALUES (2)", &[]).unwrap_err();
    assert_eq!(error.dpi_code(), Some(1067), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}
