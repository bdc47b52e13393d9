//! What an engine shows of itself.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Pauses, plan::lanes, running::Running};
use crate::{
    config::Config,
    lane::{State, Status},
    masters,
    source::SourceStatus,
};

/// All that an engine shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The engine's name.
    pub engine: String,
    /// Its process.
    pub pid: u32,
    /// Whether it is ending; then the rest is from before.
    #[serde(default)]
    pub is_stopping: bool,
    /// Its sources.
    pub sources: Vec<SourceStatus>,
    /// Its lanes.
    pub lanes: Vec<Status>,
    /// Its syncs of several sources.
    #[serde(default)]
    pub masters: Vec<masters::Status>,
}

impl Report {
    /// Adds a source with its lanes.
    pub(super) fn add(&mut self, running: &Running, config: &Config, pauses: &Pauses) {
        let mut source = running.status.get();
        let Some(streaming) = &running.streaming else {
            // Lanes begin once the source is open; that they are there is no secret until then.
            let waiting = lanes(config).into_iter();
            let waiting = waiting.filter(|(name, _)| name.source == source.source);
            self.lanes.extend(waiting.map(|(name, spec)| {
                let paused_since = pauses.lane(&name.sync, &name.target);
                Status {
                    state: paused_since.map_or(State::Starting, |_| State::Paused),
                    paused_since,
                    sync: name.sync,
                    source: name.source,
                    target: name.target,
                    plugin: spec.target.plugin,
                    source_away_since: source.away_since,
                    ..Status::default()
                }
            }));
            self.sources.push(source);
            return;
        };
        source.log = streaming.log.usage();
        let tail = streaming.log.tail().lsn;
        let end = source.end.max(tail);
        let unread = source.present.age(tail, SystemTime::now());
        let away_since = source.away_since;
        self.lanes.extend(streaming.seats.values().map(|seat| {
            let mut status = seat.status.get();
            status.resync = seat.resyncs.tables();
            let passed = status.passed.max(streaming.begin.lsn);
            status.lag_bytes = end.bytes_since(passed);
            let age = status.lag_as_of.and_then(|as_of| as_of.elapsed().ok());
            if let (Some(lag), Some(age), true) =
                (&mut status.lag_seconds, age, status.lag_bytes > 0)
            {
                *lag += age.as_secs_f64();
            }
            // What the source has not sent is behind, too.
            let unread = unread.map(|age| age.as_secs_f64());
            let lag = status.lag_seconds.zip(unread);
            status.lag_seconds = lag.map(|(lag, unread)| lag.max(unread));
            // Of a source that is not read nobody knows what it has committed since.
            status.source_away_since = away_since;
            let is_known = matches!(status.state, State::Streaming | State::Retrying);
            if !is_known || away_since.is_some() {
                status.lag_seconds = None;
            }
            status
        }));
        self.sources.push(source);
    }
}
