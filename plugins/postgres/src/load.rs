//! The copy of a table.
//!
//! A fresh copy goes straight into the table. A replacing one goes into an unlogged table beside
//! it, from which one transaction takes it over at the end, so that readers never see an emptied
//! table. (An unlogged table is emptied when the server crashes; then the session that began the
//! copy is lost too, and the copy begins anew.)

use std::sync::Arc;

use tahr_plugin_api::{Batch, LoadMode, Lsn, Relation, WriteError, failpoint};

use tokio_postgres::Client;

use crate::{
    copy::copy_rows,
    error::{code, explain},
    statements::{join, literal, quote},
    table::{Table, table_name},
    target::Target,
};

/// The table beside the target of `relation` that a replacing copy fills.
fn staging_name(relation: &Relation) -> String {
    format!(
        "{}.{}",
        quote(&relation.target.schema),
        quote(&format!("tahr_load_{}", relation.oid))
    )
}

fn failed(relation: &Relation) -> impl Fn(tokio_postgres::Error) -> WriteError {
    let target = relation.target.to_string();
    move |error| explain(&error, &format!("copy of table \"{target}\"")).table(&target)
}

async fn holds_rows(client: &Client, name: &str) -> Result<bool, tokio_postgres::Error> {
    let sql = format!("SELECT EXISTS (SELECT FROM {name})");
    Ok(client.query_one(&sql, &[]).await?.get(0))
}

impl Target {
    /// See [`Writer::holds_rows`](tahr_plugin_api::Writer::holds_rows).
    pub(crate) async fn holds_rows(&self, relation: &Relation) -> Result<bool, WriteError> {
        match holds_rows(&self.session.client, &table_name(relation)).await {
            Ok(holds_rows) => Ok(holds_rows),
            // There is no such table or schema.
            Err(error) if matches!(code(&error), "42P01" | "3F000") => Ok(false),
            Err(error) => Err(failed(relation)(error)),
        }
    }

    /// See [`Writer::begin_load`](tahr_plugin_api::Writer::begin_load).
    pub(crate) async fn begin_load(
        &mut self,
        relation: &Arc<Relation>,
        mode: LoadMode,
    ) -> Result<(), WriteError> {
        self.refuse_inside("begin a copy")?;
        crate::checkpoint::CheckpointRows::create(&self.session.client).await?;
        let table = self.table(relation).await?;
        let source = relation.source.to_string();
        let marked = self.rows.read(&self.session.client).await?;
        let is_ours = marked.is_some_and(|found| found.copied_to.contains_key(&source));
        let (name, staging) = (&table.name, staging_name(relation));
        let client = &self.session.client;
        let failed = failed(relation);
        client
            .batch_execute(&format!("BEGIN; DROP TABLE IF EXISTS {staging}"))
            .await
            .map_err(&failed)?;
        match mode {
            LoadMode::Fresh => {
                if is_ours {
                    // Waits for what a loader of before was killed in the middle of: the server may
                    // have all of it, and commit it.
                    let text = format!("LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE");
                    client.batch_execute(&text).await.map_err(&failed)?;
                }
                let holds_rows = holds_rows(client, name).await.map_err(&failed)?;
                if holds_rows && !is_ours {
                    return Err(WriteError::rejected(format!(
                        "table \"{}\" holds rows already",
                        relation.target
                    ))
                    .hint(format!(
                        "TRUNCATE {name}, or set `existing = \"replace\"` in the sync to replace them"
                    ))
                    .table(relation.target.to_string()));
                }
                if holds_rows {
                    // Not TRUNCATE, which foreign keys to the table forbid.
                    let text = format!("DELETE FROM {name}");
                    client.batch_execute(&text).await.map_err(&failed)?;
                }
            }
            LoadMode::Replace => {
                let text = format!(
                    "CREATE UNLOGGED TABLE {staging} AS SELECT {} FROM {name} WITH NO DATA; \
                     COMMENT ON TABLE {staging} IS {}",
                    table.column_list(),
                    literal(&self.staging_comment())
                );
                client.batch_execute(&text).await.map_err(&failed)?;
            }
        }
        self.rows.mark(client, &source, Lsn::ZERO).await?;
        client.batch_execute("COMMIT").await.map_err(&failed)?;
        self.followed.insert(source);
        self.loads.insert(relation.oid, mode);
        Ok(())
    }

