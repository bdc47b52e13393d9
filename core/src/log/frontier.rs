//! What the slot may be told, and when.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tahr_plugin_api::{Lsn, Position};

/// Looks further apart than this part of `redo` are kept one by one; closer ones count as one.
const GRAIN: u32 = 64;

/// Holds the frontier back by a while, so that a target that lost its last moments can be given
/// them again from the slot.
///
/// It guarantees that what it returns never falls, and never exceeds a position that every lane
/// has stored since `redo` ago. The source's reader asks it before it answers the server.
#[derive(Debug)]
pub struct Frontier {
    redo: Duration,
    /// What was seen and is not old enough, oldest first; LSNs rise.
    seen: VecDeque<(Instant, Lsn)>,
    told: Option<Lsn>,
}

impl Frontier {
    /// One that lags by `redo`.
    #[must_use]
    pub fn new(redo: Duration) -> Self {
        Self {
            redo,
            seen: VecDeque::new(),
            told: None,
        }
    }

    /// Notes the lowest stored position as of `now` and returns what the slot may be told: none
    /// before `redo` has passed for the first time.
    ///
    /// A position inside a transaction counts as that transaction's commit LSN, from where the
    /// slot sends it again. Without a position, while there are no lanes, nothing new is told.
    pub fn observe(&mut self, now: Instant, position: Option<Position>) -> Option<Lsn> {
        match position {
            None => self.seen.clear(),
            Some(position) => {
                let lsn = position.lsn;
                // A target that went back, or a new lane, needs what others have passed.
                while self.seen.back().is_some_and(|&(_, seen)| seen > lsn) {
                    self.seen.pop_back();
                }
                self.note(now, lsn);
            }
        }
        while let Some(&(at, lsn)) = self.seen.front()
            && now.saturating_duration_since(at) >= self.redo
        {
            self.told = self.told.max(Some(lsn));
            self.seen.pop_front();
        }
        self.told
    }

    fn note(&mut self, now: Instant, lsn: Lsn) {
        // Being there already counts from when it came.
        if self.seen.back().is_some_and(|&(_, seen)| seen == lsn) || self.told == Some(lsn) {
            return;
        }
        // The newest look is replaced while it is close to the one before: later and higher is
        // never too much to tell, and memory stays small however often the reader asks.
        if let [.., (before, _), newest] = self.seen.make_contiguous()
            && newest.0.saturating_duration_since(*before) < self.redo / GRAIN
        {
            *newest = (now, lsn);
            return;
        }
        self.seen.push_back((now, lsn));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDO: Duration = Duration::from_secs(10);

    fn at(lsn: u64) -> Option<Position> {
        Some(Position::at(Lsn(lsn)))
    }

    fn seconds(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn the_slot_is_told_where_the_frontier_was_a_while_ago() {
        let (mut frontier, start) = (Frontier::new(REDO), Instant::now());
        for (second, lsn, told) in [
            (0, 100, None),
            (4, 200, None),
            (9, 200, None),
            (10, 300, Some(100)),
            (13, 300, Some(100)),
            (14, 300, Some(200)),
            (20, 300, Some(300)),
            (60, 300, Some(300)),
        ] {
            let found = frontier.observe(seconds(start, second), at(lsn));
            assert_eq!(found, told.map(Lsn), "at second {second}");
        }
    }

    #[test]
    fn without_a_delay_it_is_told_at_once() {
        let (mut frontier, start) = (Frontier::new(Duration::ZERO), Instant::now());
        assert_eq!(frontier.observe(start, at(7)), Some(Lsn(7)));
        assert_eq!(frontier.observe(start, at(8)), Some(Lsn(8)));
        assert_eq!(frontier.observe(start, at(9)), Some(Lsn(9)));
    }

    #[test]
    fn inside_a_transaction_the_slot_stays_before_its_commit() {
        let mut frontier = Frontier::new(Duration::ZERO);
        let inside = Position::inside(Lsn(500), 30);
        assert_eq!(
            frontier.observe(Instant::now(), Some(inside)),
            Some(Lsn(500))
        );
    }

    #[test]
    fn a_frontier_that_falls_takes_back_what_was_not_told_yet() {
        let (mut frontier, start) = (Frontier::new(REDO), Instant::now());
        frontier.observe(start, at(100));
        frontier.observe(seconds(start, 5), at(900));
        assert_eq!(
            frontier.observe(seconds(start, 10), at(900)),
            Some(Lsn(100))
        );
        assert_eq!(
            frontier.observe(seconds(start, 12), at(400)),
            Some(Lsn(100))
        );
        assert_eq!(
            frontier.observe(seconds(start, 16), at(400)),
            Some(Lsn(100)),
            "not 900"
        );
        assert_eq!(
            frontier.observe(seconds(start, 22), at(400)),
            Some(Lsn(400))
        );
        // What was told can't be taken back.
        assert_eq!(frontier.observe(seconds(start, 23), at(50)), Some(Lsn(400)));
        assert_eq!(frontier.observe(seconds(start, 40), at(50)), Some(Lsn(400)));
    }

    #[test]
    fn without_lanes_nothing_new_is_told() {
        let (mut frontier, start) = (Frontier::new(REDO), Instant::now());
        frontier.observe(start, at(100));
        frontier.observe(seconds(start, 10), at(200));
        assert_eq!(frontier.observe(seconds(start, 30), None), Some(Lsn(100)));
        assert_eq!(
            frontier.observe(seconds(start, 31), at(200)),
            Some(Lsn(100))
        );
        assert_eq!(
            frontier.observe(seconds(start, 41), at(200)),
            Some(Lsn(200))
        );
    }

    #[test]
    fn asking_often_costs_little_memory_and_little_delay() {
        let (mut frontier, start) = (Frontier::new(REDO), Instant::now());
        for milli in 0..60_000u64 {
            let told = frontier.observe(start + Duration::from_millis(milli), at(milli + 1));
            assert!(
                frontier.seen.len() <= GRAIN as usize + 3,
                "{}",
                frontier.seen.len()
            );
            let lag = milli + 1 - told.map_or(0, |lsn| lsn.0);
            assert!(
                milli < 11_000 || (10_000..10_500).contains(&lag),
                "lag {lag} at {milli}"
            );
        }
    }
}
