//! What MySQL's errors mean for a lane.
//!
//! Messages name tables, columns and constraints. Where the server's own words quote a value, they are
//! replaced by the name of the condition.

use mysql_async::{DriverError, Error, IoError, ServerError};
use tahr_plugin_api::WriteError;

/// `NO SUCH TABLE`.
pub(crate) const NO_TABLE: u16 = 1146;
/// A unique key has the value already.
pub(crate) const DUPLICATE: u16 = 1062;
/// The server was chosen as the victim of a deadlock, or waited too long.
pub(crate) const LOCKS: [u16; 2] = [1213, 1205];
/// The user lacks a right.
pub(crate) const DENIED: [u16; 5] = [1044, 1142, 1143, 1227, 1370];

/// What mends a target that others have changed.
pub(crate) const COPY_ANEW: &str = "to copy the sync's tables anew: `tahr drop SYNC`, set \
    `existing = \"replace\"` in the sync, `tahr run`";

/// The server's code of an error; 0 for others.
pub(crate) fn code(error: &Error) -> u16 {
    match error {
        Error::Server(error) => error.code,
        _ => 0,
    }
}

/// Explains an error that happened while `doing` something, a fragment such as `write table "t"`.
pub(crate) fn explain(error: &Error, doing: &str) -> WriteError {
    match error {
        Error::Server(error) => explain_server(error, doing),
        Error::Url(error) => WriteError::options(format!("option url: {error}"))
            .hint("url = \"mysql://user:password@host:3306/database\""),
        Error::Driver(
            error @ (DriverError::NoClientSslFlagFromServer
            | DriverError::CleartextPluginDisabled
            | DriverError::UnknownAuthPlugin { .. }
            | DriverError::NoKeyFound),
        ) => WriteError::rejected(format!("{doing}: {error}"))
            .hint("check the options for TLS, and how the user is authenticated"),
        Error::Io(IoError::Tls(error)) => WriteError::rejected(format!("{doing}: TLS: {error}"))
            .hint("set `ca_file`, or `verify_identity=false` in the URL where the name differs"),
        // Everything else is between the client and the server: a lost connection mostly.
        Error::Io(IoError::Io(error)) => WriteError::transient(format!("{doing}: {error}")),
        Error::Driver(DriverError::ConnectionClosed) => {
            WriteError::transient(format!("{doing}: connection closed"))
        }
        other => WriteError::transient(format!("{doing}: {other}")),
    }
}

fn explain_server(error: &ServerError, doing: &str) -> WriteError {
    let text = format!("{doing}: {}", message(error));
    let mut result = match error.code {
        code if is_transient(code) => WriteError::transient(text),
        // What tahr wrote makes no sense to the server.
        1064 => WriteError::fatal(text),
        _ => WriteError::rejected(text),
    };
    result = result.code(error.code.to_string());
    if let Some(hint) = hint(error.code) {
        result = result.hint(hint);
    }
    match column(error) {
        Some(column) => result.column(column),
        None => result,
    }
}

/// Locks, lost connections, shutdowns, resources, and a server that is read-only for now.
pub(crate) fn is_transient(code: u16) -> bool {
    matches!(
        code,
        // Locks, and a cluster or group that could not agree.
        1205 | 1206 | 1213 | 1180 | 1047 | 3101 | 3100 | 1614 | 3572
        // Shutdowns, ended sessions and statements.
        | 1053 | 1077 | 1079 | 1158
            ..=1161 | 1184 | 1152 | 1317 | 1927 | 1928 | 1969 | 3024 | 4031
        // Connections and memory.
        | 1040 | 1041 | 1037 | 1038 | 1129 | 1135 | 1203 | 1226 | 1637
        // Disks.
        | 3 | 1021 | 1026 | 1030 | 1114
        // A server that is read-only, as during a failover.
        | 1290 | 1792 | 1836
        // Another lane makes the same table at the same moment; a table changed under a statement.
        | 1050 | 1412
    )
}

fn message(error: &ServerError) -> String {
    let condition = match error.code {
        DUPLICATE | 1586 | 1761 | 1762 | 1859 => {
            return match quoted(&error.message).last() {
                Some(key) => format!("a value is in the unique key {key:?} already"),
                None => "a value is in a unique key already".to_owned(),
            };
        }
        1264 => "a number is out of its column's range",
        1265 | 1366 | 1411 | 1525 => "a value is not of its column's type",
        1292 => "a date or time is not of its column's type",
        1367 | 1690 | 3140 | 3156 => "a value can't be stored",
        1406 => "a value is longer than its column",
        1064 => "the server doesn't understand the statement",
        1114 => "the table is full, or the disk is",
        // Functions of users say what they like.
        1643..=1646 | 1415 => "a trigger or function refused a row",
        _ => return error.message.clone(),
    };
    condition.to_owned()
}

