//! The `oracle` crate and its ODPI-C, unmodified, on the stand-in.

mod batches;
mod changes;
mod definitions;
mod dictionary;
mod faults;
mod lobs;
mod merging;
mod queries;
mod sessions;
mod values;

use oracle::{Connection, Error};
use tahr_tests::OracleStandIn;

/// The ORA- code of an error.
fn code(error: &Error) -> i32 {
    error
        .oci_code()
        .unwrap_or_else(|| panic!("no error of Oracle's: {error}"))
}

/// The code and the message of what a statement without parameters ends with.
fn refused(session: &Connection, sql: &str) -> (i32, String) {
    let run = || match sql.starts_with("SELECT") {
        true => session.query(sql, &[]).map(drop),
        false => session.execute(sql, &[]).map(drop),
    };
    match run() {
        Ok(()) => panic!("{sql} was not refused"),
        Err(error) => (code(&error), error.to_string()),
    }
}

/// A new database with tables, and a session.
fn scene(tables: &[&str]) -> (OracleStandIn, Connection) {
    let database = OracleStandIn::new();
    let session = database.connect();
    for table in tables {
        session
            .execute(table, &[])
            .unwrap_or_else(|error| panic!("{table}: {error}"));
    }
    (database, session)
}

/// The rows of a query in a session, NULL as `-`.
fn rows(session: &Connection, sql: &str) -> Vec<String> {
    let rows = session
        .query(sql, &[])
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let text = |row: oracle::Result<oracle::Row>| {
        let row = row.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let cells = row.sql_values().iter().map(|value| {
            let cell: Option<String> = value.get().unwrap_or_else(|error| panic!("{sql}: {error}"));
            cell.unwrap_or_else(|| "-".to_owned())
        });
        cells.collect::<Vec<_>>().join("|")
    };
    rows.map(text).collect()
}
