//! A stand-in for Oracle's client library.
