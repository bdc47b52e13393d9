//! What a store gives back after every kind of end.

mod fuzz;
mod life;

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::Path, time::Instant};

use fs_err::OpenOptions;
use tahr_plugin_api::Lsn;

use self::life::{Life, MEMBERS, Random, row};
use super::{Kept, Known, Membership, Store, journal::Fault};
use crate::reconcile::{Entry, Key, Origin, Record, SourceId, State, TableId, Version};

fn kept(state: State) -> Kept {
    let known = |i: usize| Known {
        source: format!("shake{i}"),
        system_id: "7300000000000000001".into(),
        timeline: 1,
        database: 5,
        slot: format!("tahr_tahr_shake{i}"),
    };
    Kept {
        membership: Membership {
            members: (0..state.cuts.len()).map(known).collect(),
        },
        state,
        met: true,
    }
}

/// The state after each step that was stored, and how long the file was then.
fn live(folder: &Path, steps: usize) -> Vec<(u64, Kept)> {
    live_by(Random::new(), folder, steps)
}

fn live_by(random: Random, folder: &Path, steps: usize) -> Vec<(u64, Kept)> {
    let mut life = Life::new(random);
    for _ in 0..20 {
        life.step();
    }
    let (mut store, found) = Store::open(folder).unwrap();
    assert_eq!(found, None);
    store.begin(&kept(life.state())).unwrap();
    let length = || fs_err::metadata(folder.join("state")).unwrap().len();
    let mut states = vec![(length(), kept(life.state()))];
    while states.len() <= steps {
        let record = life.step();
        store.append(&record).unwrap();
        if !record.is_empty() {
            states.push((length(), kept(life.state())));
        }
    }
    states
}

fn reopened(folder: &Path) -> Kept {
    Store::open(folder).unwrap().1.expect("a state")
}

#[test]
fn a_file_cut_anywhere_gives_the_state_after_the_last_whole_step() {
    let folder = tempfile::tempdir().unwrap();
    let states = live(folder.path(), 20);
    let path = folder.path().join("state");
    let whole = fs_err::read(&path).unwrap();
    for cut in 0..=whole.len() {
        fs_err::write(&path, &whole[..cut]).unwrap();
        let last = states.iter().rfind(|(length, _)| *length <= cut as u64);
        match (Store::open(folder.path()), last) {
            (Ok((_, found)), Some((_, kept))) => {
                assert_eq!(found.as_ref(), Some(kept), "cut at byte {cut}");
            }
            (Err(_), None) => {}
            (found, _) => panic!("cut at byte {cut}: {found:?}"),
        }
    }
}

#[test]
fn steps_follow_where_a_torn_one_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let states = live(folder.path(), 3);
    let path = folder.path().join("state");
    let whole = fs_err::read(&path).unwrap();
    let record = Record {
        cuts: vec![(1, Lsn(1 << 60))],
        ..Record::default()
    };
    let begin = usize::try_from(states[2].0).unwrap();
    for cut in [0, 1, 15, 16, whole.len() - begin - 1] {
        fs_err::write(&path, &whole[..begin + cut]).unwrap();
        let (mut store, found) = Store::open(folder.path()).unwrap();
        let mut kept = found.unwrap();
        assert_eq!(kept, states[2].1);
        store.append(&record).unwrap();
        store.append(&record).unwrap();
        kept.state.replay(&record);
        assert_eq!(reopened(folder.path()), kept);
    }
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_is() {
    // A last step with a sliver of zeros in a sector of its own may be one that was torn.
    let has_slivers = |states: &[(u64, Kept)]| states[5].0 % 512 > 480 || states[6].0 % 512 < 32;
    let mut random = Random::new();
    let folder = loop {
        let folder = tempfile::tempdir().unwrap();
        let random = Random(random.below(u64::MAX));
        if !has_slivers(&live_by(random, folder.path(), 6)) {
            break folder;
        }
    };
    let path = folder.path().join("state");
    let whole = fs_err::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 1 << (at % 8);
        fs_err::write(&path, bad).unwrap();
        let error = match Store::open(folder.path()) {
            Ok(_) => panic!("a flip in byte {at} of {} was overlooked", whole.len()),
            Err(error) => error,
        };
        assert!(error.message().contains("state file /"), "{error}");
        assert!(error.hint_text().is_some());
    }
}

