//! What comes out of short streams.

use tahr_plugin_api::{
    Change, Lsn, Position, ValueKind,
    abi::{Arena, NO_ROW, RawTransaction},
};

use super::{
    Assembler, AssemblyError, Limits,
    samples::{
        Sent::{Null, Text, Unchanged},
        Step, WIDE, assemble, begin, commit, delete, insert, one_column, piece, pieces, row, table,
        take, truncate, update, values,
    },
};

const CONTINUED: u32 = RawTransaction::CONTINUED;
const OPEN: u32 = RawTransaction::OPEN;

#[test]
fn small_transactions_share_an_arena() {
    let steps = [
        one_column(),
        begin(1),
        row(1),
        commit(1),
        begin(2),
        row(1),
        row(2),
        commit(2),
    ];
    let arenas = assemble(WIDE, Position::default(), &steps);
    let expected = [vec![piece(1, 0, "1", &[0]), piece(2, 0, "2", &[0, 1])]];
    assert_eq!(pieces(&arenas), expected);
    let transaction = arenas[0].transactions()[1];
    assert_eq!(
        (
            transaction.xid,
            transaction.commit_time,
            transaction.ordinal
        ),
        (9, 7, 2)
    );
}

#[test]
fn a_large_transaction_is_split() {
    let mut steps = vec![one_column(), begin(1)];
    steps.extend((0..5).map(row));
    steps.push(commit(1));
    let arenas = assemble(Limits { changes: 2, ..WIDE }, Position::default(), &steps);
    let expected = [
        vec![piece(1, OPEN, "1+2", &[0, 1])],
        vec![piece(1, CONTINUED | OPEN, "1+4", &[2, 3])],
        vec![piece(1, CONTINUED, "1", &[4])],
    ];
    assert_eq!(pieces(&arenas), expected);
    assert_eq!(arenas[2].transactions()[0].ordinal, 5);
}

#[test]
fn a_split_transaction_without_further_rows_still_ends() {
    let steps = [one_column(), begin(1), row(0), row(1), commit(1)];
    let arenas = assemble(Limits { changes: 2, ..WIDE }, Position::default(), &steps);
    let expected = [
        vec![piece(1, OPEN, "1+2", &[0, 1])],
        vec![piece(1, CONTINUED, "1", &[])],
    ];
    assert_eq!(pieces(&arenas), expected);
}

#[test]
fn a_transaction_of_half_an_arena_is_never_split() {
    let mut steps = vec![one_column()];
    for n in 1..200 {
        steps.push(begin(n));
        steps.extend((0..n % 5).map(row));
        steps.push(commit(n));
    }
    let arenas = assemble(Limits { changes: 8, ..WIDE }, Position::default(), &steps);
    assert!(pieces(&arenas).iter().flatten().all(|piece| piece.1 == 0));
    assert!(arenas.iter().all(|arena| arena.changes().len() < 8));
}

#[test]
fn empty_transactions_leave_no_trace() {
    let mut assembler = Assembler::new(WIDE, Position::default());
    for step in [begin(1), commit(1), begin(2), commit(2)] {
        assert!(take(&mut assembler, &step).unwrap().is_none());
    }
    assert!(!assembler.holds_changes() && !assembler.is_inside());
    assert!(assembler.pause().is_none());
}

#[test]
fn nothing_is_cut_by_a_pause_inside_a_transaction() {
    let mut assembler = Assembler::new(WIDE, Position::default());
    for step in [one_column(), begin(1), row(0), commit(1), begin(2), row(0)] {
        take(&mut assembler, &step).unwrap();
    }
    assert!(assembler.is_inside() && assembler.holds_changes());
    assert!(assembler.pause().is_none());
    take(&mut assembler, &commit(2)).unwrap();
    let arena = assembler.pause().unwrap();
    assert_eq!(pieces(&[arena])[0].len(), 2);
    assert!(!assembler.holds_changes());
}

