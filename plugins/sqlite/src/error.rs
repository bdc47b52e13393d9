//! What SQLite's errors mean for a lane.

use rusqlite::{Error, ErrorCode};
use tahr_plugin_api::WriteError;

/// The error of SQLite as the engine knows errors; `doing` says what failed: `commit`, `create
/// table "t"`.
pub(crate) fn failed(doing: &str, error: &Error) -> WriteError {
    let code = match error {
        Error::SqliteFailure(code, _) | Error::SqlInputError { error: code, .. } => code,
        other => return WriteError::fatal(format!("{doing}: {other}")),
    };
    let text = text_of(error);
    let message = format!("{doing}: {text}");
    let error = match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => WriteError::transient(message)
            .hint("another program writes to the file; end it, or raise `busy_timeout`"),
        ErrorCode::DiskFull => WriteError::transient(message)
            .hint("make room on the disk of the database file; the lane tries again by itself"),
        ErrorCode::SystemIoFailure => WriteError::transient(message).hint(
            "the disk of the database file fails or takes no more (`ulimit -f`, a quota); the lane \
             tries again by itself",
        ),
        ErrorCode::OperationInterrupted
        | ErrorCode::OutOfMemory
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::SchemaChanged => WriteError::transient(message),
        ErrorCode::CannotOpen => WriteError::rejected(message)
            .hint("check that the folder of `path` exists and may be written to"),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => WriteError::rejected(message)
            .hint("give the user that runs tahr the right to write to the file and its folder"),
        ErrorCode::NotADatabase => WriteError::rejected(message)
            .hint("`path` names a file of another kind; name another, or move it away"),
        ErrorCode::DatabaseCorrupt => WriteError::rejected(message)
            .hint("the file is damaged; move it away and let tahr copy the tables again"),
        ErrorCode::InternalMalfunction | ErrorCode::ApiMisuse => WriteError::fatal(message),
        _ => WriteError::rejected(message),
    };
    blame(error, text).code(code.extended_code.to_string())
}

/// SQLite's own words. They name tables, columns and constraints, never a value.
fn text_of(error: &Error) -> &str {
    match error {
        Error::SqliteFailure(_, Some(text)) => text,
        Error::SqlInputError { msg, .. } => msg,
        _ => "no further word from SQLite",
    }
}

/// Adds table and column where the text says `… constraint failed: table.column, …`.
fn blame(error: WriteError, text: &str) -> WriteError {
    let named = text
        .split_once(" constraint failed: ")
        .map(|(_, rest)| rest);
    let first = named.and_then(|rest| rest.split(", ").next());
    match first.and_then(|name| name.rsplit_once('.')) {
        Some((table, column)) => error.table(table).column(column),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use tahr_plugin_api::ErrorKind;

    use super::*;

    #[test]
    fn a_broken_constraint_names_table_and_column() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t (a, b NOT NULL, UNIQUE (a))")
            .unwrap();
        let error = connection
            .execute("INSERT INTO t VALUES (1, NULL)", [])
            .unwrap_err();
        let error = failed("insert", &error);
        assert_eq!(error.kind, ErrorKind::Rejected);
        assert_eq!(error.table.as_deref(), Some("t"));
        assert_eq!(error.column.as_deref(), Some("b"));
        assert_eq!(error.code, "1299");
    }

    #[test]
    fn waiting_helps_where_another_writes() {
        let busy = Error::SqliteFailure(rusqlite::ffi::Error::new(5), None);
        assert!(failed("begin", &busy).is_transient());
        let full = Error::SqliteFailure(rusqlite::ffi::Error::new(13), None);
        assert!(failed("commit", &full).is_transient());
        let corrupt = Error::SqliteFailure(rusqlite::ffi::Error::new(11), None);
        assert_eq!(failed("begin", &corrupt).kind, ErrorKind::Rejected);
    }
}