#[test]
fn a_step_of_which_a_sector_was_never_written_did_not_happen() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let mut kept = kept(State::new(vec![Lsn::ZERO; MEMBERS]));
    store.begin(&kept).unwrap();
    let first = many_rows(20);
    store.append(&first).unwrap();
    kept.state.replay(&first);
    let path = folder.path().join("state");
    let begin = fs_err::metadata(&path).unwrap().len() as usize;
    store.append(&many_rows(30)).unwrap();
    let whole = fs_err::read(&path).unwrap();
    let sectors = (begin..whole.len()).step_by(512).map(|at| at / 512 * 512);
    for sector in sectors {
        let mut torn = whole.clone();
        let end = (sector + 512).min(whole.len());
        torn[sector.max(begin)..end].fill(0);
        fs_err::write(&path, &torn).unwrap();
        assert_eq!(reopened(folder.path()), kept, "sector at byte {sector}");
    }
    // The same in the middle of the file is damage.
    for sector in (512..begin - 512).step_by(512) {
        let mut bad = whole.clone();
        bad[sector..sector + 512].fill(0);
        fs_err::write(&path, &bad).unwrap();
        let error = Store::open(folder.path()).unwrap_err();
        assert!(error.message().contains("damaged"), "{error}");
    }
}

#[test]
fn what_was_noted_is_stored_with_the_next_step_or_when_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let mut kept = kept(State::new(vec![Lsn::ZERO; MEMBERS]));
    store.begin(&kept).unwrap();
    let length = || fs_err::metadata(folder.path().join("state")).unwrap().len();
    let begun = length();
    for is_asked in [true, false] {
        let before = length();
        for rows in [3, 1] {
            let noted = many_rows(rows);
            store.note(&noted).unwrap();
            kept.state.replay(&noted);
        }
        assert_eq!(length(), before, "nothing is written yet");
        let last = many_rows(2);
        if is_asked {
            store.sync().unwrap();
            assert_eq!(reopened(folder.path()), kept);
        }
        // One that fails takes nothing along that was noted.
        let fault = Fault {
            takes: 9,
            for_good: false,
        };
        store.journal().unwrap().fault = Some(fault);
        store.append(&last).unwrap_err();
        store.journal().unwrap().fault = None;
        store.append(&last).unwrap();
        kept.state.replay(&last);
        assert_eq!(reopened(folder.path()), kept);
    }
    // What is in a new state needs no step any more.
    store.note(&many_rows(4)).unwrap();
    store.begin(&kept).unwrap();
    store.sync().unwrap();
    assert_eq!(reopened(folder.path()), kept);
    assert!(length() > begun);
}

#[test]
fn a_failed_step_leaves_the_file_as_it_was_and_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let mut kept = kept(State::new(vec![Lsn::ZERO; MEMBERS]));
    store.begin(&kept).unwrap();
    let length = || fs_err::metadata(folder.path().join("state")).unwrap().len();
    let before = length();
    let record = many_rows(5);
    for takes in [0, 7, 100, usize::MAX] {
        for for_good in [false, true] {
            store.journal().unwrap().fault = Some(Fault { takes, for_good });
            let error = store.append(&record).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
            if for_good {
                // Not even that worked: no step may follow behind the torn one.
                let error = store.append(&record).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
            }
            store.journal().unwrap().fault = None;
            // A step without content writes nothing, so it mends nothing either.
            store.append(&Record::default()).unwrap();
            if !for_good {
                assert_eq!(length(), before);
            }
            let shorter = Record {
                landed: vec![0],
                ..Record::default()
            };
            store.append(&shorter).unwrap();
            kept.state.replay(&shorter);
            assert_eq!(reopened(folder.path()), kept);
            store.begin(&kept).unwrap();
            assert_eq!(length(), before);
        }
    }
    store.append(&record).unwrap();
    kept.state.replay(&record);
    assert_eq!(reopened(folder.path()), kept);
}

#[test]
fn a_new_state_takes_the_place_of_the_old_one_and_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let states = live(folder.path(), 10);
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let mut kept = states[10].1.clone();
    kept.met = false;
    // What an earlier attempt left is in nobody's way.
    fs_err::write(folder.path().join("state.new"), "half").unwrap();
    store.begin(&kept).unwrap();
    // Rows are equal when their fingerprints are, so this compares all bytes.
    let bytes = |kept: &Kept| postcard::to_stdvec(kept).unwrap();
    assert_eq!(bytes(&reopened(folder.path())), bytes(&kept));
    let files: Vec<_> = fs_err::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1);
}

