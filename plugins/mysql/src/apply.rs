//! Applying the steps of a plan inside the open transaction.

use tahr_plugin_api::{Op, Row};

use crate::{
    error::DUPLICATE,
    failure::{Expect, Failure, What},
    plan::{Item, Mode, Step},
    script::{Kind, Script},
    session::Session,
    statements::{put_delete, put_row, put_update, put_where, sets},
};

/// Applies the changes of one batch.
#[derive(Debug)]
pub(crate) struct Applier<'s, 'a> {
    pub(crate) session: &'s mut Session,
    pub(crate) script: Script<'a>,
    pub(crate) mode: Mode,
}

impl<'a> Applier<'_, 'a> {
    /// Applies one step; its last statements may not be sent yet.
    pub(crate) async fn step(&mut self, step: &Step<'a>) -> Result<(), Failure<'a>> {
        match step {
            Step::Rows(items) => self.rows(items).await,
            Step::Bulk(items) => self.bulk(items).await,
            Step::Truncate(item) => self.truncate(item).await,
        }
    }

    async fn rows(&mut self, items: &[Item<'a>]) -> Result<(), Failure<'a>> {
        let mut rest = items;
        while let Some(item) = rest.first() {
            let run = match self.mode {
                Mode::Swapping => crate::swap::run(rest),
                Mode::Fast | Mode::InOrder => 0,
            };
            if run > 1 {
                self.swap(&rest[..run]).await?;
                rest = &rest[run..];
                continue;
            }
            rest = &rest[1..];
            if self.mode == Mode::Fast {
                self.add(item)?;
                if self.script.is_full() {
                    self.flush().await?;
                }
            } else {
                self.careful(item).await?;
            }
        }
        Ok(())
    }

    /// Adds one change to the script.
    fn add(&mut self, item: &Item<'a>) -> Result<(), Failure<'a>> {
        let Item {
            index,
            change,
            table,
        } = *item;
        let value = |column| change.value(column);
        match (change.op(), change.old_row()) {
            (Op::Insert, _) => {
                let kind = if table.has_only_key {
                    Kind::Upsert
                } else {
                    Kind::Insert
                };
                self.script.row(index, table, kind, value)?;
            }
            (Op::Update, _) => {
                let is_put = table.has_only_key && !item.moves_key() && item.is_whole();
                if is_put {
                    self.script.row(index, table, Kind::Upsert, value)?;
                } else {
                    self.update(item)?;
                }
            }
            (Op::Delete, Some(old)) if table.key.is_empty() => self.delete(item, old)?,
            (Op::Delete, Some(old)) => {
                let old = |column| old.value(column);
                self.script.row(index, table, Kind::Delete, old)?;
            }
            // The decoder makes no change without its row.
            _ => {}
        }
        Ok(())
    }

    fn update(&mut self, item: &Item<'a>) -> Result<(), Failure<'a>> {
        let Item {
            index,
            change,
            table,
        } = *item;
        let Some(named_by) = change.old_row().or(change.new_row()) else {
            return Ok(());
        };
        let moves_key = item.moves_key() || table.key.is_empty();
        let expect = if item.is_whole() && !table.key.is_empty() {
            Expect::RowOrInsert
        } else {
            Expect::Row
        };
        let value = |column| change.value(column);
        let is_set = |column| sets(&change, table, moves_key, column);
        self.script
            .change(index, table, expect, value, |out, counts| {
                let is_there = put_update(out, table, value, is_set, counts)?;
                if is_there {
                    put_where(out, table, named_by)?;
                }
                Ok(is_there)
            })?;
        Ok(())
    }

    fn delete(&mut self, item: &Item<'a>, old: Row<'a>) -> Result<(), Failure<'a>> {
        let table = item.table;
        let value = |column| old.value(column);
        self.script
            .change(item.index, table, Expect::Rows(1), value, |out, _| {
                put_delete(out, table);
                put_where(out, table, old)?;
                Ok(true)
            })?;
        Ok(())
    }

    /// Inserts the new row of one change, as one statement; with `is_upsert` over a row of its key.
    fn insert(&mut self, item: &Item<'a>, is_upsert: bool) -> Result<(), Failure<'a>> {
        let table = item.table;
        let value = |column| item.change.value(column);
        self.script
            .change(item.index, table, Expect::Any, value, |out, counts| {
                out.extend_from_slice(table.insert.as_bytes());
                put_row(out, table, value, counts)?;
                if is_upsert {
                    out.extend_from_slice(table.upsert.as_bytes());
                }
                Ok(true)
            })?;
        Ok(())
    }

    /// Applies one change by itself.
    async fn careful(&mut self, item: &Item<'a>) -> Result<(), Failure<'a>> {
        let has_only_key = item.table.has_only_key;
        match (item.change.op(), item.change.old_row()) {
            (Op::Insert, _) => {
                self.insert(item, has_only_key)?;
                match self.flush().await {
                    // It may be this row, made by others, or another row with one of its values.
                    Err(failure)
                        if failure.code() == DUPLICATE
                            && !has_only_key
                            && !item.table.key.is_empty() =>
                    {
                        self.update(item)?;
                        match self.flush().await {
                            Err(Failure::Absent) => Err(failure),
                            result => result,
                        }
                    }
                    result => result,
                }
            }
            (Op::Update, _) => {
                self.update(item)?;
                match self.flush().await {
                    Err(Failure::Absent) => {
                        self.insert(item, false)?;
                        self.flush().await
                    }
                    result => result,
                }
            }
            (Op::Delete, Some(old)) => {
                self.delete(item, old)?;
                self.flush().await
            }
            _ => Ok(()),
        }
    }

    async fn truncate(&mut self, item: &Item<'a>) -> Result<(), Failure<'a>> {
        // Not TRUNCATE, which ends the transaction.
        let sql = format!("DELETE FROM {}", item.table.quoted);
        let what = What::Change(item.index, item.table);
        self.script.add(what, Expect::Any, &sql);
        if self.mode == Mode::Fast {
            return Ok(());
        }
        self.flush().await
    }

    /// Sends what the script holds.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure<'a>> {
        Box::pin(self.script.flush(self.session)).await
    }
}
