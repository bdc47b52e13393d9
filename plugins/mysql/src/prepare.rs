//! Making the target ready for a relation version.

use tahr_plugin_api::{Relation, WriteError};

use crate::{
    catalog::Existing,
    columns::{COLUMNS, Wanted, add_column, create_table, modify_column, named},
    error::explain,
    names::{folded, is_reserved, quote, twins},
    options::Options,
    session::Session,
};

/// One thing that keeps a relation out of a table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) column: Option<String>,
    pub(crate) message: String,
    /// What mends it.
    pub(crate) mend: String,
    /// Whether the writer may mend it by itself in a table that it already replicates to.
    pub(crate) is_safe: bool,
}

impl Misfit {
    fn into_error(self, table: &str) -> WriteError {
        let error = WriteError::rejected(self.message)
            .hint(self.mend)
            .table(table);
        match self.column {
            Some(column) => error.column(column),
            None => error,
        }
    }
}

/// What of the relation's names and number of columns MySQL doesn't take.
pub(crate) fn limits(relation: &Relation, name: &str) -> Vec<Misfit> {
    let mut found = Vec::new();
    let mut add = |message: String, mend: String| {
        found.push(Misfit {
            column: None,
            message,
            mend,
            is_safe: false,
        });
    };
    let section = format!("[syncs.NAME.table.\"{}\"]", relation.source);
    if is_reserved(name) {
        add(
            format!("table name {name:?} is reserved"),
            format!("{section} rename = \"another_name\""),
        );
    }
    if let Some((first, second)) = twins(relation.columns.iter().map(|column| &*column.name)) {
        add(
            format!("columns {first:?} and {second:?} of table {name:?} are one name in MySQL"),
            format!("{section} exclude = [{second:?}]"),
        );
    }
    if relation.columns.len() > COLUMNS {
        add(
            format!(
                "table {name:?} has {} columns, and InnoDB's limit is {COLUMNS}",
                relation.columns.len()
            ),
            format!("{section} exclude = [\"…\"]"),
        );
    }
    found
}

/// What of `relation` doesn't fit into `existing`.
pub(crate) fn misfits(
    relation: &Relation,
    name: &str,
    existing: &Existing,
    wanted: &[Wanted],
) -> Vec<Misfit> {
    let table = quote(name);
    let mut found = Vec::new();
    let mut add = |column: Option<&str>, message: String, mend: String, is_safe: bool| {
        found.push(Misfit {
            column: column.map(str::to_owned),
            message,
            mend,
            is_safe,
        });
    };
    if existing.is_view {
        let mend = format!(
            "[syncs.NAME.table.\"{}\"] rename = \"another_name\"",
            relation.source
        );
        add(None, format!("{name:?} is a view"), mend, false);
        return found;
    }
    if !existing.is_transactional {
        let message = format!("table {name:?} has an engine without transactions");
        add(
            None,
            message,
            format!("ALTER TABLE {table} ENGINE=InnoDB"),
            false,
        );
    }
    for (column, wanted) in relation.columns.iter().zip(wanted) {
        let named = named(column, name);
        let Some(target) = existing.column(&wanted.name) else {
            let message = format!("{named} does not exist");
            add(
                Some(&column.name),
                message,
                add_column(&table, wanted),
                true,
            );
            continue;
        };
        if target.is_generated {
            continue;
        }
        if target.holds.form(column, wanted).is_none() {
            add(
                Some(&column.name),
                format!(
                    "{named} is {}, which does not hold every value of the source",
                    target.type_name.to_uppercase()
                ),
                modify_column(&table, wanted, target.is_nullable),
                target.holds.widens_to(wanted),
            );
        }
    }
    let is_known = |name: &str| {
        let mut columns = wanted.iter();
        columns.any(|column| folded(&column.name) == folded(name))
    };
    for column in &existing.columns {
        if column.needs_value && !is_known(&column.name) {
            let message = format!(
                "column {:?} of table {name:?} is NOT NULL, and the source has none",
                column.name
            );
            let mend = format!(
                "ALTER TABLE {table} MODIFY COLUMN {} {} NULL",
                quote(&column.name),
                column.type_name
            );
            add(Some(&column.name), message, mend, false);
        }
    }
    found
}

