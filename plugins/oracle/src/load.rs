//! Copies.
//!
//! Into an empty table the copy goes directly: until it ends, `copied_to` says that it is under way,
//! and a broken one is deleted and begins anew. A copy that replaces rows goes into a table of its
//! own, of just the same types; at the end one transaction deletes the old rows, takes over the new
//! ones and notes `copied_to`, so readers see either. Oracle can't rename tables inside a
//! transaction, and so indexes, grants and triggers of the table stay.

use tahr_plugin_api::{LoadMode, Lsn, Relation, StreamId, WriteError};

use crate::{
    catalog::{self, Existing},
    checkpoint,
    error::failed,
    names::{self, quote},
    session::{Error, Session},
    statements::{self, NewColumn},
};

/// Makes ready what loaders fill, and notes that the copy has begun. It commits.
pub(crate) fn begin(
    session: &Session,
    stream: &StreamId,
    relation: &Relation,
    mode: LoadMode,
) -> Result<(), WriteError> {
    let table = session.names.table(relation);
    let source = names::source(&relation.source);
    let failed = |error: Error| failed(&format!("begin the copy of table {table:?}"), &error);
    checkpoint::create(session)?;
    let has_rows = has_rows(session, &table)?;
    let is_ours = checkpoint::is_copied(session, stream, &source)?;
    if mode == LoadMode::Fresh && has_rows && !is_ours {
        return Err(
            WriteError::rejected(format!("table {table:?} holds rows already"))
                .hint(format!(
                    "DELETE FROM {}; or set `existing = \"replace\"` in the sync to replace them",
                    quote(&table)
                ))
                .table(table),
        );
    }
    let load_table = session.names.load_table(relation);
    if Existing::find(session, &load_table)?.is_some() {
        session
            .execute(&statements::drop_table(&load_table))
            .map_err(failed)?;
    }
    if mode == LoadMode::Replace {
        let sql = create(session, relation, &load_table)?;
        session.execute(&sql).map_err(failed)?;
    }
    checkpoint::set_copied_to(session, stream, &source, Lsn::ZERO)?;
    if mode == LoadMode::Fresh && has_rows {
        session
            .execute(&statements::delete_all(&table))
            .map_err(failed)?;
    }
    session.commit().map_err(failed)
}

/// Whether the table holds rows.
pub(crate) fn has_rows(session: &Session, table: &str) -> Result<bool, WriteError> {
    let rows = session.query(&statements::has_rows(table), &[]);
    let rows = rows.map_err(|error| failed(&format!("read table {table:?}"), &error))?;
    Ok(catalog::single(&rows) != Some("0"))
}

/// The statement that makes the table of a copy, with just the types of the table itself.
fn create(session: &Session, relation: &Relation, load_table: &str) -> Result<String, WriteError> {
    let table = session.names.table(relation);
    let existing = Existing::find(session, &table)?.unwrap_or_default();
    let names = session.names.columns(relation);
    let declared: Vec<String> = names
        .iter()
        .filter_map(|name| Some(existing.column(name)?.declared()))
        .collect();
    let columns: Vec<NewColumn<'_>> = (names.iter().zip(&declared))
        .map(|(name, declared)| NewColumn { name, declared })
        .collect();
    if names.len() != declared.len() {
        let fault = format!("table {table:?} lacks columns of the source");
        return Err(WriteError::transient(fault).table(table));
    }
    Ok(statements::create_table(load_table, &columns, &[]))
}

/// Puts a copy that replaces rows in their place, and notes what the table stands for. It commits.
pub(crate) fn end(
    session: &Session,
    stream: &StreamId,
    relation: &Relation,
    copied_to: Lsn,
    mode: LoadMode,
) -> Result<(), WriteError> {
    let table = session.names.table(relation);
    let load_table = session.names.load_table(relation);
    let failed = |error: Error| failed(&format!("end the copy of table {table:?}"), &error);
    let has_copy = Existing::find(session, &load_table)?.is_some();
    if mode == LoadMode::Replace {
        if !has_copy {
            let fault = format!("the copy of table {table:?} is gone");
            return Err(
                WriteError::transient(fault).hint("something dropped it; the copy begins anew")
            );
        }
        let columns = session.names.columns(relation);
        let columns: Vec<&str> = columns.iter().map(|name| &**name).collect();
        session
            .execute(&statements::delete_all(&table))
            .map_err(failed)?;
        let sql = statements::move_rows(&load_table, &table, &columns);
        session.execute(&sql).map_err(failed)?;
    }
    checkpoint::set_copied_to(session, stream, &names::source(&relation.source), copied_to)?;
    session.commit().map_err(failed)?;
    if has_copy {
        session
            .execute(&statements::drop_table(&load_table))
            .map_err(failed)?;
    }
    Ok(())
}
