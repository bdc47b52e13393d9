//! Makes a relation's table ready: creates it, adds columns, makes them wider, and finds out what
//! doesn't fit.

use tahr_plugin_api::{Column, Relation, Unfit, WriteError};

use crate::{
    catalog::Existing,
    error::failed,
    names::{self, Names, quote},
    session::Session,
    statements::{self, NewColumn},
    table::{self, Table},
    types::{self, Type},
};

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

/// How tables are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making {
    pub(crate) may_create: bool,
    pub(crate) unfit: Unfit,
}

/// Makes the table of `relation` ready. It commits.
pub(crate) fn prepare(
    session: &Session,
    relation: &Relation,
    making: Making,
    before: Before<'_>,
) -> Result<Table, WriteError> {
    let names = session.names;
    let name = names.table(relation);
    if let Some((fault, hint)) = name_fault(relation, names) {
        return Err(WriteError::rejected(fault).hint(hint).table(name));
    }
    let mut existing = match Existing::find(session, &name)? {
        Some(existing) => existing,
        None => {
            let sql = create(relation, names, making.unfit);
            if !making.may_create {
                return Err(absent(&name, &sql));
            }
            define(session, &format!("create table {name:?}"), &sql, &name)?;
            found(session, &name)?
        }
    };
    if let Some(renamed) = renamed(relation, names, &existing, before, making.unfit) {
        return Err(renamed.table(name));
    }
    let is_ours = !matches!(before, Before::Unknown);
    let changes = changes(relation, names, &existing, making, is_ours)?;
    if !changes.is_empty() {
        for (doing, sql) in changes {
            define(session, &doing, &sql, &name)?;
        }
        existing = found(session, &name)?;
    }
    if let Some(fault) = faults(relation, names, &existing).into_iter().next() {
        return Err(fault);
    }
    Ok(Table::new(relation, name, &existing, names))
}

/// As [`prepare`], for a table that is ready: it changes nothing.
pub(crate) fn look_up(session: &Session, relation: &Relation) -> Result<Table, WriteError> {
    let making = Making {
        may_create: false,
        unfit: Unfit::Error,
    };
    prepare(session, relation, making, Before::Unknown)
}

/// The table that loaders fill: that of a copy that replaces rows, or the table itself.
pub(crate) fn look_up_load(session: &Session, relation: &Relation) -> Result<Table, WriteError> {
    let name = session.names.load_table(relation);
    match Existing::find(session, &name)? {
        Some(existing) => Ok(Table::new(relation, name, &existing, session.names)),
        None => look_up(session, relation),
    }
}

fn define(session: &Session, doing: &str, sql: &str, table: &str) -> Result<(), WriteError> {
    let done = session.execute(sql);
    done.map(|_| ())
        .map_err(|error| failed(doing, &error).table(table))
}

fn found(session: &Session, name: &str) -> Result<Existing, WriteError> {
    let went = || WriteError::transient(format!("table {name:?} went away")).table(name);
    Existing::find(session, name)?.ok_or_else(went)
}

fn absent(name: &str, sql: &str) -> WriteError {
    WriteError::rejected(format!("table {name:?} does not exist"))
        .hint(format!("{sql}; or set create_tables = true"))
        .table(name)
}

/// The type that column `index` gets in a table of tahr's making.
fn made(relation: &Relation, index: usize, unfit: Unfit) -> Type {
    types::made(&relation.columns[index], share(relation, index), unfit)
}

fn share(relation: &Relation, index: usize) -> Option<u32> {
    let key = relation.key();
    key.contains(&index).then(|| types::key_share(key.len()))
}

/// The statement that makes the table of `relation`.
pub(crate) fn create(relation: &Relation, names: Names, unfit: Unfit) -> String {
    let spelled = names.columns(relation);
    let kinds: Vec<Type> = (0..spelled.len())
        .map(|index| made(relation, index, unfit))
        .collect();
    let columns: Vec<NewColumn<'_>> = (spelled.iter().zip(&kinds))
        .map(|(name, kind)| NewColumn {
            name,
            declared: &kind.declared,
        })
        .collect();
    statements::create_table(&names.table(relation), &columns, &relation.key())
}

