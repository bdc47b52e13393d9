//! The model: rounds as plainly as they can be told, to be compared with what an engine decides.
//!
//! It knows rows only, no moves, truncates or constraints; it reads whole logs where the engine
//! folds them, and compares versions where the engine remembers marks. For `latest`, `earliest` and
//! an ordered list of sources it must decide and owe exactly as the engine does.

use super::{
    Engine, Kind, Settings, Source,
    source::{Content, Did, SLOTS, content_of, slot_of},
};

/// One version of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    time: i64,
    source: usize,
    content: Content,
}

type Rows = [Option<Version>; SLOTS];

/// What the model remembers between rounds.
pub(crate) struct Model {
    kind: Kind,
    cut: Vec<usize>,
    winner: Rows,
    owed: Vec<Rows>,
    /// The apply on its way to each source.
    flight: Vec<Option<(u64, Rows)>>,
}

impl Model {
    /// The model of an engine's state, before a round.
    pub(crate) fn of(engine: &Engine, settings: &Settings) -> Option<Self> {
        let exact = matches!(settings.kind, Kind::Latest | Kind::Earliest | Kind::Sources);
        if !exact || !settings.plain() {
            return None;
        }
        let state = engine.reconciler.state();
        let version = |v: &crate::reconcile::Version| {
            let content = content_of(v.row.as_ref());
            Some(Version {
                time: v.origin.time,
                source: v.from,
                content,
            })
        };
        let n = state.cuts.len();
        let (mut winner, mut owed) = ([None; SLOTS], vec![[None; SLOTS]; n]);
        for (key, entry) in &state.entries {
            let slot = slot_of(key).ok()?;
            winner[slot] = version(&entry.version);
            for (_, owed) in owed
                .iter_mut()
                .enumerate()
                .filter(|(source, _)| entry.owes(*source))
            {
                owed[slot] = winner[slot];
            }
        }
        let flight = state.flights.iter().map(|flight| {
            let flight = flight.as_ref()?;
            let mut rows = [None; SLOTS];
            for (key, v) in flight.rows.iter() {
                rows[slot_of(key).ok()?] = version(v);
            }
            Some((flight.sequence, rows))
        });
        let cut = state.cuts.iter().map(|cut| cut.0 as usize).collect();
        Some(Self {
            kind: settings.kind,
            cut,
            winner,
            owed,
            flight: flight.collect(),
        })
    }

    /// One round over what the engine was fed.
    pub(crate) fn round(&mut self, engine: &Engine, sources: &[Source]) {
        let n = self.cut.len();
        let mut held: Vec<Rows> = vec![[None; SLOTS]; n];
        let mut candidates: Vec<Rows> = vec![[None; SLOTS]; n];
        let (mut saw, mut unseen) = ([false; SLOTS], [false; SLOTS]);
        for source in 0..n {
            let window = &sources[source].log[self.cut[source]..engine.fed[source]];
            let lands = |sequence| {
                let marker = |at: &super::source::Logged| at.marker.as_ref().map(|m| m.1.sequence);
                window.iter().any(|at| marker(at) == Some(sequence))
            };
            if self.flight[source].is_some_and(|(sequence, _)| !lands(sequence)) {
                continue;
            }
            let mut touched = [false; SLOTS];
            for logged in window {
                let mut shown = [None; SLOTS];
                for (did, _) in &logged.changes {
                    match *did {
                        Did::Put(slot, content) => shown[slot] = Some(content),
                        Did::Delete(slot) => shown[slot] = Some(0),
                        Did::Move(..) | Did::Truncate(_) => unreachable!("not in plain histories"),
                    }
                }
                let Some((_, marker)) = &logged.marker else {
                    for slot in 0..SLOTS {
                        let Some(content) = shown[slot] else { continue };
                        let version = Some(Version {
                            time: logged.time,
                            source,
                            content,
                        });
                        (held[source][slot], candidates[source][slot]) = (version, version);
                        touched[slot] = true;
                        if self.winner[slot].is_some() {
                            let owed = self.owed[source][slot].is_some();
                            unseen[slot] |= owed;
                            saw[slot] |= !owed;
                        }
                    }
                    continue;
                };
                let Some((_, sent)) = self.flight[source].take() else {
                    continue;
                };
                for slot in (0..SLOTS).filter(|&slot| sent[slot].is_some()) {
                    let left = marker
                        .left
                        .iter()
                        .any(|left| slot_of(&left.key) == Ok(slot));
                    if !left && (shown[slot].is_some() || !touched[slot]) {
                        held[source][slot] = sent[slot];
                        if self.owed[source][slot] == sent[slot] {
                            self.owed[source][slot] = None;
                        }
                    }
                }
            }
            self.cut[source] = engine.fed[source];
        }
        for slot in 0..SLOTS {
            let mut all: Vec<Version> = candidates.iter().filter_map(|rows| rows[slot]).collect();
            if all.is_empty() {
                continue;
            }
            if unseen[slot] && !saw[slot] {
                all.extend(self.winner[slot]);
            }
            let best = match self.kind {
                Kind::Earliest => all.iter().min_by_key(|v| (v.time, v.source)),
                // The engine lists all but the first, backwards.
                Kind::Sources => all.iter().max_by_key(|v| (v.source, v.time)),
                _ => all.iter().max_by_key(|v| (v.time, n - v.source)),
            };
            let best = best.copied();
            for (owed, held) in self.owed.iter_mut().zip(&held) {
                let known = if owed[slot].is_none() {
                    self.winner[slot]
                } else {
                    None
                };
                owed[slot] = best.filter(|_| held[slot].or(known) != best);
            }
            self.winner[slot] = best;
        }
        for slot in 0..SLOTS {
            if self.owed.iter().all(|owed| owed[slot].is_none()) {
                self.winner[slot] = None;
            }
        }
    }

    /// Compares with the engine's state after the same round.
    pub(crate) fn compare(&self, engine: &Engine, settings: &Settings) -> Result<(), String> {
        let Some(after) = Self::of(engine, settings) else {
            return Ok(());
        };
        if after.winner != self.winner || after.owed != self.owed || after.cut != self.cut {
            return Err(format!(
                "the model decides otherwise:\n{:?}\n{:?}\nthe engine:\n{:?}\n{:?}",
                self.winner, self.owed, after.winner, after.owed
            ));
        }
        Ok(())
    }
}
