//! What doesn't fit, without writing anything.

use tahr_plugin_api::{CheckReport, Finding, Relation, WriteError};
use tokio_postgres::Client;

use crate::{
    catalog::Existing,
    error::{code, explain},
    options::{Options, ReplicationRole},
    prepare::{create, misfits, target_type},
    session::{Session, silence},
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
                check_existing(session, relation, &existing, follows, &mut report.findings);
            }
            None => check_absent(session, options, relation, &mut report).await?,
        }
    }
    if !session.is_replica && options.session_replication_role == ReplicationRole::Auto {
        report.findings.push(Finding {
            is_error: false,
            object: "session_replication_role".to_owned(),
            message: "the target's triggers and foreign keys run for replicated rows".to_owned(),
            hint: silence(&session.role),
        });
    }
    check_bookkeeping(session, &mut report).await?;
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
    session: &Session,
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
            format!(
                "GRANT {rights} ON {} TO {};",
                table_name(relation),
                session.role
            ),
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
    session: &Session,
    options: &Options,
    relation: &Relation,
    report: &mut CheckReport,
) -> Result<(), WriteError> {
    let client = &session.client;
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
             ELSE has_database_privilege(current_database(), 'CREATE') END, \
             to_regnamespace($1) IS NOT NULL",
            &[&schema],
        )
        .await
        .map_err(|error| explain(&error, "look at the target's catalog"))?;
    if !may_create.get::<_, bool>(0) {
        // A schema that is absent is made first.
        let place = match may_create.get(1) {
            true => format!("SCHEMA {schema}"),
            false => format!("DATABASE {}", session.database),
        };
        report.findings.push(Finding {
            is_error: true,
            object,
            message: format!("does not exist, and the role may not create it in {schema}"),
            hint: format!("GRANT CREATE ON {place} TO {};", session.role),
        });
    }
    Ok(())
}

async fn check_bookkeeping(session: &Session, report: &mut CheckReport) -> Result<(), WriteError> {
    let (role, database) = (&session.role, &session.database);
    let row = session
        .client
        .query_one(
            "SELECT CASE WHEN to_regclass('public.tahr_checkpoint') IS NULL \
               THEN has_schema_privilege('public', 'CREATE') \
               ELSE has_table_privilege('public.tahr_checkpoint', 'SELECT') \
                AND has_table_privilege('public.tahr_checkpoint', 'INSERT') \
                AND has_table_privilege('public.tahr_checkpoint', 'UPDATE') \
                AND has_table_privilege('public.tahr_checkpoint', 'DELETE') END, \
             has_database_privilege(current_database(), 'TEMPORARY'), \
             to_regclass('public.tahr_checkpoint') IS NULL",
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
            &match row.get(2) {
                true => format!("GRANT USAGE, CREATE ON SCHEMA public TO {role};"),
                false => format!(
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON public.tahr_checkpoint TO {role};"
                ),
            },
        );
    }
    if !row.get::<_, bool>(1) {
        add(
            "temporary tables",
            "the role may not create temporary tables, which bulk changes go through",
            &format!("GRANT TEMPORARY ON DATABASE {database} TO {role};"),
        );
    }
    Ok(())
}
