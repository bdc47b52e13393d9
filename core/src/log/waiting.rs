//! Who waits for what, and what ends it.

use std::{
    pin::pin,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tahr_plugin_api::Position;

use super::{
    Cursor, Log, Next,
    tests::{A, append, end, log, whole},
};

#[test]
fn a_lane_that_leaves_makes_room() {
    let (_folder, log) = log(2);
    log.join(A, Position::default());
    append(&log, whole(1));
    append(&log, whole(2));
    let mut pending = pin!(log.append(whole(3)));
    assert!(pending.as_mut().now_or_never().is_none());
    log.leave(A);
    assert!(pending.now_or_never().is_some());
}

/// Runs `what` while lane A waits for something to arrive; returns what A got.
fn while_waiting(log: &Arc<Log>, cursor: Cursor, what: impl FnOnce(&Log)) -> Next {
    let waiting = {
        let log = Arc::clone(log);
        thread::spawn(move || log.next(A, cursor, Duration::from_secs(60)).unwrap())
    };
    // Whether the lane waits already or not makes no difference to what it gets.
    thread::sleep(Duration::from_millis(20));
    what(log);
    let begun = Instant::now();
    let next = waiting.join().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "it was not woken"
    );
    next
}

#[test]
fn a_waiting_lane_is_woken_by_what_concerns_it() {
    let (_folder, log) = log(10);
    let log = Arc::new(log);
    let cursor = log.join(A, Position::default());
    assert!(matches!(
        while_waiting(&log, cursor, |log| log.wake(A)),
        Next::Tail(_)
    ));
    let next = while_waiting(&log, cursor, |log| assert!(append(log, whole(1))));
    assert!(matches!(next, Next::Arena(_)));
    let cursor = cursor.next();
    assert!(matches!(
        while_waiting(&log, cursor, |log| log.park(A)),
        Next::Stopped
    ));
    let cursor = log.join(A, end(1));
    assert!(matches!(
        while_waiting(&log, cursor, |log| log.leave(A)),
        Next::Stopped
    ));
    let cursor = log.join(A, end(1));
    assert!(matches!(
        while_waiting(&log, cursor, Log::stop),
        Next::Stopped
    ));
}

#[test]
fn a_wish_to_wake_is_kept_for_a_lane_that_does_not_wait() {
    let (_folder, log) = log(10);
    log.join(A, Position::default());
    log.wake(A);
    let cursor = log.join(A, Position::default());
    let begun = Instant::now();
    let next = log.next(A, cursor, Duration::from_secs(60)).unwrap();
    assert!(matches!(next, Next::Tail(_)) && begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn stopping_ends_the_wait_for_room() {
    let (_folder, log) = log(1);
    log.join(A, Position::default());
    append(&log, whole(1));
    let mut pending = pin!(log.append(whole(2)));
    assert!(pending.as_mut().now_or_never().is_none());
    log.stop();
    assert!(pending.now_or_never().is_some());
}
