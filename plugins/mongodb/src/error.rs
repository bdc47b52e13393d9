//! What MongoDB's errors mean for a lane.
//!
//! Servers put keys, values and whole commands into their messages. Of those only the beginning is
//! kept, up to the first brace or quote, and where the meaning is known the words are ours.

use mongodb::{
    bson::{Bson, Document},
    error::{Error, ErrorKind},
};
use tahr_plugin_api::WriteError;

const LOWER_ROWS: &str = "lower `max_batch_rows` or `max_batch_bytes` in the sync, or raise the \
                          server's transactionLifetimeLimitSeconds";

/// Codes that pass by themselves, or that the server's owner mends while the lane waits.
const TRANSIENT: &[(i32, &str)] = &[
    (6, ""),
    (7, ""),
    (24, ""),
    (50, "the server is slow; `timeout` says how long to wait"),
    (63, ""),
    (64, "a majority of the replica set's members has to be up"),
    (89, ""),
    (91, ""),
    (100, "a majority of the replica set's members has to be up"),
    (112, ""),
    (133, ""),
    (134, ""),
    (189, ""),
    (202, ""),
    (225, ""),
    (246, ""),
    (251, ""),
    (262, LOWER_ROWS),
    (290, LOWER_ROWS),
    (9001, ""),
    (10_058, ""),
    (10_107, ""),
    (11_600, ""),
    (11_601, ""),
    (11_602, ""),
    (13_388, ""),
    (13_435, ""),
    (13_436, ""),
    (
        14_031,
        "make room on the server's disk; the lane tries again by itself",
    ),
];

/// Codes that stay until a person acts, each with what to do.
const REJECTED: &[(i32, &str)] = &[
    (
        13,
        "db.grantRolesToUser(\"…\", [{ role: \"readWrite\", db: \"…\" }])",
    ),
    (18, "check user, password and authSource in `url`"),
    (8000, "check user, password and authSource in `url`"),
    (
        121,
        "change the collection's validator, or leave the table out of the sync",
    ),
    (
        11_000,
        "drop the unique index, or remove what others put into the collection",
    ),
    (388, LOWER_ROWS),
];

/// The driver's error; `doing` says what failed: `commit`, `insert into collection "t"`.
pub(crate) fn failed(doing: &str, error: &Error) -> WriteError {
    let is_transient = [
        "TransientTransactionError",
        "RetryableWriteError",
        "UnknownTransactionCommitResult",
    ]
    .iter()
    .any(|label| error.contains_label(label));
    match &*error.kind {
        ErrorKind::Command(command) => {
            let error = of_code(doing, command.code, &command.message);
            if is_transient && !error.is_transient() {
                return WriteError::transient(error.message).code(error.code);
            }
            error
        }
        ErrorKind::Authentication { message, .. } => {
            WriteError::rejected(format!("{doing}: {}", plain(message)))
                .hint("check user, password and authSource in `url`")
                .code("18")
        }
        ErrorKind::ServerSelection { message, .. } => {
            WriteError::transient(format!("{doing}: {}", first_sentence(message)))
                .hint("is a server up that takes writes? `connect_timeout` says how long to look")
        }
        ErrorKind::Io(error) => WriteError::transient(format!("{doing}: {error}")),
        ErrorKind::ConnectionPoolCleared { .. } => {
            WriteError::transient(format!("{doing}: connection lost"))
        }
        ErrorKind::DnsResolve { message, .. } => {
            WriteError::transient(format!("{doing}: {message}"))
        }
        ErrorKind::InvalidArgument { message, .. }
        | ErrorKind::InvalidTlsConfig { message, .. }
        | ErrorKind::IncompatibleServer { message, .. } => {
            WriteError::rejected(format!("{doing}: {message}"))
        }
        ErrorKind::SessionsNotSupported => {
            WriteError::rejected(format!("{doing}: the server has no sessions"))
        }
        _ if is_transient => WriteError::transient(format!("{doing}: transaction lost")),
        ErrorKind::InvalidResponse { .. } => {
            WriteError::transient(format!("{doing}: the answer makes no sense"))
        }
        ErrorKind::Transaction { message, .. } => {
            WriteError::transient(format!("{doing}: {message}"))
        }
        ErrorKind::Shutdown => WriteError::transient(format!("{doing}: the client was shut down")),
        _ => WriteError::fatal(format!("{doing}: an error that the driver doesn't explain")),
    }
}

