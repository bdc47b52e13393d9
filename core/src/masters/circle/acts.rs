//! What a judge does: rounds, stored and then acted upon.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    asking,
    judge::{ADVANCE_AFTER, ADVANCE_BYTES, Judge},
    trouble::Trouble,
};
use crate::{
    masters::apply::Order,
    reconcile::{Key, Parked, Record, Round, Transaction, Version},
};

/// How long a round may only be noted that nobody is told of.
const NOTED: Duration = Duration::from_millis(400);

impl Judge<'_> {
    /// Judges what came in.
    pub(super) fn round(&mut self) -> Result<(), Trouble> {
        let begun = Instant::now();
        self.has_news = false;
        let reachable: Vec<bool> = self.members.iter().map(|member| member.is_ready).collect();
        let round = self.reconciler.round(&reachable);
        self.carry_out(round, begun)
    }

    /// Stores a round, and then acts on it.
    pub(super) fn carry_out(&mut self, round: Round, begun: Instant) -> Result<(), Trouble> {
        if round.record.is_empty() {
            return Ok(());
        }
        let record = &round.record;
        let acts =
            !(record.begun.is_empty() && record.parked.is_empty() && record.paused.is_none());
        if acts || !round.conflicts.is_empty() {
            self.keep(record)?;
            self.unstored.extend(&record.cuts);
            self.release();
        } else {
            // Nobody is told of anything: its disk's time is better spent on rounds that do.
            self.memory.note(record)?;
            self.unstored.extend(&record.cuts);
            self.noted.get_or_insert_with(Instant::now);
        }
        let begun_applies: Vec<usize> = (round.record.begun.iter())
            .map(|(member, ..)| *member)
            .collect();
        for member in begun_applies {
            self.send(member);
        }
        let flights = round.record.begun.iter();
        let flights =
            flights.filter_map(|&(member, ..)| Some((member, self.reconciler.flight(member)?)));
        self.books.write(&round, flights, begun);
        for (member, parked) in &round.record.parked {
            if let Some(Parked::Effects(effects)) = parked {
                let seat = (*member, &self.members[*member]);
                asking::triggers(self.setup, seat, &self.tables, effects, &self.asked);
            }
        }
        Ok(())
    }

    /// Stores what a step changed.
    pub(super) fn keep(&mut self, record: &Record) -> Result<(), Trouble> {
        if record.is_empty() {
            return Ok(());
        }
        self.memory.append(record, self.reconciler.state())?;
        self.release();
        Ok(())
    }

    /// Stores what was noted, once that is long ago.
    pub(super) fn store(&mut self) -> Result<(), Trouble> {
        if self.noted.is_some_and(|noted| noted.elapsed() >= NOTED) {
            self.memory.sync()?;
            self.release();
        }
        Ok(())
    }

    /// Everything is stored: the sources' slots may let go of it.
    pub(super) fn release(&mut self) {
        self.noted = None;
        for (member, cut) in self.unstored.drain(..) {
            self.members[member].stored(cut);
        }
    }

    /// Gives the applier of a member what is in flight there.
    pub(super) fn send(&mut self, member: usize) {
        let (Some(flight), Some(applier)) = (
            self.reconciler.flight(member),
            &self.members[member].applier,
        ) else {
            return;
        };
        let origins = match self.setup.further[member] {
            true => {
                let rules = self.reconciler.rules();
                let origin = |(key, version): &(Key, Version)| {
                    (key.clone(), rules.outgoing(version, member))
                };
                flight.rows.iter().map(origin).collect()
            }
            false => Vec::new(),
        };
        applier.send(Order {
            sequence: flight.sequence,
            rows: Arc::clone(&flight.rows),
            origins,
        });
    }

    /// Moves cuts of members that have nothing to judge, so that their sources keep less.
    pub(super) fn advance(&mut self) -> Result<(), Trouble> {
        let is_asked = std::mem::take(&mut self.is_asked);
        for member in 0..self.members.len() {
            let (seat, state) = (&mut self.members[member], self.reconciler.state());
            let behind = seat.reached.bytes_since(state.cuts[member]);
            if state.parked[member] == Some(Parked::Resync) {
                // It is copied anew some day, from a later moment.
                seat.stored(seat.reached);
                continue;
            }
            let is_due =
                is_asked || behind >= ADVANCE_BYTES || seat.advanced.elapsed() >= ADVANCE_AFTER;
            let is_idle = self.reconciler.window_len(member) == 0;
            let end = seat.reached;
            // What was said once need not be said again, where the cut can't move yet.
            let is_new = end > self.reconciler.taken_to(member);
            if !is_new || !is_due || !is_idle || self.setup.handle.is_paused() {
                continue;
            }
            seat.advanced = Instant::now();
            let nothing = Transaction {
                end,
                time: 0,
                marker: None,
                changes: Vec::new(),
            };
            if self.reconciler.observe(member, nothing).is_ok() {
                self.has_news = true;
            }
        }
        Ok(())
    }
}
