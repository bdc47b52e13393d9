//! Lanes and a source's reader around one log.

use std::{path::Path, pin::pin, time::Duration};

use futures_util::FutureExt as _;
use tahr_plugin_api::{
    Lsn, Op, Position,
    abi::{Arena, ArenaBuilder},
};
use tempfile::TempDir;

use super::*;

pub(super) const A: LaneId = LaneId(0);
pub(super) const B: LaneId = LaneId(1);
const NOW: Duration = Duration::ZERO;

/// Row messages `from..to` of transaction `n`, which commits from `100 n` to `100 n + 50`.
pub(super) fn piece(n: u64, from: u64, to: u64, is_end: bool) -> Arena {
    let mut builder = ArenaBuilder::default();
    builder.begin(n * 100, 0, 0, (from > 0).then_some(from));
    for ordinal in from..to {
        let relation = builder.relation(1);
        let row = builder.start_row();
        builder.push_text(&"x".repeat(1000));
        builder.change(Op::Insert, 0, relation, None, Some(row), ordinal);
    }
    match is_end {
        true => builder.commit(n * 100 + 50, to),
        false => assert!(builder.split(to)),
    }
    builder.finish()
}

pub(super) fn whole(n: u64) -> Arena {
    piece(n, 0, 1, true)
}

pub(super) fn end(n: u64) -> Position {
    Position::at(Lsn(n * 100 + 50))
}

/// A log with room for `arenas` small arenas.
pub(super) fn log(arenas: usize) -> (TempDir, Log) {
    let folder = tempfile::tempdir().unwrap();
    let budget = whole(1).size() * arenas;
    let log = Log::new(folder.path(), budget as u64, Position::default()).unwrap();
    (folder, log)
}

/// How many segment files there are.
pub(super) fn files(folder: &Path) -> usize {
    let entries = fs_err::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().path());
    names
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "segment"))
        .count()
}

/// Adds `arena`; whether that took no waiting.
pub(super) fn append(log: &Log, arena: Arena) -> bool {
    log.append(arena)
        .now_or_never()
        .map(Result::unwrap)
        .is_some()
}

/// The commit LSN and the ordinals of the next arena; none at the tail.
pub(super) fn read(log: &Log, lane: LaneId, cursor: &mut Cursor) -> Option<(u64, u64)> {
    match log.next(lane, *cursor, NOW).unwrap() {
        Next::Arena(arena) => {
            *cursor = cursor.next();
            Some((
                arena.transactions()[0].commit_lsn / 100,
                arena.changes()[0].ordinal,
            ))
        }
        Next::Tail(_) | Next::Later => None,
        Next::Rewound(first) => {
            *cursor = first;
            read(log, lane, cursor)
        }
        Next::Stopped => panic!("stopped"),
    }
}

#[test]
fn two_lanes_read_the_same() {
    let (_folder, log) = log(10);
    let mut cursors = [A, B].map(|lane| (lane, log.join(lane, Position::default())));
    for n in 1..4 {
        assert!(append(&log, whole(n)));
    }
    for (lane, cursor) in &mut cursors {
        for n in 1..4 {
            assert_eq!(read(&log, *lane, cursor), Some((n, 0)));
        }
        assert_eq!(read(&log, *lane, cursor), None);
    }
    assert_eq!(log.tail(), end(3));
}

#[test]
fn what_one_lane_lags_behind_is_on_disk_once_and_memory_stays_within_the_budget() {
    let (folder, log) = log(4);
    let budget = whole(1).size() * 4;
    let (mut a, mut b) = (
        log.join(A, Position::default()),
        log.join(B, Position::default()),
    );
    for n in 1..=50 {
        assert!(append(&log, whole(n)), "the lane that leads is not held up");
        assert_eq!(read(&log, A, &mut a), Some((n, 0)));
        log.stored(A, end(n));
        assert!(log.usage().memory <= budget as u64);
    }
    let spilled = log.spills();
    assert!(
        (46..=50).contains(&spilled),
        "{spilled}: what memory lacks, once"
    );
    assert_eq!(files(folder.path()), 1);
    assert_eq!(log.reach(), Position::default());
    for n in 1..=50 {
        assert_eq!(read(&log, B, &mut b), Some((n, 0)));
    }
    log.stored(B, end(50));
    assert_eq!((log.usage().memory, log.spills()), (0, spilled));
    assert_eq!(files(folder.path()), 0);
    assert_eq!(log.reach(), end(50));
}

