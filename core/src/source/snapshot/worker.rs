//! A session that copies ranges of tables as the snapshot saw them.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use tahr_plugin_api::{Relation, TableName};
use tahr_postgres_connect::{Session, Url};
use tokio_postgres::{CancelToken, Client, CopyOutStream, error::SqlState};

use super::{CopyRange, RAW_TEXT, Snapshot, import, plan::LEAVES};
use crate::source::{SourceError, Table, quote_identifier, quote_table};

/// A session inside a snapshot.
pub struct Worker {
    client: Session,
    observer: Arc<Session>,
    /// The role that it copies as, quoted.
    role: String,
}

/// What came of an attempt to copy.
#[derive(Debug)]
pub enum Copied {
    /// The rows.
    Rows(Rows),
    /// The table is no longer what the snapshot saw, so nothing can be copied of it; this says
    /// why. What was copied of it before is void: read the catalog, take a new snapshot, begin the
    /// table again.
    Rewritten(String),
}

/// Rows in COPY's text format, one or more whole lines at a time. Must be read to the end, or the
/// worker be dropped, which ends the copy at once.
pub struct Rows {
    stream: Pin<Box<CopyOutStream>>,
    what: String,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

impl Stream for Rows {
    type Item = Result<Bytes, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.stream.as_mut().poll_next(cx));
        Poll::Ready(item.map(|chunk| chunk.map_err(|error| SourceError::sql(&self.what, &error))))
    }
}

/// What a table is: storage, name, columns and partitions, then the columns that have values.
/// Asked inside the snapshot and outside of it; `$2` is the partitioned root, or the table again.
const SHAPE: &str = "
WITH RECURSIVE tree AS (
    SELECT $2::oid AS oid
    UNION ALL
    SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
    WHERE $1 <> $2 AND NOT i.inhdetachpending
)
SELECT pg_catalog.concat_ws(' ', c.relfilenode, c.relkind, n.nspname, c.relname,
           (SELECT string_agg(pg_catalog.concat_ws(' ', a.attnum, a.attname, a.atttypid,
                                                   a.atttypmod, a.attisdropped), ', '
                              ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
           (SELECT string_agg(t.oid::text, ' ' ORDER BY t.oid) FROM tree t)),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attgenerated = '' ORDER BY a.attname),
       ARRAY(SELECT a.atttypid FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attgenerated = '' ORDER BY a.attname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = $1";

#[derive(PartialEq)]
struct Shape {
    storage: String,
    columns: BTreeSet<(String, u32)>,
}

impl Worker {
    /// Opens a session inside `snapshot`.
    ///
    /// # Errors
    /// The source can't be reached, or the snapshot is gone.
    pub async fn open(
        url: &Url,
        application: &str,
        snapshot: &Snapshot,
    ) -> Result<Self, SourceError> {
        let client = import(url, application, &snapshot.name).await?;
        let begin = format!("{RAW_TEXT}; SAVEPOINT range");
        client
            .batch_execute(&begin)
            .await
            .map_err(|error| SourceError::sql("begin to copy", &error))?;
        Ok(Self {
            client,
            observer: Arc::clone(&snapshot.observer),
            role: quote_identifier(url.user()),
        })
    }

    /// Copies `range` of `table`: the columns of its relation, in that order.
    ///
    /// The table is locked against being rewritten until the next call, and no longer, so that a
    /// long copy doesn't block the source's own DDL for its whole time. That is why every range
    /// is checked.
    ///
    /// # Errors
    /// The connection broke, or the table may not be read.
    pub async fn copy(&mut self, table: &Table, range: &CopyRange) -> Result<Copied, SourceError> {
        let name = quote_table(&range.name);
        let what = format!("copy table {}", range.name);
        // Unlocks the range before, and makes the session usable again after an error.
        let lock =
            format!("ROLLBACK TO SAVEPOINT range; LOCK TABLE ONLY {name} IN ACCESS SHARE MODE");
        if let Err(error) = self.client.batch_execute(&lock).await {
            let gone = gone(&error, &range.name);
            return gone.map_or_else(
                || Err(explain(&what, &table.relation.source, &self.role, &error)),
                Ok,
            );
        }
        let keys = (range.oid, table.relation.oid);
        let then = shape(&self.client, keys).await;
        let then = then.map_err(|error| SourceError::sql(&what, &error))?;
        let now = shape(&self.observer, keys).await;
        let now = now.map_err(|error| SourceError::sql(&what, &error))?;
        let reason = match (then, now) {
            (Some(then), Some(now)) if then == now => (then.columns != columns(&table.relation))
                .then_some("has other columns than planned"),
            (_, None) => Some("was dropped"),
            _ => Some("was rewritten after the snapshot"),
        };
        if let Some(reason) = reason {
            return Ok(Copied::Rewritten(format!("table {} {reason}", range.name)));
        }
        let sql = statement(&table.relation, range);
        let stream = self
            .client
            .copy_out(&sql)
            .await
            .map_err(|error| explain(&what, &table.relation.source, &self.role, &error))?;
        Ok(Copied::Rows(Rows {
            stream: Box::pin(stream),
            what,
        }))
    }

    /// Reads a whole table, all partitions together, in an order: these columns, by this `ORDER BY`.
    /// The table is locked against being rewritten until the next call.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub async fn sorted(
        &mut self,
        table: &TableName,
        oid: u32,
        columns: &str,
        order: &str,
    ) -> Result<Copied, SourceError> {
        let name = quote_table(table);
        let what = format!("compare table {table}");
        let role = self.role.clone();
        let failed = |error| explain(&what, table, &role, &error);
        // Sorting what doesn't fit into memory is slow, and there is one such statement at a time.
        let lock = format!(
            "ROLLBACK TO SAVEPOINT range; SET LOCAL work_mem = '64MB'; \
             LOCK TABLE {name} IN ACCESS SHARE MODE"
        );
        if let Err(error) = self.client.batch_execute(&lock).await {
            return gone(&error, table).map_or_else(|| Err(failed(error)), Ok);
        }
        let leaves = self.client.query(LEAVES, &[&oid]).await.map_err(failed)?;
        let leaves: Vec<u32> = leaves.iter().map(|leaf| leaf.get(0)).collect();
        for part in leaves.iter().copied().chain(Some(oid)) {
            let then = shape(&self.client, (part, oid)).await.map_err(failed)?;
            let now = shape(&self.observer, (part, oid)).await.map_err(failed)?;
            if then != now || then.is_none() {
                return Ok(Copied::Rewritten(format!(
                    "table {table} was rewritten after the snapshot"
                )));
            }
        }
        let only = if leaves.contains(&oid) { "ONLY " } else { "" };
        let sql = format!("COPY (SELECT {columns} FROM {only}{name} ORDER BY {order}) TO STDOUT");
        let stream = self.client.copy_out(&sql).await.map_err(failed)?;
        Ok(Copied::Rows(Rows {
            stream: Box::pin(stream),
            what,
        }))
    }

    /// A setting of the session.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn setting(&self, name: &str) -> Result<String, SourceError> {
        let sql = "SELECT pg_catalog.current_setting($1)";
        let row = self.client.query_one(sql, &[&name]).await;
        let row = row.map_err(|error| SourceError::sql(format!("read {name}"), &error))?;
        Ok(row.get(0))
    }

    /// For [`Url::cancel`]: stops what this worker copies.
    #[must_use]
    pub fn cancel_token(&self) -> CancelToken {
        self.client.cancel_token()
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

fn columns(relation: &Relation) -> BTreeSet<(String, u32)> {
    relation
        .columns
        .iter()
        .map(|column| (column.name.clone(), column.type_oid))
        .collect()
}

async fn shape(
    client: &Client,
    (oid, root): (u32, u32),
) -> Result<Option<Shape>, tokio_postgres::Error> {
    let row = client.query_opt(SHAPE, &[&oid, &root]).await?;
    Ok(row.map(|row| {
        let (names, types): (Vec<String>, Vec<u32>) = (row.get(1), row.get(2));
        Shape {
            storage: row.get(0),
            columns: names.into_iter().zip(types).collect(),
        }
    }))
}

/// That a table is not there any more, if the error says so.
fn gone(error: &tokio_postgres::Error, table: &TableName) -> Option<Copied> {
    match error.code() {
        Some(&(SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME)) => Some(
            Copied::Rewritten(format!("table {table} was dropped or renamed")),
        ),
        _ => None,
    }
}

fn explain(
    what: &str,
    table: &TableName,
    role: &str,
    error: &tokio_postgres::Error,
) -> SourceError {
    let made = SourceError::sql(what, error);
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            made.hint(format!("GRANT SELECT ON {} TO {role};", quote_table(table)))
        }
        _ => made,
    }
}

