//! What an engine shows of itself.

use serde::{Deserialize, Serialize};

use super::{plan::lanes, running::Running};
use crate::{config::Config, lane::Status, source::SourceStatus};

/// All that an engine shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The engine's name.
    pub engine: String,
    /// Its process.
    pub pid: u32,
    /// Its sources.
    pub sources: Vec<SourceStatus>,
    /// Its lanes.
    pub lanes: Vec<Status>,
}

impl Report {
    /// Adds a source with its lanes.
    pub(super) fn add(&mut self, running: &Running, config: &Config) {
        let source = running.status.get();
        let Some(streaming) = &running.streaming else {
            // Lanes begin once the source is open; that they are there is no secret until then.
            let waiting = lanes(config).into_iter();
            let waiting = waiting.filter(|(name, _)| name.source == source.source);
            self.lanes.extend(waiting.map(|(name, spec)| Status {
                sync: name.sync,
                target: name.target,
                plugin: spec.target.plugin,
                ..Status::default()
            }));
            self.sources.push(source);
            return;
        };
        let end = source.end.max(streaming.log.tail().lsn);
        self.lanes.extend(streaming.seats.values().map(|seat| {
            let mut status = seat.status.get();
            let passed = status.passed.max(streaming.opened.confirmed);
            status.lag_bytes = end.bytes_since(passed);
            let age = status.lag_as_of.and_then(|as_of| as_of.elapsed().ok());
            if let (Some(age), true) = (age, status.lag_bytes > 0) {
                status.lag_seconds += age.as_secs_f64();
            }
            status
        }));
        self.sources.push(source);
    }
}
