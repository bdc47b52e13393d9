//! Keys that change places.
//!
//! With a deferrable primary key the source may run `UPDATE t SET id = 3 - id`: its stream then
//! holds two updates, each to a key that the other row still has. The target's key is not
//! deferrable (upserts need it so), and refuses. Here the rows are taken out first and put back
//! under their new keys. Called only after the plain way has failed.

use std::collections::HashSet;

use futures_util::TryStreamExt;
use tahr_plugin_api::{Op, compaction::Key};

use crate::{
    apply::Applier,
    parameter::Parameter,
    pipeline::{Failure, What},
    plan::Item,
    statements::Statement,
};

/// How many changes at the beginning of `items` are key moves of one table and transaction of which
/// some take a key that a later one leaves; 0 where there are none.
pub(crate) fn run(items: &[Item<'_>]) -> usize {
    let first = &items[0];
    let len = items
        .iter()
        .take_while(|item| {
            std::ptr::eq(item.table, first.table)
                && item.change.op() == Op::Update
                && item.change.xid() == first.change.xid()
                && item.moves_key()
        })
        .count();
    let mut left_later = HashSet::new();
    let mut collides = false;
    for item in items[..len].iter().rev() {
        let (Some(old), Some(new)) = (item.change.old_row(), item.change.new_row()) else {
            continue;
        };
        collides |= left_later.contains(&Key::new(new, &item.table.key));
        left_later.insert(Key::new(old, &item.table.key));
    }
    if collides { len } else { 0 }
}

impl<'a> Applier<'a> {
    /// Applies such a run.
    pub(crate) async fn swap(&mut self, items: &[Item<'a>]) -> Result<(), Failure<'a>> {
        let table = items[0].table;
        let what = What::Change(items[0].index, table);
        let failed = |error| Failure { what, error };
        let take = self.prepared(what, table, Statement::Take).await?;
        let insert = self.prepared(what, table, Statement::Insert).await?;
        self.pipeline.drain().await?;
        let client = self.client;
        let mut taken = Vec::with_capacity(items.len());
        for item in items {
            let old = item.change.old_row();
            let key: Vec<_> =
                old.map_or_else(Vec::new, |old| table.parameters(old, &table.key).collect());
            let rows = client.query_raw(&take, key).await.map_err(failed)?;
            taken.push(rows.try_collect::<Vec<_>>().await.map_err(failed)?);
        }
        for (item, rows) in items.iter().zip(&taken) {
            let Some(row) = rows.first() else {
                // Not a plain exchange after all; the insert of nothing fails and says where.
                let what = What::Change(item.index, table);
                let missing = "SELECT 1 / 0".to_owned();
                self.send_text(what, missing).await?;
                return self.pipeline.drain().await;
            };
            let values = (table.written.iter().enumerate()).map(|(place, &column)| {
                match item.change.value(column) {
                    value if !value.is_unchanged() => {
                        Parameter::new(value, table.relation.columns[column].kind)
                    }
                    _ => match row.get::<_, Option<&str>>(place) {
                        Some(text) => Parameter::Text(text),
                        None => Parameter::Null,
                    },
                }
            });
            client
                .execute_raw(&insert, values.collect::<Vec<_>>())
                .await
                .map_err(|error| Failure {
                    what: What::Change(item.index, table),
                    error,
                })?;
        }
        Ok(())
    }
}