    /// See [`Writer::load`](tahr_plugin_api::Writer::load).
    pub(crate) async fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let Some(relation) = batch.changes().next().map(|change| change.relation()) else {
            return Ok(());
        };
        let table = self.table(relation).await?;
        let failed = failed(relation);
        let text = self.load_statement(&table).await.map_err(&failed)?;
        let client = &self.session.client;
        let statement = client.prepare(&text).await.map_err(&failed)?;
        let rows = batch
            .changes()
            .filter_map(|change| change.new_row())
            .map(|row| table.parameters(row, &table.written));
        copy_rows(client, &statement, rows).await.map_err(&failed)?;
        Ok(())
    }

    /// Where the copy goes: this loader wasn't told, but the staging table is there or not. What
    /// it finds holds until the loader's flush.
    async fn load_statement(&mut self, table: &Table) -> Result<String, tokio_postgres::Error> {
        let oid = table.relation.oid;
        if let Some(text) = self.load_statements.get(&oid) {
            return Ok(text.clone());
        }
        let staging = staging_name(&table.relation);
        let found = self
            .session
            .client
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&staging])
            .await?;
        let into = if found.get(0) { &staging } else { &table.name };
        let text = format!("COPY {into} ({}) FROM STDIN", table.column_list());
        self.load_statements.insert(oid, text.clone());
        Ok(text)
    }

    /// See [`Writer::end_load`](tahr_plugin_api::Writer::end_load).
    pub(crate) async fn end_load(
        &mut self,
        relation: &Arc<Relation>,
        copied_to: Lsn,
    ) -> Result<(), WriteError> {
        self.refuse_inside("end a copy")?;
        let Some(&mode) = self.loads.get(&relation.oid) else {
            return Err(WriteError::transient(format!(
                "the copy of table \"{}\" was interrupted",
                relation.target
            ))
            .table(relation.target.to_string()));
        };
        let table = self.table(relation).await?;
        let failed = failed(relation);
        let client = &self.session.client;
        let name = table_name(relation);
        let mut text = "BEGIN".to_owned();
        if mode == LoadMode::Replace {
            let staging = staging_name(relation);
            let columns = join(&table.written, ", ", |column| table.quoted(column));
            // Not TRUNCATE: to readers with an older snapshot the table would be empty.
            text.push_str(&format!(
                "; DELETE FROM {name}; INSERT INTO {name} ({columns}){} SELECT {columns} FROM \
                 {staging}; DROP TABLE {staging}",
                table.overriding()
            ));
        }
        client.batch_execute(&text).await.map_err(&failed)?;
        self.rows
            .mark(client, &relation.source.to_string(), copied_to)
            .await?;
        failpoint::pass("postgres.marked");
        client.batch_execute("COMMIT").await.map_err(&failed)?;
        self.loads.remove(&relation.oid);
        self.load_statements.remove(&relation.oid);
        // The copy is complete without it; only the table's owner may.
        if let Err(error) = client.batch_execute(&format!("ANALYZE {name}")).await {
            let error = failed(error);
            self.host.warn(&format!("analyze: {error}"));
        }
        Ok(())
    }

    fn staging_comment(&self) -> String {
        format!(
            "tahr: copy under way for sync {}, source {}",
            self.rows.stream.sync, self.rows.stream.source
        )
    }

    /// Removes what broken replacing copies of this stream left.
    pub(crate) async fn drop_staging(&self) -> Result<(), WriteError> {
        let failed = |error: tokio_postgres::Error| explain(&error, "drop tables of broken copies");
        let client = &self.session.client;
        let tables = client
            .query(
                "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c \
                 JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.relkind = 'r' AND c.relname ~ '^tahr_load_[0-9]+$' \
                   AND obj_description(c.oid, 'pg_class') = $1",
                &[&self.staging_comment()],
            )
            .await
            .map_err(failed)?;
        for row in tables {
            let name: &str = row.get(0);
            client
                .batch_execute(&format!("DROP TABLE IF EXISTS {name}"))
                .await
                .map_err(failed)?;
        }
        Ok(())
    }
}
