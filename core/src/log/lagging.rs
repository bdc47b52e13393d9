//! Lanes that lag: what is written for them, what it lets the slot forget, and what becomes of them
//! where there is no room on disk.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tahr_plugin_api::{Lsn, Position};

use super::{
    Cursor, LaneId, Log, LogError, LogSetup, Next,
    tests::{A, B, append, end, files, log, read, whole},
};
use crate::config::OnLogLimit;

/// A while later: whoever did not come is stuck.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// A log for `arenas` small arenas in memory and `limit` bytes on disk.
pub(super) fn limited(folder: &Path, arenas: usize, limit: u64, on_limit: OnLogLimit) -> Log {
    Log::open(LogSetup {
        folder,
        id: super::LogId::default(),
        budget: (whole(1).size() * arenas) as u64,
        limit,
        on_limit,
        redo: Duration::ZERO,
        confirmed: Lsn(0),
        end: Lsn(u64::MAX),
        relations: Arc::default(),
    })
    .unwrap()
}

/// Lane A takes and stores transactions `range` as they come.
pub(super) fn lead(log: &Log, a: &mut Cursor, range: impl Iterator<Item = u64>) {
    for n in range {
        assert!(append(log, whole(n)), "nothing holds the source up at {n}");
        loop {
            match read(log, A, a) {
                Some((read, 0)) if read == n => break,
                Some(_) => {}
                None => panic!("transaction {n} did not come"),
            }
        }
        log.stored(A, end(n));
    }
}

#[test]
fn nothing_is_written_while_all_lanes_keep_up() {
    let (folder, log) = log(10);
    let mut cursors = [A, B].map(|lane| (lane, log.join(lane, Position::default())));
    for n in 1..=20 {
        append(&log, whole(n));
        log.keep(Instant::now());
        for (lane, cursor) in &mut cursors {
            read(&log, *lane, cursor);
            log.stored(*lane, end(n));
        }
        log.keep(later());
    }
    assert_eq!((log.spills(), files(folder.path())), (0, 0));
}

#[test]
fn nothing_is_written_for_the_only_lane_nor_for_one_that_had_nothing_to_do() {
    let (folder, log) = log(10);
    let mut a = log.join(A, Position::default());
    append(&log, whole(1));
    log.keep(later());
    // B's tables are others: it stores its position now and then.
    log.join(B, Position::default());
    read(&log, A, &mut a);
    log.stored(A, end(1));
    log.passed(B, end(1));
    log.keep(later());
    assert_eq!((log.spills(), files(folder.path())), (0, 0));
    assert_eq!(log.frontier(), Some(Position::default()));
}

#[test]
fn the_synced_disk_lets_the_frontier_pass_a_lane_that_lags() {
    let (folder, log) = log(100);
    let mut a = log.join(A, Position::default());
    let mut b = log.join(B, Position::default());
    lead(&log, &mut a, 1..=5);
    log.keep(Instant::now());
    assert_eq!(log.frontier(), Some(Position::default()), "not at once");
    log.keep(later());
    assert_eq!((log.frontier(), log.spills()), (Some(end(5)), 5));
    lead(&log, &mut a, 6..=9);
    log.keep(later());
    assert_eq!(log.frontier(), Some(end(9)));
    // What the others have not stored is not written.
    append(&log, whole(10));
    log.keep(later());
    assert_eq!((log.frontier(), log.spills()), (Some(end(9)), 9));
    // It comes back, further back than the slot, and reads it all.
    assert_eq!(
        log.release(|frontier| Some(frontier?.lsn)),
        Some(end(9).lsn)
    );
    b = {
        let _ = b;
        log.join(B, end(2))
    };
    assert_eq!(log.reach(), Position::default());
    for n in 3..=10 {
        assert_eq!(read(&log, B, &mut b), Some((n, 0)));
        log.stored(B, end(n));
    }
    assert_eq!(read(&log, A, &mut a), Some((10, 0)));
    log.stored(A, end(10));
    assert_eq!((log.usage().memory, files(folder.path())), (0, 0));
    assert_eq!(log.reach(), end(10));
}

#[test]
fn wal_without_changes_passes_a_lane_that_is_stuck_and_costs_a_few_bytes() {
    let (folder, log) = log(10);
    log.join(A, Position::default());
    log.park(A);
    log.advance(Lsn(1 << 19));
    log.keep(later());
    assert_eq!(files(folder.path()), 0, "not worth it yet");
    for mib in 2..50 {
        log.advance(Lsn(mib << 20));
        log.keep(later());
        assert_eq!(log.frontier(), Some(Position::at(Lsn(mib << 20))));
    }
    assert!(log.usage().disk < 4096, "{:?}", log.usage());
    let a = log.join(A, Position::default());
    let Ok(Next::Tail(tail)) = log.next(A, a, Duration::ZERO) else {
        panic!("not at the tail");
    };
    assert_eq!(tail, Position::at(Lsn(49 << 20)));
    log.stored(A, tail);
    assert_eq!(files(folder.path()), 0);
}

