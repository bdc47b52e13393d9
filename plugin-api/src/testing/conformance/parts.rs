//! Large transactions that come in parts.

use std::sync::Arc;

use super::fixture::{Fixture, cases, ok};
use crate::{Batch, Part, Relation, Written, testing::relation};

cases![
    parts_make_one_transaction,
    nothing_survives_the_death_of_a_writer_with_an_open_part,
    nothing_survives_a_reset_with_an_open_part,
    a_part_that_comes_again_changes_nothing,
    a_table_can_be_prepared_between_parts,
    the_last_part_can_be_empty,
];

/// Three parts: rows 1 and 2, an update of 1 and a moved 2, row 4.
fn first(f: &Fixture<'_>, items: &Arc<Relation>) -> Batch {
    f.next()
        .insert(items, ["1", "a", "x"])
        .insert(items, ["2", "b", "x"])
        .part(Part::First)
}

fn middle(f: &Fixture<'_>, items: &Arc<Relation>) -> Batch {
    f.next()
        .update(items, ["1", "aa", "x"])
        .update_moved(items, ["2"], ["3", "b", "x"])
        .part(Part::Middle)
}

fn last(f: &Fixture<'_>, items: &Arc<Relation>) -> Batch {
    f.next().insert(items, ["4", "d", "x"]).part(Part::Last)
}

const WHOLE: [[&str; 3]; 3] = [["1", "aa", "x"], ["3", "b", "x"], ["4", "d", "x"]];

fn parts_make_one_transaction(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let before = f.position.clone();
    for part in [first, middle] {
        let batch = part(f, &items);
        let is_stored = f.write_part(&batch);
        if f.capabilities.transactions {
            assert!(!is_stored, "a part is stored before the last");
            f.expect_empty(&items);
            assert_eq!(f.stored(), Some(before.clone()));
        } else if is_stored {
            assert_eq!(f.stored(), Some(batch.position().clone()));
        }
    }
    let batch = last(f, &items);
    f.write(&batch);
    f.expect(&items, WHOLE);
    assert_eq!(f.stored(), Some(batch.position().clone()));
    let batch = f.next().delete(&items, ["1"]).build();
    f.write(&batch);
    f.expect(&items, [["3", "b", "x"], ["4", "d", "x"]]);
}

/// Where a stream that broke off inside a transaction goes on, and what must be there by then.
fn go_on(
    f: &mut Fixture<'_>,
    items: &Arc<Relation>,
    found: &crate::Position,
    start: &crate::Position,
) {
    if f.capabilities.transactions {
        assert_eq!(found, start, "the checkpoint moved without its transaction");
        f.expect_empty(items);
    }
    f.position = found.clone();
    if found == start {
        let batch = first(f, items);
        f.write_part(&batch);
    }
    let batch = middle(f, items);
    f.write_part(&batch);
    let batch = last(f, items);
    f.write(&batch);
    f.expect(items, WHOLE);
}

fn nothing_survives_the_death_of_a_writer_with_an_open_part(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let start = f.position.clone();
    let batch = first(f, &items);
    let is_stored = f.write_part(&batch);
    let found = f.reopen().and_then(|checkpoint| checkpoint.position);
    let found = found.expect("a checkpoint");
    let expected = if is_stored { batch.position() } else { &start };
    assert_eq!(&found, expected);
    ok(f.writer().prepare(&items));
    go_on(f, &items, &found, &start);
}

fn nothing_survives_a_reset_with_an_open_part(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let start = f.position.clone();
    let batch = first(f, &items);
    let is_stored = f.write_part(&batch);
    let found = f.reset().expect("a checkpoint");
    let expected = if is_stored { batch.position() } else { &start };
    assert_eq!(&found, expected);
    go_on(f, &items, &found, &start);
}

fn a_part_that_comes_again_changes_nothing(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let start = f.position.clone();
    let one = first(f, &items);
    f.write_part(&one);
    let two = middle(f, &items);
    f.write_part(&two);
    let written = ok(f.writer().write(&one));
    assert!(matches!(written, Written::Moved(Some(_))), "{written:?}");
    let found = f.reset().expect("a checkpoint");
    f.position = found.clone();
    if found == start {
        f.write_part(&one);
    }
    if &found != two.position() {
        f.write_part(&two);
    }
    let batch = last(f, &items);
    f.write(&batch);
    f.expect(&items, WHOLE);
}

fn a_table_can_be_prepared_between_parts(f: &mut Fixture<'_>) {
    if !f.capabilities.transactional_ddl {
        f.skip("the target's tables can't be altered inside a transaction");
        return;
    }
    let items = f.start_items();
    let batch = first(f, &items);
    f.write_part(&batch);
    let lines = relation("public.lines")
        .column("id", "integer")
        .key(["id"])
        .build();
    ok(f.writer().prepare(&lines));
    let batch = f.next().insert(&lines, ["1"]).part(Part::Middle);
    f.write_part(&batch);
    let batch = last(f, &items);
    f.write(&batch);
    f.expect(&items, [["1", "a", "x"], ["2", "b", "x"], ["4", "d", "x"]]);
    f.expect(&lines, [["1"]]);
}

fn the_last_part_can_be_empty(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = first(f, &items);
    f.write_part(&batch);
    let batch = f.next().part(Part::Last);
    f.write(&batch);
    f.expect(&items, [["1", "a", "x"], ["2", "b", "x"]]);
    assert_eq!(f.stored(), Some(batch.position().clone()));
}
