//! What a gatherer makes of arenas.

use super::*;
use crate::{
    masters::checkpoint::{self, Notes},
    reconcile::{Left, Marker, Origin, SourceId},
};

#[test]
fn rows_are_in_the_shared_spelling_whatever_the_order_of_columns() {
    let (one, two) = (Member::new(0), Member::new(1));
    let (first, second) = (one.version(table(0)), two.version(table(1)));
    let mut seen = one.changes(|writing| writing.insert(first, &[T("x"), T("4"), T("north")]));
    seen.extend(two.changes(|writing| writing.update(second, &[T("north"), T("x"), T("4")])));
    let expected = change(key("4", "north"), Op::Put(row("4", "x", "north")));
    assert_eq!(seen, [expected.clone(), expected]);
    let (Op::Put(one), Op::Put(two)) = (&seen[0].op, &seen[1].op) else {
        panic!("{seen:?}");
    };
    assert_eq!(one.payload, two.payload);
}

#[test]
fn columns_are_found_by_name_where_the_stream_has_fewer_or_others_of_no_concern() {
    let member = Member::new(0);
    let mut relation = relation(
        OIDS[0],
        ("public", "t"),
        &["shop", "sum", "note", "id"],
        &["id", "shop"],
    );
    relation.columns[1].generated = true;
    let version = member.version(relation);
    let seen = member.changes(|w| w.insert(version, &[T("north"), T("12"), T("x"), T("4")]));
    let expected = change(key("4", "north"), Op::Put(row("4", "x", "north")));
    assert_eq!(seen, [expected]);
}

