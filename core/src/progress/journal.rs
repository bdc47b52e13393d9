//! Progress as log lines, where there is no terminal.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::number;
use crate::{engine::Report, lane::Status};

/// How often a lane that does something says so.
const EVERY: Duration = Duration::from_secs(30);

/// Writes a line per lane now and then while anything changes.
#[derive(Debug, Default)]
pub(super) struct Journal {
    last: Option<Instant>,
    done: BTreeMap<(String, String), (u64, u64)>,
}

/// What a lane has done since the last line.
#[derive(Debug, PartialEq)]
struct Entry {
    lane: String,
    copied: u64,
    changes: u64,
    copied_per_second: f64,
    changes_per_second: f64,
}

impl Journal {
    /// Logs what is due at the moment `now`.
    pub(super) fn write(&mut self, now: Instant, report: &Report) {
        for (status, entry) in self.due(now, report) {
            let state = status.state.as_str();
            let lag = status.lag_seconds.map(number::lag);
            match &status.copy {
                Some(copy) => tracing::info!(
                    lane = entry.lane,
                    table = copy.table,
                    rows = copy.rows,
                    expected_rows = copy.expected_rows,
                    rows_per_second = entry.copied_per_second as u64,
                    "{state}"
                ),
                None => tracing::info!(
                    lane = entry.lane,
                    copied = entry.copied,
                    changes = entry.changes,
                    changes_per_second = entry.changes_per_second as u64,
                    lag,
                    lag_bytes = status.lag_bytes,
                    "{state}"
                ),
            }
        }
    }

    fn due<'a>(&mut self, now: Instant, report: &'a Report) -> Vec<(&'a Status, Entry)> {
        let last = *self.last.get_or_insert(now);
        let time = now.duration_since(last);
        if time < EVERY {
            return Vec::new();
        }
        self.last = Some(now);
        let mut due = Vec::new();
        for status in &report.lanes {
            let done = (status.rows_copied.unwrap_or(0), status.changes);
            let key = (status.sync.clone(), status.target.clone());
            let before = self.done.insert(key, done).unwrap_or_default();
            if before != done {
                let rate =
                    |now: u64, then: u64| now.saturating_sub(then) as f64 / time.as_secs_f64();
                due.push((
                    status,
                    Entry {
                        lane: format!("{}/{}", status.sync, status.target),
                        copied: done.0,
                        changes: done.1,
                        copied_per_second: rate(done.0, before.0),
                        changes_per_second: rate(done.1, before.1),
                    },
                ));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lanes_that_did_something_write_and_only_twice_a_minute() {
        let lane = |target: &str, changes| Status {
            sync: "shop".into(),
            target: target.into(),
            changes,
            ..Status::default()
        };
        let report = |changes| Report {
            lanes: vec![lane("busy", changes), lane("idle", 0)],
            ..Report::default()
        };
        let start = Instant::now();
        let mut journal = Journal::default();
        let mut names = |seconds, changes| {
            let report = report(changes);
            let due = journal.due(start + Duration::from_secs(seconds), &report);
            due.into_iter()
                .map(|(_, entry)| (entry.lane, entry.changes_per_second))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(0, 10), []);
        assert_eq!(names(29, 500), []);
        assert_eq!(names(30, 600), [("shop/busy".to_owned(), 20.0)]);
        assert_eq!(names(60, 600), []);
        assert_eq!(names(90, 660), [("shop/busy".to_owned(), 2.0)]);
    }
}
