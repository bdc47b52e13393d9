//! A sync that lives, for its records and states.

use tahr_plugin_api::Lsn;

use crate::reconcile::{
    Blob, Change, Key, Marker, Op, Reconciler, Record, Row, Rules, SourceId, State, Strategy,
    TableId, Transaction,
};

pub(super) const MEMBERS: usize = 3;

/// Numbers of a seed, which is printed and can be given again.
pub(super) struct Random(pub(super) u64);

impl Random {
    #[expect(
        clippy::print_stderr,
        reason = "a test's output is where its seed is looked for"
    )]
    pub(super) fn new() -> Self {
        let seed = match std::env::var("TAHR_TEST_SEED") {
            Ok(text) => text.parse().expect("TAHR_TEST_SEED is a number"),
            Err(_) => u64::from(std::process::id()) << 32 | u64::from(rand_nanos()),
        };
        eprintln!("to repeat: TAHR_TEST_SEED={seed}");
        Self(seed)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

fn rand_nanos() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("a clock after 1970").subsec_nanos()
}

/// A sync that lives: local transactions, conflicts, applies that land late, pauses, parked sources.
pub(super) struct Life {
    random: Random,
    reconciler: Reconciler,
    ends: [u64; MEMBERS],
    /// The last apply that each stream showed.
    shown: [u64; MEMBERS],
}

impl Life {
    pub(super) fn new(random: Random) -> Self {
        let members = (0..MEMBERS).map(|i| SourceId(i as u32)).collect();
        let mut rules = Rules::new(members, Strategy::Latest);
        rules.tables.insert(TableId(9), Strategy::Abort);
        rules.limits.rows = 4;
        Self {
            random,
            reconciler: Reconciler::new(rules, State::new(vec![Lsn::ZERO; MEMBERS])),
            ends: [0; MEMBERS],
            shown: [0; MEMBERS],
        }
    }

    /// What the next step changed; may be nothing.
    pub(super) fn step(&mut self) -> Record {
        let random = &mut self.random;
        for source in 0..MEMBERS {
            let mut marker = None;
            let mut changes = Vec::new();
            let flight = self.reconciler.flight(source);
            let flight = flight.filter(|flight| flight.sequence != self.shown[source]);
            if let Some(flight) = flight.filter(|_| random.one_in(3)) {
                self.shown[source] = flight.sequence;
                marker = Some(Marker {
                    sequence: flight.sequence,
                    left: Vec::new(),
                });
                for (key, version) in flight.rows.iter() {
                    changes.push((key.clone(), version.row.clone().map_or(Op::Delete, Op::Put)));
                }
            } else {
                for _ in 0..random.below(3) {
                    // Conflicts that pause are rare.
                    let table = if random.one_in(40) { 9 } else { 1 };
                    let key = Key::new(TableId(table), &[random.below(12) as u8]);
                    let op = match random.below(4) {
                        0 => Op::Delete,
                        n => Op::Put(row(random.below(1 << 40), 3 + 90 * n as usize)),
                    };
                    changes.push((key, op));
                }
            }
            if changes.is_empty() && marker.is_none() {
                continue;
            }
            self.ends[source] += 1 + random.below(100);
            let change = |(key, op)| Change {
                key,
                op,
                previous: None,
                origin: None,
            };
            let transaction = Transaction {
                end: Lsn(self.ends[source]),
                time: random.below(1 << 50) as i64,
                marker,
                changes: changes.into_iter().map(change).collect(),
            };
            let observed = self.reconciler.observe(source, transaction);
            observed.expect("only applies that were sent");
        }
        let reachable: Vec<bool> = (0..MEMBERS).map(|_| !random.one_in(4)).collect();
        if self.reconciler.state().paused.is_some() {
            let mut rules = self.reconciler.rules().clone();
            rules.tables.clear();
            self.reconciler.set_rules(rules);
            return self.reconciler.resume();
        }
        if random.one_in(50) {
            return self.reconciler.park(random.below(MEMBERS as u64) as usize);
        }
        self.reconciler.round(&reachable).record
    }

    pub(super) fn state(&self) -> State {
        self.reconciler.state().clone()
    }
}

pub(super) fn row(content: u64, length: usize) -> Row {
    let mut bytes = content.to_le_bytes().to_vec();
    // No zeros, so that no sector of a frame looks as if it had not been written.
    bytes.resize(length.max(8), 0xa5);
    Row {
        payload: Blob::from(&bytes),
        fingerprint: content,
    }
}
