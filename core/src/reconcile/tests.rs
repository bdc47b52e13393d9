//! Rounds by hand: what a person sees of conflicts, moves, constraints and triggers.

use tahr_plugin_api::Lsn;

use super::{
    Blob, Change, Difference, EffectKind, Flight, Held, Holder, Key, Left, Marker, Mutation, Op,
    Parked, Precedence, Quarrel, Reconciler, Round, Row, Rules, SourceId, State, Strategy, TableId,
    Transaction, TriggerEffects, UnknownMarker, Winner,
};

mod unseen;

const SHAKE: TableId = TableId(7);

fn key(name: &'static str) -> Key {
    Key::new(SHAKE, name)
}

fn row(value: u64) -> Row {
    Row {
        payload: Blob::from(&value.to_string()),
        fingerprint: value,
    }
}

/// Sources that obey, and their reconciler.
struct Masters {
    reconciler: Reconciler,
    ends: Vec<u64>,
}

impl Masters {
    fn new(count: usize, strategy: Strategy) -> Self {
        let members = (0..count).map(|i| SourceId(i as u32)).collect();
        Self::with(Rules::new(members, strategy))
    }

    fn with(rules: Rules) -> Self {
        let count = rules.members.len();
        let state = State::new(vec![Lsn::ZERO; count]);
        let reconciler = Reconciler::new(rules, state);
        Self {
            reconciler,
            ends: vec![0; count],
        }
    }

    fn show(&mut self, source: usize, time: i64, marker: Option<Marker>, changes: Vec<(Key, Op)>) {
        self.ends[source] += 1;
        let change = |(key, op)| Change {
            key,
            op,
            previous: None,
            origin: None,
        };
        let changes = changes.into_iter().map(change).collect();
        let transaction = Transaction {
            end: Lsn(self.ends[source]),
            time,
            marker,
            changes,
        };
        self.reconciler
            .observe(source, transaction)
            .expect("an apply that was sent");
    }

    fn put(&mut self, source: usize, time: i64, name: &'static str, value: u64) {
        self.show(source, time, None, vec![(key(name), Op::Put(row(value)))]);
    }

    fn round(&mut self) -> Round {
        self.reconciler.round(&vec![true; self.ends.len()])
    }

    /// Shows an apply as it was planned, except for what was left out.
    fn land(&mut self, source: usize, left: Vec<Left>) -> Flight {
        let flight = self
            .reconciler
            .flight(source)
            .expect("an apply in flight")
            .clone();
        let rows = flight
            .rows
            .iter()
            .filter(|(key, _)| left.iter().all(|left| left.key != *key));
        let changes = rows.map(|(key, version)| {
            let op = match &version.row {
                Some(row) => Op::Put(row.clone()),
                None if key.is_whole() => Op::Truncate,
                None => Op::Delete,
            };
            (key.clone(), op)
        });
        let changes = changes.collect();
        let marker = Marker {
            sequence: flight.sequence,
            left,
        };
        self.show(source, 1_000, Some(marker), changes);
        flight
    }

    fn land_all(&mut self) {
        for source in 0..self.ends.len() {
            if self.reconciler.flight(source).is_some() {
                self.land(source, Vec::new());
            }
        }
    }
}

#[test]
fn a_change_on_one_master_is_applied_to_all_others() {
    let mut masters = Masters::new(3, Strategy::Latest);
    masters.put(0, 10, "hamlet", 123);
    let round = masters.round();
    assert_eq!(round.winners.len(), 1);
    assert!(round.conflicts.is_empty());
    assert_eq!(masters.reconciler.flight(0), None, "nothing goes back");
    for other in [1, 2] {
        let flight = masters.land(other, Vec::new());
        assert_eq!(flight.get(&key("hamlet")).unwrap().row, Some(row(123)));
    }
    masters.round();
    assert!(masters.reconciler.state().is_at_rest());
}

#[test]
fn the_last_of_three_different_updates_wins_and_counts_as_one_conflict() {
    let mut masters = Masters::new(3, Strategy::Latest);
    masters.put(0, 12, "hamlet", 1);
    masters.put(1, 13, "hamlet", 2);
    masters.put(2, 11, "hamlet", 3);
    let round = masters.round();
    let [conflict] = round.conflicts.as_slice() else {
        panic!("not one conflict")
    };
    assert_eq!(conflict.winner, Winner::Candidate(1));
    assert_eq!(
        (conflict.candidates.len(), conflict.rule.as_str()),
        (3, "latest")
    );
    assert_eq!(masters.reconciler.flight(1), None);
    masters.land_all();
    masters.round();
    assert!(masters.reconciler.state().is_at_rest());
}

