//! The reconciler: what the engine talks to.

use std::sync::Arc;

use tahr_plugin_api::Lsn;

use super::{
    Effect, Flight, Mutation, Parked, Pause, Record, Round, Rules, State, Transaction,
    UnknownMarker,
    meeting::Meeting,
    settle::settle,
    sight::{Sight, own_changes},
    verdicts::Verdicts,
    window::Window,
};

/// Reconciles the sources of one sync. It does nothing by itself: transactions go in, rounds come
/// out, and the same input always gives the same output.
#[derive(Debug)]
pub struct Reconciler {
    pub(super) rules: Rules,
    pub(super) state: State,
    pub(super) windows: Vec<Window>,
    pub(super) meeting: Option<Meeting>,
}

/// A source can't come back while the others haven't met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMet;

impl std::fmt::Display for NotMet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the other sources are still being compared")
    }
}

impl std::error::Error for NotMet {}

impl Reconciler {
    /// Begins, or goes on, with what is stored. Every stream is to be read from its
    /// [cut](State::cuts), and every [flight](Self::flight) looked after: it may have been applied,
    /// or not, when the state was stored.
    ///
    /// # Panics
    ///
    /// When the state is of another number of members than the rules.
    #[must_use]
    pub fn new(rules: Rules, state: State) -> Self {
        assert_eq!(
            rules.members.len(),
            state.cuts.len(),
            "rules and state of different syncs"
        );
        let windows = vec![Window::default(); state.cuts.len()];
        Self {
            rules,
            state,
            windows,
            meeting: None,
        }
    }

    /// What is to be remembered.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Takes other rules from the next round on: a strategy that gets a paused sync going again, or
    /// one that was changed in the config. The members stay.
    pub fn set_rules(&mut self, rules: Rules) {
        assert_eq!(
            rules.members, self.rules.members,
            "the members of a sync stay"
        );
        self.rules = rules;
    }

    /// Takes in the next transaction of a source's stream. Nothing is judged before the next
    /// [`round`](Self::round).
    ///
    /// # Errors
    ///
    /// When the transaction is an apply that this state didn't send: the source is to be parked.
    pub fn observe(&mut self, source: usize, next: Transaction) -> Result<(), UnknownMarker> {
        let mut next = next;
        if self.rules.breaks(Mutation::ArrivalTime) {
            next.changes
                .iter_mut()
                .for_each(|change| change.origin = None);
        }
        if self.state.parked[source] == Some(Parked::Resync) {
            return Ok(());
        }
        if let Some(meeting) = &mut self.meeting {
            if next.marker.is_none() {
                let changes = next.changes.iter();
                changes.for_each(|change| meeting.observe(source, change));
            }
            meeting.read_to(source, next.end);
        }
        let flight = self.state.flights[source].as_ref();
        let unplanned = flight
            .filter(|_| self.rules.breaks(Mutation::OwnIsLocal))
            .map(|flight| Flight {
                sequence: flight.sequence,
                rows: Arc::default(),
            });
        let flight = unplanned.as_ref().or(flight);
        self.windows[source].push(source, self.rules.members[source], flight, next)
    }

    /// Forgets what was taken in of a source since its cut, since its stream begins there again.
    pub fn rewind(&mut self, source: usize) {
        self.windows[source] = Window::default();
    }

    /// Keys in a source's window: when it is large, a round is due.
    #[must_use]
    pub fn window_len(&self, source: usize) -> usize {
        self.windows[source].len()
    }

    /// How far a source's stream was taken in: where a round moves its cut to, once it may.
    #[must_use]
    pub fn taken_to(&self, source: usize) -> Lsn {
        self.windows[source].end.unwrap_or(self.state.cuts[source])
    }

    /// The apply to be sent to a source, again if need be, until its checkpoint row has the apply's
    /// number.
    #[must_use]
    pub fn flight(&self, source: usize) -> Option<&Flight> {
        self.state.flights[source].as_ref()
    }

