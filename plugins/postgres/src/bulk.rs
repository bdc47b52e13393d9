//! Many changes of one table at once: merged per key, through `COPY` and temporary tables.

use tahr_plugin_api::{
    Op,
    compaction::{Compacted, Put, compact},
};

use crate::{
    apply::Applier,
    copy::copy_rows,
    parameter::Parameter,
    pipeline::{Failure, MISSING, What},
    plan::Item,
    statements::{Statement, join},
    table::Table,
};

impl<'a> Applier<'a> {
    /// Applies changes of one free table.
    pub(crate) async fn bulk(&mut self, items: &[Item<'a>]) -> Result<(), Failure<'a>> {
        let table = items[0].table;
        if items.iter().all(|item| item.change.op() == Op::Insert) {
            return self.copy(items).await;
        }
        let Compacted {
            inserts,
            upserts,
            updates,
            deletes,
        } = compact(
            items.iter().map(|item| (item.index, item.change)),
            &table.key,
            &table.written,
        );
        if !deletes.is_empty() {
            let rows = deletes
                .iter()
                .map(|gone| table.parameters(gone.row, &table.key));
            let stage = self.stage(table, "gone", &table.key, rows).await?;
            let of = |table: &str, column: &str| format!("{table}.{column}");
            let condition = table.same_key(|column| of("t", column), |_, column| of("s", column));
            let text = format!(
                "DELETE FROM {} t USING {stage} s WHERE {condition}",
                table.name
            );
            let deleted = self.execute(table, &text).await?;
            let missing = (deletes.len() as u64).saturating_sub(deleted);
            if missing > 0 {
                self.pipeline.count(MISSING, missing);
            }
        }
        if !upserts.is_empty() {
            let rows = upserts.iter().map(|put| parameters(table, put));
            let stage = self.stage(table, "rows", &table.written, rows).await?;
            let columns = table.column_list();
            let text = format!(
                "INSERT INTO {} ({columns}){} SELECT {columns} FROM {stage}{}",
                table.name,
                table.overriding(),
                table.on_conflict()
            );
            self.execute(table, &text).await?;
        }
        if !inserts.is_empty() {
            let rows = inserts.iter().map(|put| parameters(table, put));
            self.copy_into(table, rows).await?;
        }
        for put in &updates {
            let is_sent =
                |column: &usize| !put.value(*column).is_unchanged() && !table.key.contains(column);
            let mask: Vec<bool> = table.written.iter().map(is_sent).collect();
            if !mask.contains(&true) {
                continue;
            }
            let set = table.written.iter().filter(|column| is_sent(column));
            let values = set
                .chain(&table.key)
                .map(|&column| parameter(table, put, column))
                .collect();
            let what = What::Change(put.index(), table);
            self.send(what, Statement::Update(mask), values).await?;
        }
        Ok(())
    }

    /// Copies rows into a temporary table with the types of the target's columns, so that values
    /// are read there as the target itself would read them.
    async fn stage<R, V>(
        &mut self,
        table: &'a Table,
        purpose: &str,
        columns: &[usize],
        rows: R,
    ) -> Result<String, Failure<'a>>
    where
        R: IntoIterator<Item = V>,
        V: IntoIterator<Item = Parameter<'a>>,
    {
        let what = What::Bulk(table);
        let failed = |error| Failure { what, error };
        let stage = format!("tahr_{purpose}_{}", table.relation.version);
        let names = join(columns, ", ", |column| table.quoted(column));
        let mut text = format!(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS AS \
             SELECT {names} FROM {} WITH NO DATA",
            table.name
        );
        // They are emptied at the commit; what the transaction has put there before is done.
        if !self.staged.insert(stage.clone()) || self.is_continued {
            text.push_str(&format!("; TRUNCATE pg_temp.{stage}"));
        }
        self.send_text(what, text).await?;
        self.pipeline.drain().await?;
        let stage = format!("pg_temp.{stage}");
        let copy = format!("COPY {stage} FROM STDIN");
        let statement = self.client.prepare(&copy).await.map_err(failed)?;
        copy_rows(self.client, &statement, rows)
            .await
            .map_err(failed)?;
        Ok(stage)
    }

    async fn execute(&mut self, table: &'a Table, text: &str) -> Result<u64, Failure<'a>> {
        self.pipeline.drain().await?;
        let failed = |error| Failure {
            what: What::Bulk(table),
            error,
        };
        self.client.execute(text, &[]).await.map_err(failed)
    }
}

/// The value of the column as a parameter.
fn parameter<'a>(table: &Table, put: &Put<'a>, column: usize) -> Parameter<'a> {
    Parameter::new(put.value(column), table.relation.columns[column].kind)
}

/// Every written column's value as a parameter.
fn parameters<'a>(table: &'a Table, put: &Put<'a>) -> impl Iterator<Item = Parameter<'a>> {
    let columns = table.written.iter();
    columns.map(|&column| parameter(table, put, column))
}
