//! What a judge takes in: what its sources have done, and what became of its orders.

use tokio::sync::mpsc;

use super::{
    drawing::Drawing,
    judge::{Judge, is_listened},
    trouble::Trouble,
};
use crate::{
    masters::{apply::Event, intake::Seen},
    reconcile::Transaction,
};

impl Judge<'_> {
    /// Takes in everything that waits, up to what one round may hold.
    pub(super) fn take_in(&mut self) -> Result<(), Trouble> {
        while let Ok(event) = self.events.try_recv() {
            self.hear(event)?;
        }
        if !self.is_judging() {
            return Ok(());
        }
        for member in 0..self.members.len() {
            while is_listened(&self.reconciler, member) {
                let Some(Ok(seen)) = self.members[member].seen().map(mpsc::Receiver::try_recv)
                else {
                    break;
                };
                self.see(member, Some(seen))?;
            }
        }
        Ok(())
    }

    pub(super) fn hear(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            Event::Ready {
                member,
                fires_triggers,
            } => {
                let member = &mut self.members[member];
                member.is_ready = true;
                member.fault = None;
                if fires_triggers {
                    tracing::warn!(
                        source = member.source,
                        "applied rows fire this source's triggers: its role may not set \
                         session_replication_role"
                    );
                }
                self.has_news = true;
                if self.drawing.is_none() {
                    self.drawing = Drawing::begin(self.setup, &self.members, &self.tables);
                }
            }
            Event::Away { member, fault } => {
                let member = &mut self.members[member];
                if member.is_ready || member.fault.is_none() {
                    tracing::warn!(
                        source = member.source,
                        hint = fault.hint,
                        "source can't be written to: {}",
                        fault.message
                    );
                }
                member.is_ready = false;
                member.fault = Some(fault);
            }
            Event::Applied {
                member, rows, left, ..
            } => {
                let member = &mut self.members[member];
                member.rows_out += rows;
                if left > 0 {
                    tracing::debug!(source = member.source, left, "rows were left out");
                }
            }
        }
        Ok(())
    }

    pub(super) fn see(&mut self, member: usize, seen: Option<Seen>) -> Result<(), Trouble> {
        let source = &self.members[member].source;
        match seen {
            Some(Seen::Transactions(transactions)) => {
                for transaction in transactions {
                    self.observe(member, transaction)?;
                }
            }
            Some(Seen::Reached(lsn)) => {
                let seat = &mut self.members[member];
                seat.reached = seat.reached.max(lsn);
                self.reconciler.read_to(member, seat.reached);
                self.has_news |= self.reconciler.waiting() > 0;
            }
            Some(Seen::Reshaped { table, message }) => {
                return Err(Trouble::new(
                    format!("table {table} has changed on source \"{source}\": {message}"),
                    "change it alike on all sources of the sync, then: tahr reload, or tahr resume",
                ));
            }
            Some(Seen::Gap(message)) => {
                return Err(Trouble::new(
                    format!("source \"{source}\": {message}"),
                    "the sources have to meet again: `tahr drop SYNC`, then `tahr run` with \
                     initial = \"merge\" or \"first_source\"",
                ));
            }
            // Its intake ended: by itself only when the source's log did.
            None => {
                return Err(
                    Trouble::new(format!("source \"{source}\" is read no more"), "").passing(),
                );
            }
        }
        Ok(())
    }

    fn observe(&mut self, member: usize, transaction: Transaction) -> Result<(), Trouble> {
        let end = transaction.end;
        let is_own = transaction.marker.is_some();
        let rows = transaction.changes.len() as u64;
        let seat = &mut self.members[member];
        seat.reached = seat.reached.max(end);
        if !is_own {
            seat.rows_in += rows;
            self.books.seen(&seat.source, rows);
        }
        if self.reconciler.observe(member, transaction).is_err() {
            tracing::error!(sync = %self.setup.name, source = seat.source,
                "source is parked: it shows an apply that this engine did not send");
            let record = self.reconciler.park(member);
            self.keep(&record)?;
        }
        self.has_news = true;
        Ok(())
    }
}
