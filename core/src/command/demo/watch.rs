//! What the demo has seen the engine do.

use std::collections::BTreeMap;

use crate::{command::size, engine::Report, progress};

/// Counts and lags of all lanes, over several lives of the engine.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// By process and lane: rows copied and changes stored.
    counts: BTreeMap<(u32, String), (u64, u64)>,
    lag_seconds: f64,
    lag_bytes: u64,
}

impl Watch {
    pub(super) fn see(&mut self, report: &Report) {
        for lane in &report.lanes {
            let name = format!("{}/{}", lane.sync, lane.target);
            let copied = lane.rows_copied.unwrap_or(0);
            self.counts
                .insert((report.pid, name), (copied, lane.changes));
            self.lag_seconds = self.lag_seconds.max(lane.lag_seconds.unwrap_or(0.0));
            self.lag_bytes = self.lag_bytes.max(lane.lag_bytes);
        }
    }

    /// Begins anew with lags: before the load they are those of the copy.
    pub(super) fn forget_lag(&mut self) {
        (self.lag_seconds, self.lag_bytes) = (0.0, 0);
    }

    /// Rows copied, of all lanes together.
    pub(super) fn copied(&self) -> u64 {
        self.counts.values().map(|&(copied, _)| copied).sum()
    }

    /// Changes stored, of all lanes together.
    pub(super) fn changes(&self) -> u64 {
        self.counts.values().map(|&(_, changes)| changes).sum()
    }

    pub(super) fn highest_lag(&self) -> String {
        format!(
            "{}, {}",
            progress::lag(self.lag_seconds),
            size(self.lag_bytes)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Status;

    #[test]
    fn counts_of_an_engine_that_was_started_again_are_added() {
        let report = |pid, changes, lag_bytes| Report {
            pid,
            lanes: vec![Status {
                changes,
                lag_bytes,
                ..Status::default()
            }],
            ..Report::default()
        };
        let mut watch = Watch::default();
        for seen in [report(1, 5, 10_000), report(1, 7, 0), report(2, 100, 2000)] {
            watch.see(&seen);
        }
        assert_eq!(
            (watch.changes(), watch.highest_lag().as_str()),
            (107, "0 ms, 10000 B")
        );
        watch.forget_lag();
        assert_eq!(watch.highest_lag(), "0 ms, 0 B");
    }
}
