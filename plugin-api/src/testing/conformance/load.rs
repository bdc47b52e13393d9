//! Copies of whole tables, beside the stream and before it.

use std::{collections::BTreeMap, sync::Arc};

use super::fixture::{Fixture, cases, items, ok};
use crate::{
    Checkpoint, ErrorKind, LoadMode, Lsn, Position, Relation, Role,
    testing::{BatchBuilder, relation, stream},
};

cases![
    a_copy_is_complete_and_noted,
    a_copy_that_has_begun_is_noted,
    several_loaders_share_one_copy,
    an_empty_copy_is_complete,
    a_fresh_copy_refuses_rows_of_others,
    a_broken_copy_begins_anew,
    a_replacing_copy_ends_every_old_row,
    the_stream_goes_on_behind_a_copy,
    a_copy_runs_beside_the_stream,
];

/// Loads `rows`, in more than one batch, as from a real copy.
#[track_caller]
fn load(f: &mut Fixture<'_>, relation: &Arc<Relation>, rows: &[[&str; 3]]) {
    let batches = rows.chunks(2).map(|rows| {
        let batch = BatchBuilder::after(&Position::default());
        let batch = rows
            .iter()
            .fold(batch, |batch, row| batch.insert(relation, *row));
        batch.build()
    });
    f.load(&batches.collect::<Vec<_>>());
}

#[track_caller]
fn copy(f: &mut Fixture<'_>, relation: &Arc<Relation>, mode: LoadMode, rows: &[[&str; 3]]) {
    ok(f.writer().begin_load(relation, mode));
    load(f, relation, rows);
    ok(f.writer().end_load(relation, Lsn(0xABC)));
}

#[track_caller]
fn copied_to(f: &Fixture<'_>) -> BTreeMap<String, Lsn> {
    let mut writer = f.another(Role::Stream);
    let checkpoint = ok(writer.checkpoint(&stream()));
    checkpoint.map(|found| found.copied_to).unwrap_or_default()
}

fn noted(lsn: u64) -> BTreeMap<String, Lsn> {
    BTreeMap::from([("public.items".to_owned(), Lsn(lsn))])
}

const ROWS: [[&str; 3]; 3] = [["1", "a", "x"], ["2", "b", "y"], ["3", "c", "z"]];

/// What the target says to the question whether it holds rows, where it knows.
#[track_caller]
fn holds_rows(f: &Fixture<'_>, relation: &Relation) -> Option<bool> {
    match f.another(Role::Check).holds_rows(relation) {
        Err(error) if error.code == "unsupported" => None,
        answer => Some(ok(answer)),
    }
}

fn a_copy_is_complete_and_noted(f: &mut Fixture<'_>) {
    let items = f.start_items();
    assert_ne!(holds_rows(f, &items), Some(true), "rows before the copy");
    copy(f, &items, LoadMode::Fresh, &ROWS);
    f.expect(&items, ROWS);
    assert_ne!(holds_rows(f, &items), Some(false), "no rows after the copy");
    let expected = Checkpoint {
        stream: stream(),
        position: Some(f.position.clone()),
        copied_to: noted(0xABC),
    };
    assert_eq!(f.reopen(), Some(expected));
}

fn a_copy_that_has_begun_is_noted(f: &mut Fixture<'_>) {
    let items = items();
    ok(f.writer().prepare(&items));
    ok(f.writer().begin_load(&items, LoadMode::Fresh));
    // Before the stream's first checkpoint, too.
    let expected = Checkpoint {
        stream: stream(),
        position: None,
        copied_to: noted(0),
    };
    assert_eq!(f.reopen(), Some(expected));
}

fn several_loaders_share_one_copy(f: &mut Fixture<'_>) {
    let items = f.start_items();
    ok(f.writer().begin_load(&items, LoadMode::Fresh));
    let loaders = f.capabilities.loaders.min(4) as usize;
    let ids: Vec<String> = (0..400).map(|id| id.to_string()).collect();
    let mut writers: Vec<_> = (0..loaders).map(|_| f.another(Role::Load)).collect();
    for (ids, turn) in ids.chunks(50).zip(0..) {
        let mut batch = BatchBuilder::after(&Position::default());
        for id in ids {
            batch = batch.insert(&items, [id.as_str(), "a", "x"]);
        }
        let loader = match loaders {
            0 => f.writer(),
            loaders => &mut writers[turn % loaders],
        };
        ok(loader.load(&batch.build()));
    }
    for loader in &mut writers {
        ok(loader.flush(&Position::default()));
    }
    drop(writers);
    ok(f.writer().end_load(&items, Lsn(0xABC)));
    f.expect(&items, ids.iter().map(|id| [id.as_str(), "a", "x"]));
}

