//! Copies: into a table of their own, which becomes the table when it is complete.
//!
//! Loaders commit batch by batch, so the stream is never kept waiting; readers see the table as
//! it was until one transaction puts the copy in its place and notes `copied_to`. A table that is
//! just as tahr makes it is dropped and the copy renamed; one that has indexes, triggers or columns
//! of its own keeps them: its rows are replaced.

use rusqlite::{Connection, params};
use tahr_plugin_api::{LoadMode, Lsn, Relation, StreamId, WriteError, failpoint};

use crate::{
    catalog, checkpoint,
    error::failed,
    names::{self, quote, quote_list},
    statements,
    types::Form,
};

/// Makes the table that loaders fill, and notes that the copy has begun.
pub(crate) fn begin(
    connection: &Connection,
    stream: &StreamId,
    relation: &Relation,
    mode: LoadMode,
) -> Result<(), WriteError> {
    let table = names::table(relation);
    let load_table = names::load_table(relation);
    let source = names::source(&relation.source);
    checkpoint::create(connection)?;
    let is_ours = checkpoint::copied_to(connection, stream, &source)?.is_some();
    if mode == LoadMode::Fresh && !is_ours && has_rows(connection, &table)? {
        return Err(
            WriteError::rejected(format!("table {table:?} holds rows already"))
                .hint(format!(
                    "DELETE FROM {}; or set `existing = \"replace\"` in the sync to replace them",
                    quote(&table)
                ))
                .table(table),
        );
    }
    drop_table(connection, &load_table)?;
    // Values take the form here that the table itself wants, so that moving them alters none.
    let target = catalog::table(connection, &table)?;
    let declared = |index: usize| {
        let column = &relation.columns[index];
        let found = target.as_ref().and_then(|table| table.column(&column.name));
        match found {
            Some(found) => Form::within(column, found.affinity).declared(),
            None => Form::of(column).declared(),
        }
    };
    connection
        .execute_batch(&statements::create_table_of(
            relation,
            &load_table,
            declared,
        ))
        .map_err(|error| failed(&format!("create table {load_table:?}"), &error))?;
    checkpoint::set_copied_to(connection, stream, &source, Lsn::ZERO)
}

/// Puts the copy in the table's place, and notes what it stands for.
pub(crate) fn end(
    connection: &Connection,
    stream: &StreamId,
    relation: &Relation,
    copied_to: Lsn,
) -> Result<(), WriteError> {
    let table = names::table(relation);
    let load_table = names::load_table(relation);
    let error = |error| failed(&format!("put the copy of table {table:?} in place"), &error);
    if !catalog::has_table(connection, &load_table)? {
        return Err(
            WriteError::transient(format!("the copy of table {table:?} is gone"))
                .hint("something dropped it; the copy begins anew"),
        );
    }
    let as_made = statements::create_table(relation, &table);
    let is_plain = catalog::table(connection, &table)?
        .is_none_or(|found| found.sql == as_made && !found.has_extras);
    let sql = if is_plain {
        format!(
            "DROP TABLE IF EXISTS {table}; ALTER TABLE {load_table} RENAME TO {table}",
            table = quote(&table),
            load_table = quote(&load_table)
        )
    } else {
        format!(
            "DELETE FROM {table};
             INSERT INTO {table} ({columns}) SELECT {columns} FROM {load_table};
             DROP TABLE {load_table}",
            table = quote(&table),
            load_table = quote(&load_table),
            columns = quote_list(relation.columns.iter().map(|column| &*column.name))
        )
    };
    connection.execute_batch(&sql).map_err(error)?;
    failpoint::pass("sqlite.swapped");
    let source = names::source(&relation.source);
    checkpoint::set_copied_to(connection, stream, &source, copied_to)
}

/// Whether there is such a table, with rows in it.
pub(crate) fn has_rows(connection: &Connection, table: &str) -> Result<bool, WriteError> {
    if !catalog::has_table(connection, table)? {
        return Ok(false);
    }
    connection
        .prepare(&format!("SELECT 1 FROM {} LIMIT 1", quote(table)))
        .and_then(|mut statement| statement.exists(params![]))
        .map_err(|error| failed(&format!("read table {table:?}"), &error))
}

fn drop_table(connection: &Connection, table: &str) -> Result<(), WriteError> {
    connection
        .execute_batch(&format!("DROP TABLE IF EXISTS {}", quote(table)))
        .map_err(|error| failed(&format!("drop table {table:?}"), &error))
}
