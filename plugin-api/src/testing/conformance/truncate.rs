//! The end of all rows, and what may come before and after it.

use super::fixture::{Fixture, cases};
use crate::testing::relation;

cases![
    truncate_empties_the_table,
    truncate_ends_only_the_rows_before_it,
    truncate_of_an_empty_table_is_nothing,
    truncate_reaches_one_table_only,
];

fn truncate_empties_the_table(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "x"])
        .build();
    f.write(&batch);
    let batch = f.next().truncate(&items).build();
    f.write(&batch);
    f.expect_empty(&items);
}

fn truncate_ends_only_the_rows_before_it(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    let batch = f
        .next()
        .insert(&items, ["2", "b", "x"])
        .update(&items, ["1", "aa", "x"])
        .truncate(&items)
        .insert(&items, ["2", "c", "x"])
        .insert(&items, ["3", "d", "x"])
        .build();
    f.write(&batch);
    f.expect(&items, [["2", "c", "x"], ["3", "d", "x"]]);
}

fn truncate_of_an_empty_table_is_nothing(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .truncate(&items)
        .truncate(&items)
        .insert(&items, ["1", "a", "x"])
        .build();
    f.write(&batch);
    f.expect(&items, [["1", "a", "x"]]);
}

fn truncate_reaches_one_table_only(f: &mut Fixture<'_>) {
    let table = |name| relation(name).column("id", "integer").key(["id"]).build();
    let [short, longer, other] = ["public.a", "public.ab", "a.b"].map(table);
    f.start(&[&short, &longer, &other]);
    let batch = f
        .next()
        .insert(&short, ["1"])
        .insert(&longer, ["1"])
        .insert(&other, ["1"])
        .commit()
        .truncate(&short)
        .build();
    f.write(&batch);
    f.expect_empty(&short);
    f.expect(&longer, [["1"]]);
    f.expect(&other, [["1"]]);
}
