//! How far behind its source the reader is, in time.
//!
//! The stream says how far the source has sent, not what it still has to send. So the source is asked
//! now and then where its log ends: while that was not read, what its lanes hold is as old as the last
//! that was. The reader notes both; the report of the engine asks.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::Lsn;

use crate::rfc3339;

/// What was sent on its way when the source was asked is not late yet.
const GRACE: Duration = Duration::from_secs(1);
/// A stream that has not paused for so long, so that the source was not asked, is read as it comes.
const STALE: Duration = Duration::from_secs(10);

/// What is known of the source's present. Moments of the source's clock and of this one are mixed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// Where its log ended when it was last asked.
    end: Lsn,
    /// When that was; none before, or where it doesn't say, as a standby.
    #[serde(with = "rfc3339::option")]
    asked: Option<SystemTime>,
    /// What had been committed by then was read; none where this run has read nothing yet.
    #[serde(with = "rfc3339::option")]
    read_by: Option<SystemTime>,
}

impl Present {
    /// Notes that the source's log ended at `end`, as an answer to a question of `asked`.
    pub(super) fn answered(&mut self, end: Lsn, asked: SystemTime) {
        self.end = end;
        self.asked = Some(asked);
    }

    /// Notes that all up to `read` was read, and a transaction that was committed at `committed`.
    pub(super) fn read(&mut self, read: Lsn, committed: Option<SystemTime>) {
        self.read_by = self.read_by(read).max(committed);
    }

    /// What had been committed by then was read, with all up to `read`.
    fn read_by(&self, read: Lsn) -> Option<SystemTime> {
        self.read_by.max(self.asked.filter(|_| read >= self.end))
    }

    /// How old at most what was read is as of `now`, with all up to `read`: nothing where that is all
    /// there is, none where nobody knows.
    pub(crate) fn age(&self, read: Lsn, now: SystemTime) -> Option<Duration> {
        let Some(asked) = self.asked else {
            return Some(Duration::ZERO);
        };
        let since = |moment| now.duration_since(moment).unwrap_or_default();
        let patience = match (read >= self.end, self.read_by) {
            (true, _) => STALE,
            (false, Some(_)) => GRACE,
            (false, None) => Duration::ZERO,
        };
        if since(asked) < patience {
            return Some(Duration::ZERO);
        }
        self.read_by(read).map(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        START + Duration::from_secs(seconds)
    }

    fn age(present: &Present, read: u64, now: u64) -> Option<u64> {
        let age = present.age(Lsn(read), at(now));
        age.map(|age| age.as_secs())
    }

    #[test]
    fn a_start_knows_nothing_until_something_is_read_and_then_how_old_that_is() {
        let mut present = Present::default();
        assert_eq!(age(&present, 10, 100), Some(0), "a source that doesn't say");
        present.answered(Lsn(50), at(100));
        assert_eq!(age(&present, 10, 100), None);
        present.read(Lsn(20), Some(at(93)));
        assert_eq!(age(&present, 20, 102), Some(9));
        present.read(Lsn(30), Some(at(99)));
        assert_eq!(age(&present, 30, 103), Some(4));
        present.read(Lsn(50), Some(at(99)));
        assert_eq!(age(&present, 50, 104), Some(0));
        assert_eq!(age(&present, 50, 115), Some(15), "nobody has asked since");
    }

    #[test]
    fn what_was_on_its_way_is_not_late_and_silence_is_no_lag() {
        let mut present = Present::default();
        present.answered(Lsn(50), at(100));
        present.read(Lsn(50), Some(at(40)));
        present.answered(Lsn(60), at(105));
        assert_eq!(age(&present, 50, 105), Some(0), "on its way");
        assert_eq!(
            age(&present, 50, 107),
            Some(7),
            "since the last that was all"
        );
        assert_eq!(age(&present, 60, 107), Some(0));
        // A clock that runs ahead is no lag, either.
        present.read(Lsn(55), Some(at(200)));
        assert_eq!(age(&present, 55, 107), Some(0));
    }
}