#[test]
fn while_all_lanes_lag_alike_the_source_waits() {
    let (folder, log) = log(4);
    let mut cursors = [A, B].map(|lane| (lane, log.join(lane, Position::default())));
    for n in 1..=4 {
        assert!(append(&log, whole(n)));
    }
    let mut pending = pin!(log.append(whole(5)));
    assert!(pending.as_mut().now_or_never().is_none());
    for (lane, cursor) in &mut cursors {
        read(&log, *lane, cursor);
    }
    log.stored(A, end(1));
    assert!(
        pending.as_mut().now_or_never().is_none(),
        "one lane still needs it"
    );
    log.stored(B, end(1));
    assert!(pending.now_or_never().is_some());
    assert_eq!((log.spills(), files(folder.path())), (0, 0));
}

#[test]
fn a_lane_that_has_read_all_and_stored_nothing_does_not_stop_the_source() {
    // Nothing was for it, perhaps: such a lane stores its position rarely.
    let (_folder, log) = log(4);
    let mut a = log.join(A, Position::default());
    for n in 1..=20 {
        assert!(append(&log, whole(n)));
        assert_eq!(read(&log, A, &mut a), Some((n, 0)));
    }
}

#[test]
fn an_arena_above_the_budget_is_taken_alone() {
    let (_folder, log) = log(2);
    log.join(A, Position::default());
    assert!(append(&log, piece(1, 0, 9, true)));
    assert!(!append(&log, whole(2)));
}

#[test]
fn a_transaction_larger_than_the_budget_is_taken_and_can_be_replayed_from_its_first_part() {
    let (folder, log) = log(4);
    let mut a = log.join(A, Position::default());
    assert!(append(&log, whole(1)));
    read(&log, A, &mut a);
    log.stored(A, end(1));
    for part in 0..40 {
        assert!(append(&log, piece(2, part, part + 1, part == 39)));
        assert_eq!(read(&log, A, &mut a), Some((2, part)));
        assert!(log.usage().memory <= whole(1).size() as u64 * 4);
    }
    let spilled = log.spills();
    assert!((36..=40).contains(&spilled), "{spilled}");
    for _ in 0..2 {
        let mut again = log.join(A, end(1));
        for part in 0..40 {
            assert_eq!(read(&log, A, &mut again), Some((2, part)));
        }
    }
    assert_eq!(log.spills(), spilled, "nothing is written twice");
    log.stored(A, end(2));
    assert_eq!((log.usage().memory, files(folder.path())), (0, 0));
}

#[test]
fn a_lane_joins_where_it_stands() {
    let (_folder, log) = log(10);
    log.join(A, Position::default());
    for n in 1..=5 {
        append(&log, whole(n));
    }
    let mut b = log.join(B, end(3));
    assert_eq!(read(&log, B, &mut b), Some((4, 0)));
    let mut b = log.join(B, Position::inside(Lsn(300), 1));
    assert_eq!(
        read(&log, B, &mut b),
        Some((3, 0)),
        "its end is still to come"
    );
    let mut b = log.join(B, end(5));
    assert_eq!(read(&log, B, &mut b), None);
    append(&log, whole(6));
    assert_eq!(read(&log, B, &mut b), Some((6, 0)));
}

#[test]
fn no_cursor_is_left_behind_by_a_position_stored_before_it_was_read() {
    let (_folder, log) = log(10);
    let mut a = log.join(A, Position::default());
    for n in 1..=3 {
        append(&log, whole(n));
    }
    log.stored(A, end(3));
    for n in 1..=3 {
        assert_eq!(read(&log, A, &mut a), Some((n, 0)));
    }
    assert_eq!(read(&log, A, &mut a), None);
}

#[test]
fn the_reach_is_where_the_oldest_entry_begins() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::new(folder.path(), 1 << 20, end(7)).unwrap();
    assert_eq!((log.reach(), log.tail()), (end(7), end(7)));
    let mut a = log.join(A, end(7));
    log.join(B, end(7));
    append(&log, whole(8));
    append(&log, whole(9));
    read(&log, A, &mut a);
    log.stored(A, end(8));
    assert_eq!(log.reach(), end(7));
    log.leave(B);
    assert_eq!(log.reach(), end(8));
}

#[test]
fn what_a_parked_lane_has_not_stored_is_kept_for_it() {
    let (folder, log) = log(2);
    let (mut a, b) = (
        log.join(A, Position::default()),
        log.join(B, Position::default()),
    );
    for n in 1..=8 {
        assert!(append(&log, whole(n)));
        read(&log, A, &mut a);
        log.stored(A, end(n));
        if n == 4 {
            log.park(B);
        }
    }
    assert!(matches!(log.next(B, b, NOW), Ok(Next::Stopped)));
    assert_eq!(log.reach(), Position::default());
    let mut b = log.join(B, Position::default());
    for n in 1..=8 {
        assert_eq!(read(&log, B, &mut b), Some((n, 0)));
    }
    log.stored(B, end(8));
    assert_eq!((log.usage().memory, files(folder.path())), (0, 0));
}

