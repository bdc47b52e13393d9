//! Three lanes of their own speed, each in its own thread, that fail and begin again.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tahr_plugin_api::{
    Lsn, Op, Position,
    abi::{Arena, ArenaBuilder},
};

use super::{LaneId, Log, LogError, LogId, LogSetup, Next, tests::files};
use crate::config::OnLogLimit;

/// Numbers that are the same in every run (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Commit LSN and ordinal of a change.
pub(super) type Seen = (u64, u64);

/// Arenas of some transactions, of which every sixth is far larger than one arena.
pub(super) fn stream(random: &mut Random) -> (Vec<Arena>, Vec<Seen>, Position) {
    let (mut arenas, mut all) = (Vec::new(), Vec::new());
    let mut builder = ArenaBuilder::default();
    let mut last = Position::default();
    for n in 1..=120 {
        let rows = if random.below(6) == 0 {
            20 + random.below(60)
        } else {
            1 + random.below(3)
        };
        builder.begin(n * 100, 0, 0, None);
        for ordinal in 0..rows {
            if builder.changes() >= 6 {
                let goes_on = builder.split(ordinal).then_some(ordinal);
                arenas.push(builder.finish());
                builder.begin(n * 100, 0, 0, goes_on);
            }
            let relation = builder.relation(1);
            let row = builder.start_row();
            builder.push_text(&"x".repeat(random.below(400) as usize));
            builder.change(Op::Insert, 0, relation, None, Some(row), ordinal);
            all.push((n * 100, ordinal));
        }
        // The next transaction begins right there.
        builder.commit((n + 1) * 100, rows);
        last = Position::at(Lsn((n + 1) * 100));
        if random.below(3) == 0 {
            arenas.push(builder.finish());
        }
    }
    arenas.extend(builder.has_transactions().then(|| builder.finish()));
    (arenas, all, last)
}

/// The transactions of `arena`, or what is left of the first, behind `at`: the changes of each, and the
/// position after it.
pub(super) fn behind(arena: &Arena, at: &Position) -> Vec<(Vec<Seen>, Position)> {
    let mut found = Vec::new();
    for (index, transaction) in arena.transactions().iter().enumerate() {
        let after = arena.position_after(index);
        if after <= *at {
            continue;
        }
        let is_at = at.is_inside() && at.lsn.0 == transaction.commit_lsn;
        let done = if is_at { at.ordinal } else { 0 };
        let (first, end) = arena.changes_of(index);
        let changes = arena.changes()[first as usize..end as usize].iter();
        let left = changes.filter(|change| change.ordinal >= done);
        let left = left.map(|change| (transaction.commit_lsn, change.ordinal));
        found.push((left.collect(), after));
    }
    found
}

/// How many of `arenas` a source that is read from `begin` doesn't send again.
pub(super) fn sent_before(arenas: &[Arena], begin: &Position) -> usize {
    let end = |arena: &Arena| arena.position_after(arena.transactions().len() - 1);
    arenas.partition_point(|arena| end(arena) <= *begin)
}

/// A lane and its target: what is stored, and what is accepted only.
struct Lane {
    log: Arc<Log>,
    id: LaneId,
    random: Random,
    /// It stores parts of transactions, as a target without transactions does.
    stores_parts: bool,
    slowness: u64,
    stored: Position,
    at: Position,
    target: Vec<Seen>,
    kept: usize,
    /// Whether it got something new since it failed last.
    has_news: bool,
}

impl Lane {
    fn store(&mut self) {
        if self.stores_parts || !self.at.is_inside() {
            self.kept = self.target.len();
            self.stored = self.at.clone();
            self.log.stored(self.id, self.stored.clone());
        }
    }

    fn apply(&mut self, arena: &Arena) {
        for (changes, after) in behind(arena, &self.at) {
            self.has_news |= !changes.is_empty();
            self.target.extend(changes);
            self.at = after;
            if self.random.below(4) == 0 {
                self.store();
            }
        }
    }