/// Columns are listed by name: a partition may have them in another order than its root.
fn statement(relation: &Relation, range: &CopyRange) -> String {
    let columns: Vec<_> = relation
        .columns
        .iter()
        .map(|column| quote_identifier(&column.name))
        .collect();
    let mut conditions = Vec::new();
    if range.from_block > 0 {
        conditions.push(format!(
            "ctid >= '({},0)'::pg_catalog.tid",
            range.from_block
        ));
    }
    if let Some(to_block) = range.to_block {
        conditions.push(format!("ctid < '({to_block},0)'::pg_catalog.tid"));
    }
    let filter = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    let (columns, name) = (columns.join(", "), quote_table(&range.name));
    format!("COPY (SELECT {columns} FROM ONLY {name}{filter}) TO STDOUT")
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::{Column, Relation, TableName};

    use super::{CopyRange, statement};

    #[test]
    fn ranges_name_their_pages_and_whole_tables_none() {
        let column = |name: &str| Column {
            name: name.to_owned(),
            ..Column::default()
        };
        let relation = Relation {
            columns: vec![column("id"), column("a\"b")],
            ..Relation::default()
        };
        let range = |from_block, to_block| CopyRange {
            table: 0,
            oid: 1,
            name: TableName::new("s", "leaf"),
            from_block,
            to_block,
            pages: 0,
        };
        let select = "COPY (SELECT \"id\", \"a\"\"b\" FROM ONLY \"s\".\"leaf\"";
        let (from, to) = (
            "ctid >= '(5,0)'::pg_catalog.tid",
            "ctid < '(9,0)'::pg_catalog.tid",
        );
        assert_eq!(
            statement(&relation, &range(0, None)),
            format!("{select}) TO STDOUT")
        );
        assert_eq!(
            statement(&relation, &range(5, Some(9))),
            format!("{select} WHERE {from} AND {to}) TO STDOUT")
        );
        assert_eq!(
            statement(&relation, &range(5, None)),
            format!("{select} WHERE {from}) TO STDOUT")
        );
    }
}