/// The statements by which the table follows the relation, and what each does.
fn changes(
    relation: &Relation,
    names: Names,
    existing: &Existing,
    making: Making,
    is_ours: bool,
) -> Result<Vec<(String, String)>, WriteError> {
    let name = names.table(relation);
    let mut changes = Vec::new();
    for (index, spelled) in names.columns(relation).iter().enumerate() {
        let kind = made(relation, index, making.unfit);
        let column = NewColumn {
            name: spelled,
            declared: &kind.declared,
        };
        match existing.column(spelled) {
            None => {
                let sql = statements::add_column(&name, &column);
                if !making.may_create {
                    let fault = format!("column {spelled:?} of table {name:?} does not exist");
                    return Err(WriteError::rejected(fault)
                        .hint(sql)
                        .table(name)
                        .column(spelled));
                }
                changes.push((format!("add column {spelled:?} to table {name:?}"), sql));
            }
            Some(found) if is_ours && making.may_create => {
                if let Some(declared) = table::wider(found, &kind) {
                    let column = NewColumn {
                        name: spelled,
                        declared: &declared,
                    };
                    let doing = format!("make column {spelled:?} of table {name:?} wider");
                    changes.push((doing, statements::modify_column(&name, &column)));
                }
            }
            Some(_) => {}
        }
    }
    Ok(changes)
}

/// What is wrong with the relation's names, and what to do about it.
pub(crate) fn name_fault(relation: &Relation, names: Names) -> Option<(String, String)> {
    let name = names.table(relation);
    let section = format!("[syncs.NAME.table.\"{}\"]", relation.source);
    if names::is_reserved(&name) {
        let hint = format!("{section} rename = \"another_name\"");
        return Some((format!("table name {name:?} is reserved"), hint));
    }
    let (first, second) = names::twins(&names.columns(relation))?;
    let [first, second] = [first, second].map(|index| &relation.columns[index].name);
    Some((
        format!("columns {first:?} and {second:?} of table {name:?} get one name in Oracle"),
        format!("{section} exclude = [{second:?}]"),
    ))
}

/// What keeps the table from holding the relation's rows.
pub(crate) fn faults(relation: &Relation, names: Names, existing: &Existing) -> Vec<WriteError> {
    let name = names.table(relation);
    let spelled = names.columns(relation);
    let mut faults = Vec::new();
    let mut add = |column: &str, message: String, hint: String| {
        let fault = WriteError::rejected(message).hint(hint);
        faults.push(fault.table(&*name).column(column));
    };
    for (index, column) in spelled.iter().enumerate() {
        let Some(found) = existing.column(column) else {
            continue;
        };
        let named = format!("column {column:?} of table {name:?}");
        if found.is_virtual {
            let hint = format!("exclude = [{column:?}] for this table in the sync");
            add(column, format!("{named} is computed by the target"), hint);
        } else if let Err(why) = table::fits(&relation.columns[index], found) {
            let declared = made(relation, index, Unfit::Error).declared;
            add(
                column,
                format!("{named} {why}"),
                format!("declare it {declared}"),
            );
        }
    }
    for column in &existing.columns {
        let needs_value = !column.is_nullable && !column.has_default && !column.is_virtual;
        if needs_value && !spelled.contains(&column.name) {
            let named = &column.name;
            add(
                named,
                format!("column {named:?} of table {name:?} is NOT NULL, and the source has none"),
                "give it a default, or drop it".to_owned(),
            );
        }
    }
    faults
}

/// What of the table is narrower than the source's types: columns and their types here and there.
pub(crate) fn narrow<'a>(
    relation: &'a Relation,
    names: Names,
    existing: &Existing,
) -> Vec<(String, String, &'a Column)> {
    let spelled = names.columns(relation).into_iter().enumerate();
    spelled
        .filter_map(|(index, name)| {
            let column = &relation.columns[index];
            let found = existing.column(&name)?;
            let kind = table::fits(column, found).ok()?;
            table::is_narrow(column, share(relation, index), &kind)
                .then(|| (name, found.declared(), column))
        })
        .collect()
}

/// A column that went while another came is most likely a rename, which only a person can tell
/// from a drop and an addition.
fn renamed(
    relation: &Relation,
    names: Names,
    existing: &Existing,
    before: Before<'_>,
    unfit: Unfit,
) -> Option<WriteError> {
    let spelled = names.columns(relation);
    let sent = match before {
        Before::Unknown => return None,
        Before::Copied => None,
        Before::Version(version) => Some(names.columns(version)),
    };
    let was_sent = |name: &String| sent.as_ref().is_none_or(|sent| sent.contains(name));
    let gone = (existing.columns.iter())
        .map(|column| &column.name)
        .find(|name| was_sent(name) && !spelled.contains(name))?;
    let new = (0..spelled.len()).find(|&index| existing.column(&spelled[index]).is_none())?;
    let added = &spelled[new];
    let table = names.table(relation);
    let kind = made(relation, new, unfit);
    let column = NewColumn {
        name: added,
        declared: &kind.declared,
    };
    let fault = format!(
        "table {table:?}: the source has no column {gone:?} and has a new column {added:?}"
    );
    let hint = format!(
        "if it was renamed: ALTER TABLE {} RENAME COLUMN {} TO {}; if not: {}",
        quote(&table),
        quote(gone),
        quote(added),
        statements::add_column(&table, &column)
    );
    Some(WriteError::rejected(fault).hint(hint).column(added))
}
