//! Looking again until it is known of each key whether it differs.

use std::time::{Duration, Instant};

use super::{
    Key, Kind,
    look::{Looker, Seen, Unable},
    table::Compared,
};

/// Keys that are looked at together.
const TOGETHER: usize = 1000;
/// From one look at a key to the next. What was committed has become visible to all by then, but for
/// commits that wait for a standby, which [`Looker::watch`] waits for.
const PAUSE: Duration = Duration::from_millis(200);
/// How often, and how long, keys that don't come to rest are looked at.
const ROUNDS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(3);

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Rows that differ.
    pub(super) differing: Vec<(Key, Kind)>,
    /// Keys of rows that kept changing.
    pub(super) moving: Vec<Key>,
}

impl Looker<'_> {
    /// Looks at `keys` until each is known to be equal or to differ, or keeps changing; tells
    /// `progress` how many are known.
    pub(super) fn settle(
        &mut self,
        table: &Compared,
        keys: Vec<Key>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Settled, Unable> {
        let begun = Instant::now();
        let all = keys.len();
        let mut settled = Settled::default();
        let mut open: Vec<(Key, Option<Kind>)> = keys.into_iter().map(|key| (key, None)).collect();
        for round in 1.. {
            let mut next = Vec::new();
            let mut ahead = open.into_iter().peekable();
            while ahead.peek().is_some() {
                let (keys, before): (Vec<_>, Vec<_>) = ahead.by_ref().take(TOGETHER).unzip();
                let seen = self.look(table, &keys)?;
                for ((key, before), seen) in keys.into_iter().zip(before).zip(seen) {
                    match seen {
                        Seen::Equal => {}
                        // Once may be a commit that the source didn't show to everybody yet.
                        Seen::Differs(kind) if before == Some(kind) => {
                            settled.differing.push((key, kind));
                        }
                        Seen::Differs(kind) => next.push((key, Some(kind))),
                        Seen::Moving => next.push((key, None)),
                    }
                }
                let known = all.saturating_sub(next.len() + ahead.len());
                progress(u64::try_from(known).unwrap_or(u64::MAX));
            }
            open = next;
            if open.is_empty() {
                break;
            }
            if round >= ROUNDS && begun.elapsed() >= PATIENCE {
                settled.moving = open.into_iter().map(|(key, _)| key).collect();
                break;
            }
            self.pause(PAUSE)?;
        }
        Ok(settled)
    }
}