/// Whether a table's own key names rows as the relation's does.
pub(crate) fn has_key(relation: &Relation, existing: &Existing, wanted: &[Wanted]) -> bool {
    let key = relation.key();
    !key.is_empty() && existing.has_key(key.iter().map(|&index| &*wanted[index].name))
}

/// The statement that gives the table the relation's key.
pub(crate) fn add_key(relation: &Relation, name: &str, wanted: &[Wanted]) -> String {
    let key = relation.key();
    let columns: Vec<&str> = key.iter().map(|&index| &*wanted[index].quoted).collect();
    format!(
        "ALTER TABLE {} ADD UNIQUE ({})",
        quote(name),
        columns.join(", ")
    )
}

/// Makes the table `name` of `relation` ready and describes it. `previous` is the version before it, and
/// `is_ours` whether the table is replicated to already, so that it may follow the source.
pub(crate) async fn prepare(
    session: &mut Session,
    options: &Options,
    (relation, name): (&Relation, &str),
    wanted: &[Wanted],
    previous: Option<&Relation>,
    is_ours: bool,
) -> Result<Existing, WriteError> {
    if let Some(misfit) = limits(relation, name).into_iter().next() {
        return Err(misfit.into_error(name));
    }
    let failed =
        |error: mysql_async::Error| explain(&error, &format!("prepare table {name:?}")).table(name);
    let gone = || WriteError::transient(format!("table {name:?} went away")).table(name);
    let Some(existing) = Existing::find(session, name).await.map_err(failed)? else {
        let create = create_table(relation, &quote(name), wanted, &session.server);
        if !options.create_tables {
            let error = WriteError::rejected(format!("table {name:?} does not exist"));
            let hint = format!("{create}; or set create_tables = true");
            return Err(error.hint(hint).table(name));
        }
        session.run(&create).await.map_err(failed)?;
        let made = Existing::find(session, name).await.map_err(failed)?;
        return made.ok_or_else(gone);
    };
    let misfits = misfits(relation, name, &existing, wanted);
    if misfits.is_empty() {
        return Ok(existing);
    }
    if let Some(renamed) = renamed(relation, name, wanted, previous, &existing).filter(|_| is_ours)
    {
        return Err(renamed);
    }
    let may_follow = is_ours && options.create_tables;
    let mut mends = Vec::new();
    for misfit in misfits {
        if !(may_follow && misfit.is_safe) {
            return Err(misfit.into_error(name));
        }
        mends.push(misfit.mend);
    }
    // Each is a transaction of its own; what a broken attempt has done is no misfit any more.
    session.run(&mends.join(";")).await.map_err(failed)?;
    let altered = Existing::find(session, name).await.map_err(failed)?;
    altered.ok_or_else(gone)
}

/// A column that went while another came is most likely a rename, which only a person can tell from a
/// drop and an addition. Without `previous`, any column of the table may have gone.
fn renamed(
    relation: &Relation,
    name: &str,
    wanted: &[Wanted],
    previous: Option<&Relation>,
    existing: &Existing,
) -> Option<WriteError> {
    let sent = |relation: &Relation, name: &str| {
        let mut columns = relation.columns.iter();
        columns.any(|column| folded(&crate::names::column_name(&column.name)) == folded(name))
    };
    let was_sent = |name: &str| previous.is_none_or(|known| sent(known, name));
    let gone = (existing.columns.iter())
        .find(|column| !sent(relation, &column.name) && was_sent(&column.name))?;
    let new = wanted
        .iter()
        .find(|column| existing.column(&column.name).is_none())
        .filter(|column| previous.is_none_or(|known| !sent(known, &column.name)))?;
    let table = quote(name);
    Some(
        WriteError::rejected(format!(
            "table {name:?}: the source has no column {:?} and has a new column {:?}",
            gone.name, new.name
        ))
        .hint(format!(
            "if it was renamed: ALTER TABLE {table} CHANGE COLUMN {} {} {}; if not: {}",
            quote(&gone.name),
            new.quoted,
            new.sql,
            add_column(&table, new)
        ))
        .table(name)
        .column(&new.name),
    )
}
