//! Intakes as they run.

use futures_util::FutureExt as _;

use super::*;

/// A running intake.
struct Run<'a> {
    member: &'a Member,
    intake: Intake,
    seen: mpsc::Receiver<Seen>,
    stop: Stop,
}

impl Member {
    fn start(&self) -> Run<'_> {
        let (setup, seen) = self.setup();
        let stop = setup.stop.clone();
        Run {
            member: self,
            intake: Intake::spawn(setup).unwrap(),
            seen,
            stop,
        }
    }

    fn append(&self, arena: Arena) {
        self.log.append(arena).now_or_never().unwrap().unwrap();
    }
}

impl Run<'_> {
    /// What is said next; none once the intake has ended.
    fn next(&mut self) -> Option<Seen> {
        let limit = Duration::from_secs(20);
        let runtime = &self.member.runtime;
        runtime
            .block_on(async { tokio::time::timeout(limit, self.seen.recv()).await })
            .expect("nothing was seen")
    }

    /// The ends of the transactions that come next, and their numbers of changes.
    fn transactions(&mut self) -> Vec<(Lsn, usize)> {
        loop {
            match self.next() {
                Some(Seen::Transactions(all)) => {
                    return all.iter().map(|t| (t.end, t.changes.len())).collect();
                }
                Some(Seen::Reached(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits until it is said that `lsn` is reached; nothing else may come before.
    fn reached(&mut self, lsn: Lsn) {
        loop {
            match self.next() {
                Some(Seen::Reached(reached)) if reached < lsn => {}
                other => return assert_eq!(other, Some(Seen::Reached(lsn))),
            }
        }
    }

    fn end(self) {
        self.stop.stop();
        self.intake.join();
    }
}

/// Changes `from..to` of transaction `n`.
fn piece(n: u64, version: u32, from: u64, to: u64, is_end: bool) -> Arena {
    let mut writing = Writing::default();
    let builder = &mut writing.builder;
    builder.begin(n * 100, 0, 5, (from > 0).then_some(from));
    writing.ordinal = from;
    for id in from..to {
        writing.insert(version, &[T("x"), T(&id.to_string()), T("north")]);
    }
    match is_end {
        true => writing.builder.commit(n * 100 + 50, to),
        false => assert!(writing.builder.split(to)),
    }
    writing.builder.finish()
}

#[test]
fn transactions_behind_the_cut_come_whole_and_once() {
    let mut member = Member::new(0);
    let version = member.version(table(0));
    member.cut = end(2).0;
    let mut run = member.start();
    for n in 1..=4 {
        member.append(piece(n, version, 0, n, true));
    }
    let mut seen = run.transactions();
    seen.extend(run.transactions());
    assert_eq!(seen, [(end(3), 3), (end(4), 4)]);
    run.end();
}

#[test]
fn a_transaction_over_several_arenas_is_one() {
    let member = Member::new(0);
    let version = member.version(table(0));
    let mut run = member.start();
    member.append(piece(1, version, 0, 2, false));
    member.append(piece(1, version, 2, 3, false));
    member.append(piece(1, version, 3, 7, true));
    assert_eq!(run.transactions(), [(end(1), 7)]);
    run.end();
}

#[test]
fn a_log_that_begins_anew_in_the_middle_of_a_transaction_costs_and_repeats_nothing() {
    let member = Member::new(0);
    let version = member.version(table(0));
    let mut run = member.start();
    // Lanes keep what they have not stored, so the log may go back to its start.
    member.append(piece(1, version, 0, 1, true));
    member.append(piece(2, version, 0, 4, false));
    assert_eq!(run.transactions(), [(end(1), 1)]);
    assert!(member.log.rewind(LaneId(3), &Position::default()));
    member.log.begin();
    member.append(piece(1, version, 0, 1, true));
    member.append(piece(2, version, 0, 3, false));
    member.append(piece(2, version, 3, 6, true));
    member.append(piece(3, version, 0, 1, true));
    assert_eq!(run.transactions(), [(end(2), 6)]);
    assert_eq!(run.transactions(), [(end(3), 1)]);
    run.end();
}

#[test]
fn what_the_disk_has_lost_is_read_again_from_the_source() {
    let mut member = Member::new(0);
    let version = member.version(table(0));
    let arena = |n| piece(n, version, 0, 1, true);
    let budget = arena(1).size() as u64 * 4;
    let folder = member.folder.path();
    member.log = Arc::new(Log::new(folder, budget, Position::default()).unwrap());
    // Another lane leads, so the intake's backlog goes to disk.
    let other = LaneId(1);
    let mut cursor = member.log.join(other, Position::default());
    let mut run = member.start();
    for n in 1..=40 {
        member.append(arena(n));
        member.log.next(other, cursor, Duration::ZERO).unwrap();
        cursor = cursor.next();
        member.log.stored(other, Position::at(end(n)));
    }
    member.log.leave(other);
    for file in fs_err::read_dir(member.folder.path()).unwrap() {
        let path = file.unwrap().path();
        let length = fs_err::metadata(&path).unwrap().len();
        fs_err::write(&path, vec![0; usize::try_from(length).unwrap()]).unwrap();
    }
    let mut seen = Vec::new();
    while !member.log.is_rewound() {
        match run.seen.try_recv() {
            Ok(Seen::Transactions(all)) => seen.extend(all.iter().map(|t| t.end)),
            Ok(Seen::Reached(_)) => {}
            Err(mpsc::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(1)),
            other => panic!("{other:?}"),
        }
    }
    assert!(seen.len() < 40);
    member.log.begin();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=40 {
                member
                    .runtime
                    .block_on(member.log.append(arena(n)))
                    .unwrap();
            }
        });
        while seen.len() < 40 {
            seen.extend(run.transactions().iter().map(|(end, _)| *end));
            // What is judged is stored, which makes room.
            member
                .log
                .stored(LaneId(3), Position::at(seen[seen.len() - 1]));
        }
    });
    assert!(seen.into_iter().eq((1..=40).map(end)));
    assert_eq!(run.intake.fault(), None);
    run.end();
}

