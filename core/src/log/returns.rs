//! Lanes that come to a log which has let go of what they need: it begins anew for them, or they are
//! told; and what is read again after a read that failed.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tahr_plugin_api::{Position, abi::Arena};

use super::{
    Cursor, LaneId, Log, LogError, Next,
    lagging::{lead, limited},
    tests::{A, B, append, end, files, log, piece, read, whole},
};
use crate::config::OnLogLimit;

const C: LaneId = LaneId(2);

fn later() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Sends what the source is asked for again, up to transaction `last`.
fn send_again(log: &Log, last: u64) {
    let begin = log.begin();
    for n in (1..=last).filter(|&n| end(n) > begin) {
        assert!(append(log, whole(n)));
    }
}

/// What `lane` finds next.
fn next(log: &Log, lane: LaneId, cursor: &mut Cursor) -> Result<Option<u64>, LogError> {
    loop {
        match log.next(lane, *cursor, Duration::ZERO)? {
            Next::Rewound(first) => *cursor = first,
            Next::Tail(_) => return Ok(None),
            Next::Later | Next::Stopped => panic!("nothing holds it up"),
            Next::Arena(arena) => {
                *cursor = cursor.next();
                return Ok(Some(arena.transactions()[0].commit_lsn / 100));
            }
        }
    }
}

#[test]
fn a_lane_that_was_cut_off_while_the_disk_held_nothing_reads_from_where_it_stands() {
    let (_folder, log) = log(4);
    let mut a = log.join(A, Position::default());
    let mut b = log.join(B, Position::default());
    log.join(C, Position::default());
    log.park(C);
    log.scribe.lock().unwrap().is_full = true;
    assert!(append(&log, whole(1)));
    read(&log, A, &mut a);
    // B is held up by its target, and C is parked; memory lets go of what both lack.
    log.lock().lanes.get_mut(&B).unwrap().active -= Duration::from_secs(10);
    lead(&log, &mut a, 2..=9);
    assert_eq!(log.usage().cut_off, 2);
    // The disk is well again, and holds what comes now, for D.
    log.scribe.lock().unwrap().is_full = false;
    log.lock().quota.retry();
    let d = LaneId(3);
    log.join(d, end(9));
    log.park(d);
    lead(&log, &mut a, 10..=30);
    log.keep(later());
    assert!(log.usage().disk > 0);
    assert_eq!(
        log.release(|frontier| Some(frontier?.lsn)),
        Some(Position::default().lsn)
    );
    // D comes, and the log begins anew where it would have to read what isn't there.
    assert!(log.lock().rewind_to_disk());
    assert_eq!(log.usage().cut_off, 2, "nothing has brought it back");
    send_again(&log, 30);
    assert_eq!(
        log.frontier(),
        Some(Position::default()),
        "the slot keeps it"
    );
    // Now B comes, too.
    assert_eq!(next(&log, B, &mut b).unwrap(), None, "it comes again");
    send_again(&log, 4);
    for n in 1..=4 {
        assert_eq!(next(&log, B, &mut b).unwrap(), Some(n));
    }
}

#[test]
fn what_a_lane_needs_that_was_given_up_while_it_began_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let log = limited(folder.path(), 4, 256 << 10, OnLogLimit::Park);
    let mut a = log.join(A, Position::default());
    log.join(B, Position::default());
    lead(&log, &mut a, 1..=100);
    // It has seen that the log reaches where it stands, and does something else before it reads.
    log.join(B, end(5));
    assert!(log.reach() <= end(5));
    lead(&log, &mut a, 101..=1000);
    assert!(log.has_given_up(B).is_some());
    log.release(|frontier| Some(frontier?.lsn));
    let mut b = log.join(B, end(5));
    let found = next(&log, B, &mut b);
    assert!(matches!(found, Err(LogError::Gone)), "{found:?}");
}

#[test]
fn what_failed_to_be_read_is_read_again_after_a_rewind() {
    let (_folder, log) = log(4);
    let mut a = log.join(A, Position::default());
    let mut b = log.join(B, Position::default());
    lead(&log, &mut a, 1..=20);
    for n in 1..=5 {
        assert_eq!(read(&log, B, &mut b), Some((n, 0)));
    }
    log.stored(B, end(5));
    log.fails.store(true, Ordering::Relaxed);
    assert!(matches!(next(&log, B, &mut b), Err(LogError::Disk(_))));
    assert!(log.lock().rewind_to_disk());
    assert_eq!(next(&log, B, &mut b).unwrap(), Some(6));
}