#[test]
fn a_stored_state_and_the_records_after_it_are_the_state() {
    let mut masters = Masters::new(3, Strategy::Latest);
    let mut stored = masters.reconciler.state().clone();
    for time in 0..4 {
        masters.put(time as usize % 3, time, "hamlet", time as u64);
        let record = masters.round().record;
        let text = serde_json::to_string(&record).expect("a record can be stored");
        stored.replay(&serde_json::from_str(&text).expect("a record can be read"));
        let text = serde_json::to_string(&stored).expect("a state can be stored");
        stored = serde_json::from_str(&text).expect("a state can be read");
        assert_eq!(stored, *masters.reconciler.state());
    }
}

/// A move on the first master, which the third doesn't hear of before it changes the row.
fn move_that_loses(broken: Option<Mutation>) -> Vec<Key> {
    let mut rules = Rules::new(
        (0..3).map(SourceId).collect(),
        Strategy::Sources(vec![2, 0, 1]),
    );
    rules.broken = broken;
    let mut masters = Masters::with(rules);
    let moved = Op::Move {
        to: key("prince"),
        row: row(5),
    };
    masters.show(0, 10, None, vec![(key("hamlet"), moved)]);
    masters.round();
    masters.land(1, Vec::new());
    // The old row is locked, so only the new one arrives.
    masters.land(
        2,
        vec![Left {
            key: key("hamlet"),
            holder: None,
        }],
    );
    masters.round();
    masters.put(2, 20, "hamlet", 6);
    masters.land(
        2,
        vec![Left {
            key: key("hamlet"),
            holder: None,
        }],
    );
    let [conflict] = masters.round().conflicts.try_into().expect("one conflict");
    conflict.withdrawn
}

#[test]
fn a_moved_row_goes_when_its_move_loses_even_after_it_arrived() {
    assert_eq!(move_that_loses(None), [key("prince")]);
    assert_eq!(move_that_loses(Some(Mutation::UnpinnedMoves)), []);
}

#[test]
fn a_row_that_a_unique_key_refuses_is_decided_and_both_rows_are_shown() {
    let mut masters = Masters::new(2, Strategy::Latest);
    masters.put(0, 10, "hamlet", 1);
    masters.put(1, 20, "prince", 2);
    masters.round();
    let holder = Holder {
        key: key("prince"),
        row: row(2),
        time: None,
    };
    masters.land(
        1,
        vec![Left {
            key: key("hamlet"),
            holder: Some(holder),
        }],
    );
    let round = masters.round();
    let [conflict] = round.conflicts.as_slice() else {
        panic!("not one conflict")
    };
    assert_eq!(
        (conflict.quarrel, &conflict.winner),
        (Quarrel::Unique, &Winner::Candidate(1))
    );
    let rows: Vec<_> = conflict
        .candidates
        .iter()
        .map(|c| c.version.row.clone())
        .collect();
    assert_eq!(rows, [Some(row(1)), Some(row(2))]);
    assert_eq!(round.winners, [(key("hamlet"), round.winners[0].1.clone())]);
    assert_eq!(round.winners[0].1.row, None, "the loser is deleted");
}

#[test]
fn a_trigger_parks_its_source_until_a_person_decides() {
    let mut masters = Masters::new(2, Strategy::Latest);
    masters.put(0, 10, "hamlet", 1);
    masters.round();
    let marker = Marker {
        sequence: 1,
        left: Vec::new(),
    };
    masters.show(1, 30, Some(marker), vec![(key("hamlet"), Op::Put(row(9)))]);
    masters.round();
    let Some(Parked::Effects(effects)) = &masters.reconciler.state().parked[1] else {
        panic!("not parked")
    };
    assert_eq!(
        (&effects[0].key, effects[0].kind),
        (&key("hamlet"), EffectKind::Altered)
    );
    // Others go on, and it is owed what they do.
    masters.put(0, 40, "prince", 2);
    masters.round();
    assert_eq!(masters.reconciler.state().owed(1), 2);
    let mut rules = masters.reconciler.rules().clone();
    rules.trigger_effects = TriggerEffects::Local;
    masters.reconciler.set_rules(rules);
    masters.reconciler.unpark(1);
    masters.round();
    let back = masters.reconciler.flight(0);
    let back = back.expect("the trigger's row travels");
    assert_eq!(back.get(&key("hamlet")).unwrap().row, Some(row(9)));
}