#[test]
fn an_arena_never_crosses_a_version_of_a_relation() {
    let wider = || Step::Relation(table(1, 2, &[ValueKind::Text; 2]));
    let wide_row = || insert(1, &[Text(b"a"), Text(b"b")]);
    let steps = [
        one_column(),
        begin(1),
        row(0),
        wider(),
        wide_row(),
        commit(1),
        begin(2),
        wide_row(),
        commit(2),
    ];
    let arenas = assemble(WIDE, Position::default(), &steps);
    let expected = [
        vec![piece(1, OPEN, "1+1", &[0])],
        vec![piece(1, CONTINUED, "1", &[1]), piece(2, 0, "2", &[0])],
    ];
    assert_eq!(pieces(&arenas), expected);
    let versions: Vec<_> = arenas.iter().map(Arena::relations).collect();
    assert_eq!(versions, [[1], [2]]);
}

#[test]
fn a_transaction_without_rows_yet_moves_on_whole_when_an_arena_is_cut() {
    let wider = || Step::Relation(table(1, 2, &[ValueKind::Text; 2]));
    let wide_row = || insert(1, &[Text(b"a"), Text(b"b")]);
    let steps = [
        one_column(),
        begin(1),
        row(0),
        commit(1),
        begin(2),
        wider(),
        wide_row(),
        commit(2),
    ];
    let expected = [vec![piece(1, 0, "1", &[0])], vec![piece(2, 0, "2", &[0])]];
    assert_eq!(
        pieces(&assemble(WIDE, Position::default(), &steps)),
        expected
    );

    let steps = [one_column(), begin(1), wider(), wide_row(), commit(1)];
    let expected = [vec![piece(1, 0, "1", &[0])]];
    assert_eq!(
        pieces(&assemble(WIDE, Position::default(), &steps)),
        expected
    );

    // A truncate that reached no table is counted and leaves nothing behind either.
    let steps = [
        one_column(),
        begin(1),
        row(0),
        commit(1),
        begin(2),
        truncate(0, &[]),
        wider(),
        wide_row(),
        commit(2),
    ];
    let expected = [vec![piece(1, 0, "1", &[0])], vec![piece(2, 0, "2", &[1])]];
    assert_eq!(
        pieces(&assemble(WIDE, Position::default(), &steps)),
        expected
    );
}

#[test]
fn a_new_version_of_a_table_without_changes_cuts_nothing() {
    let other = |version| Step::Relation(table(2, version, &[ValueKind::Text]));
    let steps = [
        one_column(),
        other(2),
        begin(1),
        row(0),
        other(3),
        row(1),
        commit(1),
    ];
    let arenas = assemble(WIDE, Position::default(), &steps);
    assert_eq!(pieces(&arenas), [vec![piece(1, 0, "1", &[0, 1])]]);
}

#[test]
fn it_resumes_behind_a_transaction() {
    let steps = [
        one_column(),
        begin(1),
        row(0),
        commit(1),
        begin(2),
        row(0),
        commit(2),
    ];
    let arenas = assemble(WIDE, Position::at(Lsn(150)), &steps);
    assert_eq!(pieces(&arenas), [vec![piece(2, 0, "2", &[0])]]);
    // The next commit record may start where the previous one ends.
    let arenas = assemble(WIDE, Position::at(Lsn(200)), &steps);
    assert_eq!(pieces(&arenas), [vec![piece(2, 0, "2", &[0])]]);
}

#[test]
fn it_resumes_inside_a_transaction() {
    let wider = || Step::Relation(table(1, 2, &[ValueKind::Text; 2]));
    let wide_row = || insert(1, &[Text(b"a"), Text(b"b")]);
    let steps = [
        one_column(),
        begin(1),
        row(0),
        commit(1),
        begin(2),
        row(0),
        truncate(0, &[1, 1]),
        wider(),
        wide_row(),
        wide_row(),
        commit(2),
        begin(3),
        wide_row(),
        commit(3),
    ];
    for skipped in 1..=4 {
        let arenas = assemble(WIDE, Position::inside(Lsn(200), skipped), &steps);
        // The truncate counts as one message, and the cut at 2 leaves nothing twice.
        let rest = |from: u64| (from..4).collect::<Vec<_>>();
        let expected = match skipped {
            1 => vec![
                vec![piece(2, CONTINUED | OPEN, "2+2", &[1, 1])],
                vec![piece(2, CONTINUED, "2", &rest(2)), piece(3, 0, "3", &[0])],
            ],
            n => vec![vec![
                piece(2, CONTINUED, "2", &rest(n)),
                piece(3, 0, "3", &[0]),
            ]],
        };
        assert_eq!(pieces(&arenas), expected, "after {skipped} messages");
    }
}

