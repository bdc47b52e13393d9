//! Tables without a key: a row is named by all its values, and of equal rows one is meant.
//!
//! Each update or delete of such a table reads the table and is a round trip of its own. The statement
//! depends on which of the old values are null, and a LOB is compared with one made for it.

use tahr_plugin_api::{Row, WriteError};

use crate::{
    apply::Applier,
    session::Sent,
    statements::{self, Condition},
    step::{Item, NewRow as _},
    target::Target,
    values::Bind,
};

/// What names a row by all its columns.
struct ByAll<'a> {
    conditions: Vec<Condition<'a>>,
    types: Vec<Sent>,
    values: Vec<Bind<'a>>,
}

impl<'a> Applier<'a> {
    fn by_all(
        &mut self,
        target: Target<'a>,
        old: Row<'a>,
        index: usize,
    ) -> Result<ByAll<'a>, WriteError> {
        let counts = self.counts;
        let (mut conditions, mut types, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for &column in &target.table.all {
            let known = &target.table.columns[column];
            match self.bind(target, column, old.value(column), index)? {
                Bind::Null => conditions.push(Condition::Null(&known.name)),
                value if known.kind.is_lob => {
                    conditions.push(Condition::EqualLob(&known.name));
                    types.push(Sent::Lob(known.kind.form));
                    values.push(value);
                }
                value => {
                    conditions.push(Condition::Equal(&known.name));
                    types.push(Sent::As(known.kind.form));
                    values.push(value);
                }
            }
        }
        self.counts = counts;
        Ok(ByAll {
            conditions,
            types,
            values,
        })
    }

    /// Deletes one of the rows that are equal to the change's old row.
    pub(crate) fn delete_one_of_equal(
        &mut self,
        target: Target<'a>,
        item: &Item<'a>,
    ) -> Result<(), WriteError> {
        let old = item
            .change
            .old_row()
            .ok_or_else(|| target.unnamed(item.index))?;
        let ByAll {
            conditions,
            types,
            values,
        } = self.by_all(target, old, item.index)?;
        let sql = statements::delete(&target.table.name, &conditions, true);
        if self.run_one(target, "delete from", &sql, &types, &values, item.index)? == 0 {
            self.counts.missing_rows += 1;
        }
        Ok(())
    }

    /// Sets columns of one of the rows that are equal to the change's old row.
    pub(crate) fn update_one_of_equal(
        &mut self,
        target: Target<'a>,
        set: &[usize],
        item: &Item<'a>,
    ) -> Result<(), WriteError> {
        let old = item
            .change
            .old_row()
            .ok_or_else(|| target.unnamed(item.index))?;
        let named = self.by_all(target, old, item.index)?;
        let table = target.table;
        let sql = statements::update(&table.name, &table.spelled(set), &named.conditions, true);
        let mut types = table.sent(set);
        types.extend(named.types);
        let mut values = Vec::with_capacity(types.len());
        for &column in set {
            values.push(self.bind(target, column, item.value(column), item.index)?);
        }
        values.extend(named.values);
        match self.run_one(target, "update", &sql, &types, &values, item.index)? {
            0 => Err(target.missing(item.index)),
            _ => Ok(()),
        }
    }

    /// Runs a statement whose only row it is; returns how many rows it touched.
    fn run_one(
        &mut self,
        target: Target<'a>,
        verb: &str,
        sql: &str,
        types: &[Sent],
        values: &[Bind<'a>],
        index: usize,
    ) -> Result<u64, WriteError> {
        if types.is_empty() {
            // All columns are null.
            let done = self.session.execute(sql);
            return done.map_err(|error| target.failed(verb, &error).change(index));
        }
        let done = self.run(target, verb, sql, types, values)?;
        match done.errors.first() {
            Some(error) => Err(target.refused(verb, error, index)),
            None => Ok(done.counts.iter().sum()),
        }
    }
}
