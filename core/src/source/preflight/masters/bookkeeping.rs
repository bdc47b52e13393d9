//! tahr's own table: it is there and of use, or can be made.

use tokio_postgres::Client;

use super::{
    super::{Finding, Request, Shared, server::Role},
    failed,
};
use crate::{
    masters::checkpoint,
    source::{SourceError, own_table, quote_identifier, quote_table},
};

/// tahr's table as it is, if it is, and what the role may do with it.
const OWN_TABLE: &str = "
SELECT n.oid IS NOT NULL, c.oid IS NOT NULL,
       coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false),
       coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false),
       coalesce(pg_catalog.pg_has_role(c.relowner, 'USAGE'), false),
       coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT')
                AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
                AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')
                AND pg_catalog.has_table_privilege(c.oid, 'DELETE'), false),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT r.rolname::text FROM pg_catalog.pg_roles r
        WHERE r.oid = c.relowner AND NOT r.rolsuper)
FROM (SELECT) AS one
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2";

const COLUMNS: [&str; 4] = ["engine", "sync", "sequence", "notes"];

/// Checks it.
pub(super) async fn check(
    client: &Client,
    role: &Role,
    (request, shared): (&Request<'_>, &Shared<'_>),
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    let (schema, table) = (checkpoint::SCHEMA, own_table());
    let row = client
        .query_one(OWN_TABLE, &[&schema, &checkpoint::TABLE])
        .await
        .map_err(failed)?;
    let [
        has_schema,
        has_table,
        may_use,
        may_create,
        is_owned,
        may_write,
    ] = [0, 1, 2, 3, 4, 5].map(|index| row.get::<_, bool>(index));
    let (to, quoted) = (quote_identifier(&role.name), quote_table(&table));
    let quoted_schema = quote_identifier(schema);
    let of_table = |message: String| Finding::error(format!("table {table}"), message);
    let name = &role.name;
    let setup = || {
        let engine = &request.owner.engine;
        checkpoint::setup_script(name, engine, shared.syncs)
            .trim_end()
            .to_owned()
    };
    let is_setup = !has_table && request.publication.is_some();
    if has_schema && !(may_use && may_create) && !is_setup {
        found.push(
            Finding::error(
                format!("schema {schema}"),
                format!("exists, and role {name} may not make tahr's tables in it"),
            )
            .fix(format!(
                "GRANT USAGE, CREATE ON SCHEMA {quoted_schema} TO {to};"
            )),
        );
    }
    if !has_table {
        if let Some(publication) = request.publication {
            // Before a DBA can add it to the publication it has to be there.
            found.push(
                of_table(format!(
                    "doesn't exist, and publication {publication} has to carry it"
                ))
                .fix(setup()),
            );
        } else if !has_schema && !role.may_create {
            found.push(
                Finding::error(
                    format!("schema {schema}"),
                    format!("doesn't exist, and role {name} may not create it"),
                )
                .fix(setup()),
            );
        }
        return Ok(());
    }
    let columns: Vec<String> = row.get(6);
    let lacks = COLUMNS
        .iter()
        .filter(|name| !columns.iter().any(|has| has == *name));
    let lacks: Vec<_> = lacks.copied().collect();
    if !lacks.is_empty() {
        found.push(of_table(format!(
            "is not tahr's: it has no column {}; rename it",
            lacks.join(", ")
        )));
        return Ok(());
    }
    // Only an owner may publish it.
    if request.publication.is_none() && !is_owned {
        found.push(
            of_table(format!(
                "does not belong to role {name}, so it can't be published"
            ))
            .fix(match row.get::<_, Option<&str>>(7) {
                // Another engine's, which goes on with it.
                Some(owner) => format!("GRANT {} TO {to};", quote_identifier(owner)),
                None => format!("ALTER TABLE {quoted} OWNER TO {to};"),
            }),
        );
    } else if !may_write {
        found.push(
            of_table(format!("can't be written by role {name}")).fix(format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON {quoted} TO {to};"
            )),
        );
    }
    Ok(())
}