#[test]
fn while_all_lanes_are_parked_the_source_waits() {
    let (folder, log) = log(2);
    log.join(A, Position::default());
    log.park(A);
    assert!(append(&log, whole(1)) && append(&log, whole(2)));
    let mut pending = pin!(log.append(whole(3)));
    assert!(pending.as_mut().now_or_never().is_none());
    log.leave(A);
    assert!(pending.now_or_never().is_some());
    assert_eq!((log.usage().memory, files(folder.path())), (0, 0));
}

#[test]
fn the_tail_advances_only_between_transactions() {
    let (_folder, log) = log(10);
    log.advance(Lsn(120));
    assert_eq!(log.tail(), Position::at(Lsn(120)));
    log.advance(Lsn(110));
    assert_eq!(log.tail(), Position::at(Lsn(120)), "never back");
    log.join(A, log.tail());
    append(&log, piece(2, 0, 3, false));
    log.advance(Lsn(999));
    assert_eq!(log.tail(), Position::inside(Lsn(200), 3));
    append(&log, piece(2, 3, 4, true));
    log.advance(Lsn(999));
    assert_eq!(log.tail(), Position::at(Lsn(999)));
}

#[test]
fn the_frontier_is_the_lowest_stored_position() {
    let (_folder, log) = log(10);
    assert_eq!(log.frontier(), None);
    log.join(A, end(4));
    log.join(B, end(2));
    assert_eq!(log.frontier(), Some(end(2)));
    log.stored(B, Position::inside(Lsn(300), 5));
    assert_eq!(log.frontier(), Some(Position::inside(Lsn(300), 5)));
    log.stored(B, end(1));
    assert_eq!(
        log.frontier(),
        Some(Position::inside(Lsn(300), 5)),
        "only joining goes back"
    );
    log.join(B, end(1));
    assert_eq!(log.frontier(), Some(end(1)));
    log.leave(B);
    assert_eq!(log.frontier(), Some(end(4)));
}

#[test]
fn an_arena_without_transactions_is_nothing() {
    let (_folder, log) = log(10);
    assert!(append(&log, ArenaBuilder::default().finish()));
    assert_eq!(log.tail(), Position::default());
}

#[test]
fn a_rewound_log_begins_where_the_slot_does_and_every_lane_reads_what_it_lacks() {
    let (_folder, log) = log(4);
    let (mut a, mut b) = (
        log.join(A, Position::default()),
        log.join(B, Position::default()),
    );
    assert_eq!(log.begin(), Position::default());
    for n in 1..=9 {
        assert!(append(&log, whole(n)));
        for (lane, cursor) in [(A, &mut a), (B, &mut b)] {
            assert_eq!(read(&log, lane, cursor), Some((n, 0)));
            log.stored(lane, end(n));
        }
    }
    assert_eq!(
        log.release(|frontier| frontier.map(|_| end(3).lsn)),
        Some(end(3).lsn)
    );
    // A's target went back: too far, and then not too far.
    log.join(A, end(2));
    assert!(!log.rewind(A, &end(2)), "the slot has forgotten it");
    assert_eq!(log.reach(), end(9));
    a = log.join(A, end(5));
    assert!(log.rewind(A, &end(5)));
    assert_eq!((log.reach(), log.tail()), (end(3), end(3)));
    // What the reader has in hand is from before.
    assert!(matches!(
        log.append(whole(10)).now_or_never(),
        Some(Err(LogError::Rewound))
    ));
    log.advance(Lsn(5000));
    assert!(log.is_rewound());
    assert_eq!(log.begin(), end(3));
    // What a lane holds it is not given again, as far as it is there when the lane comes.
    for n in 4..=10 {
        assert!(append(&log, whole(n)));
        for (lane, cursor) in [(A, &mut a), (B, &mut b)] {
            let expected = (n > 4).then_some((n, 0));
            assert_eq!(read(&log, lane, cursor), expected);
            log.stored(lane, end(n));
        }
    }
    assert_eq!(log.reach(), end(10), "nothing is kept for ever");
}

#[test]
fn a_source_that_waits_for_room_learns_of_a_rewind() {
    let (_folder, log) = log(1);
    log.join(A, Position::default());
    assert!(append(&log, whole(1)));
    let mut pending = pin!(log.append(whole(2)));
    assert!(pending.as_mut().now_or_never().is_none());
    assert!(log.rewind(A, &Position::default()));
    assert!(matches!(
        pending.as_mut().now_or_never(),
        Some(Err(LogError::Rewound))
    ));
}
