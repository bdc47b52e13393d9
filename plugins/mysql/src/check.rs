//! What doesn't fit, without writing anything.

use mysql_async::prelude::Queryable as _;
use tahr_plugin_api::{CheckReport, Finding, Relation, WriteError};

use crate::{
    catalog::Existing,
    columns::{create_table, wanted},
    error::{DENIED, NO_TABLE, code, explain},
    names::{folded, literal, quote, table_name},
    options::Options,
    prepare::{Misfit, add_key, has_key, limits, misfits},
    session::Session,
};

/// Checks every relation against the target.
pub(crate) async fn check(
    session: &mut Session,
    options: &Options,
    relations: &[Relation],
) -> Result<CheckReport, WriteError> {
    let mut report = CheckReport::default();
    for relation in relations {
        let name = table_name(relation);
        let found = findings(session, options, relation, &name).await?;
        report.findings.extend(found);
        report.objects.push(if session.server.folds_names {
            folded(&name)
        } else {
            name
        });
    }
    Ok(report)
}

async fn findings(
    session: &mut Session,
    options: &Options,
    relation: &Relation,
    name: &str,
) -> Result<Vec<Finding>, WriteError> {
    let mut findings = Vec::new();
    let mut add = |is_error: bool, message: String, hint: String| {
        findings.push(Finding {
            is_error,
            object: name.to_owned(),
            message,
            hint,
        });
    };
    let flat = relation.target.flat();
    if name != flat {
        add(
            false,
            format!("table {flat:?} is called {name:?}, since MySQL takes no such name"),
            format!(
                "[syncs.NAME.table.\"{}\"] rename = \"another_name\"",
                relation.source
            ),
        );
    }
    let refused = limits(relation, name);
    let is_refused = !refused.is_empty();
    for Misfit { message, mend, .. } in refused {
        add(true, message, mend);
    }
    if is_refused {
        return Ok(findings);
    }
    let wanted = wanted(relation, options.unfit, &session.server);
    let existing = Existing::find(session, name)
        .await
        .map_err(|error| explain(&error, "look at the target's catalog"))?;
    let Some(existing) = existing else {
        if !options.create_tables {
            let create = create_table(relation, &quote(name), &wanted, &session.server);
            let message = format!("table {name:?} does not exist, and create_tables is false");
            add(true, message, create);
        }
        return Ok(findings);
    };
    let follows = options.create_tables && is_copied(session, &relation.source.to_string()).await?;
    for misfit in misfits(relation, name, &existing, &wanted) {
        if !(follows && misfit.is_safe) {
            add(true, misfit.message, misfit.mend);
        }
    }
    if !relation.key().is_empty() && !has_key(relation, &existing, &wanted) {
        let message = format!("table {name:?} has no unique index on the key, so updates are slow");
        add(false, message, add_key(relation, name, &wanted));
    }
    if existing.has_triggers {
        let message = format!("the triggers of table {name:?} run for replicated rows");
        add(
            false,
            message,
            "drop them where they change rows".to_owned(),
        );
    }
    Ok(findings)
}

/// Whether some stream has copied the source table to this target before, so that the target's table
/// follows it.
async fn is_copied(session: &mut Session, source: &str) -> Result<bool, WriteError> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM tahr_checkpoint WHERE `table` = {})",
        literal(source)
    );
    match session.conn.query_first::<bool, _>(sql).await {
        Ok(found) => Ok(found == Some(true)),
        Err(error) if code(&error) == NO_TABLE || DENIED.contains(&code(&error)) => Ok(false),
        Err(error) => Err(explain(&error, "table \"tahr_checkpoint\"")),
    }
}