#[test]
fn what_was_stored_a_moment_ago_is_still_on_disk() {
    let (folder, log) = log(4);
    log.lock().quota.redo = Duration::from_secs(10);
    let mut a = log.join(A, Position::default());
    let mut b = log.join(B, Position::default());
    lead(&log, &mut a, 1..=20);
    log.keep(later());
    // What is synced counts, so the slot is told more than the lane that lags has stored.
    log.release(|frontier| Some(frontier?.lsn));
    assert_eq!(log.told(), end(20).lsn);
    for n in 1..=20 {
        assert_eq!(read(&log, B, &mut b), Some((n, 0)));
        log.stored(B, end(n));
    }
    lead(&log, &mut a, 21..=22);
    assert_eq!(read(&log, B, &mut b), Some((21, 0)));
    log.stored(B, end(21));
    assert_eq!(files(folder.path()), 1);
    // Its target loses a part of that.
    let mut b = log.join(B, end(15));
    assert!(log.reach() <= end(15));
    for n in 16..=20 {
        let found = next(&log, B, &mut b).unwrap();
        assert!(found.is_some_and(|found| found <= n), "{found:?}");
        if found < Some(16) {
            continue;
        }
        log.stored(B, end(n));
    }
    log.stored(B, end(22));
    log.park(B);
    log.keep(Instant::now());
    assert_eq!(files(folder.path()), 1);
    log.keep(later());
    assert_eq!(files(folder.path()), 0);
}

#[test]
fn what_is_kept_for_a_target_that_may_lose_something_holds_nobody_up() {
    let (folder, log) = log(4);
    log.lock().quota.redo = Duration::from_secs(600);
    let mut a = log.join(A, Position::default());
    let mut b = log.join(B, Position::default());
    lead(&log, &mut a, 1..=20);
    while let Some((n, _)) = read(&log, B, &mut b) {
        log.stored(B, end(n));
    }
    lead(&log, &mut a, 21..=22);
    while let Some((n, _)) = read(&log, B, &mut b) {
        log.stored(B, end(n));
    }
    assert!(log.lock().has_hole());
    // Now B lags.
    lead(&log, &mut a, 23..=60);
    assert_eq!(files(folder.path()), 1);
    for n in 23..=60 {
        assert_eq!(read(&log, B, &mut b), Some((n, 0)));
    }
}

#[test]
fn the_slot_holds_nothing_for_a_lane_that_nothing_can_be_kept_for() {
    let (_folder, log) = log(4);
    assert_eq!(log.frontier(), None);
    log.join(A, Position::default());
    log.give_up(A);
    for n in 1..=20 {
        assert!(append(&log, whole(n)));
    }
    assert_eq!(log.frontier(), Some(end(20)));
}

#[test]
fn a_file_that_is_in_the_way_is_passed() {
    let (folder, log) = log(4);
    fs_err::write(folder.path().join("0000000001.segment"), "").unwrap();
    let mut a = log.join(A, Position::default());
    log.join(B, Position::default());
    lead(&log, &mut a, 1..=20);
    assert!(log.usage().disk > 0 && log.usage().fault.is_none());
    assert_eq!(files(folder.path()), 2);
}

/// Lets `lane` read on through the transaction that ends with `last`, which it stores then: far in a
/// round where that is on disk, little where it comes from the source. Whether it is through.
fn goes_on(log: &Log, lane: LaneId, cursor: &mut Cursor, last: &Position) -> bool {
    for _ in 0..20 {
        let is_in_memory = log.lock().first <= cursor.number;
        match log.next(lane, *cursor, Duration::ZERO).unwrap() {
            Next::Rewound(first) => *cursor = first,
            Next::Tail(_) | Next::Later => return false,
            Next::Stopped => panic!("stopped"),
            Next::Arena(arena) => {
                *cursor = cursor.next();
                if arena.position_after(arena.transactions().len() - 1) == *last {
                    log.stored(lane, last.clone());
                    return true;
                }
                if is_in_memory {
                    return false;
                }
            }
        }
    }
    false
}

#[test]
fn lanes_in_transactions_larger_than_memory_get_through_one_after_the_other_where_the_disk_is_full()
{
    let folder = tempfile::tempdir().unwrap();
    let log = limited(folder.path(), 4, 256 << 10, OnLogLimit::Hold);
    let mut a = log.join(A, Position::default());
    for lane in [B, C] {
        log.join(lane, Position::default());
        log.park(lane);
    }
    let pieces: Vec<Arena> = (0..400).map(|n| piece(1, n, n + 1, n == 399)).collect();
    for (n, piece) in (0..).zip(&pieces) {
        assert!(append(&log, piece.clone()));
        assert_eq!(read(&log, A, &mut a), Some((1, n)));
    }
    log.stored(A, end(1));
    lead(&log, &mut a, 2..=9);
    let usage = log.usage();
    assert!(usage.cut_off == 2 && usage.disk > 100 << 10, "{usage:?}");
    // The disk ends inside the transaction. Both come back, one a while after the other.
    let mut lanes = vec![(B, log.join(B, Position::default()))];
    let (mut sent, mut rewinds) = (pieces.len(), 0);
    for round in 0.. {
        assert!(round < 2000, "they send each other back: {rewinds} rewinds");
        if round == 20 {
            lanes.push((C, log.join(C, Position::default())));
        }
        lanes.retain_mut(|(lane, cursor)| !goes_on(&log, *lane, cursor, &end(1)));
        if round > 20 && lanes.is_empty() {
            break;
        }
        if log.is_rewound() {
            rewinds += 1;
            let begin = log.begin();
            sent = pieces.partition_point(|piece| piece.position_after(0) <= begin);
        }
        if let Some(piece) = pieces.get(sent)
            && append(&log, piece.clone())
        {
            sent += 1;
        }
        while read(&log, A, &mut a).is_some() {}
    }
    assert_eq!(rewinds, 2, "once for each");
}
