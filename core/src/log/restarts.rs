//! A log that is found again: whole, torn, damaged, or of another stream.

use std::{
    fs::OpenOptions,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tahr_plugin_api::{Lsn, Position, Relation};

use super::{
    Log, LogError, LogId, LogSetup, Next,
    tests::{A, B, append, end, files, read, whole},
};
use crate::{config::OnLogLimit, record::Relations};

fn later() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn relation(oid: u32) -> Relation {
    Relation {
        oid,
        ..Relation::default()
    }
}

fn id() -> LogId {
    LogId {
        system_id: "7".into(),
        timeline: 1,
        database: 5,
        slot: "s".into(),
    }
}

struct Opening<'a> {
    folder: &'a Path,
    id: LogId,
    confirmed: u64,
    end: u64,
    relations: Arc<Relations>,
}

impl<'a> Opening<'a> {
    fn of(folder: &'a Path) -> Self {
        Self {
            folder,
            id: id(),
            confirmed: 0,
            end: u64::MAX,
            relations: Arc::default(),
        }
    }

    fn open(self) -> Log {
        self.try_open().unwrap()
    }

    fn try_open(self) -> Result<Log, LogError> {
        Log::open(LogSetup {
            folder: self.folder,
            id: self.id,
            budget: 1 << 20,
            // Segments of 64 KiB.
            limit: 512 << 10,
            on_limit: OnLogLimit::Hold,
            redo: Duration::ZERO,
            confirmed: Lsn(self.confirmed),
            end: Lsn(self.end),
            relations: self.relations,
        })
    }
}

/// A log in `folder` that has transactions 1 to `last` on disk, which lane B lacks.
fn left(folder: &Path, last: u64) {
    let opening = Opening::of(folder);
    // The one that arenas of these tests refer to.
    opening.relations.version_of(relation(44));
    let log = opening.open();
    let mut a = log.join(A, Position::default());
    log.join(B, Position::default());
    for n in 1..=last {
        append(&log, whole(n));
        read(&log, A, &mut a);
        log.stored(A, end(n));
    }
    log.keep(later());
    assert_eq!(log.frontier(), Some(end(last)));
}

/// What lane B finds from where it stands.
fn rest(log: &Log, stored: Position) -> Result<Vec<u64>, LogError> {
    let mut cursor = log.join(B, stored);
    let mut seen = Vec::new();
    loop {
        match log.next(B, cursor, Duration::ZERO)? {
            Next::Arena(arena) => {
                seen.push(arena.transactions()[0].commit_lsn / 100);
                cursor = cursor.next();
            }
            Next::Tail(_) => return Ok(seen),
            Next::Rewound(first) => cursor = first,
            Next::Later | Next::Stopped => panic!("nothing holds it up"),
        }
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "segment"))
        .collect();
    paths.sort();
    paths
}

fn names(folder: &Path, part: &str) -> usize {
    let entries = fs_err::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().contains(part))
        .count()
}

/// Flips a bit in the middle of the file at `path`.
pub(super) fn damage(path: &Path, at: u64) {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 0x40]).unwrap();
}

#[test]
fn a_log_is_found_again_with_the_relations_it_refers_to_and_goes_on_where_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    left(folder.path(), 200);
    assert!(files(folder.path()) > 2);
    let opening = Opening {
        confirmed: end(150).lsn.0,
        ..Opening::of(folder.path())
    };
    let relations = Arc::clone(&opening.relations);
    let log = opening.open();
    assert_eq!((log.reach(), log.tail()), (Position::default(), end(200)));
    assert_eq!(relations.get(1).map(|relation| relation.oid), Some(44));
    // Another table gets a number that no arena has.
    assert_eq!(relations.version_of(relation(45)).version, 2);
    assert_eq!(relations.version_of(relation(44)).version, 1);
    assert!(
        rest(&log, Position::default())
            .unwrap()
            .into_iter()
            .eq(1..=200)
    );
    assert!(
        rest(&log, end(77))
            .unwrap()
            .into_iter()
            .rev()
            .take(123)
            .rev()
            .eq(78..=200)
    );
    assert_eq!(log.frontier(), Some(end(200)), "what is on disk counts");
    append(&log, whole(201));
    let mut a = log.join(A, end(200));
    assert_eq!(read(&log, A, &mut a), Some((201, 0)));
    log.stored(A, end(201));
    log.join(B, end(100));
    log.keep(later());
    assert_eq!(log.frontier(), Some(end(201)));
    drop(log);
    // And once more.
    let opening = Opening {
        confirmed: end(201).lsn.0,
        ..Opening::of(folder.path())
    };
    let log = opening.open();
    assert!(rest(&log, end(100)).unwrap().ends_with(&[199, 200, 201]));
    log.stored(B, end(201));
    assert_eq!(files(folder.path()), 0);
}

