//! The table of checkpoints: one row per stream, and one per copied table.
//!
//! The row whose `table` is `*` is the stream's; its `position` is where the data stands. The others
//! hold `copied_to` of a source table, `0/0` while its copy is under way. Every move of a position is
//! an update of the row that still holds the expected one, in the transaction of the data.

use tahr_plugin_api::{Checkpoint, Lsn, Position, StreamId, WriteError};

use crate::{
    catalog,
    error::{failed, row_failed},
    names::CHECKPOINT,
    session::{DUPLICATE, Error, Sent, Session},
    statements::{self, STREAM},
    types::Form,
    values::Bind,
};

const READ: &str = "read table \"tahr_checkpoint\"";
const UPDATE: &str = "update table \"tahr_checkpoint\"";

/// ORA-00942.
const NO_TABLE: i32 = 942;
/// ORA-00955.
const NAME_IN_USE: i32 = 955;

/// Makes the table where it is absent. It commits.
pub(crate) fn create(session: &Session) -> Result<(), WriteError> {
    match session.execute(statements::CREATE_CHECKPOINT) {
        Ok(_) => Ok(()),
        Err(error) if error.oci_code() == Some(NAME_IN_USE) => Ok(()),
        Err(error) => Err(failed("create table \"tahr_checkpoint\"", &error)),
    }
}

fn broken(error: impl std::fmt::Display) -> WriteError {
    WriteError::rejected(format!(
        "a row of table \"tahr_checkpoint\" is no checkpoint: {error}"
    ))
    .hint("something else wrote to it; delete the row, and the tables are copied again")
}

fn identity(stream: &StreamId) -> Result<String, WriteError> {
    serde_json::to_string(stream).map_err(broken)
}

/// The rows of a query; none where the table is absent.
fn rows(
    session: &Session,
    sql: &str,
    parameters: &[&str],
) -> Result<Option<Vec<Vec<Option<String>>>>, WriteError> {
    match session.query(sql, parameters) {
        Ok(rows) => Ok(Some(rows)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed(READ, &error)),
    }
}

fn is_absent(error: &Error) -> bool {
    error.oci_code() == Some(NO_TABLE)
}

/// Runs a statement; none where the table is absent or the row is there already, otherwise the rows
/// that it touched.
fn change(session: &Session, sql: &str, parameters: &[&str]) -> Result<Option<u64>, WriteError> {
    let types = vec![Sent::As(Form::Text); parameters.len()];
    let values: Vec<Bind<'_>> = parameters.iter().map(|text| Bind::Text(text)).collect();
    let done = match session.run(sql, &types, &values) {
        Ok(done) => done,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(UPDATE, &error).table(CHECKPOINT)),
    };
    match done.errors.first() {
        None => Ok(Some(done.counts.iter().sum())),
        Some(error) if error.code == DUPLICATE => Ok(None),
        Some(error) => Err(row_failed(UPDATE, error).table(CHECKPOINT)),
    }
}

/// What the schema holds under the stream's sync and source.
pub(crate) fn read(session: &Session, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
    let parameters = [&*stream.sync, &*stream.source];
    let rows = rows(session, statements::READ_CHECKPOINT, &parameters)?;
    let mut found: Option<Checkpoint> = None;
    for row in rows.into_iter().flatten() {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        let (table, made_by, position) = (next(), next(), next());
        let made_by: StreamId = serde_json::from_str(&made_by).map_err(broken)?;
        let checkpoint = found.get_or_insert_with(Checkpoint::default);
        if table == STREAM {
            checkpoint.position = Some(position.parse().map_err(broken)?);
            checkpoint.stream = made_by;
            continue;
        }
        // What the stream's own row says of the stream counts.
        if checkpoint.position.is_none() {
            checkpoint.stream = made_by;
        }
        let copied_to = position.parse().map_err(broken)?;
        checkpoint.copied_to.insert(table, copied_to);
    }
    Ok(found)
}

/// The stream's position.
pub(crate) fn position(
    session: &Session,
    stream: &StreamId,
) -> Result<Option<Position>, WriteError> {
    Ok(read(session, stream)?.and_then(|checkpoint| checkpoint.position))
}

/// Moves the stream from `previous` to `position`; false where it is not at `previous`. Without
/// `previous` it must have no position yet.
pub(crate) fn advance(
    session: &Session,
    stream: &StreamId,
    previous: Option<&Position>,
    position: &Position,
) -> Result<bool, WriteError> {
    let (identity, position) = (identity(stream)?, position.to_string());
    let (sync, source) = (&*stream.sync, &*stream.source);
    let touched = match previous {
        Some(previous) => {
            let previous = previous.to_string();
            let parameters = [&*identity, &*position, sync, source, &*previous];
            change(session, statements::ADVANCE_CHECKPOINT, &parameters)?
        }
        None => {
            let parameters = [sync, source, STREAM, &*identity, &*position];
            change(session, statements::ADD_CHECKPOINT, &parameters)?
        }
    };
    Ok(touched == Some(1))
}

/// Whether the copy of a table was begun.
pub(crate) fn is_copied(
    session: &Session,
    stream: &StreamId,
    table: &str,
) -> Result<bool, WriteError> {
    let found = read(session, stream)?;
    Ok(found.is_some_and(|found| found.copied_to.contains_key(table)))
}

/// Notes where the copy of a table stands.
pub(crate) fn set_copied_to(
    session: &Session,
    stream: &StreamId,
    table: &str,
    copied_to: Lsn,
) -> Result<(), WriteError> {
    let (identity, position) = (identity(stream)?, copied_to.to_string());
    let (sync, source) = (&*stream.sync, &*stream.source);
    let parameters = [&*identity, &*position, sync, source, table];
    if change(session, statements::SET_CHECKPOINT, &parameters)? == Some(1) {
        return Ok(());
    }
    let parameters = [sync, source, table, &*identity, &*position];
    match change(session, statements::ADD_CHECKPOINT, &parameters)? {
        Some(1) => Ok(()),
        _ => Err(
            WriteError::transient("table \"tahr_checkpoint\" was changed by others")
                .table(CHECKPOINT),
        ),
    }
}

/// Removes the stream's rows, and with the last stream all that is tahr's own in the schema. It
/// commits.
pub(crate) fn forget(session: &Session, stream: &StreamId) -> Result<(), WriteError> {
    let doing = "drop the bookkeeping tables";
    let failed = |error: Error| failed(doing, &error);
    let parameters = [&*stream.sync, &*stream.source];
    if change(session, statements::FORGET_CHECKPOINT, &parameters)?.is_none() {
        return Ok(());
    }
    session.commit().map_err(failed)?;
    let left = rows(session, statements::COUNT_CHECKPOINTS, &[])?;
    if left.as_deref().and_then(catalog::single) != Some("0") {
        return Ok(());
    }
    let tables = session
        .query(statements::LOAD_TABLES, &[&session.schema])
        .map_err(failed)?;
    for table in tables.into_iter().flatten().flatten() {
        session
            .execute(&statements::drop_table(&table))
            .map_err(failed)?;
    }
    session
        .execute(&statements::drop_checkpoint())
        .map_err(failed)?;
    Ok(())
}
