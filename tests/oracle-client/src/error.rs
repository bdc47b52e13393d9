//! Errors as Oracle tells them.

use std::fmt;

/// An `ORA-` error: its code and its message without the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OraError {
    /// As 942 in ORA-00942.
    pub code: i32,
    /// What follows `ORA-00942: `.
    pub message: String,
    /// The session has ended with this error.
    pub is_fatal: bool,
}

pub(crate) type Result<T> = std::result::Result<T, OraError>;

impl OraError {
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            is_fatal: false,
        }
    }

    /// An error of a code that tests ask for, in Oracle's words.
    pub(crate) fn of_code(code: i32) -> Self {
        let message = match code {
            1 => "unique constraint (TAHR.INJECTED) violated",
            54 => "resource busy and acquire with NOWAIT specified or timeout expired",
            60 => "deadlock detected while waiting for resource",
            1013 => "user requested cancel of current operation",
            1400 => "cannot insert NULL into (\"TAHR\".\"INJECTED\".\"INJECTED\")",
            1438 => "value larger than specified precision allowed for this column",
            1653 => "unable to extend table TAHR.INJECTED by 128 in tablespace USERS",
            3113 => "end-of-file on communication channel",
            3114 => "not connected to ORACLE",
            3135 => "connection lost contact",
            3156 => "OCI call timed out",
            12514 => {
                "TNS:listener does not currently know of service requested in connect descriptor"
            }
            12541 => "TNS:no listener",
            12899 => {
                "value too large for column \"TAHR\".\"INJECTED\".\"INJECTED\" (actual: 2, maximum: 1)"
            }
            _ => "injected",
        };
        let mut error = Self::new(code, message);
        error.is_fatal = matches!(
            code,
            28 | 1012 | 1089 | 1092 | 3113 | 3114 | 3135 | 12537 | 12570
        );
        error
    }

    /// SQL that this stand-in does not know. Oracle might.
    pub(crate) fn unknown(what: impl fmt::Display) -> Self {
        Self::new(
            900,
            format!("invalid SQL statement (not known to the stand-in: {what})"),
        )
    }
}

impl fmt::Display for OraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ORA-{:05}: {}", self.code, self.message)
    }
}

impl std::error::Error for OraError {}

/// What SQLite says that no part of this crate has translated: a bug of the stand-in, except when
/// it passes on an error of one of its own functions.
impl From<rusqlite::Error> for OraError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let text = error.to_string();
        if let Some(own) = parse(&text) {
            return own;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::of_code(1013),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::of_code(54),
            Some(ErrorCode::DiskFull) => Self::of_code(1653),
            _ => Self::new(600, format!("internal error code, arguments: [{text}]")),
        }
    }
}

/// An error that went through SQLite as text.
fn parse(text: &str) -> Option<OraError> {
    let (_, rest) = text.split_once("ORA-")?;
    let (code, message) = rest.split_once(": ")?;
    Some(OraError::new(code.parse().ok()?, message))
}