#[test]
fn a_torn_end_is_cut_wherever_it_tears() {
    let folder = tempfile::tempdir().unwrap();
    left(folder.path(), 3);
    let path = segments(folder.path()).remove(0);
    let good = fs_err::read(&path).unwrap();
    // Every length would take a while.
    for length in (0..good.len()).rev().step_by(13) {
        fs_err::write(&path, &good[..length]).unwrap();
        let log = Opening::of(folder.path()).open();
        let seen = rest(&log, Position::default()).unwrap();
        assert!(seen.len() < 3 && seen.iter().copied().eq(1..=seen.len() as u64));
        assert_eq!(
            log.tail(),
            seen.last().map_or(Position::default(), |&n| end(n))
        );
        if length < 40 {
            assert_eq!(names(folder.path(), "aside"), 1, "no header");
            break;
        }
    }
    // Garbage at its end is no record either.
    let folder = tempfile::tempdir().unwrap();
    left(folder.path(), 3);
    let path = segments(folder.path()).remove(0);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&[7; 500]).unwrap();
    let log = Opening::of(folder.path()).open();
    assert_eq!(rest(&log, Position::default()).unwrap(), [1, 2, 3]);
    assert_eq!(fs_err::read(&path).unwrap(), good);
}

#[test]
fn a_log_of_another_stream_or_time_is_set_aside() {
    let others = [
        LogId {
            system_id: "8".into(),
            ..id()
        },
        LogId {
            timeline: 2,
            ..id()
        },
        LogId {
            database: 6,
            ..id()
        },
        LogId {
            slot: "t".into(),
            ..id()
        },
    ];
    type Open = Box<dyn FnOnce(&Path) -> Log>;
    let mut openings: Vec<Open> = Vec::new();
    for id in others {
        openings.push(Box::new(move |folder| {
            Opening {
                id,
                ..Opening::of(folder)
            }
            .open()
        }));
    }
    // The slot has gone on without it; the source is older than it.
    let confirmed = end(9).lsn.0 + 1;
    openings.push(Box::new(move |folder| {
        Opening {
            confirmed,
            ..Opening::of(folder)
        }
        .open()
    }));
    openings.push(Box::new(|folder| {
        Opening {
            end: 700,
            ..Opening::of(folder)
        }
        .open()
    }));
    for open in openings {
        let folder = tempfile::tempdir().unwrap();
        left(folder.path(), 9);
        let log = open(folder.path());
        assert_eq!(log.usage().disk, 0);
        assert_eq!(log.reach(), log.tail());
        assert!(log.tail().lsn == Lsn(0) || log.tail().lsn == Lsn(confirmed));
        assert_eq!(
            (files(folder.path()), names(folder.path(), "aside-1")),
            (0, 1)
        );
    }
}

#[test]
fn what_a_damaged_segment_held_comes_from_the_slot_again() {
    for (index, at) in [(0, 20_000), (1, 20_000), (2, 48)] {
        let folder = tempfile::tempdir().unwrap();
        left(folder.path(), 200);
        let paths = segments(folder.path());
        let log = Opening::of(folder.path()).open();
        damage(&paths[index], at);
        let mut cursor = log.join(B, Position::default());
        let mut seen = Vec::new();
        while !log.is_rewound() {
            match log.next(B, cursor, Duration::ZERO).unwrap() {
                Next::Arena(arena) => {
                    seen.push(arena.transactions()[0].commit_lsn / 100);
                    cursor = cursor.next();
                }
                Next::Rewound(first) => cursor = first,
                other => panic!("{other:?}"),
            }
        }
        assert!(seen.len() < 200 && seen.iter().copied().eq(1..=seen.len() as u64));
        let begin = log.begin();
        let first = (begin.lsn.0 + 50) / 100;
        assert!(first <= seen.len() as u64 + 1, "nothing is left out");
        log.stored(B, seen.last().map_or(Position::default(), |&n| end(n)));
        for n in first..=205 {
            append(&log, whole(n));
        }
        while let Ok(next) = log.next(B, cursor, Duration::ZERO) {
            match next {
                Next::Arena(arena) => {
                    let n = arena.transactions()[0].commit_lsn / 100;
                    if seen.last().is_none_or(|&last| n > last) {
                        seen.push(n);
                    }
                    cursor = cursor.next();
                }
                Next::Rewound(first) => cursor = first,
                Next::Tail(_) => break,
                Next::Later | Next::Stopped => panic!("nothing holds it up"),
            }
        }
        assert!(seen.iter().copied().eq(1..=205), "segment {index} at {at}");
        assert_eq!(names(folder.path(), "damaged"), 1);
    }
}

