//! How a relation version is written: its table made ready, and its statements.

use rusqlite::Connection;
use tahr_plugin_api::{Relation, WriteError};

use crate::{
    catalog::{self, Table, TableColumn},
    error::failed,
    names::{self, folded, quote},
    statements,
    types::{self, Affinity, Form},
};

/// What [`apply`](crate::apply) needs to know of a relation version.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The table, as SQLite spells it.
    pub(crate) table: String,
    /// Per column of the relation.
    pub(crate) forms: Vec<Form>,
    /// The columns that name a row; empty: all of them do.
    pub(crate) key: Vec<usize>,
    pub(crate) insert: String,
    /// Inserts or updates; none where the table has no unique key of just the relation's key.
    pub(crate) upsert: Option<String>,
    pub(crate) delete: String,
    pub(crate) truncate: String,
}

impl Plan {
    fn new(relation: &Relation, table: String, forms: Vec<Form>, has_key: bool) -> Self {
        Self {
            forms,
            key: relation.key(),
            insert: statements::insert(relation, &table),
            upsert: has_key.then(|| statements::upsert(relation, &table)),
            delete: statements::delete(relation, &table),
            truncate: statements::truncate(&table),
            table,
        }
    }

    /// The plan of a loader: inserts into the table that the copy goes to.
    pub(crate) fn of_load(
        connection: &Connection,
        relation: &Relation,
    ) -> Result<Self, WriteError> {
        let name = names::load_table(relation);
        let table = catalog::table(connection, &name)?.ok_or_else(|| {
            WriteError::transient(format!("no copy of table {} is under way", relation.source))
        })?;
        Ok(Self::new(relation, name, forms(relation, &table), false))
    }
}

/// What the table of a relation held before, as far as a writer knows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Before<'a> {
    /// Nothing of the stream's, or it was not asked.
    Unknown,
    /// Rows of the stream, of whatever version.
    Copied,
    /// Rows of the stream, last of this version.
    Version(&'a Relation),
}

/// Makes the table of `relation` ready (creates it, adds columns) and plans its writing.
pub(crate) fn prepare(
    connection: &Connection,
    relation: &Relation,
    create_tables: bool,
    before: Before<'_>,
) -> Result<Plan, WriteError> {
    let name = names::table(relation);
    check_names(relation, &name)?;
    let table = match catalog::table(connection, &name)? {
        Some(table) => table,
        None if create_tables => {
            create(connection, relation, &name)?;
            catalog::table(connection, &name)?.ok_or_else(|| absent(relation, &name))?
        }
        None => return Err(absent(relation, &name)),
    };
    if let Some(renamed) = renamed(relation, &name, &table, before) {
        return Err(renamed);
    }
    let table = add_columns(connection, relation, &name, table, create_tables)?;
    if let Some((fault, hint)) = faults(relation, &name, &table).into_iter().next() {
        return Err(WriteError::rejected(fault).hint(hint).table(name));
    }
    let forms = forms(relation, &table);
    let has_key = has_key(relation, &table);
    Ok(Plan::new(relation, name, forms, has_key))
}

/// The forms that the table's columns take.
pub(crate) fn forms(relation: &Relation, table: &Table) -> Vec<Form> {
    let affinity = |name: &str| table.column(name).map_or(Affinity::Blob, |c| c.affinity);
    relation
        .columns
        .iter()
        .map(|column| Form::within(column, affinity(&column.name)))
        .collect()
}

/// Makes the table `name` for `relation`.
fn create(connection: &Connection, relation: &Relation, name: &str) -> Result<(), WriteError> {
    connection
        .execute_batch(&statements::create_table(relation, name))
        .map_err(|error| failed(&format!("create table {name:?}"), &error).table(name))
}

/// Whether the relation's key is a unique key of the table.
pub(crate) fn has_key(relation: &Relation, table: &Table) -> bool {
    let key = relation.key();
    !key.is_empty() && table.has_key(key.iter().map(|&index| &*relation.columns[index].name))
}

fn absent(relation: &Relation, name: &str) -> WriteError {
    WriteError::rejected(format!("table {name:?} does not exist"))
        .hint(format!(
            "{}; or set create_tables = true",
            statements::create_table(relation, name)
        ))
        .table(name)
}

fn check_names(relation: &Relation, name: &str) -> Result<(), WriteError> {
    match name_fault(relation, name) {
        Some((fault, hint)) => Err(WriteError::rejected(fault).hint(hint).table(name)),
        None => Ok(()),
    }
}

