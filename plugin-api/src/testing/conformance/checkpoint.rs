//! One truth, compare and set, and what is left when a stream is forgotten.

use super::fixture::{Fixture, cases, items, ok};
use crate::{
    Checkpoint, Lsn, Position, Role, StreamId, Written,
    testing::{BatchBuilder, relation, stream},
};

cases![
    the_first_flush_makes_the_checkpoint,
    a_second_first_flush_is_refused,
    a_batch_before_the_first_checkpoint_is_refused,
    a_bare_flush_advances_the_position,
    a_position_is_kept_whole,
    an_empty_batch_advances_the_position,
    a_reopened_writer_sees_the_checkpoint,
    a_batch_that_is_stored_already_changes_nothing,
    a_batch_from_the_future_changes_nothing,
    a_second_engine_is_noticed,
    a_forgotten_stream_is_a_gap,
    forgetting_leaves_rows_and_no_bookkeeping,
    streams_of_one_target_are_apart,
    the_stream_that_made_a_checkpoint_is_told,
    check_names_objects_and_writes_nothing,
];

fn the_first_flush_makes_the_checkpoint(f: &mut Fixture<'_>) {
    f.start(&[]);
    let expected = Checkpoint {
        stream: stream(),
        position: Some(f.position.clone()),
        ..Checkpoint::default()
    };
    assert_eq!(f.reopen(), Some(expected));
}

fn a_second_first_flush_is_refused(f: &mut Fixture<'_>) {
    let mut second = f.second_engine();
    f.start(&[]);
    let written = ok(second.flush(&Position::at(Lsn(0x200_0000))));
    assert_eq!(written, Written::Moved(Some(f.position.clone())));
    assert_eq!(f.stored(), Some(f.position.clone()));
}

fn a_batch_before_the_first_checkpoint_is_refused(f: &mut Fixture<'_>) {
    let items = items();
    ok(f.writer().prepare(&items));
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.moved(&batch, None);
    f.expect_empty(&items);
}

fn a_bare_flush_advances_the_position(f: &mut Fixture<'_>) {
    f.start(&[]);
    let next = Position::at(Lsn(f.position.lsn.0 + 0x5000));
    f.flush(&next);
    assert_eq!(f.stored(), Some(next));
    let items = f.start_items();
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    assert_eq!(f.stored(), Some(f.position.clone()));
}

fn a_position_is_kept_whole(f: &mut Fixture<'_>) {
    f.start(&[]);
    let next = Position {
        lsn: Lsn(0xFFFF_FFFF_0000_0001),
        ordinal: 0,
        opaque: "east=1/2;west='3\"é".to_owned(),
    };
    f.flush(&next);
    assert_eq!(f.stored(), Some(next));
}

fn an_empty_batch_advances_the_position(f: &mut Fixture<'_>) {
    f.start(&[]);
    let batch = f.next().build();
    f.write(&batch);
    assert_eq!(f.stored(), Some(batch.position().clone()));
}

fn a_reopened_writer_sees_the_checkpoint(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    let found = f.reopen().and_then(|checkpoint| checkpoint.position);
    assert_eq!(found, Some(f.position.clone()));
    ok(f.writer().prepare(&items));
    let batch = f.next().update(&items, ["1", "b", "y"]).build();
    f.write(&batch);
    f.expect(&items, [["1", "b", "y"]]);
}

fn a_batch_that_is_stored_already_changes_nothing(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let first = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&first);
    let second = f
        .next()
        .update(&items, ["1", "b", "x"])
        .insert(&items, ["2", "c", "x"])
        .build();
    f.write(&second);
    let third = f.next().delete(&items, ["2"]).build();
    f.write(&third);
    let position = f.position.clone();
    for batch in [&first, &second, &third] {
        f.moved(batch, Some(&position));
        assert_eq!(f.reset(), Some(position.clone()));
    }
    f.expect(&items, [["1", "b", "x"]]);
    let next = f.next().insert(&items, ["3", "d", "x"]).build();
    f.write(&next);
    f.expect(&items, [["1", "b", "x"], ["3", "d", "x"]]);
}