#[test]
fn an_update_of_the_key_is_a_move_and_a_delete_names_its_key() {
    let member = Member::new(0);
    let version = member.version(table(0));
    let old: &[V<'_>] = &[V::Null, T("4"), T("north")];
    let seen = member.changes(|writing| {
        let rows = [Some(old), Some(&[T("x"), T("5"), T("north")][..])];
        writing.change(StreamOp::Update, StreamChange::KEY_ONLY, version, rows);
        // An index that isn't the key names its old row too.
        let rows = [Some(old), Some(&[T("y"), T("4"), T("north")][..])];
        writing.change(StreamOp::Update, StreamChange::KEY_ONLY, version, rows);
        let flags = StreamChange::KEY_ONLY;
        writing.change(StreamOp::Delete, flags, version, [Some(old), None]);
        writing.change(StreamOp::Truncate, 0, version, [None, None]);
    });
    let to = key("5", "north");
    let moved = Op::Move {
        to,
        row: row("5", "x", "north"),
    };
    let from = key("4", "north");
    let expected = [
        change(from.clone(), moved),
        change(from.clone(), Op::Put(row("4", "y", "north"))),
        change(from.clone(), Op::Delete),
        change(from.table_key(), Op::Truncate),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_whole_old_row_is_the_previous_one_and_has_what_the_stream_left_out() {
    let member = Member::new(0);
    let version = member.version(full(table(0)));
    let seen = member.changes(|writing| {
        let old: &[V<'_>] = &[T("large"), T("4"), T("north")];
        let rows = [Some(old), Some(&[V::Unchanged, T("4"), T("south")][..])];
        writing.change(StreamOp::Update, 0, version, rows);
        writing.change(StreamOp::Delete, 0, version, [Some(old), None]);
    });
    let previous = Some(row("4", "large", "north"));
    assert!(seen.iter().all(|change| change.previous == previous));
    let to = key("4", "south");
    let row = row("4", "large", "south");
    assert_eq!(seen[0].op, Op::Move { to, row });
    assert_eq!(seen[1].op, Op::Delete);
}

#[test]
fn a_value_left_out_that_nothing_has_is_to_be_completed() {
    let member = Member::new(0);
    let version = member.version(table(0));
    let (setup, _seen) = member.setup();
    let taken = Gatherer::new(&setup).take(
        &whole(1, |writing| {
            writing.insert(version, &[T("x"), T("1"), T("north")]);
            writing.update(version, &[V::Unchanged, T("4"), T("north")]);
        }),
        (0, 0),
    );
    let places = taken
        .incomplete
        .iter()
        .map(|row| (row.transaction, row.change));
    assert!(places.eq([(0, 1)]));
    assert_eq!(taken.transactions[0].xid, 5);
    assert_eq!(taken.transactions[0].changes[1].key, key("4", "north"));
}

/// A transaction whose changes are those of one row of `tahr.checkpoint`, first and last.
fn marked(
    member: &Member,
    (engine, sync): (&str, &str),
    sequence: &str,
    notes: Option<&Notes>,
) -> Transaction {
    let (version, mark) = (member.version(table(0)), member.version(checkpoint()));
    let notes = notes.and_then(Notes::encode);
    let arena = whole(1, |writing| {
        let row = [T(engine), T(sync), T(sequence), V::Null];
        writing.update(mark, &row);
        writing.insert(version, &[T("x"), T("4"), T("north")]);
        writing.insert(version, &[T("x"), T("5"), T("north")]);
        if let Some(notes) = &notes {
            writing.update(mark, &[row[0], row[1], row[2], V::B(notes)]);
        }
    });
    let mut transactions = member.gather(&[arena]);
    assert_eq!(transactions[0].changes.len(), 2);
    transactions.pop().unwrap()
}

fn notes() -> (Notes, Origin) {
    let origin = Origin {
        source: SourceId::of("far"),
        time: -7,
        path: vec![SourceId::of("far")],
    };
    let left = checkpoint::Left {
        key: key("9", "north"),
        holder: None,
    };
    let notes = Notes {
        left: vec![left],
        origins: vec![(key("5", "north"), origin.clone())],
    };
    (notes, origin)
}

#[test]
fn an_apply_of_this_sync_is_marked_and_says_what_it_left_out() {
    let member = Member::new(0);
    let (notes, _) = notes();
    for (notes, left) in [(None, vec![]), (Some(&notes), vec![key("9", "north")])] {
        let transaction = marked(&member, ("e", "ring"), "12", notes);
        let left = left.into_iter().map(|key| Left { key, holder: None });
        let marker = Marker {
            sequence: 12,
            left: left.collect(),
        };
        assert_eq!(transaction.marker, Some(marker));
        assert!(transaction.changes.iter().all(|c| c.origin.is_none()));
        assert_eq!((transaction.end, transaction.time), (end(1), 1));
    }
}

#[test]
fn an_apply_of_another_sync_says_where_its_rows_came_from() {
    let member = Member::new(0);
    let (notes, origin) = notes();
    let transaction = marked(&member, ("e", "star"), "3", Some(&notes));
    assert_eq!(transaction.marker, None);
    let origins = transaction.changes.into_iter().map(|change| change.origin);
    assert!(origins.eq([None, Some(origin)]));
}

#[test]
fn another_engine_and_a_sync_that_applied_nothing_mark_nothing() {
    let member = Member::new(0);
    let (notes, _) = notes();
    for (who, sequence) in [
        (("other", "ring"), "3"),
        (("other", "star"), "3"),
        (("e", "ring"), "0"),
        (("e", "star"), "0"),
    ] {
        let transaction = marked(&member, who, sequence, Some(&notes));
        assert_eq!(transaction.marker, None, "{who:?}");
        assert!(transaction.changes.iter().all(|c| c.origin.is_none()));
    }
}

#[test]
fn an_apply_that_left_all_out_is_marked_all_the_same() {
    let member = Member::new(0);
    let mark = member.version(checkpoint());
    let row = [T("e"), T("ring"), T("12"), V::Null];
    let transactions = member.gather(&[whole(1, |writing| writing.update(mark, &row))]);
    assert!(transactions[0].changes.is_empty());
    assert_eq!(transactions[0].marker.as_ref().unwrap().sequence, 12);
}

#[test]
fn a_table_of_another_shape_ends_it_and_the_message_says_what_is_different() {
    let columns = ["note", "id", "shop"];
    let of = |columns: &[&str], key: &[&str]| relation(OIDS[0], ("public", "t"), columns, key);
    let mut by_index = table(0);
    by_index.replica_identity = ReplicaIdentity::Index;
    for column in &mut by_index.columns {
        column.in_identity = column.name == "note";
    }
    let mut without = table(0);
    without.replica_identity = ReplicaIdentity::Nothing;
    let cases = [
        (
            of(&["note", "id", "shop", "more"], &["id", "shop"]),
            "column \"more\" is new",
        ),
        (
            of(&["id", "shop"], &["id", "shop"]),
            "column \"note\" is gone",
        ),
        (
            of(&columns, &["id"]),
            "its primary key is not (id, shop) any more",
        ),
        (
            of(&columns, &columns),
            "its primary key is not (id, shop) any more",
        ),
        (
            relation(OIDS[0], ("public", "u"), &columns, &["id", "shop"]),
            "it is called public.u now",
        ),
        (
            relation(8, ("public", "t"), &columns, &["id", "shop"]),
            "it was made anew",
        ),
        (
            by_index,
            "its REPLICA IDENTITY is an index without all columns of the primary key",
        ),
        (without, "it has REPLICA IDENTITY NOTHING"),
    ];
    for (relation, expected) in cases {
        let member = Member::new(0);
        let (known, changed) = (member.version(table(0)), member.version(relation.clone()));
        let mut writing = Writing::default();
        let new = [T("x"), T("1"), T("north")];
        add(&mut writing, 1, |writing| writing.insert(known, &new));
        add(&mut writing, 2, |writing| {
            writing.update(known, &[V::Unchanged, T("2"), T("north")]);
            let row = vec![T("x"); relation.columns.len()];
            writing.insert(changed, &row);
        });
        add(&mut writing, 3, |writing| writing.insert(known, &new));
        let (setup, _seen) = member.setup();
        let taken = Gatherer::new(&setup).take(&writing.builder.finish(), (0, 0));
        let Some(super::super::gather::End::Reshaped { table, message }) = taken.end else {
            panic!("{:?}", taken.end);
        };
        assert_eq!((table.table.as_str(), message.as_str()), ("t", expected));
        assert_eq!(taken.transactions.len(), 1, "what came before");
        assert!(taken.incomplete.is_empty());
    }
}
