//! A log, its source, its slot and three lanes in one thread, to which anything happens in any order: a
//! full disk, damage, reads that fail in passing, targets that go back, lanes that are stuck, parked,
//! given up or begin twice, and an engine that starts again. Each lane gets every change once and in
//! order, or is told that there is a gap, which is one only where the slot has let go.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tahr_plugin_api::{Lsn, Position, abi::Arena};
use tempfile::TempDir;

use super::{
    Cursor, LaneId, Log, LogError, LogId, LogSetup, Next,
    soak::{Random, Seen, behind, sent_before, stream},
};
use crate::config::OnLogLimit;

const LANES: usize = 3;

/// Says with which numbers a test failed.
struct Seed(u64);

impl Drop for Seed {
    #[expect(clippy::print_stderr, reason = "the test framework shows it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to see this again: TAHR_SEED={}", self.0);
        }
    }
}

/// What a lane is about to do.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// To see where its target stands, and whether the log reaches that.
    Begins,
    /// To read from there, as it does.
    Placed,
    Reads(Cursor),
    Rests,
}

/// A lane and its target.
struct Lane {
    id: LaneId,
    phase: Phase,
    /// It stores parts of transactions, as a target without transactions does.
    stores_parts: bool,
    /// What its target had stored at any time: where that was, and how many changes.
    stored: Vec<(Position, usize)>,
    at: Position,
    target: Vec<Seen>,
    /// Whether its target went back, or it was given up.
    has_lost: bool,
}

impl Lane {
    fn position(&self) -> Position {
        self.stored[self.stored.len() - 1].0.clone()
    }

    /// Forgets what it has not stored.
    fn take_back(&mut self) {
        let (position, length) = &self.stored[self.stored.len() - 1];
        self.at = position.clone();
        self.target.truncate(*length);
    }

    fn apply(&mut self, arena: &Arena, all: &[Seen]) {
        for (changes, after) in behind(arena, &self.at) {
            for seen in changes {
                let due = all[self.target.len()];
                assert_eq!(seen, due, "lane {:?} passed over something", self.id);
                self.target.push(seen);
            }
            self.at = after;
        }
    }

    /// Nothing lies before `tail` that it has not seen.
    fn reaches(&mut self, tail: Position, all: &[Seen]) {
        if tail > self.at && !tail.is_inside() && !self.at.is_inside() {
            let due = all.partition_point(|(commit, _)| commit + 100 <= tail.lsn.0);
            assert_eq!(
                self.target.len(),
                due,
                "lane {:?} would pass over something on its way to {tail}",
                self.id
            );
            self.at = tail;
        }
    }
}

/// How often something happened.
#[derive(Debug, Default)]
struct Counts {
    rewinds: u32,
    gaps: u32,
    given_up: u32,
    faults: u32,
    restarts: u32,
    spills: u64,
}