#[test]
fn what_a_crash_left_of_a_new_state_is_removed_and_the_old_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let states = live(folder.path(), 4);
    let new = folder.path().join("state.new");
    let old = fs_err::read(folder.path().join("state")).unwrap();
    fs_err::write(&new, &old[..40]).unwrap();
    assert_eq!(reopened(folder.path()), states[4].1);
    assert!(!new.exists());
}

#[test]
fn files_and_folder_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let place = Store::folder_of(folder.path(), "shop");
    fs_err::create_dir_all(&place).unwrap();
    fs_err::set_permissions(&place, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (mut store, _) = Store::open(&place).unwrap();
    store
        .begin(&kept(State::new(vec![Lsn::ZERO; MEMBERS])))
        .unwrap();
    let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place), 0o700);
    assert_eq!(mode(&place.join("state")), 0o600);
    Store::remove(&place).unwrap();
    Store::remove(&place).unwrap();
    assert!(!place.exists());
}

#[test]
fn a_file_of_another_version_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    live(folder.path(), 1);
    let path = folder.path().join("state");
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[8] += 1;
    fs_err::write(&path, &bytes).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(error.message().contains("another version"), "{error}");
    assert_eq!(fs_err::read(&path).unwrap(), bytes);
}

#[test]
fn a_step_before_there_is_a_state_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    assert!(store.append(&many_rows(1)).is_err());
    assert!(!store.is_long());
}

#[test]
fn a_journal_is_long_when_it_exceeds_64_mib_and_twice_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let mut kept = kept(State::new(vec![Lsn::ZERO; MEMBERS]));
    store.begin(&kept).unwrap();
    store.journal().unwrap().stretch(64 << 20);
    assert!(!store.is_long());
    store.journal().unwrap().stretch(1);
    assert!(store.is_long());
    // Versions of the same row share its bytes in memory, but not on disk.
    let large = row(u64::MAX, 1 << 20);
    let mut record = many_rows(40);
    for (_, entry) in &mut record.entries {
        entry.as_mut().unwrap().version.row = Some(large.clone());
    }
    kept.state.replay(&record);
    store.begin(&kept).unwrap();
    // A state of three times 40 MiB: what is owed, and two applies.
    store.journal().unwrap().stretch(239 << 20);
    assert!(!store.is_long());
    store.journal().unwrap().stretch(3 << 20);
    assert!(store.is_long());
}

#[test]
fn zeros_behind_the_last_step_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let states = live(folder.path(), 3);
    let file = OpenOptions::new()
        .write(true)
        .open(folder.path().join("state"));
    file.unwrap().set_len(5 << 20).unwrap();
    assert_eq!(reopened(folder.path()), states[3].1);
}

/// A step of so many entries with rows of 150 bytes.
fn many_rows(count: u32) -> Record {
    let version = |content| Version {
        row: Some(row(content, 150)),
        from: 0,
        origin: Origin {
            source: SourceId(7),
            time: 1_700_000_000_000_000,
            path: Vec::new(),
        },
        moved: None,
        hops: 0,
    };
    let entry = |i: u32| {
        let entry = Entry {
            version: version(u64::from(i) << 20 | 0xf_ffff),
            owed: 0b110,
            mixed: false,
            own: Vec::new(),
        };
        (Key::new(TableId(1), &i.to_be_bytes()), Some(entry))
    };
    Record {
        cuts: vec![(0, Lsn(1 << 30))],
        entries: (0..count).map(entry).collect(),
        begun: vec![(1, 1, count as usize), (2, 2, count as usize)],
        ..Record::default()
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "it is a measurement")]
fn a_step_of_ten_thousand_rows_takes_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let mut kept = kept(State::new(vec![Lsn::ZERO; MEMBERS]));
    store.begin(&kept).unwrap();
    let path = folder.path().join("state");
    let mut times = BTreeMap::new();
    for (name, record) in [("10,000 rows", many_rows(10_000)), ("1 row", many_rows(1))] {
        let before = fs_err::metadata(&path).unwrap().len();
        let start = Instant::now();
        for _ in 0..5 {
            store.append(&record).unwrap();
        }
        let took = start.elapsed() / 5;
        let bytes = (fs_err::metadata(&path).unwrap().len() - before) / 5;
        eprintln!("{name}: {bytes} bytes in {took:?}");
        times.insert(name, took);
        (0..5).for_each(|_| kept.state.replay(&record));
    }
    // In a debug build, on a disk that may be slow; it is about not being off by a factor.
    assert!(times["10,000 rows"].as_millis() < 2000, "{times:?}");
    let start = Instant::now();
    assert_eq!(reopened(folder.path()), kept);
    eprintln!("read again in {:?}", start.elapsed());
}
