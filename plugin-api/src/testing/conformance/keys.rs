//! Keys that move, swap, or are made of several columns.

use super::{
    changes::skip_partial,
    fixture::{Fixture, cases},
};
use crate::testing::{
    Cell::{Text, Unchanged},
    relation,
};

cases![
    a_moved_key_leaves_no_old_row,
    a_moved_key_keeps_unchanged_values,
    a_key_moves_on_within_a_batch,
    a_key_that_moved_away_is_free_again,
    keys_swap_inside_one_transaction,
    composite_keys_are_whole,
    unique_values_change_hands,
    full_identity_updates_and_deletes_by_key,
];

fn a_moved_key_leaves_no_old_row(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "y"])
        .build();
    f.write(&batch);
    let batch = f
        .next()
        .update_moved(&items, ["1"], ["7", "aa", "x"])
        .build();
    f.write(&batch);
    f.expect(&items, [["2", "b", "y"], ["7", "aa", "x"]]);
}

fn a_moved_key_keeps_unchanged_values(f: &mut Fixture<'_>) {
    if skip_partial(f) {
        return;
    }
    let items = f.start_items();
    let batch = f.next().insert(&items, ["1", "a", "long"]).build();
    f.write(&batch);
    let row = [Text("7"), Text("aa"), Unchanged];
    let batch = f.next().update_moved(&items, ["1"], row).build();
    f.write(&batch);
    f.expect(&items, [["7", "aa", "long"]]);
    // The same for a row that the batch itself made, and changed before.
    let batch = f
        .next()
        .insert(&items, ["1", "b", "longer"])
        .update(&items, [Text("1"), Text("c"), Unchanged])
        .update_moved(&items, ["1"], [Text("8"), Unchanged, Unchanged])
        .update(&items, [Text("8"), Text("d"), Unchanged])
        .build();
    f.write(&batch);
    f.expect(&items, [["7", "aa", "long"], ["8", "d", "longer"]]);
}

fn a_key_moves_on_within_a_batch(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .update_moved(&items, ["1"], ["2", "b", "x"])
        .update(&items, ["2", "c", "x"])
        .update_moved(&items, ["2"], ["3", "d", "x"])
        .build();
    f.write(&batch);
    f.expect(&items, [["3", "d", "x"]]);
    let batch = f
        .next()
        .update_moved(&items, ["3"], ["4", "e", "x"])
        .delete(&items, ["4"])
        .build();
    f.write(&batch);
    f.expect_empty(&items);
}

fn a_key_that_moved_away_is_free_again(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "x"])
        .insert(&items, ["3", "c", "x"])
        .build();
    f.write(&batch);
    // As `UPDATE items SET id = id + 1` that met the rows from the end.
    let batch = f
        .next()
        .update_moved(&items, ["3"], ["4", "c", "x"])
        .update_moved(&items, ["2"], ["3", "b", "x"])
        .update_moved(&items, ["1"], ["2", "a", "x"])
        .insert(&items, ["1", "new", "x"])
        .build();
    f.write(&batch);
    f.expect(
        &items,
        [
            ["1", "new", "x"],
            ["2", "a", "x"],
            ["3", "b", "x"],
            ["4", "c", "x"],
        ],
    );
}

fn keys_swap_inside_one_transaction(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "y"])
        .build();
    f.write(&batch);
    let batch = f
        .next()
        .update_moved(&items, ["1"], ["-1", "a", "x"])
        .update_moved(&items, ["2"], ["1", "b", "y"])
        .update_moved(&items, ["-1"], ["2", "a", "x"])
        .build();
    f.write(&batch);
    f.expect(&items, [["1", "b", "y"], ["2", "a", "x"]]);
}

fn composite_keys_are_whole(f: &mut Fixture<'_>) {
    // The key's order is not that of the columns.
    let stock = relation("public.stock")
        .column("amount", "integer")
        .column("shelf", "text")
        .column("shop", "integer")
        .key(["shop", "shelf"])
        .build();
    f.start(&[&stock]);
    let batch = f
        .next()
        .insert(&stock, ["10", "a", "1"])
        .insert(&stock, ["20", "a:b", "1"])
        .insert(&stock, ["30", "a", "2"])
        .insert(&stock, ["40", "b", "2"])
        .build();
    f.write(&batch);
    let batch = f
        .next()
        .update(&stock, ["11", "a", "1"])
        .delete(&stock, ["2", "a"])
        .update_moved(&stock, ["2", "b"], ["41", "b", "3"])
        .build();
    f.write(&batch);
    f.expect(
        &stock,
        [["11", "a", "1"], ["20", "a:b", "1"], ["41", "b", "3"]],
    );
}

fn unique_values_change_hands(f: &mut Fixture<'_>) {
    let codes = relation("public.codes")
        .column("id", "integer")
        .column("code", "text")
        .key(["id"])
        .unique(["code"])
        .build();
    f.start(&[&codes]);
    let batch = f
        .next()
        .insert(&codes, ["1", "a"])
        .insert(&codes, ["2", "b"])
        .insert(&codes, ["3", "c"])
        .build();
    f.write(&batch);
    let batch = f
        .next()
        .update(&codes, ["1", "-"])
        .update(&codes, ["2", "a"])
        .update(&codes, ["1", "b"])
        .delete(&codes, ["3"])
        .insert(&codes, ["4", "c"])
        .build();
    f.write(&batch);
    f.expect(&codes, [["1", "b"], ["2", "a"], ["4", "c"]]);
}

fn full_identity_updates_and_deletes_by_key(f: &mut Fixture<'_>) {
    let items = relation("public.items")
        .column("id", "integer")
        .column("name", "text")
        .column("note", "text")
        .key(["id"])
        .full()
        .build();
    f.start(&[&items]);
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "y"])
        .insert(&items, ["3", "c", "z"])
        .build();
    f.write(&batch);
    let old = ["2", "b", "y"];
    let batch = f
        .next()
        .update_full(&items, ["1", "a", "x"], ["1", "aa", "x"])
        .update_full(&items, old, ["9", "bb", "y"])
        .delete_full(&items, ["3", "c", "z"])
        .build();
    f.write(&batch);
    f.expect(&items, [["1", "aa", "x"], ["9", "bb", "y"]]);
}
