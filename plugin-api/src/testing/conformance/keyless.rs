//! Tables without a key, whose rows can only be matched whole.

use std::sync::Arc;

use super::fixture::{Fixture, cases};
use crate::{
    Relation,
    testing::Cell::{Null, Text},
    testing::relation,
};

cases![
    of_equal_rows_one_is_deleted,
    of_equal_rows_one_is_updated,
    null_matches_null,
    rows_of_every_kind_are_matched,
    a_table_without_identity_takes_inserts,
];

/// A log without a key; none, and the case skipped, where the target takes no such tables.
fn log(f: &mut Fixture<'_>) -> Option<Arc<Relation>> {
    if !f.capabilities.keyless {
        f.skip("the target takes no tables without a key");
        return None;
    }
    let log = relation("public.log")
        .column("level", "integer")
        .column("line", "text")
        .full()
        .build();
    f.start(&[&log]);
    Some(log)
}

fn of_equal_rows_one_is_deleted(f: &mut Fixture<'_>) {
    let Some(log) = log(f) else { return };
    let batch = f
        .next()
        .insert(&log, ["1", "a"])
        .insert(&log, ["1", "a"])
        .insert(&log, ["1", "a"])
        .insert(&log, ["1", "b"])
        .build();
    f.write(&batch);
    f.expect(&log, [["1", "a"], ["1", "a"], ["1", "a"], ["1", "b"]]);
    let batch = f.next().delete_full(&log, ["1", "a"]).build();
    f.write(&batch);
    f.expect(&log, [["1", "a"], ["1", "a"], ["1", "b"]]);
    let batch = f
        .next()
        .insert(&log, ["1", "c"])
        .delete_full(&log, ["1", "a"])
        .delete_full(&log, ["1", "a"])
        .delete_full(&log, ["1", "c"])
        .build();
    f.write(&batch);
    f.expect(&log, [["1", "b"]]);
}

fn of_equal_rows_one_is_updated(f: &mut Fixture<'_>) {
    let Some(log) = log(f) else { return };
    let batch = f
        .next()
        .insert(&log, ["1", "a"])
        .insert(&log, ["1", "a"])
        .update_full(&log, ["1", "a"], ["2", "a"])
        .build();
    f.write(&batch);
    f.expect(&log, [["1", "a"], ["2", "a"]]);
    let batch = f
        .next()
        .update_full(&log, ["2", "a"], ["1", "a"])
        .update_full(&log, ["1", "a"], ["3", "b"])
        .truncate(&log)
        .insert(&log, ["4", "z"])
        .build();
    f.write(&batch);
    f.expect(&log, [["4", "z"]]);
}

fn null_matches_null(f: &mut Fixture<'_>) {
    let Some(log) = log(f) else { return };
    let batch = f
        .next()
        .insert(&log, [Text("1"), Null])
        .insert(&log, [Null, Null])
        .insert(&log, [Null, Text("a")])
        .build();
    f.write(&batch);
    let batch = f
        .next()
        .delete_full(&log, [Null, Null])
        .update_full(&log, [Text("1"), Null], [Null, Text("b")])
        .build();
    f.write(&batch);
    f.expect(&log, [[None, Some("a")], [None, Some("b")]]);
}

fn rows_of_every_kind_are_matched(f: &mut Fixture<'_>) {
    if !f.capabilities.keyless {
        f.skip("the target takes no tables without a key");
        return;
    }
    let kinds = relation("public.kinds")
        .column("flag", "boolean")
        .column("ratio", "double precision")
        .column("price", "numeric(10,2)")
        .column("data", "bytea")
        .column("doc", "jsonb")
        .column("at", "timestamp with time zone")
        .column("tags", "text[]")
        .full()
        .build();
    f.start(&[&kinds]);
    let row = |flag| {
        [
            flag,
            "0.1",
            "1.50",
            "\\x00ff",
            "{\"a\": 1}",
            "2024-02-29 12:00:00.5+00",
            "{a,NULL,\"b c\"}",
        ]
    };
    let batch = f
        .next()
        .insert(&kinds, row("t"))
        .insert(&kinds, row("f"))
        .insert(&kinds, [Null; 7])
        .build();
    f.write(&batch);
    let batch = f
        .next()
        .delete_full(&kinds, row("t"))
        .delete_full(&kinds, [Null; 7])
        .build();
    f.write(&batch);
    assert_eq!(f.rows(&kinds).len(), 1, "rows left of three less two");
    let batch = f.next().update_full(&kinds, row("f"), row("t")).build();
    f.write(&batch);
    let batch = f.next().delete_full(&kinds, row("t")).build();
    f.write(&batch);
    f.expect_empty(&kinds);
}

fn a_table_without_identity_takes_inserts(f: &mut Fixture<'_>) {
    if !f.capabilities.keyless {
        f.skip("the target takes no tables without a key");
        return;
    }
    let log = relation("public.log")
        .column("level", "integer")
        .column("line", "text")
        .build();
    f.start(&[&log]);
    let batch = f
        .next()
        .insert(&log, ["1", "a"])
        .insert(&log, ["1", "a"])
        .build();
    f.write(&batch);
    f.expect(&log, [["1", "a"], ["1", "a"]]);
}
