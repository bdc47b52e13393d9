//! Many changes of one table at once: merged per key, in statements of many rows.

use tahr_plugin_api::{
    Op,
    compaction::{Compacted, Put, compact},
};

use crate::{
    apply::Applier,
    failure::{Expect, Failure},
    plan::Item,
    script::Kind,
    statements::{put_update, put_where},
};

impl<'a> Applier<'_, 'a> {
    /// Applies changes of one free table.
    pub(crate) async fn bulk(&mut self, items: &[Item<'a>]) -> Result<(), Failure<'a>> {
        let table = items[0].table;
        if items.iter().all(|item| item.change.op() == Op::Insert) {
            // New keys, each of them once: there is nothing to merge.
            for item in items {
                let value = |column| item.change.value(column);
                self.script.row(item.index, table, Kind::Upsert, value)?;
                self.flush_full().await?;
            }
            return Ok(());
        }
        let changes = items.iter().map(|item| (item.index, item.change));
        let Compacted {
            inserts,
            upserts,
            updates,
            deletes,
        } = compact(changes, &table.key, &table.written);
        for gone in deletes {
            let value = |column| gone.row.value(column);
            self.script.row(gone.index, table, Kind::Delete, value)?;
            self.flush_full().await?;
        }
        // A row that is there already is made equal, so inserts go the same way.
        for put in inserts.iter().chain(&upserts) {
            let value = |column| put.value(column);
            self.script.row(put.index(), table, Kind::Upsert, value)?;
            self.flush_full().await?;
        }
        for put in &updates {
            self.update_part(table, put)?;
            self.flush_full().await?;
        }
        Ok(())
    }

    fn update_part(
        &mut self,
        table: &'a crate::table::Table,
        put: &Put<'a>,
    ) -> Result<(), Failure<'a>> {
        let newest = put.newest();
        let Some(named_by) = newest.old_row().or(newest.new_row()) else {
            return Ok(());
        };
        let value = |column| put.value(column);
        let is_set = |column| !put.value(column).is_unchanged() && !table.key.contains(&column);
        self.script
            .change(put.index(), table, Expect::Row, value, |out, counts| {
                let is_there = put_update(out, table, value, is_set, counts)?;
                if is_there {
                    put_where(out, table, named_by)?;
                }
                Ok(is_there)
            })?;
        Ok(())
    }

    async fn flush_full(&mut self) -> Result<(), Failure<'a>> {
        if self.script.is_full() {
            self.flush().await?;
        }
        Ok(())
    }
}
