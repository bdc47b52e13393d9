//! Rows that the target refuses.

use std::sync::Arc;

use super::fixture::{Fixture, cases, ok};
use crate::{Batch, ErrorKind, Part, Relation, WriteError};

cases![
    an_error_in_the_middle_stores_nothing,
    the_lane_goes_on_after_an_error,
    an_error_in_a_part_stores_nothing_of_it,
];

/// Rows 1, 13 and 2, of which the target refuses 13; none where it can't be made to.
fn poisoned(f: &mut Fixture<'_>) -> Option<Arc<Relation>> {
    let items = f.start_items();
    if f.subject.poison(&items, "13") {
        return Some(items);
    }
    f.skip("the target can't be made to refuse a row");
    None
}

fn bad_batch(f: &Fixture<'_>, items: &Arc<Relation>) -> Batch {
    f.next()
        .insert(items, ["1", "a", "secret-value"])
        .insert(items, ["13", "b", "secret-value"])
        .insert(items, ["2", "c", "secret-value"])
        .build()
}

#[track_caller]
fn refused(f: &mut Fixture<'_>, batch: &Batch) -> WriteError {
    let error = match f.writer().write(batch) {
        Err(error) => error,
        // Not seen before it was to be stored.
        Ok(_) => f
            .writer()
            .flush(batch.position())
            .expect_err("a poisoned row was written"),
    };
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    for text in [&error.message, &error.hint] {
        assert!(!text.contains("secret-value"), "a row value in {text:?}");
    }
    error
}

fn an_error_in_the_middle_stores_nothing(f: &mut Fixture<'_>) {
    let Some(items) = poisoned(f) else { return };
    let start = f.position.clone();
    let batch = bad_batch(f, &items);
    let error = refused(f, &batch);
    if let Some(change) = error.change {
        assert_eq!(change, 1, "the change to blame");
    }
    assert_eq!(f.reset(), Some(start));
    f.expect_empty(&items);
    f.subject.cure(&items, "13");
}

fn the_lane_goes_on_after_an_error(f: &mut Fixture<'_>) {
    let Some(items) = poisoned(f) else { return };
    let bad = bad_batch(f, &items);
    for _ in 0..2 {
        refused(f, &bad);
        f.reset();
    }
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    f.expect(&items, [["1", "a", "x"]]);
    f.subject.cure(&items, "13");
    let batch = f.next().insert(&items, ["13", "b", "x"]).build();
    f.write(&batch);
    f.expect(&items, [["1", "a", "x"], ["13", "b", "x"]]);
}

fn an_error_in_a_part_stores_nothing_of_it(f: &mut Fixture<'_>) {
    let Some(items) = poisoned(f) else { return };
    let first = f.next().insert(&items, ["3", "a", "x"]).part(Part::First);
    let is_stored = f.write_part(&first);
    let bad = f
        .next()
        .insert(&items, ["4", "a", "x"])
        .insert(&items, ["13", "b", "x"])
        .part(Part::Last);
    refused(f, &bad);
    ok(f.writer().reset());
    if is_stored {
        f.expect(&items, [["3", "a", "x"]]);
    } else {
        f.expect_empty(&items);
    }
    f.subject.cure(&items, "13");
}