struct World {
    random: Random,
    folder: TempDir,
    budget: usize,
    limit: u64,
    on_limit: OnLogLimit,
    log: Log,
    arenas: Vec<Arena>,
    all: Vec<Seen>,
    last: Position,
    /// Arenas that the source has sent since it was read last.
    sent: usize,
    lanes: Vec<Lane>,
    is_damaged: bool,
    counts: Counts,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let (arenas, all, last) = stream(&mut random);
        let largest = arenas.iter().map(Arena::size).max().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let budget = random.below(6) as usize * largest;
        let limit = [u64::MAX, 100 << 10, 30 << 10][random.below(3) as usize];
        let on_limit = match random.below(2) {
            0 => OnLogLimit::Hold,
            _ => OnLogLimit::Park,
        };
        let log = open(&folder, (budget, limit, on_limit), Lsn(0));
        let lanes = (0..LANES).map(|id| Lane {
            id: LaneId(id),
            phase: Phase::Begins,
            stores_parts: id == 2,
            stored: vec![(Position::default(), 0)],
            at: Position::default(),
            target: Vec::new(),
            has_lost: false,
        });
        let world = Self {
            random,
            folder,
            budget,
            limit,
            on_limit,
            log,
            arenas,
            all,
            last,
            sent: 0,
            lanes: lanes.collect(),
            is_damaged: false,
            counts: Counts::default(),
        };
        world.seat();
        world
    }

    /// Each lane has its place before it comes.
    fn seat(&self) {
        let start = self.log.reach();
        for lane in &self.lanes {
            self.log.join(lane.id, start.clone());
        }
    }

    fn chance(&mut self, of: u64) -> bool {
        self.random.below(of) == 0
    }

    fn send(&mut self) {
        if self.log.is_rewound() {
            self.counts.rewinds += 1;
            let begin = self.log.begin();
            let told = Position::at(self.log.told());
            assert!(
                told <= begin,
                "the slot has let go of {begin}: it holds what is behind {told}"
            );
            self.sent = sent_before(&self.arenas, &begin);
        }
        let Some(arena) = self.arenas.get(self.sent) else {
            return;
        };
        match self.log.append(arena.clone()).now_or_never() {
            Some(Ok(())) => self.sent += 1,
            Some(Err(LogError::Rewound)) | None => {}
            Some(Err(error)) => panic!("{error}"),
        }
    }

    /// Lets the lane `index` do what it is about to.
    fn go_on(&mut self, index: usize) {
        let (log, lane) = (&self.log, &mut self.lanes[index]);
        // Which joining would make it forget.
        lane.has_lost |= log.has_given_up(lane.id).is_some();
        match lane.phase {
            Phase::Rests => {}
            Phase::Begins => {
                lane.take_back();
                let stored = lane.position();
                log.join(lane.id, stored.clone());
                let reaches = stored >= log.reach() || log.rewind(lane.id, &stored);
                if reaches {
                    lane.phase = Phase::Placed;
                } else {
                    self.gap(index);
                }
            }
            Phase::Placed => lane.phase = Phase::Reads(log.join(lane.id, lane.position())),
            Phase::Reads(cursor) => match log.next(lane.id, cursor, Duration::ZERO) {
                Ok(Next::Arena(arena)) => {
                    lane.phase = Phase::Reads(cursor.next());
                    lane.apply(&arena, &self.all);
                }
                Ok(Next::Tail(tail)) => lane.reaches(tail, &self.all),
                Ok(Next::Rewound(first)) => lane.phase = Phase::Reads(first),
                Ok(Next::Later) => {}
                Ok(Next::Stopped) => panic!("nobody stopped it"),
                Err(LogError::GivenUp(_)) => {
                    self.counts.given_up += 1;
                    log.park(lane.id);
                    lane.phase = Phase::Rests;
                    lane.has_lost = true;
                }
                Err(LogError::Gone) => lane.phase = Phase::Begins,
                Err(LogError::Disk(_)) => {
                    self.counts.faults += 1;
                    // Some try again where they are.
                    if self.random.below(2) == 0 {
                        self.lanes[index].phase = Phase::Begins;
                    }
                }
                Err(error) => panic!("{error}"),
            },
        }
    }

    /// The lane `index` can't be served: its tables are copied anew.
    fn gap(&mut self, index: usize) {
        let (log, lane) = (&self.log, &mut self.lanes[index]);
        let told = Position::at(log.told());
        assert!(told > lane.position(), "the slot still has it");
        assert!(
            lane.has_lost || self.is_damaged,
            "lane {index} at {} has lost nothing, but the log begins at {} and the slot at {told}",
            lane.position(),
            log.reach()
        );
        self.counts.gaps += 1;
        log.give_up(lane.id);
        let position = log.join_at_tail(lane.id);
        let copied = |(commit, _): &Seen| commit + 100 <= position.lsn.0;
        lane.target = self.all[..self.all.partition_point(copied)].to_vec();
        lane.stored = vec![(position.clone(), lane.target.len())];
        lane.at = position;
        lane.has_lost = false;
        lane.phase = Phase::Placed;
    }

    fn store(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        if matches!(lane.phase, Phase::Reads(_)) && (lane.stores_parts || !lane.at.is_inside()) {
            lane.stored.push((lane.at.clone(), lane.target.len()));
            self.log.stored(lane.id, lane.at.clone());
        }
    }

    /// The target of the lane `index` loses what it has stored last.
    fn go_back(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        let kept = lane.stored.len() as u64;
        let lost = self.random.below(kept.min(6));
        lane.stored.truncate((kept - lost) as usize);
        lane.has_lost |= lost > 0;
        if !matches!(lane.phase, Phase::Rests) {
            lane.phase = Phase::Begins;
        }
    }

    /// The lane `index` has not come for a while.
    fn is_stuck(&mut self, index: usize) {
        let (id, while_ago) = (LaneId(index), Instant::now().checked_sub(WHILE));
        let mut state = self.log.lock();
        if let (Some(lane), Some(at)) = (state.lanes.get_mut(&id), while_ago) {
            lane.active = at;
        }
    }

    fn rest(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        lane.phase = Phase::Rests;
        self.log.park(lane.id);
    }

    /// Whether the disk takes anything.
    fn fill_disk(&mut self, is_full: bool) {
        self.log.scribe.lock().unwrap().is_full = is_full;
        self.log.lock().quota.retry();
    }

    /// Flips a bit of a segment.
    fn damage(&mut self) {
        let entries = fs_err::read_dir(self.folder.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|suffix| suffix == "segment"))
            .collect();
        paths.sort();
        if paths.is_empty() {
            return;
        }
        let path = &paths[self.random.below(paths.len() as u64) as usize];
        let length = fs_err::metadata(path).unwrap().len();
        if length > 0 {
            super::restarts::damage(path, self.random.below(length));
            self.is_damaged = true;
        }
    }

    fn restart(&mut self) {
        self.counts.restarts += 1;
        self.counts.spills += self.log.spills();
        let told = self.log.told();
        let setup = (self.budget, self.limit, self.on_limit);
        for lane in &mut self.lanes {
            lane.has_lost |= self.log.has_given_up(lane.id).is_some();
        }
        // The old one is gone before the new one comes.
        let elsewhere = tempfile::tempdir().unwrap();
        self.log = open(&elsewhere, setup, told);
        self.log = open(&self.folder, setup, told);
        for lane in &mut self.lanes {
            lane.phase = Phase::Begins;
        }
        self.sent = sent_before(&self.arenas, &self.log.begin());
        self.seat();
    }

    fn happen(&mut self, perils: u64) {
        let index = self.random.below(LANES as u64) as usize;
        match self.random.below(perils) {
            0 => self.rest(index),
            1 => self.fill_disk(true),
            2 => self.fill_disk(false),
            3 => self
                .log
                .fails
                .store(true, std::sync::atomic::Ordering::Relaxed),
            4 => self.go_back(index),
            5..=7 => self.is_stuck(index),
            8 if self.chance(4) => self.damage(),
            9 if self.chance(4) => self.restart(),
            10 => self.lanes[index].phase = Phase::Begins,
            _ => {}
        }
    }

    fn step(&mut self) {
        let index = self.random.below(LANES as u64) as usize;
        match self.random.below(20) {
            0..=5 => self.send(),
            6..=15 => self.go_on(index),
            16 | 17 => self.store(index),
            18 => drop(self.log.release(|frontier| Some(frontier?.lsn))),
            _ => {
                self.log.keep(Instant::now() + WHILE);
                // That did not take as long as it says.
                self.log.lock().quota.retry();
            }
        }
        // Who rests comes back now and then.
        if self.chance(100) {
            let resting = self.lanes.iter_mut();
            for lane in resting.filter(|lane| matches!(lane.phase, Phase::Rests)) {
                lane.phase = Phase::Begins;
            }
        }
    }

    fn is_done(&self) -> bool {
        self.lanes.iter().all(|lane| lane.position() == self.last)
    }
}