fn an_empty_copy_is_complete(f: &mut Fixture<'_>) {
    let items = f.start_items();
    copy(f, &items, LoadMode::Fresh, &[]);
    f.expect_empty(&items);
    assert_eq!(copied_to(f), noted(0xABC));
}

fn a_fresh_copy_refuses_rows_of_others(f: &mut Fixture<'_>) {
    let items = f.start_items();
    if !f.subject.add_foreign_row(&items, "5") {
        f.skip("the target can't tell rows of others from its own");
        return;
    }
    let error = f.writer().begin_load(&items, LoadMode::Fresh);
    let error = error.expect_err("a copy into a table with rows of others");
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    assert_ne!(holds_rows(f, &items), Some(false), "rows of others");
    assert_eq!(f.reset(), Some(f.position.clone()));
    f.expect(&items, [[Some("5"), None, None]]);
    assert_eq!(copied_to(f), BTreeMap::new());
    copy(f, &items, LoadMode::Replace, &ROWS);
    f.expect(&items, ROWS);
}

fn a_broken_copy_begins_anew(f: &mut Fixture<'_>) {
    let items = f.start_items();
    for again in ["7", "8"] {
        ok(f.writer().begin_load(&items, LoadMode::Fresh));
        load(f, &items, &[[again, "broken", "x"], ["1", "broken", "x"]]);
        // A new process.
        f.reopen();
        ok(f.writer().prepare(&items));
    }
    assert_eq!(copied_to(f), noted(0));
    copy(f, &items, LoadMode::Fresh, &ROWS);
    f.expect(&items, ROWS);
}

fn a_replacing_copy_ends_every_old_row(f: &mut Fixture<'_>) {
    let items = f.start_items();
    copy(f, &items, LoadMode::Fresh, &ROWS);
    let batch = f.next().insert(&items, ["9", "streamed", "x"]).build();
    f.write(&batch);
    let old = [ROWS[0], ROWS[1], ROWS[2], ["9", "streamed", "x"]];
    ok(f.writer().begin_load(&items, LoadMode::Replace));
    let new = [["2", "bb", "yy"], ["4", "dd", "zz"]];
    load(f, &items, &new);
    if f.capabilities.transactions {
        f.expect(&items, old);
    }
    ok(f.writer().end_load(&items, Lsn(0xDEF)));
    f.expect(&items, new);
    assert_eq!(copied_to(f), noted(0xDEF));
    let batch = f.next().update(&items, ["4", "ee", "zz"]).build();
    f.write(&batch);
    f.expect(&items, [["2", "bb", "yy"], ["4", "ee", "zz"]]);
}

fn the_stream_goes_on_behind_a_copy(f: &mut Fixture<'_>) {
    let items = f.start_items();
    copy(f, &items, LoadMode::Fresh, &ROWS);
    let batch = f
        .next()
        .insert(&items, ["4", "d", "x"])
        .update(&items, ["1", "aa", "x"])
        .update_moved(&items, ["2"], ["5", "bb", "y"])
        .delete(&items, ["3"])
        .build();
    f.write(&batch);
    f.expect(
        &items,
        [["1", "aa", "x"], ["4", "d", "x"], ["5", "bb", "y"]],
    );
}

fn a_copy_runs_beside_the_stream(f: &mut Fixture<'_>) {
    if f.capabilities.loaders == 0 {
        f.skip("the target has no loaders beside the stream writer");
        return;
    }
    let items = f.start_items();
    let other = relation("public.other")
        .column("id", "integer")
        .key(["id"])
        .build();
    ok(f.writer().prepare(&other));
    ok(f.writer().begin_load(&items, LoadMode::Fresh));
    let batch = f.next().insert(&other, ["1"]).build();
    f.write(&batch);
    load(f, &items, &ROWS);
    let batch = f.next().insert(&other, ["2"]).build();
    f.write(&batch);
    ok(f.writer().end_load(&items, Lsn(0xABC)));
    let batch = f.next().insert(&items, ["4", "d", "x"]).build();
    f.write(&batch);
    f.expect(&other, [["1"], ["2"]]);
    f.expect(&items, [ROWS[0], ROWS[1], ROWS[2], ["4", "d", "x"]]);
}
