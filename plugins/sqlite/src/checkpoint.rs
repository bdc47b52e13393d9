//! The table of checkpoints: one row per stream, and one per copied table.
//!
//! A row whose `table` is empty is the stream's; its `position` is where the data stands. The
//! others hold `copied_to` of a source table, `0/0` while its copy is under way. Every move of a
//! position is an update of the row that still holds the expected one.

use rusqlite::{Connection, OptionalExtension as _, params};
use tahr_plugin_api::{Checkpoint, Lsn, Position, StreamId, WriteError};

use crate::{
    catalog,
    error::failed,
    names::{self, CHECKPOINT, LOAD_PREFIX},
};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS tahr_checkpoint (
    sync TEXT NOT NULL, source TEXT NOT NULL, \"table\" TEXT NOT NULL,
    stream TEXT NOT NULL, position TEXT NOT NULL,
    PRIMARY KEY (sync, source, \"table\")) WITHOUT ROWID";

/// Makes the table where it is absent.
pub(crate) fn create(connection: &Connection) -> Result<(), WriteError> {
    connection
        .execute_batch(CREATE)
        .map_err(|error| failed("create table \"tahr_checkpoint\"", &error))
}

fn exists(connection: &Connection) -> Result<bool, WriteError> {
    catalog::has_table(connection, CHECKPOINT)
}

fn broken(error: impl std::fmt::Display) -> WriteError {
    WriteError::rejected(format!(
        "a row of table \"tahr_checkpoint\" is no checkpoint: {error}"
    ))
    .hint("something else wrote to it; delete the row, and the tables are copied again")
}

/// What the file holds under the stream's sync and source.
pub(crate) fn read(
    connection: &Connection,
    stream: &StreamId,
) -> Result<Option<Checkpoint>, WriteError> {
    if !exists(connection)? {
        return Ok(None);
    }
    let select = "SELECT \"table\", stream, position FROM tahr_checkpoint
        WHERE sync = ?1 AND source = ?2 ORDER BY \"table\" DESC";
    let error = |error| failed("read table \"tahr_checkpoint\"", &error);
    let mut statement = connection.prepare_cached(select).map_err(error)?;
    let mut rows = statement
        .query(params![stream.sync, stream.source])
        .map_err(error)?;
    let mut found: Option<Checkpoint> = None;
    while let Some(row) = rows.next().map_err(error)? {
        let [table, made_by, position] = [0, 1, 2].map(|index| row.get::<_, String>(index));
        let (table, made_by, position) = (
            table.map_err(error)?,
            made_by.map_err(error)?,
            position.map_err(error)?,
        );
        let checkpoint = found.get_or_insert_with(Checkpoint::default);
        // The stream's own row comes last: what it says of the stream counts.
        checkpoint.stream = serde_json::from_str(&made_by).map_err(broken)?;
        if table.is_empty() {
            checkpoint.position = Some(position.parse().map_err(broken)?);
        } else {
            let copied_to = position.parse().map_err(broken)?;
            checkpoint.copied_to.insert(table, copied_to);
        }
    }
    Ok(found)
}

/// The stream's position.
pub(crate) fn position(
    connection: &Connection,
    stream: &StreamId,
) -> Result<Option<Position>, WriteError> {
    Ok(read(connection, stream)?.and_then(|checkpoint| checkpoint.position))
}

/// Moves the stream from `previous` to `position`; false where it is not at `previous`. Without
/// `previous` it must have no position yet.
pub(crate) fn advance(
    connection: &Connection,
    stream: &StreamId,
    previous: Option<&Position>,
    position: &Position,
) -> Result<bool, WriteError> {
    let error = |error| failed("update table \"tahr_checkpoint\"", &error);
    let identity = serde_json::to_string(stream).map_err(broken)?;
    let sql = if previous.is_some() {
        "UPDATE tahr_checkpoint SET stream = ?3, position = ?4
         WHERE sync = ?1 AND source = ?2 AND \"table\" = '' AND position = ?5"
    } else {
        "INSERT INTO tahr_checkpoint (sync, source, \"table\", stream, position)
         VALUES (?1, ?2, '', ?3, ?4) ON CONFLICT DO NOTHING"
    };
    let mut statement = match connection.prepare_cached(sql) {
        Ok(statement) => statement,
        // Forgotten by another process, or by hand.
        Err(_) if !exists(connection)? => return Ok(false),
        Err(other) => return Err(error(other)),
    };
    let position = position.to_string();
    let moved = match previous {
        Some(previous) => {
            let previous = previous.to_string();
            statement.execute(params![
                stream.sync,
                stream.source,
                identity,
                position,
                previous
            ])
        }
        None => statement.execute(params![stream.sync, stream.source, identity, position]),
    };
    match moved {
        Ok(rows) => Ok(rows == 1),
        Err(_) if !exists(connection)? => Ok(false),
        Err(other) => Err(error(other)),
    }
}

/// Where the copy of a table stands, if one was begun.
pub(crate) fn copied_to(
    connection: &Connection,
    stream: &StreamId,
    table: &str,
) -> Result<Option<Lsn>, WriteError> {
    let select = "SELECT position FROM tahr_checkpoint
        WHERE sync = ?1 AND source = ?2 AND \"table\" = ?3";
    let text: Option<String> = connection
        .query_row(select, params![stream.sync, stream.source, table], |row| {
            row.get(0)
        })
        .optional()
        .map_err(|error| failed("read table \"tahr_checkpoint\"", &error))?;
    text.map(|text| text.parse().map_err(broken)).transpose()
}

/// Notes where the copy of a table stands.
pub(crate) fn set_copied_to(
    connection: &Connection,
    stream: &StreamId,
    table: &str,
    copied_to: Lsn,
) -> Result<(), WriteError> {
    let sql = "INSERT INTO tahr_checkpoint (sync, source, \"table\", stream, position)
        VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET stream = excluded.stream, position = excluded.position";
    let identity = serde_json::to_string(stream).map_err(broken)?;
    connection
        .execute(
            sql,
            params![
                stream.sync,
                stream.source,
                table,
                identity,
                copied_to.to_string()
            ],
        )
        .map(|_| ())
        .map_err(|error| failed("update table \"tahr_checkpoint\"", &error))
}

/// Removes the stream's rows, and with the last stream all that is tahr's own in the file.
pub(crate) fn forget(connection: &Connection, stream: &StreamId) -> Result<(), WriteError> {
    if !exists(connection)? {
        return Ok(());
    }
    let error = |error| failed("drop the bookkeeping tables", &error);
    connection
        .execute(
            "DELETE FROM tahr_checkpoint WHERE sync = ?1 AND source = ?2",
            params![stream.sync, stream.source],
        )
        .map_err(error)?;
    let left: i64 = connection
        .query_row("SELECT count(*) FROM tahr_checkpoint", [], |row| row.get(0))
        .map_err(error)?;
    if left == 0 {
        let mut drops = "DROP TABLE tahr_checkpoint;".to_owned();
        for table in catalog::tables_with_prefix(connection, LOAD_PREFIX)? {
            drops.push_str(&format!("DROP TABLE {};", names::quote(&table)));
        }
        connection.execute_batch(&drops).map_err(error)?;
    }
    Ok(())
}