    /// Until all up to `last` is stored; returns the target, and how often it began again.
    fn run(mut self, last: &Position) -> (Vec<Seen>, u32) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut cursor = self.log.join(self.id, self.stored.clone());
        let mut failures = 0;
        while self.stored < *last {
            assert!(
                Instant::now() < deadline,
                "lane {:?} hangs at {}",
                self.id,
                self.at
            );
            // It may have to read far to come to where it was.
            if self.has_news && self.random.below(40) == 0 {
                failures += 1;
                self.has_news = false;
                self.target.truncate(self.kept);
                self.at = self.stored.clone();
                cursor = self.log.join(self.id, self.stored.clone());
                let is_there = self.log.reach() <= self.stored;
                assert!(
                    is_there || self.log.rewind(self.id, &self.stored),
                    "it was let go"
                );
            }
            match self
                .log
                .next(self.id, cursor, Duration::from_millis(5))
                .unwrap()
            {
                Next::Arena(arena) => {
                    cursor = cursor.next();
                    self.apply(&arena);
                }
                Next::Tail(_) => self.store(),
                Next::Rewound(first) => cursor = first,
                Next::Later => {}
                Next::Stopped => panic!("nobody stopped it"),
            }
            if self.random.below(8) < self.slowness {
                thread::sleep(Duration::from_micros(self.random.below(400)));
            }
        }
        (self.target, failures)
    }
}

#[test]
fn every_lane_sees_everything_in_order_whatever_happens_to_it_and_to_the_others() {
    let (mut failures, mut spills, mut rewinds) = (0, 0, 0);
    for seed in 0..12 {
        let mut random = Random(seed);
        let (arenas, all, last) = stream(&mut random);
        let largest = arenas.iter().map(Arena::size).max().unwrap();
        let budget = random.below(4) as usize * largest;
        let folder = tempfile::tempdir().unwrap();
        // Now and then there is little room on disk.
        let limit = if seed % 2 == 0 { u64::MAX } else { 150 << 10 };
        let log = Log::open(LogSetup {
            folder: folder.path(),
            id: LogId::default(),
            budget: budget as u64,
            limit,
            on_limit: OnLogLimit::Hold,
            redo: Duration::ZERO,
            confirmed: Lsn(0),
            end: Lsn(u64::MAX),
            relations: Arc::default(),
        });
        let log = Arc::new(log.unwrap());
        log.keep_on("soak").unwrap();
        let lanes: Vec<_> = (0..3)
            .map(|id| {
                let lane = Lane {
                    log: Arc::clone(&log),
                    id: LaneId(id),
                    random: Random(seed * 10 + id as u64),
                    stores_parts: id == 2,
                    slowness: random.below(9),
                    stored: Position::default(),
                    at: Position::default(),
                    target: Vec::new(),
                    kept: 0,
                    has_news: false,
                };
                log.join(lane.id, Position::default());
                let last = last.clone();
                thread::spawn(move || lane.run(&last))
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut sent = 0;
        runtime.block_on(async {
            while sent < arenas.len() || lanes.iter().any(|lane| !lane.is_finished()) {
                assert!(Instant::now() < deadline, "seed {seed}: the source hangs");
                // What the slot was told is not sent again.
                log.release(|frontier| frontier.map(|position| position.lsn));
                if random.below(8) == 0 {
                    log.keep(Instant::now() + Duration::from_secs(10));
                }
                if log.is_rewound() {
                    rewinds += 1;
                    sent = sent_before(&arenas, &log.begin());
                }
                let Some(arena) = arenas.get(sent) else {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                };
                let appended = tokio::time::timeout_at(
                    tokio::time::Instant::from_std(deadline),
                    log.append(arena.clone()),
                );
                match appended.await.expect("the source hangs") {
                    Ok(()) => sent += 1,
                    Err(LogError::Rewound) => {}
                    Err(error) => panic!("{error}"),
                }
                let most = budget.max(largest) as u64;
                assert!(log.usage().memory <= most, "seed {seed}");
                assert!(log.usage().disk <= limit, "seed {seed}");
            }
        });
        for lane in lanes {
            let (target, failed) = lane.join().unwrap();
            assert!(target == all, "seed {seed}");
            failures += failed;
        }
        spills += log.spills();
        assert_eq!(log.frontier(), Some(last.clone()));
        assert_eq!((log.usage().memory, log.reach()), (0, last));
        assert_eq!(files(folder.path()), 0);
    }
    assert!(
        failures > 50 && spills > 50 && rewinds > 5,
        "{failures} failures, {spills} spills, {rewinds} rewinds"
    );
}
