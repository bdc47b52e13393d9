//! How long the source will keep what the slot needs.
//!
//! A source may limit what slots hold back (`max_slot_wal_keep_size`); one that falls behind further
//! is invalidated, and with it all that targets have not stored. The reader looks every
//! [`EVERY`] and shows what it finds in the source's status; it says so in the log when time gets
//! short.

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::Lsn;
use tokio_postgres::Client;

use super::{Identity, Slot, SourceCell};

/// How often the slot is looked at.
const EVERY: Duration = Duration::from_secs(5);
/// How far back the present rate reaches.
const WINDOW: Duration = Duration::from_secs(300);
/// Less time than this is worth a warning.
const SHORT: Duration = Duration::from_secs(3600);
/// How often a warning is repeated.
const REMIND: Duration = Duration::from_secs(600);

/// What the source holds for the slot, and for how long it will.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: String,
    /// Bytes of WAL that the source keeps for the slot.
    pub held_bytes: u64,
    /// Bytes that may still be written until the slot is invalidated; none without a limit.
    pub safe_bytes: Option<u64>,
    /// Seconds until then, at the rate of the last minutes; none where they don't grow less.
    pub lasts_seconds: Option<u64>,
}

/// Makes outlooks of looks at the slot.
#[derive(Debug, Default)]
pub(super) struct Watch {
    looks: VecDeque<(Instant, u64)>,
    warned: Option<Instant>,
    looked: Option<Instant>,
}

impl Watch {
    /// Looks at the slot `name` if it is time to, and shows in `status` what it found. What goes wrong
    /// with that shows elsewhere.
    pub(super) async fn show(&mut self, client: &Client, name: &str, status: &SourceCell) {
        let now = Instant::now();
        if self.looked.is_some_and(|last| now - last < EVERY) {
            return;
        }
        self.looked = Some(now);
        let asked = SystemTime::now();
        let Ok(end) = Identity::flushed_lsn(client).await else {
            return;
        };
        status.update(|status| status.answered(end, asked));
        let Ok(Some(slot)) = Slot::find(client, name).await else {
            return;
        };
        let outlook = self.look(now, &slot, end);
        if self.warns(now, &outlook) {
            tracing::warn!(source = %status.get().source, slot = name,
                held_bytes = outlook.held_bytes, safe_bytes = outlook.safe_bytes,
                lasts_seconds = outlook.lasts_seconds,
                hint = "`tahr status` shows which lane lags: resume it, copy it again (`tahr resync`) or \
                        remove it; or raise max_slot_wal_keep_size on the source",
                "the source will soon invalidate the slot, since it holds too much WAL");
        }
        status.update(|status| status.slot = Some(outlook));
    }

    /// What `slot` looks like as of `now`, while the source's log ends at `end`.
    fn look(&mut self, now: Instant, slot: &Slot, end: Lsn) -> Outlook {
        let safe = slot.safe_wal_size;
        let safe = safe.map(|bytes| u64::try_from(bytes).unwrap_or(0));
        let held = slot.restart_lsn.map_or(0, |from| end.bytes_since(from));
        Outlook {
            wal_status: slot.wal_status.clone().unwrap_or_default(),
            held_bytes: held,
            safe_bytes: safe,
            lasts_seconds: safe.and_then(|safe| self.lasts(now, safe)),
        }
    }

    /// Seconds until `safe` bytes are used up.
    fn lasts(&mut self, now: Instant, safe: u64) -> Option<u64> {
        self.looks.push_back((now, safe));
        while self
            .looks
            .front()
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW)
        {
            self.looks.pop_front();
        }
        let &(since, before) = self.looks.front()?;
        let used = before.checked_sub(safe).filter(|&used| used > 0)?;
        let took = now.saturating_duration_since(since).as_millis();
        let left = u128::from(safe) * took / u128::from(used) / 1000;
        (took > 0).then(|| u64::try_from(left).unwrap_or(u64::MAX))
    }

    /// Whether a person should be warned now.
    fn warns(&mut self, now: Instant, outlook: &Outlook) -> bool {
        let is_short = outlook.wal_status == "unreserved"
            || outlook
                .lasts_seconds
                .is_some_and(|seconds| seconds < SHORT.as_secs());
        let is_due = self
            .warned
            .is_none_or(|last| now.saturating_duration_since(last) >= REMIND);
        if is_short && is_due {
            self.warned = Some(now);
        }
        is_short && is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(safe: Option<i64>) -> Slot {
        Slot {
            name: "s".to_owned(),
            plugin: None,
            database: None,
            active_pid: None,
            active_application: None,
            restart_lsn: Some(Lsn(1000)),
            confirmed_flush: None,
            wal_status: Some("extended".to_owned()),
            safe_wal_size: safe,
            invalidated: None,
        }
    }

    #[test]
    fn what_grows_less_is_used_up_at_the_rate_of_the_last_minutes() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let mut at = |second: u64, safe| {
            watch.look(
                start + Duration::from_secs(second),
                &slot(Some(safe)),
                Lsn(5000),
            )
        };
        assert_eq!(at(0, 10_000).lasts_seconds, None);
        let outlook = at(10, 9_000);
        assert_eq!(
            (outlook.held_bytes, outlook.safe_bytes),
            (4000, Some(9_000))
        );
        assert_eq!(outlook.lasts_seconds, Some(90));
        // It has not grown less for as long as counts.
        assert_eq!(at(300, 9_000).lasts_seconds, Some(2700));
        assert_eq!(at(311, 9_000).lasts_seconds, None);
        assert_eq!(at(320, 9_500).lasts_seconds, None);
        assert_eq!(at(330, -5).lasts_seconds, Some(0));
    }

    #[test]
    fn without_a_limit_it_lasts() {
        let mut watch = Watch::default();
        let outlook = watch.look(Instant::now(), &slot(None), Lsn(5000));
        assert_eq!((outlook.safe_bytes, outlook.lasts_seconds), (None, None));
        assert!(!watch.warns(Instant::now(), &outlook));
    }

    #[test]
    fn a_short_time_is_warned_of_now_and_then() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let outlook = Outlook {
            lasts_seconds: Some(60),
            ..Outlook::default()
        };
        assert!(watch.warns(start, &outlook));
        assert!(!watch.warns(start + Duration::from_secs(60), &outlook));
        assert!(watch.warns(start + REMIND, &outlook));
        let far = Outlook {
            lasts_seconds: Some(100_000),
            ..outlook
        };
        assert!(!watch.warns(start + REMIND * 2, &far));
    }
}