fn a_batch_from_the_future_changes_nothing(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let lost = f.next().insert(&items, ["1", "a", "x"]).build();
    let late = BatchBuilder::after(lost.position())
        .insert(&items, ["2", "b", "x"])
        .build();
    let position = f.position.clone();
    f.moved(&late, Some(&position));
    assert_eq!(f.reset(), Some(position));
    f.expect_empty(&items);
}

fn a_second_engine_is_noticed(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let mut second = f.second_engine();
    ok(second.prepare(&items));
    let mine = f.next().insert(&items, ["1", "mine", "x"]).build();
    let its = f
        .next()
        .insert(&items, ["1", "its", "x"])
        .commit()
        .insert(&items, ["2", "its", "x"])
        .build();
    f.write(&mine);
    let found = Written::Moved(Some(f.position.clone()));
    assert_eq!(ok(second.write(&its)), found);
    ok(second.reset());
    // Its knowledge is old still: a flush is a compare-and-set like any write.
    let mut third = f.second_engine();
    let next = f.next().insert(&items, ["3", "mine", "x"]).build();
    f.write(&next);
    let found = Written::Moved(Some(f.position.clone()));
    assert_eq!(ok(third.flush(its.position())), found);
    f.expect(&items, [["1", "mine", "x"], ["3", "mine", "x"]]);
    assert_eq!(f.stored(), Some(f.position.clone()));
}

fn a_forgotten_stream_is_a_gap(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    ok(f.another(Role::Stream).forget(&stream()));
    let batch = f.next().insert(&items, ["2", "b", "x"]).build();
    f.moved(&batch, None);
    assert_eq!(f.reset(), None);
    f.expect(&items, [["1", "a", "x"]]);
}

fn forgetting_leaves_rows_and_no_bookkeeping(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    assert!(
        f.subject.has_bookkeeping(),
        "no bookkeeping while it streams"
    );
    ok(f.writer().forget(&stream()));
    assert!(!f.subject.has_bookkeeping(), "bookkeeping is left");
    f.expect(&items, [["1", "a", "x"]]);
    ok(f.writer().forget(&stream()));
    assert_eq!(f.reopen(), None);
}

fn streams_of_one_target_are_apart(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let other = StreamId {
        sync: "it's \"other\" é".to_owned(),
        ..stream()
    };
    let mut second = f.another(Role::Stream);
    assert_eq!(ok(second.checkpoint(&other)), None);
    let there = Position::at(Lsn(0x777_0000));
    assert_eq!(ok(second.flush(&there)), Written::Stored(there.clone()));
    let batch = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&batch);
    ok(f.writer().forget(&stream()));
    let found = ok(second.checkpoint(&other)).and_then(|checkpoint| checkpoint.position);
    assert_eq!(found, Some(there));
    assert_eq!(f.stored(), None);
}

fn the_stream_that_made_a_checkpoint_is_told(f: &mut Fixture<'_>) {
    f.start(&[]);
    let other = StreamId {
        timeline: 2,
        slot: "made anew".to_owned(),
        ..stream()
    };
    let found = ok(f.writer().checkpoint(&other)).expect("a checkpoint");
    assert_eq!(found.stream, stream());
    let next = Position::at(Lsn(0x900_0000));
    f.flush(&next);
    let found = ok(f.writer().checkpoint(&other)).expect("a checkpoint");
    assert_eq!((found.stream, found.position), (other, Some(next)));
}

fn check_names_objects_and_writes_nothing(f: &mut Fixture<'_>) {
    let items = items();
    let orders = relation("sales.orders")
        .column("id", "bigint")
        .key(["id"])
        .build();
    f.close();
    let mut checker = f.another(Role::Check);
    let report = ok(checker.check(&[(*items).clone(), (*orders).clone()]));
    assert_eq!(report.objects.len(), 2, "an object for each relation");
    assert_ne!(report.objects[0], report.objects[1]);
    let errors = report.findings.iter().filter(|finding| finding.is_error);
    assert_eq!(errors.count(), 0, "{:?}", report.findings);
    assert_eq!(ok(checker.checkpoint(&stream())), None);
    drop(checker);
    assert!(!f.subject.has_bookkeeping(), "a check wrote something");
}
