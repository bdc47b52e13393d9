//! A thousand changes by chance (always the same), and a plain model beside the target.

use std::{collections::BTreeMap, sync::Arc};

use super::fixture::{Fixture, cases};
use crate::{
    Part, Relation,
    testing::{BatchBuilder, Cell, Row},
};

cases![changes_by_chance_leave_what_a_plain_model_leaves];

/// `id` to `name` and `note`.
type Model = BTreeMap<u64, (Option<String>, Option<String>)>;

/// Numbers that look like chance (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn text(&mut self) -> Option<String> {
        match self.below(5) {
            0 => None,
            1 => Some(String::new()),
            _ => Some(format!("text {}", self.below(1000))),
        }
    }
}

fn changes_by_chance_leave_what_a_plain_model_leaves(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let mut chance = Chance(0x7A48_5EED);
    let mut model = Model::new();
    for round in 0..40 {
        // Every third round is a large transaction in parts.
        let parts: &[Part] = if round % 3 == 2 {
            &[Part::First, Part::Middle, Part::Last]
        } else {
            &[Part::Whole]
        };
        for &part in parts {
            let mut batch = f.next();
            for _ in 0..chance.below(30) + 1 {
                batch = change(f, &items, &mut model, &mut chance, batch);
                if part == Part::Whole && chance.below(6) == 0 {
                    batch = batch.commit();
                }
            }
            let batch = batch.part(part);
            if matches!(part, Part::First | Part::Middle) {
                f.write_part(&batch);
            } else {
                f.write(&batch);
            }
        }
        assert_eq!(f.rows(&items), rows(f, &items, &model), "round {round}");
    }
}

fn rows(f: &Fixture<'_>, items: &Relation, model: &Model) -> Vec<Row> {
    let value = |column: usize, value: &Option<String>| {
        let value = value.as_deref()?;
        f.subject.reads_back(&items.columns[column], value)
    };
    let row = |(id, (name, note)): (&u64, &(Option<String>, Option<String>))| {
        vec![Some(id.to_string()), value(1, name), value(2, note)]
    };
    let mut rows: Vec<Row> = model.iter().map(row).collect();
    rows.sort();
    rows
}

fn change(
    f: &Fixture<'_>,
    items: &Arc<Relation>,
    model: &mut Model,
    chance: &mut Chance,
    batch: BatchBuilder,
) -> BatchBuilder {
    let id = chance.below(12);
    let id_text = id.to_string();
    let (name, note) = (chance.text(), chance.text());
    let may_leave_out = f.capabilities.partial_update;
    let Some(old) = model.get(&id).cloned() else {
        model.insert(id, (name.clone(), note.clone()));
        let row: [Cell<'_>; 3] = [(&id_text).into(), (&name).into(), (&note).into()];
        return batch.insert(items, row);
    };
    match chance.below(40) {
        0 => {
            model.clear();
            batch.truncate(items)
        }
        1..10 => {
            model.remove(&id);
            batch.delete(items, [&id_text])
        }
        choice => {
            let is_left_out = may_leave_out && chance.below(2) == 0;
            let new = (name.clone(), if is_left_out { old.1 } else { note.clone() });
            let moved = chance.below(12);
            let is_moved = choice < 20 && !model.contains_key(&moved);
            let new_id = if is_moved { moved } else { id };
            model.remove(&id);
            model.insert(new_id, new);
            let new_id = new_id.to_string();
            let note = if is_left_out {
                Cell::Unchanged
            } else {
                (&note).into()
            };
            let row: [Cell<'_>; 3] = [(&new_id).into(), (&name).into(), note];
            if is_moved {
                batch.update_moved(items, [&id_text], row)
            } else {
                batch.update(items, row)
            }
        }
    }
}
