//! The publication: which tables the stream carries.
//!
//! tahr's own carries its owner in its comment. It is altered, never dropped and made again, while
//! the slot lives; one that a DBA made is only read.

use std::collections::BTreeSet;

use tahr_plugin_api::TableName;
use tokio_postgres::Client;

use super::{Owner, SourceError, quote_identifier, quote_literal, quote_table};

/// A publication as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its name.
    pub name: String,
    /// Its comment: the owner, where tahr made it.
    pub comment: Option<String>,
    /// Whether it is `FOR ALL TABLES`.
    pub all_tables: bool,
    /// Whether it publishes inserts, updates, deletes and truncates, all of them.
    pub all_operations: bool,
    /// Whether changes of partitions appear under the partitioned table's name.
    pub via_root: bool,
    /// The tables that it publishes, by whatever way they came in.
    pub tables: Vec<TableName>,
    /// Those of them that it publishes only some rows or columns of.
    pub partial: Vec<TableName>,
}

const FIND: &str = "
SELECT p.pubname::text, pg_catalog.obj_description(p.oid, 'pg_publication'), p.puballtables,
       p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, p.pubviaroot
FROM pg_catalog.pg_publication p WHERE p.pubname = $1";

const TABLES: &str = "
SELECT schemaname::text, tablename::text FROM pg_catalog.pg_publication_tables
WHERE pubname = $1 ORDER BY 1, 2";

/// Row filters and column lists exist since PostgreSQL 15; as JSON the columns may be missing.
const PARTIAL: &str = "
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_publication_rel r
JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = $1
  AND (pg_catalog.to_jsonb(r) ->> 'prqual' IS NOT NULL
       OR pg_catalog.to_jsonb(r) ->> 'prattrs' IS NOT NULL)
ORDER BY 1, 2";

impl Publication {
    /// The publication `name`, if there is one.
    ///
    /// # Errors
    /// The catalog could not be read.
    pub async fn find(client: &Client, name: &str) -> Result<Option<Self>, SourceError> {
        let failed = |error| SourceError::sql(format!("read publication \"{name}\""), &error);
        let Some(row) = client.query_opt(FIND, &[&name]).await.map_err(failed)? else {
            return Ok(None);
        };
        let names = |rows: Vec<tokio_postgres::Row>| {
            rows.iter()
                .map(|row| TableName::new(row.get::<_, &str>(0), row.get::<_, &str>(1)))
                .collect()
        };
        Ok(Some(Self {
            name: row.get(0),
            comment: row.get(1),
            all_tables: row.get(2),
            all_operations: row.get(3),
            via_root: row.get(4),
            tables: names(client.query(TABLES, &[&name]).await.map_err(failed)?),
            partial: names(client.query(PARTIAL, &[&name]).await.map_err(failed)?),
        }))
    }

    /// Whether `owner` made it.
    #[must_use]
    pub fn belongs_to(&self, owner: &Owner) -> bool {
        self.comment.as_deref() == Some(owner.to_string().as_str())
    }

    /// Makes sure that the publication `name` of `owner` carries all of `tables` and no others:
    /// creates it where absent, alters it otherwise. Committed when this returns.
    ///
    /// A table that is dropped from the list is no longer streamed from then on.
    ///
    /// # Errors
    /// It exists and isn't `owner`'s, or PostgreSQL refused.
    pub async fn ensure(
        client: &Client,
        name: &str,
        owner: &Owner,
        tables: &[TableName],
    ) -> Result<(), SourceError> {
        let Some(found) = Self::find(client, name).await? else {
            return Self::create(client, name, owner, tables).await;
        };
        found.check_owner(owner)?;
        let mut sql = String::new();
        if tables.iter().any(|table| !found.tables.contains(table)) {
            warn_of_lost_changes(client, name).await?;
        }
        if !found.has_just(tables) {
            sql = alteration_of_tables(name, tables);
        }
        if !found.has_options() {
            sql.push_str(&alteration_of_options(name));
        }
        run(client, &format!("alter publication \"{name}\""), &sql).await
    }

    /// Whether it is what [`ensure`](Self::ensure) would make of it.
    pub(super) fn carries(&self, tables: &[TableName]) -> bool {
        self.has_just(tables) && self.has_options()
    }

    fn has_just(&self, tables: &[TableName]) -> bool {
        BTreeSet::from_iter(tables) == BTreeSet::from_iter(&self.tables)
    }

    fn has_options(&self) -> bool {
        self.all_operations && self.via_root
    }

    async fn create(
        client: &Client,
        name: &str,
        owner: &Owner,
        tables: &[TableName],
    ) -> Result<(), SourceError> {
        run(
            client,
            &format!("create publication \"{name}\""),
            &creation(name, Some(owner), tables),
        )
        .await
    }

    /// Adds `tables` to the publication `name` of `owner`; those that are in it stay.
    ///
    /// # Errors
    /// It isn't there or isn't `owner`'s, or PostgreSQL refused.
    pub async fn add(
        client: &Client,
        name: &str,
        owner: &Owner,
        tables: &[TableName],
    ) -> Result<(), SourceError> {
        let mut all = match Self::find(client, name).await? {
            Some(found) => found.tables,
            None => Vec::new(),
        };
        all.extend_from_slice(tables);
        all.sort();
        all.dedup();
        Self::ensure(client, name, owner, &all).await
    }

