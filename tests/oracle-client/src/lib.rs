//! A stand-in for Oracle's client library, `libclntsh.so`, for tests without an Oracle server.
//!
//! It offers as much of OCI as ODPI-C calls for the `oracle` crate, on SQLite files in place of a
//! server: one file is one database, of which all processes that open it are clients. It is dumb on
//! purpose. Statements are parsed by hand and checked against a catalog of declared Oracle types,
//! and what is not known is refused with the text in the message, never guessed at. So it proves how
//! a program calls, binds, batches, commits and handles errors; that Oracle itself would take the
//! SQL, it can't prove.
//!
//! ```text
//!   oci        the C functions: handles, attributes, binds, defines, LOBs     (unsafe)
//!   session    a connection: transaction, settings, cancelling, faults
//!   sql        text → tokens → syntax tree
//!   database   catalog, translation of the tree to SQLite's SQL, DML, DDL
//!   value      Oracle's values, their conversions, and how SQLite keeps them
//! ```
//!
//! | connect string | database |
//! |---|---|
//! | `stand-in:/folder/x.db` | that file |
//! | `//host:port/x`, `x`, `(… SERVICE_NAME=x …)` | `$TAHR_ORACLE_STAND_IN_DIR/x.db` |
//!
//! A file that is absent answers ORA-12514. Files beside `x.db` say more:
//!
//! | file | effect |
//! |---|---|
//! | `x.down` | nobody listens: ORA-12541 |
//! | `x.version` | the server's version, as `12.1.0.2.0`; below 12.2 names end at 30 bytes |
//! | `x.faults` | errors to come: see [`faults`] |
//!
//! A session that waits for another's transaction gives up with ORA-00054 after 20 seconds, or the
//! milliseconds in `TAHR_ORACLE_LOCK_WAIT_MS`. One user exists, `tahr` with the password `stand-in`.
//!
//! A C library can't be written without `unsafe`; all of it is in `oci`.
#![deny(unsafe_code)]

mod database;
mod error;
pub mod faults;
mod oci;
mod session;
mod sql;
mod value;