#[test]
fn lanes_are_told_once_files_wait_only_for_them_to_store_where_they_are() {
    let (folder, log) = log(10);
    let far = Position::at(Lsn(4 << 20));
    let mut a = log.join(A, Position::default());
    log.join(B, Position::default());
    assert!(!log.passed(A, Position::default()), "there are none");
    lead(&log, &mut a, 1..=2);
    log.advance(far.lsn);
    log.park(B);
    log.keep(later());
    assert_ne!(files(folder.path()), 0);
    assert!(!log.passed(A, far.clone()), "B needs them");
    log.join(B, end(2));
    assert!(log.passed(B, far.clone()) && log.passed(A, far.clone()));
    log.stored(A, far.clone());
    assert!(!log.passed(A, far.clone()), "it has stored so");
    log.stored(B, far);
    assert_eq!(files(folder.path()), 0);
}

/// The entries that `lane` finds from `cursor` on, while the source sends again what it is asked
/// for; up to transaction `last`.
fn drain(log: &Log, lane: LaneId, mut cursor: Cursor, last: u64) -> Vec<u64> {
    let mut seen: Vec<u64> = Vec::new();
    loop {
        if log.is_rewound() {
            let begin = log.begin().lsn.0;
            for n in 1..=last {
                if n * 100 >= begin {
                    append(log, whole(n));
                }
            }
        }
        match log.next(lane, cursor, Duration::ZERO).unwrap() {
            Next::Arena(arena) => {
                let n = arena.transactions()[0].commit_lsn / 100;
                cursor = cursor.next();
                // What it has dealt with it skips.
                if seen.last().is_none_or(|&last| n > last) {
                    seen.push(n);
                    log.stored(lane, end(n));
                }
            }
            Next::Rewound(first) => cursor = first,
            Next::Tail(_) => return seen,
            Next::Later | Next::Stopped => panic!("nothing holds it up"),
        }
    }
}

#[test]
fn at_its_limit_the_log_leaves_the_rest_to_the_slot_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let limit = 256 << 10;
    let log = limited(folder.path(), 4, limit, OnLogLimit::Hold);
    let mut a = log.join(A, Position::default());
    let b = log.join(B, Position::default());
    log.park(B);
    lead(&log, &mut a, 1..=1000);
    log.keep(later());
    let usage = log.usage();
    assert!(usage.disk <= limit && usage.disk > limit / 2, "{usage:?}");
    assert_eq!(usage.cut_off, 1);
    assert!(usage.fault.is_some());
    let frontier = log.release(|frontier| Some(frontier?.lsn)).unwrap();
    assert!(frontier > Lsn(0) && frontier < end(1000).lsn, "{frontier}");
    assert!(matches!(log.next(B, b, Duration::ZERO), Ok(Next::Stopped)));
    // It comes back. What is on disk it reads from there, and the rest the source sends again.
    let b = log.join(B, Position::default());
    // So much fits into memory, beside what was on disk.
    let seen = drain(&log, B, b, frontier.0 / 100 + 2);
    assert!(
        seen.iter().copied().eq(1..=frontier.0 / 100 + 2),
        "{seen:?}"
    );
    assert!(matches!(
        log.next(A, a, Duration::ZERO),
        Ok(Next::Rewound(_))
    ));
    assert_eq!(log.usage().cut_off, 0);
}

#[test]
fn at_its_limit_the_log_gives_up_the_lane_that_lags_most_if_it_shall() {
    let folder = tempfile::tempdir().unwrap();
    let limit = 256 << 10;
    let log = limited(folder.path(), 4, limit, OnLogLimit::Park);
    let mut a = log.join(A, Position::default());
    let b = log.join(B, Position::default());
    lead(&log, &mut a, 1..=100);
    assert!(log.has_given_up(B).is_none());
    lead(&log, &mut a, 101..=1000);
    assert!(log.has_given_up(B).is_some() && log.has_given_up(A).is_none());
    assert!(matches!(
        log.next(B, b, Duration::ZERO),
        Err(LogError::GivenUp(_))
    ));
    assert_eq!(log.frontier(), Some(end(1000)), "it holds nothing back");
    assert_eq!((log.usage().disk, files(folder.path())), (0, 0));
    // There is a gap, then.
    log.release(|frontier| Some(frontier?.lsn));
    log.join(B, Position::default());
    assert!(log.has_given_up(B).is_none());
    assert!(Position::default() < log.reach() && !log.rewind(B, &Position::default()));
}

