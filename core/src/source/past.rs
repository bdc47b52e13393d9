//! What a source's log descends from: who wrote which part of it.
//!
//! A standby that is promoted, and a backup that is restored up to some moment, begin a new timeline
//! at the point to which they have replayed. What lies before that point is the old timeline's and the
//! new one's; what the old one wrote behind it is not in this source. Lanes ask [`Past::judge`] whether
//! what their target holds is still part of the source.

use tahr_plugin_api::{Lsn, Position, StreamId};
use tahr_postgres_connect::Url;

use super::{Identity, SourceError, snapshot::open_gated};

/// The history of the timeline that a source writes on, and how far it had come when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    timeline: u32,
    /// Older timelines, and where each was left.
    switches: Vec<(u32, Lsn)>,
    /// Where the source's log ended.
    end: Lsn,
}

/// Why what a target holds can't be gone on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strange {
    /// What is wrong, a lowercase fragment.
    pub message: String,
}

impl Past {
    /// Reads the past of the source `identity`.
    ///
    /// # Errors
    ///
    /// The source can't be reached, or has lost its history file.
    pub async fn read(
        url: &Url,
        application: &str,
        identity: &Identity,
    ) -> Result<Self, SourceError> {
        let mut past = Self {
            timeline: identity.timeline,
            switches: Vec::new(),
            end: identity.wal_lsn,
        };
        if identity.timeline > 1 {
            let mut session = open_gated(url, application).await?;
            let sql = format!("TIMELINE_HISTORY {}", identity.timeline);
            let rows = session.simple_query(&sql).await;
            let rows = rows.map_err(|error| SourceError::replication(url, &error))?;
            let text = rows.first().and_then(|row| row.get(1)?.as_ref());
            past.switches = text
                .map(|bytes| switches(&String::from_utf8_lossy(bytes)))
                .unwrap_or_default();
        }
        Ok(past)
    }

    /// Whether a target that stands at `position` of the stream `found`, and holds copies that stand
    /// for up to `copied`, holds nothing that the source doesn't have. `end` is how far the source was
    /// read since it was opened.
    ///
    /// # Errors
    ///
    /// It holds more; says what and why.
    pub fn judge(
        &self,
        found: &StreamId,
        position: Option<&Position>,
        copied: Lsn,
        end: Lsn,
    ) -> Result<(), Strange> {
        let (at, theirs, ours) = (
            position.map_or(Lsn::ZERO, |position| position.lsn),
            found.timeline,
            self.timeline,
        );
        let strange = |message: String| Err(Strange { message });
        if theirs != ours {
            let left = self
                .switches
                .iter()
                .find(|(timeline, _)| *timeline == theirs);
            match left {
                None => {
                    return strange(format!(
                        "target was filled from timeline {theirs} of the source, which its timeline \
                         {ours} does not descend from: the source was restored, or another standby \
                         was promoted"
                    ));
                }
                // Where a copy is further than the lane, it has caught up with it not yet.
                Some((_, left)) if at.max(copied) > *left => {
                    return strange(format!(
                        "target holds the source's timeline {theirs} up to {}, but the source left \
                         that at {left} for timeline {ours}: the target holds changes that the \
                         source has lost",
                        at.max(copied)
                    ));
                }
                Some(_) => {}
            }
        }
        let end = self.end.max(end);
        if at > end {
            return strange(format!(
                "target holds the source up to {at}, but the source's log ends at {end}: the source \
                 was restored from an older backup, or another engine writes to this target"
            ));
        }
        Ok(())
    }
}

/// The lines of a history file: timeline, switch point, reason.
fn switches(text: &str) -> Vec<(u32, Lsn)> {
    let switch = |line: &str| {
        let mut fields = line.split_whitespace();
        let timeline = fields.next()?.parse().ok()?;
        Some((timeline, fields.next()?.parse().ok()?))
    };
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(switch)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTORY: &str = "1\t0/3000000\tno recovery target specified\n\
        # a comment\n\n3\t0/5000000\tbefore 2000-01-01 00:00:00+00\n";

    fn past() -> Past {
        Past {
            timeline: 4,
            switches: switches(HISTORY),
            end: Lsn(0x600_0000),
        }
    }

    fn judge(timeline: u32, lsn: u64) -> Result<(), Strange> {
        judge_copied(timeline, lsn, 0)
    }

    fn judge_copied(timeline: u32, lsn: u64, copied: u64) -> Result<(), Strange> {
        let found = StreamId {
            timeline,
            ..StreamId::default()
        };
        let position = Position::at(Lsn(lsn));
        past().judge(&found, Some(&position), Lsn(copied), Lsn(0x610_0000))
    }

    #[test]
    fn a_copy_from_behind_a_switch_counts_as_held_and_one_of_the_present_may_lie_ahead() {
        assert_eq!(judge_copied(1, 0x200_0000, 0x300_0000), Ok(()));
        judge_copied(1, 0x200_0000, 0x300_0001).unwrap_err();
        assert_eq!(judge_copied(4, 0x200_0000, 0x700_0000), Ok(()));
    }

    #[test]
    fn what_lies_before_a_switch_is_in_the_new_timeline_too_and_what_lies_behind_is_not() {
        assert_eq!(judge(1, 0x300_0000), Ok(()));
        assert_eq!(judge(3, 0x4FF_FFFF), Ok(()));
        assert_eq!(judge(4, 0x5FF_FFFF), Ok(()));
        for (timeline, lsn, says) in [
            (
                1,
                0x300_0001,
                "up to 0/3000001, but the source left that at 0/3000000",
            ),
            (3, 0x500_0008, "the source has lost"),
            (2, 1, "does not descend from"),
            (5, 1, "does not descend from"),
        ] {
            let strange = judge(timeline, lsn).unwrap_err();
            assert!(strange.message.contains(says), "{strange:?}");
        }
    }

    #[test]
    fn nothing_is_held_that_the_source_has_not_written() {
        assert_eq!(judge(4, 0x610_0000), Ok(()));
        let strange = judge(4, 0x610_0001).unwrap_err();
        assert!(strange.message.contains("ends at 0/6100000"), "{strange:?}");
    }

    #[test]
    fn a_target_without_a_position_holds_nothing() {
        let found = StreamId {
            timeline: 1,
            ..StreamId::default()
        };
        assert_eq!(past().judge(&found, None, Lsn::ZERO, Lsn::ZERO), Ok(()));
    }
}