const WHILE: Duration = Duration::from_secs(10);

fn open(folder: &TempDir, (budget, limit, on_limit): (usize, u64, OnLogLimit), told: Lsn) -> Log {
    let log = Log::open(LogSetup {
        folder: folder.path(),
        id: LogId::default(),
        budget: budget as u64,
        limit,
        on_limit,
        redo: Duration::ZERO,
        confirmed: told,
        end: Lsn(u64::MAX),
        relations: Arc::default(),
    });
    let log = log.unwrap();
    log.scribe.lock().unwrap().most = 6 << 10;
    log
}

fn live(seed: u64, counts: &mut Counts) {
    let _seed = Seed(seed);
    let mut world = World::new(seed);
    for _ in 0..3000 {
        world.step();
        world.happen(200);
        let usage = world.log.usage();
        let on_disk = usage.disk + usage.aside;
        assert!(on_disk <= world.limit, "{usage:?}");
    }
    world.fill_disk(false);
    let mut steps = 0;
    while !world.is_done() {
        world.step();
        steps += 1;
        assert!(steps < 200_000, "it hangs: {:?}", world.log.usage());
    }
    for lane in &world.lanes {
        assert!(lane.target == world.all, "lane {:?}", lane.id);
    }
    counts.rewinds += world.counts.rewinds;
    counts.gaps += world.counts.gaps;
    counts.given_up += world.counts.given_up;
    counts.faults += world.counts.faults;
    counts.restarts += world.counts.restarts;
    counts.spills += world.counts.spills + world.log.spills();
}

#[test]
fn no_lane_passes_over_anything_whatever_happens() {
    let mut counts = Counts::default();
    if let Some(seed) = std::env::var("TAHR_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        return live(seed, &mut counts);
    }
    // More of them find more.
    let seeds = std::env::var("TAHR_SEEDS").ok();
    let seeds = seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(150);
    for seed in 0..seeds {
        live(seed, &mut counts);
    }
    let Counts {
        rewinds,
        gaps,
        given_up,
        faults,
        restarts,
        spills,
    } = counts;
    assert!(
        rewinds > 100
            && gaps > 10
            && given_up > 10
            && faults > 10
            && restarts > 100
            && spills > 1000,
        "{counts:?}"
    );
}
