//! Making the target ready for a relation version.

use tahr_plugin_api::{Column, Relation, WriteError};
use tokio_postgres::Client;

use crate::{
    catalog::{Existing, has_type},
    error::explain,
    options::Options,
    statements::{join, quote},
    table::table_name,
    types::{fits, rule},
};

/// One thing about an existing table that keeps a relation out of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) column: Option<String>,
    pub(crate) message: String,
    /// The statement that mends it; empty where there is none.
    pub(crate) mend: String,
    /// Whether the writer may mend it by itself in a table that it already replicates to.
    pub(crate) is_safe: bool,
}

/// What of `relation` doesn't fit into `existing`.
pub(crate) fn misfits(relation: &Relation, existing: &Existing) -> Vec<Misfit> {
    let name = table_name(relation);
    let mut found = Vec::new();
    if !matches!(existing.kind, 'r' | 'p') {
        found.push(Misfit {
            column: None,
            message: "is not a table".to_owned(),
            mend: String::new(),
            is_safe: false,
        });
        return found;
    }
    for column in &relation.columns {
        let quoted = quote(&column.name);
        let Some(target) = existing.column(&column.name) else {
            found.push(Misfit {
                column: Some(column.name.clone()),
                message: format!("lacks column {quoted}"),
                mend: format!(
                    "ALTER TABLE {name} ADD COLUMN {quoted} {}",
                    column.type_name
                ),
                is_safe: true,
            });
            continue;
        };
        if !target.is_generated && !fits(&column.type_name, &target.type_name) {
            found.push(Misfit {
                column: Some(column.name.clone()),
                message: format!(
                    "column {quoted} is {}, which does not hold every {} of the source",
                    target.type_name, column.type_name
                ),
                mend: format!(
                    "ALTER TABLE {name} ALTER COLUMN {quoted} TYPE {}",
                    column.type_name
                ),
                is_safe: fits(&target.type_name, &column.type_name),
            });
        }
    }
    for target in &existing.columns {
        let is_ours = relation.position_of(&target.name).is_some();
        if !is_ours && target.not_null && !target.has_default && !target.is_generated {
            let quoted = quote(&target.name);
            found.push(Misfit {
                column: Some(target.name.clone()),
                message: format!("column {quoted} is NOT NULL and not in the source"),
                mend: format!("ALTER TABLE {name} ALTER COLUMN {quoted} DROP NOT NULL"),
                is_safe: false,
            });
        }
    }
    let key = relation.key();
    let names: Vec<&str> = key
        .iter()
        .map(|&index| relation.columns[index].name.as_str())
        .collect();
    if !key.is_empty() && !existing.has_unique(&names) {
        let columns = join(&key, ", ", |index| quote(&relation.columns[index].name));
        found.push(Misfit {
            column: None,
            message: format!("has no unique index on its key ({columns})"),
            mend: format!("CREATE UNIQUE INDEX ON {name} ({columns})"),
            is_safe: false,
        });
    }
    found
}

/// Ready the table of `relation` and describe it. `previous` is the version before it, and
/// `is_ours` whether the table is replicated to already, so that it may follow the source.
pub(crate) async fn prepare(
    client: &Client,
    options: &Options,
    relation: &Relation,
    previous: Option<&Relation>,
    is_ours: bool,
) -> Result<Existing, WriteError> {
    let target = relation.target.to_string();
    let failed = |error: tokio_postgres::Error| {
        explain(&error, &format!("prepare table \"{target}\"")).table(&target)
    };
    let find = || async {
        Existing::find(client, &relation.target)
            .await
            .map_err(failed)
    };
    let Some(existing) = find().await? else {
        let statements = create(client, options, relation).await?;
        if !options.create_tables {
            return Err(
                WriteError::rejected(format!("table \"{target}\" does not exist"))
                    .hint(statements.join("; "))
                    .table(&target),
            );
        }
        client
            .batch_execute(&statements.join("; "))
            .await
            .map_err(failed)?;
        return find().await?.ok_or_else(|| {
            WriteError::transient(format!("table \"{target}\" went away")).table(&target)
        });
    };
    let misfits = misfits(relation, &existing);
    if misfits.is_empty() {
        return Ok(existing);
    }
    let may_follow = is_ours && options.create_tables;
    if let Some(renamed) = renamed(relation, previous, &existing).filter(|_| is_ours) {
        return Err(renamed.table(&target));
    }
    if let Some(misfit) = misfits
        .iter()
        .find(|misfit| !(may_follow && misfit.is_safe))
    {
        let mut error = WriteError::rejected(format!("table \"{target}\" {}", misfit.message))
            .hint(misfit.mend.clone())
            .table(&target);
        error.column.clone_from(&misfit.column);
        return Err(error);
    }
    let mut statements = Vec::new();
    for misfit in &misfits {
        statements.push(misfit.mend.as_str());
    }
    client
        .batch_execute(&statements.join("; "))
        .await
        .map_err(failed)?;
    find().await?.ok_or_else(|| {
        WriteError::transient(format!("table \"{target}\" went away")).table(&target)
    })
}

