//! What `tahr check` is told about the file.

use rusqlite::Connection;
use tahr_plugin_api::{CheckReport, Finding, Relation, WriteError};

use crate::{
    catalog,
    names::{self, folded},
    options::Options,
    plan, statements,
};

/// Everything in which `relations` and the file don't fit. `connection` is none where there is no
/// file yet.
pub(crate) fn check(
    connection: Option<&Connection>,
    options: &Options,
    relations: &[Relation],
) -> Result<CheckReport, WriteError> {
    let mut report = CheckReport::default();
    if connection.is_none() {
        report.findings.extend(folder_fault(options));
    }
    let mut add = |is_error: bool, object: &str, message: String, hint: String| {
        report.findings.push(Finding {
            is_error,
            object: object.to_owned(),
            message,
            hint,
        });
    };
    let mut tables: Vec<String> = Vec::new();
    for relation in relations {
        let name = names::table(relation);
        if let Some((message, hint)) = plan::name_fault(relation, &name) {
            add(true, &name, message, hint);
        }
        // Equal names are the engine's to report.
        let is_twin = |other: &&String| **other != name && folded(other) == folded(&name);
        if let Some(twin) = tables.iter().find(is_twin) {
            let message = format!("tables {twin:?} and {name:?} are one name in SQLite");
            let source = &relation.source;
            let hint = format!("[syncs.NAME.table.\"{source}\"] rename = \"another_name\"");
            add(true, &name, message, hint);
        }
        let found = connection.map(|connection| catalog::table(connection, &name));
        if let Some(table) = found.transpose()?.flatten() {
            for (message, hint) in plan::faults(relation, &name, &table) {
                add(true, &name, message, hint);
            }
            if !relation.key().is_empty() && !plan::has_key(relation, &table) {
                let message =
                    format!("table {name:?} has no unique index on the key, so updates are slow");
                let key = relation.key();
                let columns = key.iter().map(|&index| &*relation.columns[index].name);
                let hint = format!(
                    "CREATE UNIQUE INDEX {} ON {} ({})",
                    names::quote(&format!("{name}_key")),
                    names::quote(&name),
                    names::quote_list(columns)
                );
                add(false, &name, message, hint);
            }
        } else if !options.create_tables {
            let hint = statements::create_table(relation, &name);
            add(
                true,
                &name,
                format!("table {name:?} does not exist, and create_tables is false"),
                hint,
            );
        }
        tables.push(name);
    }
    report.objects = tables;
    Ok(report)
}

fn folder_fault(options: &Options) -> Option<Finding> {
    let folder = options.path.parent()?;
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return None;
    }
    Some(Finding {
        is_error: true,
        object: options.path.display().to_string(),
        message: format!("folder {} does not exist", folder.display()),
        hint: format!("mkdir -p {}", folder.display()),
    })
}