/// Sets aside `name` of `kib` KiB in `folder`.
fn set_aside(folder: &Path, name: &str, kib: usize) {
    let path = folder.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, vec![0; kib << 10]).unwrap();
    // The clock of files has steps.
    std::thread::sleep(Duration::from_millis(15));
}

#[test]
fn what_was_set_aside_counts_and_makes_way_for_what_lanes_need() {
    let folder = tempfile::tempdir().unwrap();
    set_aside(folder.path(), "aside-1/0000000001.segment", 400);
    set_aside(folder.path(), "aside-2/0000000001.segment", 60);
    set_aside(folder.path(), "0000000007.damaged", 40);
    let limit = 256 << 10;
    let log = limited(folder.path(), 4, limit, OnLogLimit::Hold);
    let usage = log.usage();
    assert_eq!(
        (usage.aside, usage.aside_count),
        (100 << 10, 2),
        "{usage:?}"
    );
    assert!(!folder.path().join("aside-1").exists(), "more than fits");
    let mut a = log.join(A, Position::default());
    log.join(B, Position::default());
    log.park(B);
    let mut counts = Vec::new();
    for n in 1..=400 {
        lead(&log, &mut a, n..=n);
        let usage = log.usage();
        assert!(usage.disk + usage.aside <= limit, "{usage:?}");
        assert_eq!(usage.fault.is_some(), usage.cut_off > 0);
        if usage.cut_off > 0 {
            assert_eq!(usage.aside, 0, "a lane needs the room");
        }
        counts.push(usage.aside_count);
    }
    assert_eq!(log.usage().cut_off, 1);
    counts.dedup();
    assert_eq!(counts, [2, 1, 0], "one after the other");
    assert!(!folder.path().join("aside-2").exists());
    assert!(!folder.path().join("0000000007.damaged").exists());
}

#[test]
fn what_was_set_aside_makes_way_where_the_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    set_aside(folder.path(), "aside-1/0000000001.segment", 60);
    set_aside(folder.path(), "0000000007.damaged", 40);
    let log = limited(folder.path(), 4, u64::MAX, OnLogLimit::Hold);
    let mut a = log.join(A, Position::default());
    log.join(B, Position::default());
    log.park(B);
    log.scribe.lock().unwrap().is_full = true;
    lead(&log, &mut a, 1..=9);
    let usage = log.usage();
    assert_eq!(
        (usage.aside, usage.aside_count, usage.cut_off),
        (40 << 10, 1, 1)
    );
    log.keep(later());
    assert!(!folder.path().join("aside-1").exists());
    assert!(folder.path().join("0000000007.damaged").exists());
}

#[test]
fn a_disk_that_takes_nothing_is_the_matter_of_the_lane_that_lags() {
    let folder = tempfile::tempdir().unwrap();
    let log_folder = folder.path().join("log");
    let log = limited(&log_folder, 4, u64::MAX, OnLogLimit::Hold);
    // No folder can be made there.
    fs_err::write(&log_folder, "").unwrap();
    let mut a = log.join(A, Position::default());
    log.join(B, Position::default());
    log.park(B);
    lead(&log, &mut a, 1..=50);
    log.keep(later());
    let usage = log.usage();
    assert_eq!((usage.disk, usage.cut_off), (0, 1));
    assert!(usage.fault.is_some());
    assert_eq!(
        log.frontier(),
        Some(Position::default()),
        "the slot keeps it"
    );
    // The disk is well again, and the lane comes back.
    fs_err::remove_file(&log_folder).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    let b = log.join(B, Position::default());
    assert!(Position::default() < log.reach() && log.rewind(B, &Position::default()));
    assert_eq!(drain(&log, B, b, 4), [1, 2, 3, 4]);
    let mut a = log.join(A, end(50));
    for n in 5..=50 {
        assert!(append(&log, whole(n)));
        read(&log, A, &mut a);
    }
    lead(&log, &mut a, 51..=60);
    assert!(log.usage().fault.is_none() && files(&log_folder) == 1);
}

#[test]
fn a_slow_lane_that_still_comes_is_waited_for_where_the_disk_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log_folder = folder.path().join("log");
    let log = limited(&log_folder, 4, u64::MAX, OnLogLimit::Hold);
    fs_err::write(&log_folder, "").unwrap();
    let mut a = log.join(A, Position::default());
    let mut b = log.join(B, Position::default());
    lead(&log, &mut a, 1..=4);
    assert!(log.append(whole(5)).now_or_never().is_none());
    assert_eq!(read(&log, B, &mut b), Some((1, 0)));
    log.stored(B, end(1));
    lead(&log, &mut a, 5..=5);
}