#[test]
fn it_says_how_far_it_is_where_nothing_concerns_it() {
    let member = Member::new(0);
    let other = member.version(relation(44, ("public", "other"), &["id"], &["id"]));
    let mut run = member.start();
    for n in 1..=9 {
        member.append(whole(n, |writing| writing.insert(other, &[T("1")])));
    }
    run.reached(end(9));
    member.log.advance(Lsn(5000));
    run.reached(Lsn(5000));
    run.end();
}

#[test]
fn one_word_of_how_far_it_is_waits_at_a_time() {
    let member = Member::new(0);
    let other = member.version(relation(44, ("public", "other"), &["id"], &["id"]));
    let mut run = member.start();
    for n in 1..=50 {
        member.append(whole(n, |writing| writing.insert(other, &[T("1")])));
        std::thread::sleep(Duration::from_millis(1));
        assert!(run.seen.len() <= 1);
    }
    run.reached(end(50));
    run.end();
}

#[test]
fn a_table_that_changed_is_said_last_and_what_came_before_is_sent() {
    let member = Member::new(0);
    let version = member.version(table(0));
    let columns = ["note", "id", "shop", "more"];
    let wider = relation(OIDS[0], ("public", "t"), &columns, &["id", "shop"]);
    let wider = member.version(wider);
    let mut run = member.start();
    let row = [T("x"), T("1"), T("north"), T("y")];
    let mut writing = Writing::default();
    add(&mut writing, 1, |writing| {
        writing.insert(version, &row[..3]);
    });
    add(&mut writing, 2, |writing| writing.insert(wider, &row));
    add(&mut writing, 3, |writing| writing.insert(wider, &row));
    member.append(writing.builder.finish());
    assert_eq!(run.transactions(), [(end(1), 1)]);
    assert_eq!(
        run.next(),
        Some(Seen::Reshaped {
            table: TableName::new("public", "t"),
            message: "column \"more\" is new".to_owned(),
        })
    );
    assert_eq!(run.next(), None);
    run.end();
}

#[test]
fn a_cut_that_the_source_has_forgotten_is_a_gap() {
    let mut member = Member::new(0);
    let version = member.version(table(0));
    let other = LaneId(1);
    let mut cursor = member.log.join(other, Position::default());
    for n in 1..=2 {
        member.append(piece(n, version, 0, 1, true));
        member.log.next(other, cursor, Duration::ZERO).unwrap();
        cursor = cursor.next();
        member.log.stored(other, Position::at(end(n)));
    }
    member.log.release(|frontier| Some(frontier?.lsn));
    member.cut = end(1).0;
    let mut run = member.start();
    let Some(Seen::Gap(message)) = run.next() else {
        panic!("no gap");
    };
    assert!(
        message.contains("0/96 on") && message.contains("0/FA"),
        "{message}"
    );
    assert_eq!(run.next(), None);
    run.end();
}

#[test]
fn it_ends_while_the_sink_is_full_and_while_the_source_is_away() {
    let member = Member::new(0);
    let version = member.version(table(0));
    let run = member.start();
    for n in 1..=9 {
        member.append(piece(n, version, 0, 1, true));
    }
    run.end();
    let member = Member::new(0);
    let version = member.version(table(0));
    let run = member.start();
    member.append(whole(1, |writing| {
        writing.update(version, &[V::Unchanged, T("1"), T("north")]);
    }));
    let begun = std::time::Instant::now();
    while run.intake.fault().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20), "no fault");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!run.intake.is_finished());
    run.end();
}
