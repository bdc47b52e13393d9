//! Random streams, cut anywhere and resumed anywhere.

use std::{collections::HashMap, sync::Arc};

use tahr_plugin_api::{
    Position, Relation, ValueKind,
    abi::{Arena, NO_ROW, RawTransaction},
};

use super::{
    Assembler, Limits,
    samples::{
        Sent::Text, Step, begin, commit, delete, insert, table, take, truncate, update, values,
    },
};

const CONTINUED: u32 = RawTransaction::CONTINUED;
const OPEN: u32 = RawTransaction::OPEN;

/// Numbers that are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Commit LSN, ordinal, kind, relation version, row.
type Seen = (u64, u64, u8, u32, String);

/// A stream, and what must be seen of it. The slot can start sending at any of the `entries`:
/// the step of a begin, and the tables as they are there.
#[derive(Default)]
struct Stream {
    steps: Vec<Step>,
    entries: Vec<(usize, u64, Vec<Arc<Relation>>)>,
    expected: Vec<Seen>,
}

fn random_stream(random: &mut Random) -> Stream {
    let mut stream = Stream::default();
    let mut versions = 3;
    let mut tables: Vec<_> = (1..4).map(|n| table(n, n, &[ValueKind::Text])).collect();
    stream
        .steps
        .extend(tables.iter().map(|table| Step::Relation(Arc::clone(table))));
    for n in 1..=30 {
        stream.entries.push((stream.steps.len(), n, tables.clone()));
        stream.steps.push(begin(n));
        let rows = if random.below(5) == 0 {
            random.below(40)
        } else {
            random.below(4)
        };
        for ordinal in 0..rows {
            let at = random.below(3) as usize;
            if random.below(12) == 0 {
                versions += 1;
                tables[at] = table(tables[at].oid, versions, &[ValueKind::Text]);
                stream.steps.push(Step::Relation(Arc::clone(&tables[at])));
            }
            let (oid, version) = (tables[at].oid, tables[at].version);
            let text = "x".repeat(random.below(30) as usize) + &ordinal.to_string();
            let seen = |op, version, row: &str| (n * 100, ordinal, op, version, row.to_owned());
            let value = [Text(text.as_bytes())];
            let (step, op) = match random.below(4) {
                0 => (delete(oid, b"K", &value), 3),
                1 => (update(oid, b"K", &[Text(b"old")], &value), 2),
                2 => {
                    stream.steps.push(truncate(0, &[1, 2, 3]));
                    let all = tables.iter().map(|table| seen(4, table.version, ""));
                    stream.expected.extend(all);
                    continue;
                }
                _ => (insert(oid, &value), 1),
            };
            stream.steps.push(step);
            stream.expected.push(seen(op, version, &text));
        }
        stream.steps.push(commit(n));
    }
    stream
}

/// Checks that the pieces of `arena` go on from `at`, and adds its changes to `seen`.
fn follow(arena: &Arena, at: &mut Position, seen: &mut Vec<Seen>) {
    assert!(!arena.transactions().is_empty());
    for (index, transaction) in arena.transactions().iter().enumerate() {
        let is_continued = transaction.flags & CONTINUED != 0;
        assert_eq!(is_continued, at.is_inside(), "{transaction:?} after {at}");
        assert!(!is_continued || at.lsn.0 == transaction.commit_lsn);
        let (first, end) = arena.changes_of(index);
        let has_changes = first < end;
        assert!(has_changes || (is_continued && transaction.flags & OPEN == 0));
        let before = std::mem::replace(at, arena.position_after(index));
        assert!(*at > before, "{at} after {before}");
        for change in &arena.changes()[first as usize..end as usize] {
            assert!((before.ordinal..transaction.ordinal).contains(&change.ordinal));
            let row = if change.new == NO_ROW {
                change.old
            } else {
                change.new
            };
            let text = match row {
                NO_ROW => String::new(),
                row => values(arena, row, &[ValueKind::Text]).remove(0),
            };
            let version = arena.relations()[change.relation as usize];
            seen.push((
                transaction.commit_lsn,
                change.ordinal,
                change.op,
                version,
                text,
            ));
        }
    }
}

#[test]
fn every_change_comes_exactly_once_however_the_stream_is_cut_and_resumed() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let stream = random_stream(&mut random);
        let limits = Limits {
            changes: 1 + random.below(20) as usize,
            bytes: 1 + random.below(2000) as usize,
        };
        let oids: HashMap<u32, u32> = stream
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Relation(relation) => Some((relation.version, relation.oid)),
                Step::Message(_) => None,
            })
            .collect();
        let (mut at, mut seen) = (Position::default(), Vec::new());
        let mut take_arena = |arena: Option<Arena>, at: &mut Position| {
            let Some(arena) = arena else { return };
            let mut tables: Vec<u32> = arena.relations().iter().map(|v| oids[v]).collect();
            let count = tables.len();
            tables.sort_unstable();
            tables.dedup();
            assert_eq!(tables.len(), count, "an arena with two versions of a table");
            let mut bytes = Vec::new();
            arena.write_to(&mut bytes);
            follow(&Arena::read_from(&bytes).expect("read back"), at, &mut seen);
        };
        let mut connections = 0;
        loop {
            connections += 1;
            // The slot sends from any transaction on that isn't behind what was put out.
            let needed = |n: u64| n * 100 + 50 > at.lsn.0;
            let last = stream
                .entries
                .iter()
                .position(|entry| needed(entry.1))
                .unwrap_or(29);
            let (step, _, tables) = &stream.entries[random.below(last as u64 + 1) as usize];
            let mut assembler = Assembler::new(limits, at.clone());
            for table in tables {
                assert!(assembler.relation(Arc::clone(table)).is_none());
            }
            let breaks_after = match connections {
                ..8 => random.below(stream.steps.len() as u64) as usize,
                _ => usize::MAX,
            };
            for step in stream.steps[*step..].iter().take(breaks_after) {
                take_arena(take(&mut assembler, step).unwrap(), &mut at);
                if random.below(10) == 0 {
                    take_arena(assembler.pause(), &mut at);
                }
            }
            if breaks_after == usize::MAX {
                take_arena(assembler.pause(), &mut at);
                assert!(!assembler.holds_changes());
                break;
            }
        }
        assert_eq!(seen, stream.expected, "seed {seed}");
    }
}