/// What is wrong with the relation's names, and what to do about it.
pub(crate) fn name_fault(relation: &Relation, name: &str) -> Option<(String, String)> {
    if names::is_reserved(name) {
        return Some((
            format!("table name {name:?} is reserved"),
            format!(
                "[syncs.NAME.table.\"{}\"] rename = \"another_name\"",
                relation.source
            ),
        ));
    }
    let twins = names::twins(relation.columns.iter().map(|column| &*column.name));
    twins.map(|(first, second)| {
        (
            format!("columns {first:?} and {second:?} of table {name:?} are one name in SQLite"),
            format!(
                "[syncs.NAME.table.\"{}\"] exclude = [{second:?}]",
                relation.source
            ),
        )
    })
}

/// What keeps the table from holding the relation's rows, each with what to do about it.
pub(crate) fn faults(relation: &Relation, name: &str, table: &Table) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for column in &relation.columns {
        let Some(found) = table.column(&column.name) else {
            continue;
        };
        let named = format!("column {:?} of table {name:?}", column.name);
        if found.is_generated {
            let hint = format!("exclude = [{:?}] for this table in the sync", column.name);
            faults.push((format!("{named} is generated"), hint));
        } else if !types::keeps(column, found.affinity) {
            faults.push((
                format!(
                    "{named} has type {:?}, which would alter values of {}",
                    found.declared, column.type_name
                ),
                format!("declare it {}", Form::of(column).declared()),
            ));
        }
    }
    let known = |name: &str| {
        let mut columns = relation.columns.iter();
        columns.any(|column| folded(&column.name) == folded(name))
    };
    for column in &table.columns {
        if column.needs_value && !known(&column.name) {
            let named = &column.name;
            faults.push((
                format!("column {named:?} of table {name:?} is NOT NULL, and the source has none"),
                "give it a default, or drop it".to_owned(),
            ));
        }
    }
    faults
}

/// A column that went while another came is most likely a rename, which only a person can tell
/// from a drop and an addition.
fn renamed(
    relation: &Relation,
    name: &str,
    table: &Table,
    before: Before<'_>,
) -> Option<WriteError> {
    let has = |relation: &Relation, column: &TableColumn| {
        let mut columns = relation.columns.iter();
        columns.any(|known| folded(&known.name) == folded(&column.name))
    };
    let was_sent = |column: &&TableColumn| match before {
        Before::Unknown => false,
        Before::Copied => true,
        Before::Version(version) => has(version, column),
    };
    let mut columns = table.columns.iter().filter(was_sent);
    let gone = columns.find(|column| !has(relation, column))?;
    let is_new = |&index: &usize| table.column(&relation.columns[index].name).is_none();
    let new = (0..relation.columns.len()).find(is_new)?;
    let column = &relation.columns[new].name;
    let fault = format!(
        "table {name:?}: the source has no column {:?} and has a new column {column:?}",
        gone.name
    );
    let hint = format!(
        "if it was renamed: ALTER TABLE {} RENAME COLUMN {} TO {}; if not: {}",
        quote(name),
        quote(&gone.name),
        quote(column),
        statements::add_column(relation, name, new)
    );
    Some(
        WriteError::rejected(fault)
            .hint(hint)
            .table(name)
            .column(column),
    )
}

fn add_columns(
    connection: &Connection,
    relation: &Relation,
    name: &str,
    table: Table,
    may_add: bool,
) -> Result<Table, WriteError> {
    let missing: Vec<usize> = (0..relation.columns.len())
        .filter(|&index| table.column(&relation.columns[index].name).is_none())
        .collect();
    let Some(&first) = missing.first() else {
        return Ok(table);
    };
    let column = &relation.columns[first].name;
    if !may_add {
        let fault = format!("column {column:?} of table {name:?} does not exist");
        return Err(WriteError::rejected(fault)
            .hint(statements::add_column(relation, name, first))
            .table(name)
            .column(column));
    }
    for index in missing {
        let sql = statements::add_column(relation, name, index);
        connection.execute_batch(&sql).map_err(|error| {
            failed(&format!("add a column to table {name:?}"), &error)
                .table(name)
                .column(&relation.columns[index].name)
        })?;
    }
    catalog::table(connection, name)?.ok_or_else(|| absent(relation, name))
}
