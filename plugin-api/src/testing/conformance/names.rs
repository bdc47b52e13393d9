//! Names that have to be quoted.

use std::sync::Arc;

use super::fixture::{Fixture, cases, ok};
use crate::{LoadMode, Lsn, Position, Relation, testing::BatchBuilder, testing::relation};

cases![
    tables_with_strange_names_work,
    columns_with_strange_names_work,
    tables_with_strange_names_are_copied,
    names_of_63_bytes_are_told_apart,
];

const STRANGE: [&str; 14] = [
    "Select",
    "a\"b",
    "a.b",
    "it's",
    "back`tick",
    "$x",
    "semi;colon",
    "with space",
    "trailing ",
    "star*?[1]",
    "{curly}",
    "%s",
    "größe",
    "🦀 crab",
];

fn table(schema: &str, table: &str) -> Arc<Relation> {
    let mut relation = (*relation("public.t")
        .column("id", "integer")
        .column("name", "text")
        .key(["id"])
        .build())
    .clone();
    relation.source.schema = schema.to_owned();
    relation.source.table = table.to_owned();
    relation.target = relation.source.clone();
    Arc::new(relation)
}

/// Writes, changes and reads a row of `relation`, whose columns are a number and a text.
#[track_caller]
fn exercise(f: &mut Fixture<'_>, relation: &Arc<Relation>) {
    ok(f.writer().prepare(relation));
    let batch = f
        .next()
        .insert(relation, ["1", "a"])
        .insert(relation, ["2", "b"])
        .commit()
        .update(relation, ["1", "aa"])
        .update_moved(relation, ["2"], ["3", "b"])
        .insert(relation, ["4", "d"])
        .delete(relation, ["4"])
        .build();
    f.write(&batch);
    f.expect(relation, [["1", "aa"], ["3", "b"]]);
    let batch = f
        .next()
        .truncate(relation)
        .insert(relation, ["1", "z"])
        .build();
    f.write(&batch);
    f.expect(relation, [["1", "z"]]);
}

fn tables_with_strange_names_work(f: &mut Fixture<'_>) {
    f.start(&[]);
    for name in STRANGE {
        exercise(f, &table("public", name));
    }
    exercise(f, &table("Odd \"schema\" ü", "t"));
}

fn columns_with_strange_names_work(f: &mut Fixture<'_>) {
    f.start(&[]);
    for (name, number) in STRANGE.into_iter().zip(1..) {
        let relation = relation(&format!("public.columns{number}"))
            .column(name, "integer")
            .column(&format!("{name}2"), "text")
            .key([name])
            .build();
        exercise(f, &relation);
    }
}

fn tables_with_strange_names_are_copied(f: &mut Fixture<'_>) {
    f.start(&[]);
    for name in STRANGE {
        let relation = table("public", name);
        ok(f.writer().prepare(&relation));
        ok(f.writer().begin_load(&relation, LoadMode::Replace));
        let batch = BatchBuilder::after(&Position::default())
            .insert(&relation, ["1", "a"])
            .build();
        f.load(&[batch]);
        ok(f.writer().end_load(&relation, Lsn(0xABC)));
        f.expect(&relation, [["1", "a"]]);
    }
    let found = f.reopen().expect("a checkpoint").copied_to;
    for name in STRANGE {
        let name = format!("public.{name}");
        assert_eq!(found.get(&name), Some(&Lsn(0xABC)), "copied_to of {name}");
    }
}

fn names_of_63_bytes_are_told_apart(f: &mut Fixture<'_>) {
    f.start(&[]);
    // They differ in their last letter only; 31 letters of two bytes each and one more.
    for name in ["ä".repeat(31) + "1", "ä".repeat(31) + "2"] {
        let relation = table(&"s".repeat(63), &name);
        exercise(f, &relation);
        f.expect(&relation, [["1", "z"]]);
    }
    let first = table(&"s".repeat(63), &("ä".repeat(31) + "1"));
    f.expect(&first, [["1", "z"]]);
}