    /// Judges everything taken in, and begins applies to the sources that are `reachable`.
    ///
    /// The state has changed when this returns. When its record can't be stored, this reconciler is
    /// to be dropped, and another made of what is stored: then the round never happened.
    ///
    /// A paused sync has empty rounds.
    pub fn round(&mut self, reachable: &[bool]) -> Round {
        let Self {
            rules,
            state,
            windows,
            meeting,
        } = self;
        if state.paused.is_some() {
            return Round::default();
        }
        let judged = judge(rules, state, windows, meeting.as_mut(), reachable);
        let Judged {
            mut round,
            taking,
            parking,
            refused,
        } = match judged {
            Ok(judged) => judged,
            Err(pause) => {
                let record = Record {
                    paused: Some(Some(pause)),
                    ..Record::default()
                };
                state.replay(&record);
                return Round {
                    record,
                    ..Round::default()
                };
            }
        };
        for (source, window) in windows.iter_mut().enumerate() {
            if taking[source] {
                let window = std::mem::take(window);
                round
                    .record
                    .cuts
                    .extend(window.end.map(|end| (source, end)));
                round.record.landed.extend(window.shown.map(|_| source));
            } else if state.flights[source].is_some()
                && window.len() > rules.limits.owed
                && parking.iter().all(|(parks, _)| *parks != source)
            {
                // Its marker doesn't come, and what comes instead can't all be remembered.
                round.record.parked.push((source, Some(Parked::Resync)));
                *window = Window::default();
            }
        }
        for (source, effects) in parking {
            round
                .record
                .parked
                .push((source, Some(Parked::Effects(effects))));
        }
        state.replay(&round.record);
        round.begin(rules, state, reachable, &refused);
        for (source, parked) in &round.record.parked {
            if *parked == Some(Parked::Resync) {
                // What it did is of no interest any more, and nobody will judge it.
                windows[*source] = Window::default();
                *meeting = None;
            }
        }
        round
    }

    /// Lets a paused sync go on. The conflict it paused at is judged again, by the present rules.
    pub fn resume(&mut self) -> Record {
        self.step(Record {
            paused: Some(None),
            ..Record::default()
        })
    }

    /// Lets a source that triggers parked take part again: its apply is judged by the present rules.
    pub fn unpark(&mut self, source: usize) -> Record {
        match self.state.parked[source] {
            Some(Parked::Effects(_)) => self.step(Record {
                parked: vec![(source, None)],
                ..Record::default()
            }),
            _ => Record::default(),
        }
    }

    /// Parks a source for a resync: what it is owed is forgotten, and a meeting is void.
    pub fn park(&mut self, source: usize) -> Record {
        self.meeting = None;
        self.windows[source] = Window::default();
        self.step(Record {
            parked: vec![(source, Some(Parked::Resync))],
            ..Record::default()
        })
    }

    /// Lets a source take part again that was parked for a resync, whatever it holds. From `cut` on
    /// its changes count, and from now on it is owed every winner, those that stand included; what
    /// else it lacks, or has too much, is found by a meeting with one of its
    /// [guides](Self::guides), which is due now.
    ///
    /// # Errors
    ///
    /// While there are strangers among the others: then nobody knows what is right.
    pub fn rejoin(&mut self, source: usize, cut: Lsn) -> Result<Record, NotMet> {
        if !self.is_gone(source) {
            return Ok(Record::default());
        }
        if !self.strangers().is_empty() {
            return Err(NotMet);
        }
        self.windows[source] = Window::default();
        self.meeting = None;
        let bit = 1 << source;
        let alone = (0..self.windows.len()).all(|member| member == source || self.is_gone(member));
        let unmet = match alone {
            true => self.state.unmet & !bit,
            false => self.state.unmet | bit,
        };
        // A table that others have yet to empty has been emptied by its guide.
        let rows =
            self.state.entries.iter().filter(|(key, _)| {
                !key.is_whole() && !self.rules.breaks(Mutation::RejoinOwedNothing)
            });
        let owed = rows.map(|(key, entry)| {
            let mut entry = entry.clone();
            entry.owed |= bit;
            (key.clone(), Some(entry))
        });
        let entries = owed.collect();
        Ok(self.step(Record {
            cuts: vec![(source, cut)],
            entries,
            parked: vec![(source, None)],
            unmet: Some(unmet),
            ..Record::default()
        }))
    }

    pub(super) fn step(&mut self, record: Record) -> Record {
        self.state.replay(&record);
        record
    }
}

/// What was judged, with nothing changed yet.
struct Judged {
    round: Round,
    /// Members that take part.
    taking: Vec<bool>,
    /// Members whose applies did what may not be.
    parking: Vec<(usize, Vec<Effect>)>,
    /// Members where a constraint refused a row.
    refused: Vec<usize>,
}

fn judge(
    rules: &Rules,
    state: &State,
    windows: &[Window],
    meeting: Option<&mut Meeting>,
    reachable: &[bool],
) -> Result<Judged, Pause> {
    let own = own_changes(rules, state, windows);
    let mut sight = Sight::new(rules, state, windows, &own);
    let refused = sight.refused.iter().map(|(source, ..)| *source).collect();
    let mut verdicts = Verdicts::new(&mut sight)?;
    if let Some(meeting) = meeting {
        let met = verdicts.meet(&mut sight, meeting)?;
        meeting.judged(&sight, met);
    }
    let round = settle(&mut sight, verdicts, reachable);
    Ok(Judged {
        round,
        refused,
        taking: sight.taking,
        parking: sight.parking,
    })
}
