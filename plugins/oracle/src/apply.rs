//! Applying changes: in bulk where only the key ties them, else in runs of one statement each, in the
//! source's order. Either way many rows go in one round trip, and each tells whether it was there.
//!
//! A row that is there already (a table that others changed) is made equal to the new one. Whole rows
//! without LOBs are merged; with LOBs they are updated, and those that were missing inserted, since a
//! MERGE of many rows doesn't take long LOBs reliably.

use std::collections::HashMap;

use tahr_plugin_api::{
    Batch, Value, WriteError,
    compaction::{Compacted, Gone, Put, compact},
};

use crate::{
    error::failed,
    session::{DUPLICATE, Done, Sent, Session},
    statements,
    step::{self, Item, NewRow, Shape, Step},
    table::Table,
    target::Target,
    values::{Bind, Counts, Policy, bind},
};

/// The tables of the relations that a batch holds, by relation version.
pub(crate) type Tables = HashMap<u32, Table>;

/// Applies every change of `batch`. The relations' tables are all in `tables`.
pub(crate) fn apply(
    session: &Session,
    tables: &Tables,
    policy: &Policy,
    batch: &Batch,
) -> Result<Counts, WriteError> {
    let mut items = Vec::new();
    for (index, change) in batch.changes().enumerate() {
        let version = change.relation().version;
        let table = tables
            .get(&version)
            .ok_or_else(|| WriteError::fatal(format!("relation version {version} has no table")))?;
        items.push(Item {
            index,
            change,
            table,
        });
    }
    let mut applier = Applier {
        session,
        policy,
        counts: Counts::default(),
    };
    for step in step::steps(items.into_iter()) {
        match step {
            Step::Bulk(items) => applier.bulk(&items)?,
            Step::Rows(items) => applier.rows(&items)?,
            Step::Truncate(items) => applier.truncate(items)?,
        }
    }
    Ok(applier.counts)
}

/// The state of an application.
pub(crate) struct Applier<'a> {
    pub(crate) session: &'a Session,
    policy: &'a Policy,
    pub(crate) counts: Counts,
}

