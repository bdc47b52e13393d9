//! What is decided while something is on its way that hasn't seen it.

use tahr_plugin_api::Lsn;

use super::{
    super::{Change, Origin, Version},
    Key, Masters, Op, Rules, SHAKE, SourceId, Strategy, Transaction, key, row,
};

#[test]
fn what_another_sync_gives_back_hides_no_later_change() {
    let mut masters = Masters::new(2, Strategy::Latest);
    masters.put(0, 20, "hamlet", 2);
    // The other sync overwrote an earlier row of the first master with one that lost to it there.
    let other = Rules::new(vec![SourceId(0), SourceId(9)], Strategy::Latest);
    let lost = Version {
        row: Some(row(1)),
        from: 0,
        origin: Origin {
            source: SourceId(0),
            time: 10,
            path: Vec::new(),
        },
        moved: None,
        hops: 0,
    };
    let given_back = Change {
        key: key("hamlet"),
        op: Op::Put(row(1)),
        previous: None,
        origin: Some(other.outgoing(&lost, 0)),
    };
    let transaction = Transaction {
        end: Lsn(2),
        time: 30,
        marker: None,
        changes: vec![given_back],
    };
    (masters.reconciler.observe(0, transaction)).expect("a change of another sync");
    let [(_, winner)] = masters.round().winners.try_into().expect("one key");
    assert_eq!(winner.row, Some(row(2)));
    for member in [0, 1] {
        let flight = masters.reconciler.flight(member).expect("an apply");
        assert_eq!(flight.get(&key("hamlet")).unwrap().row, Some(row(2)));
    }
}

#[test]
fn a_row_that_is_given_back_after_a_truncate_goes_when_it_loses_meanwhile() {
    let mut masters = Masters::new(3, Strategy::Skip);
    let truncate = || vec![(Key::whole(SHAKE), Op::Truncate)];
    masters.show(0, 30, None, truncate());
    masters.put(1, 20, "hamlet", 1);
    // Its table is emptied, and it gets its own row again.
    let diverged = masters.round().diverged;
    assert_eq!(diverged, [key("hamlet")]);
    let flight = masters.reconciler.flight(1).expect("an apply");
    assert_eq!(flight.get(&key("hamlet")).unwrap().row, Some(row(1)));
    // Before that arrives, the third master says as the first that there is no such row.
    masters.show(2, 25, None, truncate());
    masters.land(2, Vec::new());
    masters.round();
    masters.land_all();
    masters.round();
    let flight = masters.reconciler.flight(1).expect("an apply");
    assert_eq!(flight.get(&key("hamlet")).unwrap().row, None);
    masters.land(1, Vec::new());
    masters.round();
    assert!(masters.reconciler.state().is_at_rest());
}

#[test]
fn a_source_that_was_parked_is_not_owed_a_move_that_is_taken_back() {
    let mut masters = Masters::new(2, Strategy::Skip);
    let moved = Op::Move {
        to: key("prince"),
        row: row(5),
    };
    masters.show(0, 10, None, vec![(key("hamlet"), moved)]);
    masters.round();
    masters.reconciler.park(0);
    masters.put(1, 20, "hamlet", 6);
    masters.land(1, Vec::new());
    let [conflict] = masters.round().conflicts.try_into().expect("one conflict");
    assert_eq!(conflict.withdrawn, [key("prince")]);
    assert_eq!(masters.reconciler.state().owed(0), 0);
    masters.land(1, Vec::new());
    masters.round();
    assert!(masters.reconciler.state().is_at_rest());
}
