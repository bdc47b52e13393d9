//! A connection to the file, set up for its role.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tahr_plugin_api::{Role, WriteError};

use crate::{
    error::failed,
    options::{Options, Synchronous},
};

/// Statements that stay prepared: each table has a handful.
const STATEMENTS: usize = 512;

/// Opens the file for `role`; none where it doesn't exist and the role may not make it.
pub(crate) fn open(options: &Options, role: Role) -> Result<Option<Connection>, WriteError> {
    let path = &options.path;
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Err(WriteError::rejected("path of the database file is missing")
            .hint("path = \"shop.db\": the lane has several connections, so it must be a file"));
    }
    if role == Role::Check && !path.exists() {
        return Ok(None);
    }
    // The path is a path: `file:` URIs would make a second way to say everything.
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
        | if role == Role::Check {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
        };
    let doing = format!("open {}", path.display());
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| failed(&doing, &error))?;
    set_up(&connection, options, role).map_err(|error| failed(&doing, &error))?;
    Ok(Some(connection))
}

fn set_up(connection: &Connection, options: &Options, role: Role) -> rusqlite::Result<()> {
    connection.busy_timeout(options.busy_timeout.0)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if role == Role::Check {
        return Ok(());
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What a loader commits is made sure by the commit of `end_load`, since both are in one log.
    let synchronous = match (role, options.synchronous) {
        (Role::Load, Synchronous::Full) => Synchronous::Normal,
        (_, chosen) => chosen,
    };
    connection.pragma_update(None, "synchronous", synchronous.as_sql())?;
    // The source has enforced them; and rows of a cycle arrive one after another.
    connection.pragma_update(None, "foreign_keys", false)?;
    // Swapping a copied table in must not touch the views and triggers that name the table.
    connection.pragma_update(None, "legacy_alter_table", true)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    // After a large transaction the log shrinks again.
    connection.pragma_update(None, "journal_size_limit", 67_108_864)
}