/// An error by its code.
pub(crate) fn of_code(doing: &str, code: i32, message: &str) -> WriteError {
    let known = |table: &[(i32, &'static str)]| {
        let mut entries = table.iter();
        entries
            .find(|(known, _)| *known == code)
            .map(|(_, hint)| *hint)
    };
    let text = format!("{doing}: {}", plain(message));
    let error = match known(TRANSIENT) {
        Some(hint) => WriteError::transient(text).hint(hint),
        None => WriteError::rejected(text).hint(known(REJECTED).unwrap_or_default()),
    };
    error.code(code.to_string())
}

/// What an answer says of one row that was refused, or of the whole write. `doing` names the
/// collection.
pub(crate) fn of_answer(doing: &str, answer: &Document) -> Option<Refused> {
    let code = |document: &Document| match document.get("code") {
        Some(Bson::Int32(code)) => *code,
        _ => 0,
    };
    let message = |document: &Document| document.get_str("errmsg").unwrap_or_default().to_owned();
    let errors = answer.get_array("writeErrors").ok();
    if let Some(Bson::Document(refused)) = errors.and_then(|errors| errors.first()) {
        let (code, message) = (code(refused), message(refused));
        let index = message
            .split_once(" index: ")
            .and_then(|(_, rest)| rest.split_once(" dup key"))
            .map(|(name, _)| name.to_owned());
        let error = match (code, &index) {
            (11_000, Some(index)) => of_code(
                doing,
                code,
                &format!("a value is there twice that unique index {index} allows once"),
            ),
            (121, _) => of_code(doing, code, "the validator of the collection refuses it"),
            _ => of_code(doing, code, &message),
        };
        let place = match refused.get("index") {
            Some(Bson::Int32(place)) => usize::try_from(*place).ok(),
            _ => None,
        };
        return Some(Refused {
            error,
            place,
            index,
        });
    }
    let concern = answer.get_document("writeConcernError").ok()?;
    // The rows may have been written all the same; the checkpoint will tell.
    let error = of_code(doing, code(concern), &message(concern));
    Some(Refused {
        error: WriteError::transient(error.message)
            .hint(error.hint)
            .code(error.code),
        place: None,
        index: None,
    })
}

/// A row that the server refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: WriteError,
    /// Its place in the command.
    pub(crate) place: Option<usize>,
    /// The unique index that it broke.
    pub(crate) index: Option<String>,
}

/// A server's message up to where it may quote a row.
fn plain(message: &str) -> &str {
    let end = message.find(['{', '"', '\'', '[']).unwrap_or(message.len());
    let kept = message[..end].trim_end_matches([' ', ':', ',', '.']);
    if kept.is_empty() { "refused" } else { kept }
}

/// What happened, without the driver's whole view of the servers.
fn first_sentence(message: &str) -> String {
    let message = message.replace("Kind: ", "");
    let cause = message
        .split_once("Error: ")
        .and_then(|(_, rest)| rest.split([',', '}']).next());
    let first = message.split(" Topology:").next().unwrap_or(&message);
    let first = first.trim_end_matches('.').to_owned();
    match cause {
        Some(cause) => format!("{first} ({})", cause.trim()),
        None => first,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;
    use tahr_plugin_api::ErrorKind as Kind;

    use super::*;

    #[test]
    fn messages_hold_no_values() {
        let answer = doc! { "n": 0, "writeErrors": [{
            "index": 3, "code": 11000,
            "errmsg": "E11000 duplicate key error collection: t.x index: u_1 dup key: { u: \"secret\" }",
            "keyValue": { "u": "secret" },
        }] };
        let refused = of_answer("insert into collection \"x\"", &answer).unwrap();
        assert_eq!(refused.place, Some(3));
        assert_eq!(refused.index.as_deref(), Some("u_1"));
        assert_eq!(refused.error.kind, Kind::Rejected);
        assert_eq!(refused.error.code, "11000");
        assert!(!refused.error.message.contains("secret"));
        let error = of_code(
            "x",
            13,
            "not authorized on a to execute command { insert: \"secret\" }",
        );
        assert_eq!(error.message, "x: not authorized on a to execute command");
        assert!(error.hint.contains("readWrite"));
    }

    #[test]
    fn waiting_helps_where_a_server_steps_down() {
        for code in [10_107, 112, 251, 14_031] {
            assert!(of_code("x", code, "").is_transient(), "{code}");
        }
        for code in [13, 121, 11_000, 388, 9] {
            assert_eq!(of_code("x", code, "").kind, Kind::Rejected, "{code}");
        }
    }

    #[test]
    fn a_write_that_may_have_been_done_is_asked_for_again() {
        let answer = doc! { "n": 1, "writeConcernError": { "code": 64, "errmsg": "waiting" } };
        assert!(of_answer("x", &answer).unwrap().error.is_transient());
        assert!(of_answer("x", &doc! { "n": 1 }).is_none());
    }
}