#[test]
fn what_a_damaged_segment_held_is_a_gap_where_the_slot_has_let_go_of_it() {
    let folder = tempfile::tempdir().unwrap();
    left(folder.path(), 200);
    let paths = segments(folder.path());
    let confirmed = end(200).lsn.0;
    let log = Opening {
        confirmed,
        ..Opening::of(folder.path())
    }
    .open();
    damage(&paths[1], 20_000);
    let error = rest(&log, Position::default()).unwrap_err();
    assert!(matches!(error, LogError::Gone), "{error}");
    assert!(!log.is_rewound());
    let reach = log.reach();
    assert!(reach > Position::default() && !log.rewind(B, &Position::default()));
    // Who is behind it goes on.
    let first = (reach.lsn.0 + 50) / 100;
    assert!(rest(&log, reach).unwrap().into_iter().eq(first..=200));
    assert_eq!(names(folder.path(), "damaged"), 1);
    assert!(!paths[0].exists(), "nobody can go on from there");
}

#[test]
fn a_segment_that_is_damaged_at_the_start_is_set_aside() {
    for (confirmed, begins_at_first) in [(0, true), (end(200).lsn.0, false)] {
        let folder = tempfile::tempdir().unwrap();
        left(folder.path(), 200);
        damage(&segments(folder.path())[1], 3);
        let log = Opening {
            confirmed,
            ..Opening::of(folder.path())
        }
        .open();
        let (reach, tail) = (log.reach(), log.tail());
        assert_eq!(reach == Position::default(), begins_at_first);
        assert_eq!(tail == end(200), !begins_at_first);
        let (first, last) = ((reach.lsn.0 + 50) / 100, (tail.lsn.0 - 50) / 100);
        assert!(
            rest(&log, reach)
                .unwrap()
                .into_iter()
                .eq(first.max(1)..=last)
        );
        assert!(names(folder.path(), "damaged") > 1);
    }
}

#[test]
fn a_damaged_list_of_relations_makes_the_log_useless_and_a_torn_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    left(folder.path(), 9);
    let path = folder.path().join("relations");
    let mut list = fs_err::read(&path).unwrap();
    list.extend_from_slice(b"12345678 {\"oid\":");
    fs_err::write(&path, &list).unwrap();
    let log = Opening::of(folder.path()).open();
    assert!(
        rest(&log, Position::default())
            .unwrap()
            .into_iter()
            .eq(1..=9)
    );
    drop(log);
    damage(&path, 30);
    let log = Opening::of(folder.path()).open();
    assert_eq!((log.usage().disk, names(folder.path(), "aside-1")), (0, 1));
}

#[test]
fn a_log_that_begins_behind_the_slot_is_read_again_from_there() {
    let folder = tempfile::tempdir().unwrap();
    left(folder.path(), 200);
    let log = Opening::of(folder.path()).open();
    log.join(B, end(150));
    log.join(A, end(200));
    assert!(log.reach() > end(50) && log.reach() <= end(150));
    drop(log);
    // No lane has shown yet where it stands: one may stand before that.
    let log = Opening {
        confirmed: end(50).lsn.0,
        ..Opening::of(folder.path())
    }
    .open();
    assert_eq!((log.reach(), log.tail()), (end(50), end(50)));
    assert_eq!(
        (files(folder.path()), names(folder.path(), "aside")),
        (0, 0)
    );
}

#[test]
fn a_segment_that_is_whole_when_it_is_read_again_stays() {
    let folder = tempfile::tempdir().unwrap();
    left(folder.path(), 200);
    let log = Opening {
        confirmed: end(200).lsn.0,
        ..Opening::of(folder.path())
    }
    .open();
    log.mistakes.store(true, Ordering::Relaxed);
    let error = rest(&log, Position::default()).unwrap_err();
    assert!(matches!(error, LogError::Disk(_)), "{error}");
    assert_eq!(names(folder.path(), "damaged"), 0);
    let seen = rest(&log, Position::default()).unwrap();
    assert!(seen.into_iter().eq(1..=200));
}

#[test]
fn a_log_whose_files_cant_be_read_is_not_taken_for_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    left(folder.path(), 9);
    let path = segments(folder.path()).remove(0);
    let good = fs_err::read(&path).unwrap();
    // Whoever runs this may read all files; a folder in the place of one can't be read by anybody.
    fs_err::remove_file(&path).unwrap();
    fs_err::create_dir(&path).unwrap();
    let error = Opening::of(folder.path()).try_open().unwrap_err();
    assert!(matches!(error, LogError::Disk(_)), "{error}");
    fs_err::remove_dir(&path).unwrap();
    fs_err::write(&path, good).unwrap();
    let log = Opening::of(folder.path()).open();
    let seen = rest(&log, Position::default()).unwrap();
    assert!(seen.into_iter().eq(1..=9));
}