#[test]
fn abort_pauses_with_nothing_applied_and_the_conflict_is_judged_when_resumed() {
    let mut masters = Masters::new(2, Strategy::Abort);
    masters.put(0, 10, "prince", 7);
    masters.put(0, 10, "hamlet", 1);
    masters.put(1, 20, "hamlet", 2);
    let before = masters.reconciler.state().clone();
    assert!(masters.round().winners.is_empty());
    let after = masters.reconciler.state().clone();
    assert_eq!(
        after.paused.as_ref().map(|pause| &pause.key),
        Some(&key("hamlet"))
    );
    assert_eq!(
        State {
            paused: None,
            ..after
        },
        before
    );
    let rules = Rules {
        strategy: Strategy::Earliest,
        ..masters.reconciler.rules().clone()
    };
    masters.reconciler.set_rules(rules);
    masters.reconciler.resume();
    let round = masters.round();
    assert_eq!(round.winners.len(), 2);
    assert_eq!(round.conflicts[0].winner, Winner::Candidate(0));
}

#[test]
fn a_source_that_is_owed_too_much_is_parked_and_joins_again_at_rest() {
    let mut masters = Masters::new(3, Strategy::Latest);
    let mut rules = masters.reconciler.rules().clone();
    rules.limits.owed = 1;
    masters.reconciler.set_rules(rules);
    masters.put(0, 10, "hamlet", 1);
    masters.reconciler.round(&[true, true, false]);
    masters.land(1, Vec::new());
    masters.put(0, 11, "prince", 2);
    masters.reconciler.round(&[true, true, false]);
    assert_eq!(masters.reconciler.state().parked[2], Some(Parked::Resync));
    assert_eq!(masters.reconciler.state().owed(2), 0);
    assert!(masters.reconciler.rejoin(2, Lsn(50)).is_ok());
    assert_eq!(masters.reconciler.state().cuts[2], Lsn(50));
    let owed = masters.reconciler.state().owed(1);
    assert_eq!(
        masters.reconciler.state().owed(2),
        owed,
        "it is owed what stands"
    );
    assert_eq!(masters.reconciler.strangers(), [2]);
}

#[test]
fn an_apply_that_was_never_sent_is_an_error() {
    let mut masters = Masters::new(2, Strategy::Latest);
    let marker = Some(Marker {
        sequence: 3,
        left: Vec::new(),
    });
    let transaction = Transaction {
        end: Lsn(1),
        time: 0,
        marker,
        changes: Vec::new(),
    };
    assert_eq!(
        masters.reconciler.observe(0, transaction),
        Err(UnknownMarker(3))
    );
}

#[test]
fn those_who_meet_get_what_they_lack_and_no_row_goes_unseen() {
    let mut masters = Masters::new(2, Strategy::Latest);
    let rules = masters.reconciler.rules().clone();
    let state = State::of_strangers(vec![Lsn::ZERO; 2]);
    masters.reconciler = Reconciler::new(rules, state);
    let held = |value, time| {
        let row = row(value);
        Some(Held { row, time })
    };
    let difference = |name, rows| Difference {
        key: key(name),
        rows,
    };
    let reconciler = &mut masters.reconciler;
    reconciler.begin_meeting(&[0, 1], Precedence::Merge);
    reconciler.snapshots_at(&[Lsn(1), Lsn(0)]);
    reconciler.meet(vec![
        difference("late", vec![None, held(4, None)]),
        difference("one", vec![held(1, None), None]),
        difference("two", vec![held(2, Some(5)), held(3, None)]),
    ]);
    assert!(
        masters.round().record.is_empty(),
        "a snapshot is ahead of its stream"
    );
    assert!(masters.reconciler.end_meeting().is_none());
    masters.show(0, 9, None, vec![(key("late"), Op::Put(row(9)))]);
    let round = masters.round();
    let told = round
        .conflicts
        .iter()
        .map(|conflict| (conflict.key.clone(), &conflict.winner));
    let expected = [
        (key("late"), &Winner::Later),
        (key("two"), &Winner::Candidate(0)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(masters.reconciler.flight(0), None);
    let flight = masters.reconciler.flight(1).expect("an apply");
    let rows = flight.rows.iter().map(|(_, version)| version.row.clone());
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [Some(row(9)), Some(row(1)), Some(row(2))]
    );
    assert_eq!(masters.reconciler.strangers(), [0, 1]);
    assert!(masters.reconciler.end_meeting().is_some());
    assert!(masters.reconciler.strangers().is_empty());
}
