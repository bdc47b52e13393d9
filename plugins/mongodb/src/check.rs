//! What `tahr check` is told about the database.

use std::sync::Arc;

use tahr_plugin_api::{CheckReport, Finding, Relation, WriteError};

use crate::{catalog, names, options::Options, server::Server, table::Table};

/// Everything in which `relations` and the database don't fit.
pub(crate) fn check(
    server: &mut Server,
    options: &Options,
    relations: &[Relation],
) -> Result<CheckReport, WriteError> {
    let mut report = CheckReport::default();
    let mut add = |is_error: bool, object: &str, message: String, hint: String| {
        report.findings.push(Finding {
            is_error,
            object: object.to_owned(),
            message,
            hint,
        });
    };
    if !server.is_transactional() {
        let message = format!(
            "mongodb at {} is a server by itself, without transactions: readers may see half of a \
             batch, and each batch is written twice",
            server.address()
        );
        let hint = "start mongod with --replSet rs0, then: rs.initiate()".to_owned();
        add(false, &server.address(), message, hint);
    }
    let mut objects = Vec::with_capacity(relations.len());
    for relation in relations {
        let name = names::collection(relation);
        let table = Table::new(&Arc::new(relation.clone()), name.clone(), options.types());
        for (message, hint) in faults(server, &table) {
            add(true, &name, message, hint);
        }
        match catalog::collection(server, &name)? {
            Some(found) => {
                if let Some((message, hint)) = found.fault(&name) {
                    add(true, &name, message, hint);
                }
            }
            None if !options.create_tables => {
                let message =
                    format!("collection {name:?} does not exist, and create_tables is false");
                add(
                    true,
                    &name,
                    message,
                    format!("db.createCollection({name:?})"),
                );
            }
            None => {}
        }
        objects.push(name);
    }
    report.objects = objects;
    Ok(report)
}

/// What is wrong with a table by its names and its key, each with what to do about it.
pub(crate) fn faults(server: &Server, table: &Table) -> Vec<(String, String)> {
    let source = &table.relation.source;
    let mut faults = Vec::new();
    if let Some(fault) = names::fault(&table.collection, server.database()) {
        let hint = format!("[syncs.NAME.table.\"{source}\"] rename = \"another_name\"");
        faults.push((fault, hint));
    }
    faults.extend(table.name_fault());
    if table.key.is_empty() && !server.is_transactional() {
        let message = format!(
            "table {source} has no key, which mongodb at {} could keep only with transactions",
            server.address()
        );
        let hint = "start mongod with --replSet rs0, then: rs.initiate()".to_owned();
        faults.push((message, hint));
    }
    faults
}
