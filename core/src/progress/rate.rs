//! How fast each lane goes, smoothed.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{engine::Report, lane::Status};

/// Over how long rates are taken: long enough to be readable, short enough to be the present.
const WINDOW: Duration = Duration::from_secs(2);

/// The speeds of all lanes over the last two seconds.
#[derive(Debug, Default)]
pub(super) struct Rates(BTreeMap<(String, String), Lane>);

#[derive(Debug, Default)]
struct Lane {
    copied: Window,
    changes: Window,
}

impl Rates {
    /// Takes in a report of the moment `now`.
    pub(super) fn add(&mut self, now: Instant, report: &Report) {
        for status in &report.lanes {
            let key = (status.sync.clone(), status.target.clone());
            let lane = self.0.entry(key).or_default();
            lane.copied.add(now, status.rows_copied.unwrap_or(0));
            lane.changes.add(now, status.changes);
        }
    }

    /// Rows per second that the lane copies.
    pub(super) fn copied(&self, status: &Status) -> f64 {
        self.lane(status)
            .map_or(0.0, |lane| lane.copied.per_second())
    }

    /// Changes per second that the lane stores.
    pub(super) fn changes(&self, status: &Status) -> f64 {
        self.lane(status)
            .map_or(0.0, |lane| lane.changes.per_second())
    }

    fn lane(&self, status: &Status) -> Option<&Lane> {
        self.0.get(&(status.sync.clone(), status.target.clone()))
    }
}

/// A counter's values over the last while: one from before its beginning, and all since.
#[derive(Debug, Default)]
struct Window(VecDeque<(Instant, u64)>);

impl Window {
    fn add(&mut self, now: Instant, count: u64) {
        // A counter that went back belongs to another life of the engine.
        if self.0.back().is_some_and(|&(_, last)| last > count) {
            self.0.clear();
        }
        self.0.push_back((now, count));
        while self
            .0
            .get(1)
            .is_some_and(|&(at, _)| now.duration_since(at) >= WINDOW)
        {
            self.0.pop_front();
        }
    }

    fn per_second(&self) -> f64 {
        let (Some(&(start, before)), Some(&(end, after))) = (self.0.front(), self.0.back()) else {
            return 0.0;
        };
        let time = end.duration_since(start).as_secs_f64();
        if time > 0.0 {
            (after - before) as f64 / time
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(samples: &[(u64, u64)]) -> f64 {
        let start = Instant::now();
        let mut window = Window::default();
        for &(millis, count) in samples {
            window.add(start + Duration::from_millis(millis), count);
        }
        window.per_second()
    }

    #[test]
    fn a_rate_is_that_of_the_last_two_seconds() {
        assert_eq!(after(&[]), 0.0);
        assert_eq!(after(&[(0, 5)]), 0.0);
        assert_eq!(after(&[(0, 0), (1000, 100)]), 100.0);
        assert_eq!(
            after(&[
                (0, 0),
                (1000, 1_000_000),
                (2000, 1_000_000),
                (3000, 1_000_200)
            ]),
            100.0
        );
    }

    #[test]
    fn a_burst_is_forgotten_when_nothing_follows() {
        let idle: Vec<_> = (0..50)
            .map(|tick| (tick * 100, if tick == 0 { 0 } else { 900 }))
            .collect();
        assert_eq!(after(&idle), 0.0);
    }

    #[test]
    fn a_counter_that_starts_again_gives_no_nonsense() {
        assert_eq!(after(&[(0, 500), (1000, 10), (1500, 20)]), 20.0);
    }
}
