//! What doesn't fit, without writing anything.

use tahr_plugin_api::{CheckReport, Finding, Relation, WriteError};
use tokio_postgres::Client;

use crate::{
    catalog::Existing,
    error::{code, explain},
    options::{Options, ReplicationRole},
    prepare::{create, misfits, target_type},
    session::{GRANT, Session},
    statements::quote,
    table::table_name,
};

/// Checks every relation against the target.
pub(crate) async fn check(
    session: &Session,
    options: &Options,
    relations: &[Relation],
) -> Result<CheckReport, WriteError> {
    let mut report = CheckReport::default();
    for relation in relations {
        report.objects.push(relation.target.to_string());
        let found = Existing::find(&session.client, &relation.target)
            .await
            .map_err(|error| explain(&error, "look at the target's catalog"))?;
        match found {
            Some(existing) => {
                let follows = options.create_tables
                    && is_copied(&session.client, &relation.source.to_string()).await?;
                check_existing(relation, &existing, follows, &mut report.findings);
            }
            None => check_absent(&session.client, options, relation, &mut report).await?,
        }
    }
    if !session.is_replica && options.session_replication_role == ReplicationRole::Auto {
        report.findings.push(Finding {
            is_error: false,
            object: "session_replication_role".to_owned(),
            message: "the target's triggers and foreign keys run for replicated rows".to_owned(),
            hint: format!(
                "as superuser on PostgreSQL 15 or later: {GRANT}; or set \
                 session_replication_role = \"origin\""
            ),
        });
    }
    check_bookkeeping(&session.client, &mut report).await?;
    Ok(report)
}

/// Whether some stream has copied the source table to this target before, so that the target's
/// table follows it.
async fn is_copied(client: &Client, source: &str) -> Result<bool, WriteError> {
    let copied = client
        .query_opt(
            "SELECT FROM public.tahr_checkpoint WHERE \"table\" = $1 LIMIT 1",
            &[&source],
        )
        .await;
    match copied {
        Ok(found) => Ok(found.is_some()),
        Err(error) if matches!(code(&error), "42P01" | "3F000" | "42501") => Ok(false),
        Err(error) => Err(explain(&error, "table \"public.tahr_checkpoint\"")),
    }
}

/// `follows`: the table is replicated to already, and what can be mended safely will be.
fn check_existing(
    relation: &Relation,
    existing: &Existing,
    follows: bool,
    findings: &mut Vec<Finding>,
) {
    let object = relation.target.to_string();
    let mut add = |is_error, message: String, hint: String| {
        findings.push(Finding {
            is_error,
            object: object.clone(),
            message,
            hint,
        });
    };
    for misfit in misfits(relation, existing) {
        add(!(follows && misfit.is_safe), misfit.message, misfit.mend);
    }
    if !existing.lacking.is_empty() {
        let rights = existing.lacking.join(", ");
        add(
            true,
            format!("the role lacks {rights} on it"),
            format!("GRANT {rights} ON {} TO …", table_name(relation)),
        );
    }
    for column in &relation.columns {
        let Some(target) = existing.column(&column.name) else {
            continue;
        };
        if target.is_generated && !column.generated {
            add(
                false,
                format!("column {} is computed by the target", quote(&column.name)),
                "the source's values are not written".to_owned(),
            );
        }
    }
}

async fn check_absent(
    client: &Client,
    options: &Options,
    relation: &Relation,
    report: &mut CheckReport,
) -> Result<(), WriteError> {
    let object = relation.target.to_string();
    let statements = match create(client, options, relation).await {
        Ok(statements) => statements,
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => {
            report.findings.push(Finding {
                is_error: true,
                object,
                message: error.message,
                hint: error.hint,
            });
            return Ok(());
        }
    };
    if !options.create_tables {
        report.findings.push(Finding {
            is_error: true,
            object: object.clone(),
            message: "does not exist, and create_tables is off".to_owned(),
            hint: statements.join("; "),
        });
    }
    for column in &relation.columns {
        if target_type(client, column).await? != column.type_name {
            report.findings.push(Finding {
                is_error: false,
                object: object.clone(),
                message: format!(
                    "the target has no type {}: column {} will be text",
                    column.type_name,
                    quote(&column.name)
                ),
                hint: "create the type on the target first to keep it".to_owned(),
            });
        }
    }
    let schema = quote(&relation.target.schema);
    let may_create = client
        .query_one(
            "SELECT CASE WHEN to_regnamespace($1) IS NOT NULL \
             THEN has_schema_privilege(to_regnamespace($1)::oid, 'CREATE') \
             ELSE has_database_privilege(current_database(), 'CREATE') END",
            &[&schema],
        )
        .await
        .map_err(|error| explain(&error, "look at the target's catalog"))?;
    if !may_create.get::<_, bool>(0) {
        report.findings.push(Finding {
            is_error: true,
            object,
            message: format!("does not exist, and the role may not create it in {schema}"),
            hint: format!("GRANT CREATE ON SCHEMA {schema} TO …"),
        });
    }
    Ok(())
}

async fn check_bookkeeping(client: &Client, report: &mut CheckReport) -> Result<(), WriteError> {
    let row = client
        .query_one(
            "SELECT CASE WHEN to_regclass('public.tahr_checkpoint') IS NULL \
               THEN has_schema_privilege('public', 'CREATE') \
               ELSE has_table_privilege('public.tahr_checkpoint', 'SELECT') \
                AND has_table_privilege('public.tahr_checkpoint', 'INSERT') \
                AND has_table_privilege('public.tahr_checkpoint', 'UPDATE') \
                AND has_table_privilege('public.tahr_checkpoint', 'DELETE') END, \
             has_database_privilege(current_database(), 'TEMPORARY')",
            &[],
        )
        .await
        .map_err(|error| explain(&error, "look at the target's catalog"))?;
    let mut add = |object: &str, message: &str, hint: &str| {
        report.findings.push(Finding {
            is_error: true,
            object: object.to_owned(),
            message: message.to_owned(),
            hint: hint.to_owned(),
        });
    };
    if !row.get::<_, bool>(0) {
        add(
            "public.tahr_checkpoint",
            "the role may not create or write the checkpoint's table",
            "GRANT CREATE ON SCHEMA public TO …",
        );
    }
    if !row.get::<_, bool>(1) {
        add(
            "temporary tables",
            "the role may not create temporary tables, which bulk changes go through",
            "GRANT TEMPORARY ON DATABASE … TO …",
        );
    }
    Ok(())
}