impl<'a> Applier<'a> {
    fn bulk(&mut self, items: &[Item<'a>]) -> Result<(), WriteError> {
        let table = items[0].table;
        let relation = items[0].change.relation();
        let changes = items.iter().map(|item| (item.index, item.change));
        let Compacted {
            inserts,
            upserts,
            updates,
            deletes,
        } = compact(changes, &table.key, &table.all);
        let relation = Target { table, relation };
        self.delete(relation, &deletes)?;
        let mut parts: Vec<(Vec<usize>, Vec<Put<'a>>)> = Vec::new();
        for put in updates {
            let others = table.others.iter().copied();
            let set: Vec<usize> = others
                .filter(|&index| !put.value(index).is_unchanged())
                .collect();
            match parts.iter_mut().find(|(known, _)| *known == set) {
                Some((_, puts)) => puts.push(put),
                None if set.is_empty() => {}
                None => parts.push((set, vec![put])),
            }
        }
        for (set, puts) in parts {
            self.update(relation, &set, &puts)?;
        }
        let upserts: Vec<&Put<'a>> = upserts.iter().collect();
        self.upsert(relation, &upserts)?;
        let inserts: Vec<&Put<'a>> = inserts.iter().collect();
        self.insert(relation, &inserts)
    }

    fn rows(&mut self, items: &[Item<'a>]) -> Result<(), WriteError> {
        let mut left = items;
        while let Some(first) = left.first() {
            let Some(shape) = first.shape() else {
                left = &left[1..];
                continue;
            };
            let (run, later) = left.split_at(step::run(left, &shape).max(1));
            left = later;
            let target = Target {
                table: first.table,
                relation: first.change.relation(),
            };
            let rows: Vec<&Item<'a>> = run.iter().collect();
            match shape {
                Shape::Insert => self.insert(target, &rows)?,
                Shape::Whole => self.upsert(target, &rows)?,
                Shape::Part(set) if first.table.key.is_empty() => {
                    self.update_one_of_equal(target, &set, first)?;
                }
                Shape::Part(set) => self.update(target, &set, run)?,
                Shape::Delete if first.table.key.is_empty() => {
                    self.delete_one_of_equal(target, first)?;
                }
                Shape::Delete => {
                    let gone = |item: &Item<'a>| {
                        let row = item.change.old_row()?;
                        Some(Gone {
                            index: item.index,
                            row,
                        })
                    };
                    let gone: Vec<Gone<'a>> = run.iter().filter_map(gone).collect();
                    self.delete(target, &gone)?;
                }
            }
        }
        Ok(())
    }

    /// Tables that name each other's rows are emptied in whatever order they allow.
    fn truncate(&mut self, mut items: Vec<Item<'a>>) -> Result<(), WriteError> {
        /// ORA-02292: rows of another table name the row.
        const NAMED: i32 = 2292;
        loop {
            let before = items.len();
            let (mut left, mut last) = (Vec::new(), None);
            for item in items {
                match self
                    .session
                    .execute(&statements::delete_all(&item.table.name))
                {
                    Ok(_) => {}
                    Err(error) if error.oci_code() == Some(NAMED) => {
                        left.push(item);
                        last = Some(error);
                    }
                    Err(error) => return Err(truncate_failed(&item, &error)),
                }
            }
            match (left.first(), last) {
                (Some(item), Some(error)) if left.len() == before => {
                    return Err(truncate_failed(item, &error));
                }
                (None, _) | (_, None) => return Ok(()),
                _ => items = left,
            }
        }
    }

    fn insert<R: NewRow<'a>>(&mut self, target: Target<'a>, rows: &[&R]) -> Result<(), WriteError> {
        let Done { errors, .. } =
            self.send_new(target, &target.table.insert, &target.table.all, rows)?;
        let mut there = Vec::new();
        for error in &errors {
            let row = rows[error.row];
            if error.code != DUPLICATE || target.table.key.is_empty() {
                return Err(target.refused("insert into", error, row.index()));
            }
            there.push((row, error));
        }
        if there.is_empty() {
            return Ok(());
        }
        // The row was counted when it was tried first.
        let counts = self.counts;
        let again: Vec<&R> = there.iter().map(|(row, _)| *row).collect();
        if target.table.others.is_empty() {
            return Ok(());
        }
        let touched = self.set(target, &target.table.others, &again)?;
        self.counts = counts;
        // Where no row has the key, another unique key of the target was meant.
        for ((row, error), touched) in there.iter().zip(touched.counts) {
            if touched == 0 {
                return Err(target.refused("insert into", error, row.index()));
            }
        }
        Ok(())
    }

    fn upsert<R: NewRow<'a>>(&mut self, target: Target<'a>, rows: &[&R]) -> Result<(), WriteError> {
        if rows.is_empty() {
            return Ok(());
        }
        let table = target.table;
        if let Some(merge) = &table.merge {
            let done = self.send_new(target, merge, &table.merged, rows)?;
            return target.all_done("merge into", &done, rows);
        }
        let done = self.set(target, &table.others, rows)?;
        let missing = rows
            .iter()
            .zip(&done.counts)
            .filter(|(_, touched)| **touched == 0);
        let missing: Vec<&R> = missing.map(|(row, _)| *row).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let counts = self.counts;
        let done = self.send_new(target, &table.insert, &table.all, &missing)?;
        self.counts = counts;
        target.all_done("insert into", &done, &missing)
    }