/// A column that went while another came is most likely a rename, which only a person can tell
/// from a drop and an addition. Without `previous`, any column of the table may have gone.
fn renamed(
    relation: &Relation,
    previous: Option<&Relation>,
    existing: &Existing,
) -> Option<WriteError> {
    let was_sent = |name: &str| previous.is_none_or(|known| known.position_of(name).is_some());
    let gone = (existing.columns.iter())
        .find(|column| relation.position_of(&column.name).is_none() && was_sent(&column.name))?;
    let new = (relation.columns.iter())
        .find(|column| existing.column(&column.name).is_none())
        .filter(|column| previous.is_none_or(|known| known.position_of(&column.name).is_none()))?;
    let (name, gone, added) = (table_name(relation), quote(&gone.name), quote(&new.name));
    Some(
        WriteError::rejected(format!(
            "table \"{}\": the source has no column {gone} and has a new column {added}",
            relation.target
        ))
        .hint(format!(
            "if it was renamed: ALTER TABLE {name} RENAME COLUMN {gone} TO {added}; if not: ALTER \
             TABLE {name} ADD COLUMN {added} {}",
            new.type_name
        ))
        .column(&new.name),
    )
}

/// The statements that create the table of `relation`, and its schema where that is absent and
/// may be created.
pub(crate) async fn create(
    client: &Client,
    options: &Options,
    relation: &Relation,
) -> Result<Vec<String>, WriteError> {
    let failed = |error: tokio_postgres::Error| explain(&error, "look at the target's catalog");
    let schema = quote(&relation.target.schema);
    let mut statements = Vec::new();
    let has_schema = client
        .query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&schema])
        .await
        .map_err(failed)?;
    if !has_schema.get::<_, bool>(0) {
        let statement = format!("CREATE SCHEMA {schema}");
        if !options.create_schemas {
            return Err(
                WriteError::rejected(format!("schema {schema} does not exist"))
                    .hint(statement)
                    .table(relation.target.to_string()),
            );
        }
        statements.push(statement);
    }
    let key = relation.key();
    let mut lines = Vec::new();
    for (index, column) in relation.columns.iter().enumerate() {
        let type_name = target_type(client, column).await?;
        let not_null = if key.contains(&index) {
            " NOT NULL"
        } else {
            ""
        };
        lines.push(format!("{} {type_name}{not_null}", quote(&column.name)));
    }
    if !key.is_empty() {
        let columns = join(&key, ", ", |index| quote(&relation.columns[index].name));
        lines.push(format!("PRIMARY KEY ({columns})"));
    }
    statements.push(format!(
        "CREATE TABLE {} ({})",
        table_name(relation),
        lines.join(", ")
    ));
    Ok(statements)
}

/// The type that `column` gets in a table that is made for it.
pub(crate) async fn target_type(client: &Client, column: &Column) -> Result<String, WriteError> {
    let name = &column.type_name;
    let is_known = has_type(client, name)
        .await
        .map_err(|error| explain(&error, &format!("look up type {name}")))?;
    Ok(rule(column, is_known).target)
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::{Column, Relation, TableName};

    use super::misfits;
    use crate::catalog::{Existing, ExistingColumn};

    fn relation(columns: &[(&str, &str)]) -> Relation {
        Relation {
            target: TableName::new("public", "t"),
            columns: columns
                .iter()
                .map(|(name, type_name)| Column {
                    name: (*name).to_owned(),
                    type_name: (*type_name).to_owned(),
                    ..Column::default()
                })
                .collect(),
            primary_key: vec![0],
            ..Relation::default()
        }
    }

    fn existing(columns: &[(&str, &str)]) -> Existing {
        Existing {
            kind: 'r',
            columns: columns
                .iter()
                .map(|(name, type_name)| ExistingColumn {
                    name: (*name).to_owned(),
                    type_name: (*type_name).to_owned(),
                    not_null: false,
                    has_default: false,
                    is_generated: false,
                    is_identity_always: false,
                    is_nondeterministic: false,
                    equals: "=".to_owned(),
                    cast: String::new(),
                })
                .collect(),
            unique: vec![vec!["id".to_owned()]],
            ..Existing::default()
        }
    }

    #[test]
    fn every_misfit_is_named_with_its_statement() {
        let relation = relation(&[("id", "bigint"), ("a", "text"), ("b\"", "text")]);
        let mut existing = existing(&[("id", "integer"), ("a", "date"), ("c", "text")]);
        existing.unique.clear();
        existing.columns[2].not_null = true;
        let mends: Vec<_> = (misfits(&relation, &existing).into_iter())
            .map(|misfit| (misfit.mend, misfit.is_safe))
            .collect();
        let table = r#"ALTER TABLE "public"."t""#;
        assert_eq!(
            mends,
            [
                (format!(r#"{table} ALTER COLUMN "id" TYPE bigint"#), true),
                (format!(r#"{table} ALTER COLUMN "a" TYPE text"#), true),
                (format!(r#"{table} ADD COLUMN "b""" text"#), true),
                (format!(r#"{table} ALTER COLUMN "c" DROP NOT NULL"#), false),
                (
                    r#"CREATE UNIQUE INDEX ON "public"."t" ("id")"#.to_owned(),
                    false
                ),
            ]
        );
    }

    #[test]
    fn a_table_that_fits_has_no_misfits() {
        let columns = [("id", "integer"), ("a", "text")];
        assert!(misfits(&relation(&columns), &existing(&columns)).is_empty());
    }
}
