//! The thread of an intake: from the log to the sink.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use tahr_plugin_api::{Lsn, Position, abi::Arena};
use tokio::sync::mpsc::error::TrySendError;

use super::{Completer, Gatherer, Hindrance, Seen, Setup, gather::End};
use crate::{
    lane::{Backoff, Fault, first_behind},
    log::{Cursor, LogError, Next},
};

/// How long the log is waited for before the intake looks around.
const PATIENCE: Duration = Duration::from_millis(250);
/// The same while something is still to be said.
const IMPATIENCE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Reader {
    gatherer: Gatherer,
    completer: Completer,
    hindrance: Hindrance,
    /// Everything up to it was sent, or had nothing for the sync; may be inside a transaction.
    at: Position,
    /// What the circle was told last that it has all of.
    told: Lsn,
    /// Where it reads next.
    cursor: Cursor,
    /// Why it can't even begin.
    gap: Option<End>,
    backoff: Backoff,
    setup: Setup,
}

/// Why the thread ends.
enum Over {
    /// It was asked to, or nobody listens.
    Stopped,
    Ended(End),
}

impl From<End> for Over {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

impl Reader {
    /// Joins the log: from here on that keeps what is needed.
    pub(super) fn new(setup: Setup, hindrance: Hindrance) -> Self {
        let (cursor, gap) = join(&setup);
        Self {
            cursor,
            gap,
            gatherer: Gatherer::new(&setup),
            completer: Completer::new(&setup, Arc::clone(&hindrance)),
            hindrance,
            at: Position::at(setup.cut),
            told: setup.cut,
            backoff: Backoff::default(),
            setup,
        }
    }

    /// The thread's name.
    pub(super) fn name(&self) -> String {
        format!("intake {} {}", self.setup.sync, self.setup.member)
    }

    pub(super) fn run(mut self) {
        let Err(over) = self.read();
        let last = match over {
            Over::Stopped => return,
            Over::Ended(End::Reshaped { table, message }) => Seen::Reshaped { table, message },
            Over::Ended(End::Gap(message)) => Seen::Gap(message),
        };
        // Nobody listens any more, then.
        let _ = self.send(last);
    }

    fn read(&mut self) -> Result<std::convert::Infallible, Over> {
        if let Some(gap) = self.gap.take() {
            return Err(gap.into());
        }
        loop {
            if self.setup.stop.is_stopping() {
                return Err(Over::Stopped);
            }
            let patience = if self.is_news() { IMPATIENCE } else { PATIENCE };
            let next = self.setup.log.next(self.setup.lane, self.cursor, patience);
            let is_read = matches!(next, Ok(Next::Arena(_) | Next::Tail(_)));
            if is_read && self.backoff.failures() > 0 {
                self.backoff.succeeded();
                self.hindered(None);
            }
            match next {
                Ok(Next::Stopped) => return Err(Over::Stopped),
                Ok(Next::Rewound(first)) => self.cursor = first,
                Ok(Next::Later) => {}
                Ok(Next::Tail(tail)) => {
                    let is_between = !tail.is_inside() && !self.gatherer.is_open();
                    if is_between && tail > self.at {
                        self.at = tail;
                    }
                }
                Ok(Next::Arena(arena)) => {
                    self.cursor = self.cursor.next();
                    self.arena(&arena)?;
                }
                Err(error @ (LogError::Gone | LogError::GivenUp(_))) => {
                    return Err(End::Gap(error.to_string()).into());
                }
                Err(error) => self.read_again(&error)?,
            }
            self.reached()?;
        }
    }

    /// Sends what `arena` holds.
    fn arena(&mut self, arena: &Arena) -> Result<(), Over> {
        let Some(first) = first_behind(arena, &self.at) else {
            return Ok(());
        };
        let mut taken = self.gatherer.take(arena, first);
        if !self.completer.complete(&mut taken)? {
            return Err(Over::Stopped);
        }
        let transactions = self.gatherer.finish(taken.transactions);
        if let Some(last) = transactions.last() {
            let end = last.end;
            self.send(Seen::Transactions(transactions))?;
            self.told = end;
        }
        if let Some(end) = taken.end {
            return Err(end.into());
        }
        self.at = arena.position_after(arena.transactions().len() - 1);
        Ok(())
    }

    /// The log couldn't be read just now: waits before it is read again.
    fn read_again(&mut self, error: &LogError) -> Result<(), Over> {
        let wait = self.backoff.next();
        tracing::warn!(sync = self.setup.sync, member = self.setup.member, %error,
            retry_in = ?wait, "what was read of a source can't be read again yet");
        self.hindered(Some(error));
        if self.setup.stop.wait(wait) {
            return Err(Over::Stopped);
        }
        Ok(())
    }

    fn hindered(&self, error: Option<&LogError>) {
        let fault = error.map(|error| Fault {
            message: error.to_string(),
            hint: error.hint().to_owned(),
            table: None,
            column: None,
            since: SystemTime::now(),
        });
        *self
            .hindrance
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Whether the circle doesn't know yet how far this is.
    fn is_news(&self) -> bool {
        self.at.lsn > self.told && !self.at.is_inside()
    }

    /// Tells how far this is, where the circle has nothing else to hear: one word of it waits at a
    /// time.
    fn reached(&mut self) -> Result<(), Over> {
        let sink = &self.setup.sink;
        if self.is_news() && sink.capacity() == sink.max_capacity() {
            let lsn = self.at.lsn;
            self.send(Seen::Reached(lsn))?;
            self.told = lsn;
        }
        Ok(())
    }

    /// Hands `seen` over; waits while the sink is full.
    fn send(&self, seen: Seen) -> Result<(), Over> {
        let (sink, stop) = (&self.setup.sink, &self.setup.stop);
        let seen = match sink.try_send(seen) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Over::Stopped),
            Err(TrySendError::Full(seen)) => seen,
        };
        self.setup.runtime.block_on(async {
            tokio::select! {
                biased;
                () = stop.asked() => Err(Over::Stopped),
                sent = sink.send(seen) => sent.map_err(|_| Over::Stopped),
            }
        })
    }
}

/// Joins the log at the cut. Whether it had all that is needed is asked afterwards, since from then on
/// it keeps that; what it has let go of the source is asked for again.
fn join(setup: &Setup) -> (Cursor, Option<End>) {
    let (log, cut) = (&setup.log, Position::at(setup.cut));
    let cursor = log.join(setup.lane, cut.clone());
    let is_gap = cut < log.reach() && !log.rewind(setup.lane, &cut);
    let gap = is_gap.then(|| {
        End::Gap(format!(
            "its changes are needed from {cut} on, and its log begins at {}: what lies between is \
             lost",
            log.reach()
        ))
    });
    (cursor, gap)
}
