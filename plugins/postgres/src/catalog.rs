//! What the target's catalog says of a table.

use tahr_plugin_api::TableName;
use tokio_postgres::{Client, Error};

/// A table of the target as it is.
#[derive(Debug, Default)]
pub(crate) struct Existing {
    /// `r` table, `p` partitioned, `v` view, …
    pub(crate) kind: char,
    /// Its columns.
    pub(crate) columns: Vec<ExistingColumn>,
    /// The columns of every unique index that can be an arbiter: immediate, whole, without
    /// expressions. Sorted by name.
    pub(crate) unique: Vec<Vec<String>>,
    /// Whether something beyond its own key ties it to the order of the source: further unique
    /// indexes count apart, this is about triggers and foreign keys from or to it.
    pub(crate) has_triggers: bool,
    /// Whether another table references it.
    pub(crate) is_referenced: bool,
    /// Whether there is a unique or exclusion constraint that `unique` doesn't show.
    pub(crate) has_other_constraints: bool,
    /// What the role lacks of select, insert, update, delete and truncate.
    pub(crate) lacking: Vec<String>,
}

/// A column of an [`Existing`] table.
#[derive(Debug)]
pub(crate) struct ExistingColumn {
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) not_null: bool,
    pub(crate) has_default: bool,
    /// `GENERATED ALWAYS AS (…)`.
    pub(crate) is_generated: bool,
    /// `GENERATED ALWAYS AS IDENTITY`.
    pub(crate) is_identity_always: bool,
    /// Whether different texts may be equal under its collation.
    pub(crate) is_nondeterministic: bool,
    /// The operator that says whether two keys are equal, as SQL: `=`, but with its schema for the
    /// types of extensions, which the session's empty `search_path` doesn't see.
    pub(crate) equals: String,
    /// What makes a parameter a value of the column's type where `equals` doesn't, as SQL: rows of
    /// any type can be compared, so of a composite type it has to be said.
    pub(crate) cast: String,
}

const TABLE: &str = "\
    SELECT c.oid, c.relkind::text,
      EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled <> 'D'),
      EXISTS (SELECT FROM pg_constraint k WHERE k.confrelid = c.oid AND k.conrelid <> c.oid),
      EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid
        AND (i.indisexclusion OR i.indisunique
          AND NOT (i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL))),
      ARRAY(SELECT p FROM unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE','TRUNCATE']) p
        WHERE NOT has_table_privilege(c.oid, p))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2";

const COLUMNS: &str = "\
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
      a.atthasdef OR a.attidentity <> '', a.attgenerated <> '', a.attidentity = 'a',
      coalesce(NOT l.collisdeterministic, false),
      coalesce((SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
        FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
        JOIN pg_amop p ON p.amopfamily = c.opcfamily AND p.amopstrategy = 3
          AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype
        JOIN pg_operator o ON o.oid = p.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
        WHERE c.opcdefault AND c.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid)
          AND n.nspname <> 'pg_catalog' LIMIT 1), '='),
      CASE WHEN coalesce(b.typtype, t.typtype) = 'c' THEN '::' || format_type(t.oid, NULL) ELSE '' END
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_type b ON b.oid = t.typbasetype
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const UNIQUE: &str = "\
    SELECT ARRAY(SELECT a.attname::text
        FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k ORDER BY a.attname::text COLLATE \"C\")
    FROM pg_index i
    WHERE i.indrelid = $1 AND i.indisunique AND i.indimmediate AND i.indisvalid
      AND i.indpred IS NULL AND i.indexprs IS NULL";

impl Existing {
    /// Looks `table` up; none where it isn't there.
    pub(crate) async fn find(client: &Client, table: &TableName) -> Result<Option<Self>, Error> {
        let found = client
            .query_opt(TABLE, &[&table.schema, &table.table])
            .await?;
        let Some(row) = found else { return Ok(None) };
        let oid: u32 = row.get(0);
        let columns = client.query(COLUMNS, &[&oid]).await?;
        let unique = client.query(UNIQUE, &[&oid]).await?;
        let columns = columns.iter().map(|row| ExistingColumn {
            name: row.get(0),
            type_name: row.get(1),
            not_null: row.get(2),
            has_default: row.get(3),
            is_generated: row.get(4),
            is_identity_always: row.get(5),
            is_nondeterministic: row.get(6),
            equals: row.get(7),
            cast: row.get(8),
        });
        Ok(Some(Self {
            kind: row.get::<_, String>(1).chars().next().unwrap_or('r'),
            columns: columns.collect(),
            unique: unique.iter().map(|row| row.get(0)).collect(),
            has_triggers: row.get(2),
            is_referenced: row.get(3),
            has_other_constraints: row.get(4),
            lacking: row.get(5),
        }))
    }

    /// The column `name`.
    pub(crate) fn column(&self, name: &str) -> Option<&ExistingColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether a unique index has exactly the columns of `key`.
    pub(crate) fn has_unique(&self, key: &[&str]) -> bool {
        let mut key = key.to_vec();
        key.sort_unstable();
        self.unique.iter().any(|index| *index == key)
    }
}

/// Whether the target knows the type `name`.
pub(crate) async fn has_type(client: &Client, name: &str) -> Result<bool, Error> {
    let found = client
        .query_one("SELECT to_regtype($1) IS NOT NULL", &[&name])
        .await;
    match found {
        Ok(row) => Ok(row.get(0)),
        // Older servers raise an error for a schema that isn't there.
        Err(error) if matches!(crate::error::code(&error), "3F000" | "42704" | "42601") => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
