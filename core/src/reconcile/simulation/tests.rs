//! The simulation in the test suite: every strategy, and every rule taken away.

use super::{History, Kind, Settings, Topology, Triggers, run, runs::shrink};
use crate::reconcile::{Mutation, Precedence};

/// Histories of one strategy.
fn histories(kind: Kind) {
    if let Err(failure) = run(kind, 0, 20_000 / Kind::ALL.len() as u64 + 1) {
        panic!("{failure}");
    }
}

#[test]
fn latest_comes_to_rest_with_the_latest_of_all_changes() {
    histories(Kind::Latest);
}

#[test]
fn earliest_comes_to_rest() {
    histories(Kind::Earliest);
}

#[test]
fn an_ordered_list_of_sources_comes_to_rest() {
    histories(Kind::Sources);
}

#[test]
fn latest_all_tables_comes_to_rest() {
    histories(Kind::LatestAllTables);
}

#[test]
fn skip_leaves_apart_only_what_it_notes() {
    histories(Kind::Skip);
}

#[test]
fn abort_pauses_and_goes_on_when_resumed() {
    histories(Kind::Abort);
}

#[test]
fn custom_code_comes_to_rest_whatever_it_answers() {
    histories(Kind::Custom);
}

/// The first seed whose history fails without a rule.
fn fails_without(rule: Mutation, kind: Kind, change: impl Fn(&mut Settings)) -> Option<u64> {
    (0..3000).find(|&seed| {
        let mut settings = Settings::of(seed, kind);
        change(&mut settings);
        settings.broken = Some(rule);
        super::replay(seed, settings).is_err()
    })
}

/// Asserts that a rule is needed: without it some history fails.
fn needs(rule: Mutation, kind: Kind, change: impl Fn(&mut Settings)) {
    let found = fails_without(rule, kind, change);
    assert!(
        found.is_some(),
        "no history fails without the rule: {rule:?}"
    );
}

#[test]
fn every_rule_is_needed() {
    let plain = |s: &mut Settings| {
        (s.moves, s.truncates, s.unique, s.limit, s.phases) = (0, 0, false, None, false);
        (s.topology, s.triggers, s.meet) = (Topology::One, Triggers::None, None);
    };
    for rule in [
        Mutation::AlwaysStanding,
        Mutation::JoinBeforeMarker,
        Mutation::TrustPlan,
        Mutation::LeftIsDone,
        Mutation::OwedToReachable,
        Mutation::OwnIsHeld,
        Mutation::OwnIsLocal,
        Mutation::FirstChange,
        Mutation::FlightNotStored,
        Mutation::CutStoredFirst,
    ] {
        needs(rule, Kind::Earliest, plain);
    }
    needs(Mutation::NoStanding, Kind::Latest, plain);
    needs(Mutation::WrongWay, Kind::Latest, plain);
    needs(Mutation::SkipForgets, Kind::Skip, plain);
    let moves = |s: &mut Settings| {
        plain(s);
        s.moves = 30;
    };
    let phases = |s: &mut Settings| {
        moves(s);
        s.phases = true;
    };
    needs(Mutation::LooseMoves, Kind::Sources, phases);
    let meets = |s: &mut Settings| {
        plain(s);
        s.meet = Some(Precedence::First);
    };
    needs(Mutation::MeetTouched, Kind::Latest, meets);
    needs(Mutation::MeetUnread, Kind::Earliest, meets);
    needs(Mutation::UnmetNotStored, Kind::Latest, meets);
    let comes_back = |s: &mut Settings| {
        plain(s);
        s.limit = Some(2);
    };
    needs(Mutation::RejoinOwedNothing, Kind::Latest, comes_back);
    needs(Mutation::AnyGuide, Kind::Latest, |s| {
        comes_back(s);
        s.truncates = 10;
    });
    let truncates = |s: &mut Settings| {
        plain(s);
        s.truncates = 10;
    };
    needs(Mutation::WipeKeepsRows, Kind::Latest, truncates);
    needs(Mutation::TruncateIsNoCandidate, Kind::Latest, truncates);
    needs(Mutation::RefusedForEver, Kind::Latest, |s| {
        plain(s);
        s.unique = true;
    });
    needs(Mutation::EndlessHops, Kind::Latest, |s| {
        plain(s);
        s.triggers = Triggers::Endless;
    });
    let between = |topology| {
        move |s: &mut Settings| {
            plain(s);
            (s.topology, s.sources, s.skewed) = (topology, 3, false);
        }
    };
    needs(Mutation::NoPath, Kind::Latest, between(Topology::Circle));
    needs(Mutation::PathKept, Kind::Latest, between(Topology::Chain));
    needs(
        Mutation::ArrivalTime,
        Kind::Latest,
        between(Topology::Chain),
    );
}

#[test]
fn a_history_that_fails_is_made_smaller_and_fails_again() {
    let seed = fails_without(Mutation::OwnIsLocal, Kind::Latest, |_| ()).expect("a failure");
    let mut settings = Settings::of(seed, Kind::Latest);
    settings.broken = Some(Mutation::OwnIsLocal);
    let (smaller, error) = shrink(seed, settings).expect("a smaller failure");
    assert!(smaller.steps < settings.steps);
    assert_eq!(super::replay(seed, smaller).err(), Some(error));
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let tally = |seed| {
        let settings = Settings::of(seed, Kind::Latest);
        format!("{:?}", History::new(seed, settings).run())
    };
    for seed in 0..20 {
        assert_eq!(tally(seed), tally(seed));
    }
}
