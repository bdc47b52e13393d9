//! The oracle: what many sources' unseen changes must come to, worked out from the logs alone.

use super::{
    Kind, Settings, Source,
    source::{Content, Did, KEYS, SLOTS},
};

/// One source's last change of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    source: usize,
    content: Content,
    time: i64,
    /// The other row of a move.
    moved: Option<usize>,
}

/// The sources before a phase, equal except where `skip` left them apart.
pub(crate) struct Oracle {
    rows: Vec<[Content; SLOTS]>,
    logs: Vec<usize>,
}

/// What the sources must hold after it; none where the strategy doesn't say.
pub(crate) struct Expected(Vec<[Option<Content>; SLOTS]>);

impl Oracle {
    pub(crate) fn before(sources: &[Source]) -> Self {
        let rows = sources.iter().map(|source| source.rows).collect();
        Self {
            rows,
            logs: sources.iter().map(|source| source.log.len()).collect(),
        }
    }

    /// What the phase that the sources have just written must end in.
    pub(crate) fn after(&self, settings: &Settings, sources: &[Source]) -> Expected {
        let n = sources.len();
        if settings.kind == Kind::Custom {
            return Expected(vec![[None; SLOTS]; n]);
        }
        let mut candidates: Vec<Vec<Last>> = vec![Vec::new(); SLOTS];
        let mut wiped = [false; 2];
        let folded: Vec<_> = sources
            .iter()
            .enumerate()
            .map(|(i, s)| self.fold(i, s))
            .collect();
        let touched = |slot: usize| folded.iter().any(|(last, _)| last[slot].is_some());
        let mut newest = vec![i64::MIN; n];
        for (source, (last, wipes)) in folded.iter().enumerate() {
            for slot in 0..SLOTS {
                let wipe = wipes[slot / KEYS];
                wiped[slot / KEYS] |= wipe.is_some();
                let wipe = wipe.map(|time| Last {
                    source,
                    content: 0,
                    time,
                    moved: None,
                });
                newest[source] = newest[source].max(wipe.map_or(i64::MIN, |wipe| wipe.time));
                let candidate = last[slot].or(wipe.filter(|_| touched(slot)));
                newest[source] = newest[source].max(candidate.map_or(i64::MIN, |last| last.time));
                candidates[slot].extend(candidate);
            }
        }
        let mut winners: Vec<Option<Last>> = vec![None; SLOTS];
        let mut apart = [false; SLOTS];
        let mut loose = Vec::new();
        for slot in 0..SLOTS {
            let all = &candidates[slot];
            let best = match settings.kind {
                Kind::Earliest => all.iter().min_by_key(|last| last.time),
                // The first source comes last, see the engine's rules.
                Kind::Sources => all.iter().max_by_key(|last| last.source),
                Kind::LatestAllTables => all.iter().max_by_key(|last| newest[last.source]),
                _ => all.iter().max_by_key(|last| last.time),
            };
            let Some(best) = best else { continue };
            let differ = all
                .iter()
                .any(|c| (c.content, c.moved) != (best.content, best.moved));
            apart[slot] = differ && settings.kind == Kind::Skip;
            winners[slot] = Some(*best);
            let lost = all
                .iter()
                .filter(|c| differ && c.content == 0 && c.moved.is_some());
            let lost = lost.filter(|c| apart[slot] || *c != best);
            loose.extend(lost.map(|c| (slot, *c)));
        }
        for (slot, delete) in loose {
            let (mut old, mut delete) = (slot, delete);
            for _ in 0..SLOTS {
                let Some(to) = delete.moved else { break };
                let Some(there) = winners[to].filter(|there| there.source == delete.source) else {
                    break;
                };
                if apart[to] {
                    break;
                }
                if there.content != 0 {
                    if there.moved == Some(old) && there.time == delete.time {
                        // It isn't that source's row any more, so no other move ends here.
                        let source = winners[slot].map_or(n, |winner| winner.source);
                        winners[to] = Some(Last {
                            source,
                            content: 0,
                            moved: None,
                            ..there
                        });
                        apart[to] = apart[slot];
                    }
                    break;
                }
                (old, delete) = (to, there);
            }
        }
        let row = |source: usize, slot: usize| match winners[slot] {
            _ if apart[slot] => folded[source].0[slot].map(|last| last.content),
            Some(winner) => Some(winner.content),
            None if wiped[slot / KEYS] => Some(0),
            None => Some(self.rows[source][slot]),
        };
        Expected(
            (0..n)
                .map(|source| std::array::from_fn(|slot| row(source, slot)))
                .collect(),
        )
    }

    /// A source's last changes in the phase, and its last truncates.
    fn fold(&self, index: usize, source: &Source) -> ([Option<Last>; SLOTS], [Option<i64>; 2]) {
        let (mut last, mut wiped) = ([None; SLOTS], [None; 2]);
        for logged in &source.log[self.logs[index]..] {
            let change = |content, moved| {
                Some(Last {
                    source: index,
                    content,
                    time: logged.time,
                    moved,
                })
            };
            for (did, _) in &logged.changes {
                match *did {
                    Did::Put(slot, content) => last[slot] = change(content, None),
                    Did::Delete(slot) => last[slot] = change(0, None),
                    Did::Move(slot, to, content) => {
                        last[slot] = change(0, Some(to));
                        last[to] = change(content, Some(slot));
                    }
                    Did::Truncate(table) => {
                        last[table * KEYS..][..KEYS].fill(None);
                        wiped[table] = Some(logged.time);
                    }
                }
            }
        }
        (last, wiped)
    }
}

impl Expected {
    pub(crate) fn compare(&self, sources: &[Source]) -> Result<(), String> {
        for (source, expected) in self.0.iter().enumerate() {
            for (slot, expected) in expected.iter().enumerate() {
                let found = sources[source].rows[slot];
                if expected.is_some_and(|expected| expected != found) {
                    return Err(format!(
                        "the strategy says that row {slot} of source {source} is {:x}, not {found:x}",
                        expected.unwrap_or(0)
                    ));
                }
            }
        }
        Ok(())
    }
}