    /// Drops the publication `name` of `owner`; says whether there was one. Only after the slot.
    ///
    /// # Errors
    /// It isn't `owner`'s, or PostgreSQL refused.
    pub async fn drop(client: &Client, name: &str, owner: &Owner) -> Result<bool, SourceError> {
        let Some(found) = Self::find(client, name).await? else {
            return Ok(false);
        };
        found.check_owner(owner)?;
        let sql = format!("DROP PUBLICATION IF EXISTS {}", quote_identifier(name));
        run(client, &format!("drop publication \"{name}\""), &sql).await?;
        Ok(true)
    }

    fn check_owner(&self, owner: &Owner) -> Result<(), SourceError> {
        if self.belongs_to(owner) {
            return Ok(());
        }
        let name = &self.name;
        let comment = match &self.comment {
            Some(comment) => format!("its comment is {comment:?}"),
            None => "it has no comment".to_owned(),
        };
        Err(SourceError::unusable(format!(
            "publication \"{name}\" exists and was not made by this engine: {comment}"
        ))
        .hint(format!(
            "if it is meant for tahr, name it in the source: publication = {name:?}; else give the \
             engine another name, or: DROP PUBLICATION {};",
            quote_identifier(name)
        )))
    }
}

/// Before these releases a stream could go on without the changes of a table that was added to its
/// publication while a transaction that wrote to the table was open.
const MENDED: [(u32, u32); 4] = [(14, 140_018), (15, 150_013), (16, 160_009), (17, 170_005)];

async fn warn_of_lost_changes(client: &Client, publication: &str) -> Result<(), SourceError> {
    let sql = "SELECT pg_catalog.current_setting('server_version_num')::int";
    let row = client.query_one(sql, &[]).await;
    let row = row.map_err(|error| SourceError::sql("read the server's version", &error))?;
    if has_fault(u32::try_from(row.get::<_, i32>(0)).unwrap_or(0)) {
        tracing::warn!(
            publication,
            hint = "update PostgreSQL to its newest minor release",
            "this release of PostgreSQL can lose changes of tables that are added to a publication \
             while transactions that write to them are open"
        );
    }
    Ok(())
}

fn has_fault(version: u32) -> bool {
    MENDED
        .iter()
        .any(|&(major, mended)| version / 10_000 == major && version < mended)
}

const OPTIONS: &str =
    "publish = 'insert, update, delete, truncate', publish_via_partition_root = true";

/// The statements that create the publication.
pub(super) fn creation(name: &str, owner: Option<&Owner>, tables: &[TableName]) -> String {
    let name = quote_identifier(name);
    let mut sql = format!(
        "CREATE PUBLICATION {name} FOR {} WITH ({OPTIONS});",
        list(tables)
    );
    if let Some(owner) = owner {
        let owner = quote_literal(&owner.to_string());
        sql.push_str(&format!(" COMMENT ON PUBLICATION {name} IS {owner};"));
    }
    sql
}

/// The statements that have the publication carry just `tables`.
pub(super) fn alteration(name: &str, tables: &[TableName]) -> String {
    format!(
        "{}{}",
        alteration_of_tables(name, tables),
        alteration_of_options(name)
    )
}

fn alteration_of_tables(name: &str, tables: &[TableName]) -> String {
    format!(
        "ALTER PUBLICATION {} SET {};",
        quote_identifier(name),
        list(tables)
    )
}

fn alteration_of_options(name: &str) -> String {
    format!(
        " ALTER PUBLICATION {} SET ({OPTIONS});",
        quote_identifier(name)
    )
}

/// `ONLY` keeps tables that inherit from one out; partitions are part of theirs all the same.
fn list(tables: &[TableName]) -> String {
    let names: Vec<_> = tables
        .iter()
        .map(|table| format!("ONLY {}", quote_table(table)))
        .collect();
    format!("TABLE {}", names.join(", "))
}

/// Several statements in one message are one transaction.
async fn run(client: &Client, what: &str, sql: &str) -> Result<(), SourceError> {
    client
        .batch_execute(sql)
        .await
        .map_err(|error| SourceError::sql(what, &error))
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::TableName;

    use super::{Owner, creation, has_fault};

    #[test]
    fn only_releases_before_the_mended_ones_are_warned_of() {
        for (version, is_faulty) in [
            (140_017, true),
            (140_018, false),
            (170_004, true),
            (170_005, false),
            (180_000, false),
        ] {
            assert_eq!(has_fault(version), is_faulty, "{version}");
        }
    }

    #[test]
    fn creation_names_its_owner_and_each_table_alone() {
        let owner = Owner {
            engine: "e".into(),
            source: "s".into(),
        };
        let tables = [TableName::new("public", "a"), TableName::new("x", "B\"c")];
        assert_eq!(
            creation("p", Some(&owner), &tables),
            "CREATE PUBLICATION \"p\" FOR TABLE ONLY \"public\".\"a\", ONLY \"x\".\"B\"\"c\" WITH \
             (publish = 'insert, update, delete, truncate', publish_via_partition_root = true); \
             COMMENT ON PUBLICATION \"p\" IS 'tahr engine=e source=s';"
        );
    }
}
