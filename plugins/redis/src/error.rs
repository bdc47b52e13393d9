//! What follows from an error of Redis.

use redis::{RedisError, ServerError};
use tahr_plugin_api::WriteError;

/// Codes that a person or the server mends while the lane waits, each with what to do.
const TRANSIENT: &[(&str, &str)] = &[
    ("LOADING", ""),
    (
        "BUSY",
        "a script of another client runs for long: SCRIPT KILL",
    ),
    ("MASTERDOWN", ""),
    ("TRYAGAIN", ""),
    ("NOREPLICAS", "CONFIG SET min-replicas-to-write 0"),
    (
        "MISCONF",
        "redis can't save to disk; see its log, or: CONFIG SET stop-writes-on-bgsave-error no",
    ),
    (
        "OOM",
        "CONFIG SET maxmemory …, set a ttl, or replicate fewer tables",
    ),
    ("READONLY", "this is a replica: let `url` name the primary"),
];

/// Codes that stay until a person acts, each with what to do.
const REJECTED: &[(&str, &str)] = &[
    ("NOAUTH", "url = \"redis://user:password@host\""),
    ("WRONGPASS", "check user and password in `url`"),
    (
        "NOPERM",
        "ACL SETUSER … +@read +@write +@scripting +@connection +info ~*",
    ),
    (
        "DENIED",
        "redis runs in protected mode: set a password or bind address there",
    ),
    ("WRONGTYPE", "DEL the key, or choose another `key`"),
    ("MOVED", CLUSTER),
    ("ASK", CLUSTER),
    ("CROSSSLOT", CLUSTER),
    ("CLUSTERDOWN", CLUSTER),
];

const CLUSTER: &str = "redis cluster is not supported: let `url` name a single server";

/// An error that the server sent.
pub(crate) fn of_server(error: &ServerError) -> WriteError {
    // Arguments may be quoted in it, and those are rows.
    let details = error.details().unwrap_or_default();
    let details = details
        .split(", with args beginning")
        .next()
        .unwrap_or_default();
    let find = |table: &[(&'static str, &'static str)]| {
        let known = table.iter().copied();
        known.into_iter().find(|(code, _)| {
            // Before version 7 an error inside a script is wrapped: "ERR Error running … -OOM …".
            error.code() == *code || details.contains(&format!(" -{code} "))
        })
    };
    let message = |code: &str| format!("redis refused: {code} {details}");
    if let Some((code, hint)) = find(TRANSIENT) {
        return WriteError::transient(message(code)).code(code).hint(hint);
    }
    if let Some((code, hint)) = find(REJECTED) {
        return WriteError::rejected(message(code)).code(code).hint(hint);
    }
    if details.contains("max number of clients") {
        return WriteError::transient(message(error.code())).hint("CONFIG SET maxclients …");
    }
    let hint = if details.starts_with("AUTH") || details.starts_with("invalid password") {
        "check user and password in `url`"
    } else {
        ""
    };
    WriteError::rejected(message(error.code()))
        .code(error.code())
        .hint(hint)
}

/// An error of the connection, or what the server sent in place of an answer.
pub(crate) fn of_connection(error: &RedisError, server: &str) -> WriteError {
    if error.is_timeout() {
        return WriteError::transient(format!("no answer from redis at {server} in time"))
            .hint("is it busy or stopped? `timeout` says how long to wait");
    }
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(io) => of_io(io, server),
        None => WriteError::transient(format!("redis at {server} sent no valid answer")),
    }
}

/// An error of the socket.
pub(crate) fn of_io(error: &std::io::Error, server: &str) -> WriteError {
    WriteError::transient(format!("connection to redis at {server}: {error}"))
}

/// An answer of another kind than asked for.
pub(crate) fn strange_answer(to: &str) -> WriteError {
    WriteError::fatal(format!("redis gave an answer to {to} that means nothing"))
        .hint("is it a redis-compatible server that runs Lua scripts?")
}
