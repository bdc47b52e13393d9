//! Making a session: the connection, its settings, and what the server is.

use oracle::Connector;
use tahr_plugin_api::WriteError;

use crate::{
    client,
    error::failed,
    names::Names,
    options::Options,
    session::{self, Session},
    statements,
};

/// Statements that stay prepared: each table has a handful.
const STATEMENTS: u32 = 200;

/// The first version whose names have 128 bytes.
const LONG_NAMES: (i32, i32) = (12, 2);

/// The first version that counts and refuses rows of an array one by one.
const OLDEST: (i32, i32) = (12, 1);

/// Connects.
pub(crate) fn open(options: &Options) -> Result<Session, WriteError> {
    let address = options.address()?;
    client::load(options.client_dir.as_deref())?;
    let mut connector = Connector::new(&*address.user, &*address.password, &*address.connect);
    connector
        .external_auth(address.user.is_empty())
        .stmt_cache_size(STATEMENTS);
    let doing = format!("connect to {}", address.connect);
    let failed = |error: oracle::Error| {
        let mut error = failed(&doing, &error);
        // As it was typed, so that Oracle folds it alike.
        let user = address.user.as_str();
        if !user.is_empty() {
            for place in ["GRANT CREATE SESSION TO ", "ALTER USER "] {
                error.hint = error
                    .hint
                    .replace(&format!("{place}…"), &format!("{place}{user}"));
            }
        }
        error
    };
    let connection = connector.connect().map_err(failed)?;
    let (version, _) = connection.server_version().map_err(failed)?;
    let version = (version.major(), version.minor());
    if version < OLDEST {
        return Err(WriteError::rejected(format!(
            "{doing}: the server is Oracle {}.{}",
            version.0, version.1
        ))
        .hint("tahr writes to Oracle 12.1 and later"));
    }
    connection
        .execute(statements::SESSION, &[])
        .map_err(failed)?;
    let one = |sql| {
        session::query(&connection, sql, &[])
            .map(first)
            .map_err(failed)
    };
    let character_set = one(statements::CHARACTER_SET)?;
    if !matches!(&*character_set, "AL32UTF8" | "UTF8") {
        return Err(WriteError::rejected(format!(
            "{doing}: the database's character set {character_set} doesn't hold all text"
        ))
        .hint("use a database whose NLS_CHARACTERSET is AL32UTF8"));
    }
    let schema = one(statements::CURRENT_SCHEMA)?;
    let most = match options.max_identifier {
        Some(bytes) => bytes as usize,
        None if version < LONG_NAMES => 30,
        None => 128,
    };
    Ok(Session::new(connection, Names::new(most), schema))
}

fn first(rows: Vec<Vec<Option<String>>>) -> String {
    let row = rows.into_iter().next();
    row.and_then(|row| row.into_iter().next())
        .flatten()
        .unwrap_or_default()
}