    /// Sets some columns of rows that must be there.
    fn update<R: NewRow<'a>>(
        &mut self,
        target: Target<'a>,
        set: &[usize],
        rows: &[R],
    ) -> Result<(), WriteError> {
        let rows: Vec<&R> = rows.iter().collect();
        let done = self.set(target, set, &rows)?;
        for (row, touched) in rows.iter().zip(done.counts) {
            if touched == 0 {
                self.insert_missing(target, *row)?;
            }
        }
        Ok(())
    }

    /// Inserts the row that an update didn't find, where all of it is known.
    fn insert_missing<R: NewRow<'a>>(
        &mut self,
        target: Target<'a>,
        row: &R,
    ) -> Result<(), WriteError> {
        let table = target.table;
        if table
            .all
            .iter()
            .any(|&column| row.value(column).is_unchanged())
        {
            return Err(target.missing(row.index()));
        }
        self.insert(target, &[row])
    }

    /// Sets columns of the rows that are named by their old keys.
    fn set<R: NewRow<'a>>(
        &mut self,
        target: Target<'a>,
        set: &[usize],
        rows: &[&R],
    ) -> Result<Done, WriteError> {
        let table = target.table;
        let sql = statements::update(&table.name, &table.spelled(set), &table.by_key(), false);
        let mut types = table.sent(set);
        types.extend(table.sent(&table.key));
        let mut values = Vec::with_capacity(rows.len() * types.len());
        for row in rows {
            for &column in set {
                values.push(self.bind(target, column, row.value(column), row.index())?);
            }
            self.bind_old(target, |column| row.key(column), row.index(), &mut values)?;
        }
        let done = self.run(target, "update", &sql, &types, &values)?;
        target.all_done("update", &done, rows)?;
        Ok(done)
    }

    fn delete(&mut self, target: Target<'a>, rows: &[Gone<'a>]) -> Result<(), WriteError> {
        let table = target.table;
        let sql = statements::delete(&table.name, &table.by_key(), false);
        let mut values = Vec::with_capacity(rows.len() * table.key.len());
        for gone in rows {
            self.bind_old(
                target,
                |column| gone.row.value(column),
                gone.index,
                &mut values,
            )?;
        }
        let done = self.run(
            target,
            "delete from",
            &sql,
            &table.sent(&table.key),
            &values,
        )?;
        if let Some(error) = done.errors.first() {
            return Err(target.refused("delete from", error, rows[error.row].index));
        }
        let missing = done.counts.iter().filter(|touched| **touched == 0);
        self.counts.missing_rows += missing.count() as u64;
        Ok(())
    }

    fn send_new<R: NewRow<'a>>(
        &mut self,
        target: Target<'a>,
        sql: &str,
        columns: &[usize],
        rows: &[&R],
    ) -> Result<Done, WriteError> {
        let mut values = Vec::with_capacity(rows.len() * columns.len());
        for row in rows {
            for &column in columns {
                values.push(self.bind(target, column, row.value(column), row.index())?);
            }
        }
        self.run(
            target,
            "write to",
            sql,
            &target.table.sent(columns),
            &values,
        )
    }

    pub(crate) fn run(
        &mut self,
        target: Target<'a>,
        verb: &str,
        sql: &str,
        types: &[Sent],
        values: &[Bind<'a>],
    ) -> Result<Done, WriteError> {
        let done = self.session.run(sql, types, values);
        done.map_err(|error| target.failed(verb, &error))
    }

    pub(crate) fn bind(
        &mut self,
        target: Target<'a>,
        column: usize,
        value: Value<'a>,
        index: usize,
    ) -> Result<Bind<'a>, WriteError> {
        let Target { table, relation } = target;
        let (source, known) = (&relation.columns[column], &table.columns[column]);
        bind(
            value,
            source,
            &table.name,
            known,
            self.policy,
            &mut self.counts,
        )
        .map_err(|error| error.change(index))
    }

    /// Binds the key of a row that is there, whose values were counted when they came.
    fn bind_old(
        &mut self,
        target: Target<'a>,
        value: impl Fn(usize) -> Value<'a>,
        index: usize,
        values: &mut Vec<Bind<'a>>,
    ) -> Result<(), WriteError> {
        let counts = self.counts;
        for &column in &target.table.key {
            values.push(self.bind(target, column, value(column), index)?);
        }
        self.counts = counts;
        Ok(())
    }
}

fn truncate_failed(item: &Item<'_>, error: &crate::session::Error) -> WriteError {
    let name = &item.table.name;
    failed(&format!("truncate table {name:?}"), error)
        .table(name)
        .change(item.index)
}
