//! Inserts, updates and deletes, and the ways that they follow each other.

use super::fixture::{Fixture, cases, ok};
use crate::testing::{
    Cell::{Null, Text, Unchanged},
    relation,
};

cases![
    insert_update_delete,
    changes_of_one_key_keep_their_order,
    insert_delete_insert_leaves_the_last_row,
    a_deleted_row_comes_back_without_its_old_values,
    null_is_set_and_unset,
    an_empty_string_is_not_null,
    unchanged_values_stay,
    unchanged_values_stay_in_a_row_of_the_same_batch,
    an_update_of_an_update_keeps_what_either_set,
    several_tables_in_one_batch,
    ten_thousand_rows_in_one_batch,
];

fn insert_update_delete(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "y"])
        .insert(&items, ["3", "c", "z"])
        .build();
    f.write(&batch);
    f.expect(&items, [["1", "a", "x"], ["2", "b", "y"], ["3", "c", "z"]]);
    let batch = f
        .next()
        .update(&items, ["2", "bb", "yy"])
        .delete(&items, ["1"])
        .build();
    f.write(&batch);
    f.expect(&items, [["2", "bb", "yy"], ["3", "c", "z"]]);
}

fn changes_of_one_key_keep_their_order(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let mut batch = f.next().insert(&items, ["1", "0", "x"]);
    for name in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        batch = batch.update(&items, ["1", name, "x"]);
        if name == "5" {
            batch = batch.commit();
        }
    }
    f.write(&batch.build());
    f.expect(&items, [["1", "9", "x"]]);
}

fn insert_delete_insert_leaves_the_last_row(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .delete(&items, ["1"])
        .insert(&items, ["1", "b", "y"])
        .insert(&items, ["2", "a", "x"])
        .update(&items, ["2", "b", "x"])
        .delete(&items, ["2"])
        .build();
    f.write(&batch);
    f.expect(&items, [["1", "b", "y"]]);
}

fn a_deleted_row_comes_back_without_its_old_values(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    let batch = f
        .next()
        .delete(&items, ["1"])
        .insert(&items, [Text("1"), Null, Text("y")])
        .build();
    f.write(&batch);
    f.expect(&items, [[Some("1"), None, Some("y")]]);
}

fn null_is_set_and_unset(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, [Text("1"), Null, Text("x")])
        .insert(&items, ["2", "b", "y"])
        .build();
    f.write(&batch);
    f.expect(
        &items,
        [
            [Some("1"), None, Some("x")],
            [Some("2"), Some("b"), Some("y")],
        ],
    );
    let batch = f
        .next()
        .update(&items, ["1", "a", "x"])
        .update(&items, [Text("2"), Null, Null])
        .build();
    f.write(&batch);
    f.expect(
        &items,
        [[Some("1"), Some("a"), Some("x")], [Some("2"), None, None]],
    );
}

fn an_empty_string_is_not_null(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f.next().insert(&items, [Text("1"), Text(""), Null]).build();
    f.write(&batch);
    let name = f.subject.reads_back(&items.columns[1], "");
    f.expect(&items, [[Some("1"), name.as_deref(), None]]);
}

fn unchanged_values_stay(f: &mut Fixture<'_>) {
    if skip_partial(f) {
        return;
    }
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "long"])
        .insert(&items, [Text("2"), Text("b"), Null])
        .build();
    f.write(&batch);
    let batch = f
        .next()
        .update(&items, [Text("1"), Text("aa"), Unchanged])
        .update(&items, [Text("2"), Unchanged, Text("set")])
        .build();
    f.write(&batch);
    f.expect(&items, [["1", "aa", "long"], ["2", "b", "set"]]);
    let batch = f
        .next()
        .update(&items, [Text("1"), Null, Unchanged])
        .update(&items, [Text("2"), Unchanged, Unchanged])
        .build();
    f.write(&batch);
    f.expect(
        &items,
        [
            [Some("1"), None, Some("long")],
            [Some("2"), Some("b"), Some("set")],
        ],
    );
}

fn unchanged_values_stay_in_a_row_of_the_same_batch(f: &mut Fixture<'_>) {
    if skip_partial(f) {
        return;
    }
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "long"])
        .update(&items, [Text("1"), Text("b"), Unchanged])
        .update(&items, ["1", "c", "longer"])
        .update(&items, [Text("1"), Text("d"), Unchanged])
        .build();
    f.write(&batch);
    f.expect(&items, [["1", "d", "longer"]]);
}

fn an_update_of_an_update_keeps_what_either_set(f: &mut Fixture<'_>) {
    if skip_partial(f) {
        return;
    }
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "a", "x"])
        .build();
    f.write(&batch);
    let batch = f
        .next()
        .update(&items, [Text("1"), Text("b"), Unchanged])
        .update(&items, [Text("1"), Unchanged, Text("y")])
        .update(&items, [Text("2"), Unchanged, Null])
        .update(&items, [Text("2"), Text("b"), Unchanged])
        .build();
    f.write(&batch);
    f.expect(
        &items,
        [
            [Some("1"), Some("b"), Some("y")],
            [Some("2"), Some("b"), None],
        ],
    );
}

fn several_tables_in_one_batch(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let lines = relation("sales.lines")
        .column("id", "bigint")
        .column("item", "integer")
        .key(["id"])
        .build();
    ok(f.writer().prepare(&lines));
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&lines, ["100", "1"])
        .commit()
        .insert(&lines, ["101", "2"])
        .insert(&items, ["2", "b", "x"])
        .update(&lines, ["100", "2"])
        .delete(&items, ["1"])
        .build();
    f.write(&batch);
    f.expect(&items, [["2", "b", "x"]]);
    f.expect(&lines, [["100", "2"], ["101", "2"]]);
}

fn ten_thousand_rows_in_one_batch(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let ids: Vec<String> = (0..10_000).map(|id| id.to_string()).collect();
    let mut batch = f.next();
    for id in &ids {
        batch = batch.insert(&items, [id.as_str(), "a", "x"]);
    }
    f.write(&batch.build());
    let mut batch = f.next();
    for id in ids.iter().step_by(2) {
        batch = batch.update(&items, [id.as_str(), "b", "y"]);
    }
    for id in ids.iter().skip(1).step_by(2) {
        batch = batch.delete(&items, [id.as_str()]);
    }
    f.write(&batch.build());
    let kept = ids.iter().step_by(2);
    f.expect(&items, kept.map(|id| [id.as_str(), "b", "y"]));
}

pub(super) fn skip_partial(f: &mut Fixture<'_>) -> bool {
    if !f.capabilities.partial_update {
        f.skip("the target can't update some columns of a row and leave the others");
    }
    !f.capabilities.partial_update
}