/// The parts of a message that are in single quotes or backticks.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split(['\'', '`']).skip(1).step_by(2)
}

/// The column to blame, where the message names one.
fn column(error: &ServerError) -> Option<String> {
    if !matches!(
        error.code,
        1048 | 1054 | 1060 | 1166 | 1264 | 1265 | 1292 | 1364 | 1366 | 1406
    ) {
        return None;
    }
    if let Some(("", rest)) = error.message.split_once("Field ") {
        return quoted(rest).next().map(str::to_owned);
    }
    // The last one named: `column 'c'`, or `column `db`.`t`.`c``.
    let (_, rest) = error.message.rsplit_once("olumn ")?;
    quoted(rest).last().map(str::to_owned)
}

fn hint(code: u16) -> Option<String> {
    Some(match code {
        1044 | 1142 | 1143 | 1227 | 1370 => {
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX ON database.* TO user"
                .to_owned()
        }
        1045 | 1698 | 1862 | 3118 | 4151 => {
            "check user and password in `url`, and that the user may connect from this host"
                .to_owned()
        }
        1130 => "allow the user to connect from this host: CREATE USER user@host".to_owned(),
        1049 => "CREATE DATABASE … CHARACTER SET utf8mb4; or name another in `url`".to_owned(),
        DUPLICATE => {
            format!("the target holds a row that the stream didn't put there; {COPY_ANEW}")
        }
        NO_TABLE => format!("something dropped the table; {COPY_ANEW}"),
        1114 | 1021 => {
            "make room on the disk of the server; the lane tries again by itself".to_owned()
        }
        1290 | 1792 | 1836 => {
            "the server is read-only; the lane goes on when it takes writes again".to_owned()
        }
        1205 => "another session holds a lock; end it, or raise `lock_timeout`".to_owned(),
        1040 | 1203 | 1226 => "raise the server's limit, or end other sessions".to_owned(),
        1118 => "leave columns out (`exclude`), or declare long ones LONGTEXT".to_owned(),
        1117 => "leave columns out: `exclude` for this table in the sync".to_owned(),
        1071 => "the key is too long for the server's pages; make the table by hand".to_owned(),
        1153 => "raise max_allowed_packet on the server".to_owned(),
        1665 => "SET GLOBAL binlog_format = ROW".to_owned(),
        1406 | 1264 => "widen the column, or leave it out: `exclude` for this table".to_owned(),
        1364 => "give the column a default, or drop it".to_owned(),
        3750 => {
            "the server wants a primary key in every table; give the source's table one".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::ErrorKind;

    use super::*;

    fn error(code: u16, message: &str) -> WriteError {
        let error = Error::Server(ServerError {
            code,
            message: message.to_owned(),
            state: "HY000".to_owned(),
        });
        explain(&error, "write table \"t\"")
    }

    #[test]
    fn what_may_pass_is_told_from_what_needs_a_person() {
        for code in [1213, 1205, 1290, 1053, 1040, 1114, 1927] {
            let error = error(code, "…");
            assert!(error.is_transient(), "{code}");
            assert_eq!(error.code, code.to_string());
        }
        for code in [1045, 1049, 1062, 1118, 1142, 1146, 1406, 4025] {
            assert_eq!(error(code, "…").kind, ErrorKind::Rejected, "{code}");
        }
        assert_eq!(error(1064, "near 'secret'").kind, ErrorKind::Fatal);
    }

    #[test]
    fn no_value_is_quoted_and_columns_are_named() {
        for (code, message, column) in [
            (1062, "Duplicate entry 'secret' for key 'PRIMARY'", None),
            (1064, "… near 'secret' at line 1", None),
            (
                1366,
                "Incorrect string value: 'secret' for column `d`.`t`.`c` at row 1",
                Some("c"),
            ),
            (
                1292,
                "Incorrect datetime value: 'secret' for column `d`.`t`.`c` at row 1",
                Some("c"),
            ),
            (1406, "Data too long for column 'c' at row 1", Some("c")),
            (1048, "Column 'c' cannot be null", Some("c")),
            (1364, "Field 'c' doesn't have a default value", Some("c")),
            (1644, "secret", None),
        ] {
            let error = error(code, message);
            assert!(!error.message.contains("secret"), "{error}");
            assert_eq!(error.column.as_deref(), column, "{message}");
        }
        let error = error(1062, "Duplicate entry 'secret' for key 't.PRIMARY'");
        assert!(error.message.contains("t.PRIMARY"), "{error}");
    }
}
