//! Relations that change, and writers that meet tables of theirs again.

use std::sync::Arc;

use super::fixture::{Fixture, cases, ok};
use crate::testing::{
    Cell::{Null, Text, Unchanged},
    TestRelation,
};

cases![
    preparing_again_changes_nothing,
    an_added_column_follows,
    a_column_added_while_nobody_looked_follows,
];

fn preparing_again_changes_nothing(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    ok(f.writer().prepare(&items));
    f.reopen();
    ok(f.writer().prepare(&items));
    f.expect(&items, [["1", "a", "x"]]);
}

fn an_added_column_follows(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    let wider = TestRelation::from(&*items)
        .column("price", "numeric(10,2)")
        .column("Größe \"1\"", "boolean")
        .build();
    ok(f.writer().prepare(&wider));
    let batch = f
        .next()
        .insert(&wider, ["2", "b", "y", "1.50", "t"])
        .update(&wider, [Text("1"), Text("aa"), Text("x"), Null, Text("f")])
        .build();
    f.write(&batch);
    f.expect(
        &wider,
        [
            [Some("1"), Some("aa"), Some("x"), None, Some("f")],
            [Some("2"), Some("b"), Some("y"), Some("1.50"), Some("t")],
        ],
    );
    if f.capabilities.partial_update {
        let row = [Text("2"), Text("c"), Unchanged, Text("2.00"), Unchanged];
        let batch = f.next().update(&wider, row).delete(&wider, ["1"]).build();
        f.write(&batch);
        f.expect(&wider, [["2", "c", "y", "2.00", "t"]]);
    }
}

fn a_column_added_while_nobody_looked_follows(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    f.reopen();
    let wider = TestRelation::from(&*items).column("more", "bigint").build();
    ok(f.writer().prepare(&Arc::clone(&wider)));
    let batch = f.next().insert(&wider, ["2", "b", "y", "7"]).build();
    f.write(&batch);
    f.expect(
        &wider,
        [
            [Some("1"), Some("a"), Some("x"), None],
            [Some("2"), Some("b"), Some("y"), Some("7")],
        ],
    );
}
