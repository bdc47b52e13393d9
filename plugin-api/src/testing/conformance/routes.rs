//! Batches as lanes make them: of several arenas, and with less in them than the source sent.

use std::sync::Arc;

use super::fixture::{Fixture, cases, items, ok};
use crate::{
    Batch, LoadMode, Lsn, Relation, Route, Segment,
    testing::{BatchBuilder, TestRelation, relation},
};

cases![
    a_batch_of_several_arenas_is_one,
    excluded_columns_are_not_written,
    changes_for_other_lanes_are_not_written,
    changes_before_a_copy_are_not_written,
    a_renamed_table_is_noted_under_its_source,
];

/// `batch` with other routes: `route` says where the changes of each relation belong.
fn rerouted(batch: &Batch, route: impl Fn(&Route) -> Option<Route>) -> Batch {
    let segments = batch.segments().iter().map(|segment| {
        let routes = segment.routes.iter();
        Segment {
            routes: routes.map(|old| old.as_ref().and_then(&route)).collect(),
            ..segment.clone()
        }
    });
    Batch::new(
        segments.collect(),
        batch.previous().clone(),
        batch.position().clone(),
        batch.part(),
    )
}

fn to(relation: &Arc<Relation>) -> Option<Route> {
    Some(Route {
        relation: Arc::clone(relation),
        from: Lsn::ZERO,
    })
}

fn a_batch_of_several_arenas_is_one(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let first = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "x"])
        .build();
    let second = BatchBuilder::after(first.position())
        .update(&items, ["1", "aa", "x"])
        .delete(&items, ["2"])
        .build();
    let segments = [first.segments(), second.segments()].concat();
    let batch = Batch::new(
        segments,
        first.previous().clone(),
        second.position().clone(),
        second.part(),
    );
    f.write(&batch);
    f.expect(&items, [["1", "aa", "x"]]);
}

fn excluded_columns_are_not_written(f: &mut Fixture<'_>) {
    let sent = items();
    let seen = TestRelation::from(&*sent).exclude("name").build();
    f.start(&[&seen]);
    let batch = f
        .next()
        .insert(&sent, ["1", "secret", "x"])
        .insert(&sent, ["2", "secret", "y"])
        .update(&sent, ["1", "secret", "xx"])
        .update_moved(&sent, ["2"], ["3", "secret", "yy"])
        .build();
    f.write(&rerouted(&batch, |_| to(&seen)));
    f.expect(&seen, [["1", "xx"], ["3", "yy"]]);
}

fn changes_for_other_lanes_are_not_written(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let other = relation("public.other")
        .column("id", "integer")
        .key(["id"])
        .build();
    let batch = f
        .next()
        .insert(&other, ["1"])
        .insert(&items, ["1", "a", "x"])
        .truncate(&other)
        .build();
    let mine = items.version;
    f.write(&rerouted(&batch, |route| {
        (route.relation.version == mine).then(|| route.clone())
    }));
    f.expect(&items, [["1", "a", "x"]]);
    f.expect_empty(&other);
}

fn changes_before_a_copy_are_not_written(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "copied", "x"])
        .commit()
        .insert(&items, ["2", "streamed", "x"])
        .build();
    let commits: Vec<Lsn> = batch.changes().map(|change| change.commit_lsn()).collect();
    f.write(&rerouted(&batch, |route| {
        Some(Route {
            from: commits[1],
            ..route.clone()
        })
    }));
    f.expect(&items, [["2", "streamed", "x"]]);
}

fn a_renamed_table_is_noted_under_its_source(f: &mut Fixture<'_>) {
    let clients = TestRelation::from(&*items()).rename("clients").build();
    f.start(&[&clients]);
    ok(f.writer().begin_load(&clients, LoadMode::Fresh));
    ok(f.writer().end_load(&clients, Lsn(0xABC)));
    let batch = f.next().insert(&clients, ["1", "a", "x"]).build();
    f.write(&batch);
    f.expect(&clients, [["1", "a", "x"]]);
    f.expect_empty(&items());
    let found = f.reopen().expect("a checkpoint").copied_to;
    assert_eq!(found.get("public.items"), Some(&Lsn(0xABC)), "{found:?}");
}
