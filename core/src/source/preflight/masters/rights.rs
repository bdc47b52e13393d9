//! The rights to write to tables, and to their sequences.

use tahr_plugin_api::TableName;
use tokio_postgres::Client;

use super::{
    super::{Finding, Shared, server::Role},
    failed, lists, oids,
};
use crate::{
    config::Sequences,
    source::{SourceError, Table, quote_identifier, quote_table},
};

const RIGHTS: &str = "
SELECT c.oid, ARRAY(SELECT r.name FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'])
                        WITH ORDINALITY AS r(name, place)
                    WHERE NOT pg_catalog.has_table_privilege(c.oid, r.name) ORDER BY r.place)
FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1)";

/// The sequences that columns of tables own or draw their default from.
const SEQUENCES: &str = "
SELECT DISTINCT w.oid, n.nspname::text, s.relname::text, pg_catalog.pg_has_role(s.relowner, 'USAGE'),
       pg_catalog.has_sequence_privilege(s.oid, 'SELECT')
           AND pg_catalog.has_sequence_privilege(s.oid, 'UPDATE')
FROM unnest($1::oid[]) AS w(oid)
CROSS JOIN LATERAL (
    SELECT d.objid FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refobjid = w.oid
      AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
    UNION
    SELECT d.refobjid FROM pg_catalog.pg_attrdef a
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = a.oid
    WHERE a.adrelid = w.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
) q(oid)
JOIN pg_catalog.pg_class s ON s.oid = q.oid AND s.relkind = 'S'
JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
ORDER BY 2, 3";

/// Whether the role may write to the tables.
pub(super) async fn tables(
    client: &Client,
    role: &Role,
    tables: &[&Table],
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    let missing = lists(client, RIGHTS, &[&oids(tables)]).await?;
    for table in tables {
        let name = &table.relation.source;
        let lacks = missing.get(&table.relation.oid);
        let Some(lacks) = lacks.filter(|lacks| !lacks.is_empty()) else {
            continue;
        };
        let lacks = lacks.join(", ");
        let (schema, to) = (quote_identifier(&name.schema), quote_identifier(&role.name));
        found.push(
            Finding::error(
                format!("table {name}"),
                format!("can't be written by role {}, who lacks {lacks}", role.name),
            )
            .fix(format!(
                "GRANT USAGE ON SCHEMA {schema} TO {to}; GRANT {lacks} ON {} TO {to};",
                quote_table(name)
            )),
        );
    }
    Ok(())
}

/// Whether the role may do with the tables' sequences what the config says.
pub(super) async fn sequences(
    client: &Client,
    role: &Role,
    shared: &Shared<'_>,
    tables: &[&Table],
    found: &mut Vec<Finding>,
) -> Result<(), SourceError> {
    let rows = client.query(SEQUENCES, &[&oids(tables)]).await;
    let to = quote_identifier(&role.name);
    for row in rows.map_err(failed)? {
        let of = |table: &&&Table| table.relation.oid == row.get::<_, u32>(0);
        let Some(table) = tables.iter().find(of) else {
            continue;
        };
        let name = TableName::new(row.get::<_, &str>(1), row.get::<_, &str>(2));
        let (is_owned, may_set): (bool, bool) = (row.get(3), row.get(4));
        let error = |message: &str| {
            Finding::error(
                format!("sequence {name}"),
                format!("can't be {message} by role {}", role.name),
            )
        };
        match (shared.sequences)(&table.relation.source) {
            Sequences::Interleave if !is_owned => {
                let finding = error("altered for sequences = \"interleave\"");
                found.push(match table.owner_is_superuser {
                    true => finding.fix("-- choose sequences = \"max\" or \"leave\" in the config"),
                    false => finding.fix(format!(
                        "GRANT {} TO {to}; -- or sequences = \"max\" or \"leave\" in the config",
                        quote_identifier(&table.owner)
                    )),
                });
            }
            Sequences::Max if !may_set => {
                found.push(error("set for sequences = \"max\"").fix(format!(
                    "GRANT SELECT, UPDATE ON SEQUENCE {} TO {to};",
                    quote_table(&name)
                )));
            }
            _ => {}
        }
    }
    Ok(())
}
