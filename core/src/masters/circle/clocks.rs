//! The members' clocks, which `latest` and `earliest` judge by: looked at now and then, and told of
//! where they differ.

use std::time::{Duration, Instant};

use super::{asking, judge::Judge};
use crate::masters::preflight::clocks::{Clock, differences};

/// How often the clocks are looked at.
const EVERY: Duration = Duration::from_secs(600);

impl Judge<'_> {
    /// Asks for them when that is due.
    pub(super) fn ask_for_clocks(&mut self) {
        if self
            .clocks_asked
            .is_none_or(|asked| asked.elapsed() >= EVERY)
        {
            self.clocks_asked = Some(Instant::now());
            asking::clocks(self.setup, &self.members, &self.asked);
        }
    }

    /// Shows how far each is off, and warns of those that differ.
    pub(super) fn compare_clocks(&mut self, clocks: &[Option<Clock>]) {
        for (member, clock) in self.members.iter_mut().zip(clocks) {
            member.skew_ms = clock.map(Clock::ahead_ms).or(member.skew_ms);
        }
        let names = self.members.iter().map(|member| member.source.as_str());
        let named: Vec<_> = names.zip(clocks.iter().copied()).collect();
        for warning in differences(&self.setup.name, &named) {
            tracing::warn!(sync = %self.setup.name, hint = warning.hint_text(), "{warning}");
        }
    }
}
