//! Putting rows in order, through the lane.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{
    Key,
    look::{Looker, Unable, rows_of},
    table::Compared,
};
use crate::{
    lane::{Mended, Order, key_number},
    record::arena_of,
};

/// Rows that are repaired by one batch.
const TOGETHER: usize = 100;
/// How often rows that are overtaken by changes are tried.
const ATTEMPTS: usize = 10;
/// From a commit's being sent to its being visible, at the longest; standbys aside.
const VISIBLE: Duration = Duration::from_millis(50);
/// How long the lane may take to come to a repair.
const PATIENCE: Duration = Duration::from_secs(60);

impl Looker<'_> {
    /// Puts the rows under `keys` in order, as far as no change overtakes it. Whether it helped is
    /// for another look; returns why the target refused.
    pub(super) fn repair(
        &mut self,
        table: &Compared,
        keys: &[Key],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<String>, Unable> {
        let mut refused = None;
        for (done, keys) in keys.chunks(TOGETHER).enumerate() {
            if let Some(why) = self.mend(table, keys)? {
                // One of them may be to blame.
                for key in keys {
                    refused = self.mend(table, std::slice::from_ref(key))?.or(refused);
                }
                refused = refused.or(Some(why));
            }
            progress(u64::try_from((done + 1) * TOGETHER).unwrap_or(u64::MAX));
        }
        Ok(refused)
    }

    fn mend(&mut self, table: &Compared, keys: &[Key]) -> Result<Option<String>, Unable> {
        let mut keys = keys.to_vec();
        for _ in 0..ATTEMPTS {
            if keys.is_empty() {
                break;
            }
            let named = self.watch(table, &keys)?;
            // What the lane was given just before is visible by then.
            self.pause(VISIBLE)?;
            let runtime = &self.subject.runtime;
            let mut reading = runtime.block_on(self.origin.look_up(table, &keys))?;
            let mut rows = Vec::new();
            let mut there: HashSet<Key> = HashSet::new();
            while let Some(arena) = runtime.block_on(reading.next())? {
                let batch = rows_of(&arena, &table.relation);
                let found = batch.changes().filter_map(|change| change.new_row());
                there.extend(found.filter_map(|row| Key::of(row, &table.key)));
                rows.push(arena);
            }
            let after = self.await_mark()?;
            let absent = keys.iter().filter(|key| !there.contains(key));
            let absent = absent.map(Key::texts);
            let Some(arena) = arena_of(&table.source, &table.places, &rows, absent) else {
                break;
            };
            let order = Order {
                // The lane makes its target ready for what is new.
                relation: Arc::clone(&table.whole),
                arena,
                after,
            };
            let wake = || self.subject.log.wake(self.subject.id);
            match self.subject.attendant.order(order, PATIENCE, wake) {
                Some(Mended::Done) => break,
                Some(Mended::Failed(error)) => {
                    return Ok(Some(match error.hint_text() {
                        Some(hint) => format!("{error}; {hint}"),
                        None => error.to_string(),
                    }));
                }
                Some(Mended::Overtaken) => {
                    // What was overtaken may be well by now; the others are tried again.
                    let touched = self.subject.attendant.touched();
                    let batch = rows_of(&named, &table.relation);
                    let numbers = batch.changes().filter_map(|change| change.old_row());
                    let numbers = numbers.map(|row| key_number(row, &table.key));
                    let numbers: Vec<u64> = numbers.collect();
                    let mut is_still = numbers.iter().map(|number| !touched.contains(number));
                    keys.retain(|_| is_still.next().unwrap_or(false));
                }
                None => return Err(Unable("the lane doesn't come to repairing".to_owned())),
            }
        }
        Ok(None)
    }
}
