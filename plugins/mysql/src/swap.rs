//! Keys that change places.
//!
//! With a deferrable primary key the source may run `UPDATE t SET id = 3 - id`: its stream then
//! holds two updates, each to a key that the other row still has. MySQL's keys are never deferrable.
//! Here the rows are taken out first and put back under their new keys; values that the source did
//! not send wait in variables of the session. Called only after the plain way has failed.

use std::collections::HashSet;

use tahr_plugin_api::{Op, compaction::Key};

use crate::{
    apply::Applier,
    failure::{Expect, Failure, What},
    plan::Item,
    statements::{put_delete, put_where},
    value::put,
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

impl<'a> Applier<'_, 'a> {
    /// Applies such a run.
    pub(crate) async fn swap(&mut self, items: &[Item<'a>]) -> Result<(), Failure<'a>> {
        for (place, item) in items.iter().enumerate() {
            let Item {
                index,
                change,
                table,
            } = *item;
            let Some(old) = change.old_row() else {
                continue;
            };
            let kept: Vec<usize> = (table.written.iter().copied())
                .filter(|&column| change.value(column).is_unchanged())
                .collect();
            let value = |column| old.value(column);
            if !kept.is_empty() {
                // Where the row isn't there, nothing of another may stay in the variables.
                let list = |text: &dyn Fn(usize) -> String| {
                    let texts = kept.iter().map(|&column| text(column));
                    texts.collect::<Vec<_>>().join(",")
                };
                let reset = list(&|column| format!("{}=NULL", variable(place, column)));
                let names = list(&|column| table.columns[column].quoted.clone());
                let variables = list(&|column| variable(place, column));
                let what = What::Change(index, table);
                self.script.add(what, Expect::Any, &format!("SET {reset}"));
                let select = format!("SELECT {names} INTO {variables} FROM {}", table.quoted);
                self.script
                    .change(index, table, Expect::Any, value, |out, _| {
                        out.extend_from_slice(select.as_bytes());
                        put_where(out, table, old)?;
                        Ok(true)
                    })?;
            }
            self.script
                .change(index, table, Expect::Row, value, |out, _| {
                    put_delete(out, table);
                    put_where(out, table, old)?;
                    Ok(true)
                })?;
            self.flush().await?;
        }
        for (place, item) in items.iter().enumerate() {
            let table = item.table;
            let value = |column| item.change.value(column);
            self.script
                .change(item.index, table, Expect::Any, value, |out, counts| {
                    out.extend_from_slice(table.insert.as_bytes());
                    for (number, &column) in table.written.iter().enumerate() {
                        out.push(if number == 0 { b'(' } else { b',' });
                        let value = item.change.value(column);
                        if value.is_unchanged() {
                            out.extend_from_slice(variable(place, column).as_bytes());
                        } else {
                            put(out, table.fit(column, value, counts)?);
                        }
                    }
                    out.push(b')');
                    Ok(true)
                })?;
            self.flush().await?;
        }
        Ok(())
    }
}

fn variable(place: usize, column: usize) -> String {
    format!("@tahr_{place}_{column}")
}