#[test]
fn a_truncate_of_several_tables_is_several_changes_of_one_message() {
    let other = Step::Relation(table(2, 2, &[ValueKind::Text]));
    let steps = [
        one_column(),
        other,
        begin(1),
        truncate(3, &[1, 2]),
        commit(1),
    ];
    // The message is never torn apart.
    let arenas = assemble(Limits { changes: 1, ..WIDE }, Position::default(), &steps);
    let changes = arenas[0].changes();
    let seen: Vec<_> = changes
        .iter()
        .map(|c| (c.op, c.flags, c.relation, c.ordinal))
        .collect();
    assert_eq!(seen, [(4, 3, 0, 0), (4, 3, 1, 0)]);
    assert_eq!(arenas[0].relations(), [1, 2]);
}

#[test]
fn unchanged_values_are_taken_from_the_old_row_where_it_was_sent() {
    let kinds = [ValueKind::Text, ValueKind::Text, ValueKind::Text];
    let new = [Unchanged, Unchanged, Text(b"new")];
    let whole = [Text(b"key"), Text(b"large"), Null];
    let key = [Text(b"key"), Null, Null];
    let steps = [
        Step::Relation(table(1, 1, &kinds)),
        begin(1),
        update(1, b"O", &whole, &new),
        update(1, b"K", &key, &new),
        delete(1, b"K", &key),
        delete(1, b"O", &whole),
        commit(1),
    ];
    let arenas = assemble(WIDE, Position::default(), &steps);
    let arena = &arenas[0];
    let [full, keyed, deleted, deleted_full] = arena.changes() else {
        panic!("four changes")
    };
    assert_eq!(values(arena, full.new, &kinds), ["key", "large", "new"]);
    assert_eq!(values(arena, full.old, &kinds), ["key", "large", "null"]);
    // The nulls of a key stand for nothing; the key itself does.
    assert_eq!(
        values(arena, keyed.new, &kinds),
        ["key", "unchanged", "new"]
    );
    let flags = [full, keyed, deleted, deleted_full].map(|change| change.flags);
    assert_eq!(flags, [0, Change::KEY_ONLY, Change::KEY_ONLY, 0]);
    assert_eq!(
        (deleted.new, values(arena, deleted.old, &kinds)[0].as_str()),
        (NO_ROW, "key")
    );
}

#[test]
fn bytes_are_decoded_and_text_that_is_no_utf8_is_kept_as_bytes() {
    let kinds = [
        ValueKind::Bytes,
        ValueKind::Text,
        ValueKind::Bytes,
        ValueKind::Text,
    ];
    let sent = [
        Text(b"\\x00FfaB"),
        Text(b"a\xffb"),
        Text(b"\\x"),
        Text("ä\\x00".as_bytes()),
    ];
    let steps = [
        Step::Relation(table(1, 1, &kinds)),
        begin(1),
        insert(1, &sent),
        commit(1),
    ];
    let arenas = assemble(WIDE, Position::default(), &steps);
    let start = arenas[0].changes()[0].new;
    assert_eq!(
        values(&arenas[0], start, &kinds),
        ["[0, 255, 171]", "[97, 255, 98]", "[]", "ä\\x00"]
    );
}

#[test]
fn what_can_not_be_is_an_error() {
    let error = |steps: &[Step]| {
        let mut assembler = Assembler::new(WIDE, Position::default());
        steps
            .iter()
            .find_map(|step| take(&mut assembler, step).err())
            .expect("an error")
    };
    let width = error(&[one_column(), begin(1), insert(1, &[Null, Null])]);
    assert!(matches!(
        width,
        AssemblyError::WrongWidth {
            expected: 1,
            found: 2,
            ..
        }
    ));
    let misplaced = |what| AssemblyError::Misplaced(what);
    assert_eq!(
        error(&[begin(1), row(1)]),
        AssemblyError::UnknownRelation(1)
    );
    assert_eq!(
        error(&[begin(1), truncate(0, &[5])]),
        AssemblyError::UnknownRelation(5)
    );
    assert_eq!(error(&[one_column(), row(1)]), misplaced("a row"));
    assert_eq!(error(&[begin(1), begin(2)]), misplaced("a begin"));
    assert_eq!(error(&[commit(1)]), misplaced("a commit"));
    assert_eq!(error(&[begin(1), commit(2)]), misplaced("a commit"));
}
