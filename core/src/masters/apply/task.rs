//! The task of an applier: connects, writes what it is given, and tries again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, sleep_until},
};

use super::{
    Event, Order, Setup,
    careful::{Done, write_carefully},
    error::{Class, made},
    session::Session,
    writer::write_plainly,
};
use crate::lane::Fault;

/// Pauses between tries.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// How often a session with nothing to do is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What an order that is being written gets to be committed, once the end is asked for.
const GRACE: Duration = Duration::from_secs(2);

pub(super) struct Task {
    setup: Setup,
    incoming: mpsc::UnboundedReceiver<Order>,
    retry: Arc<Notify>,
    order: Option<Order>,
    /// What was last said to be wrong.
    told: Option<Fault>,
    /// Whether the source was said to be ready since.
    is_ready: bool,
    failures: u32,
    /// The session before, on the server.
    former: Option<i32>,
}

impl Task {
    pub(super) fn new(
        setup: Setup,
        incoming: mpsc::UnboundedReceiver<Order>,
        retry: Arc<Notify>,
    ) -> Self {
        Self {
            setup,
            incoming,
            retry,
            order: None,
            told: None,
            is_ready: false,
            failures: 0,
            former: None,
        }
    }

    /// Runs until the end is asked for.
    pub(super) async fn run(mut self) {
        let stop = self.setup.stop.clone();
        while !stop.is_stopping() {
            let opened = tokio::select! {
                opened = Box::pin(Session::open(&self.setup, self.former)) => opened,
                () = stop.asked() => return,
            };
            let fault = match opened {
                Ok(session) => {
                    self.former = Some(session.pid);
                    match Box::pin(self.serve(&session)).await {
                        Some(fault) => fault,
                        None => return,
                    }
                }
                Err(fault) => fault,
            };
            self.away(fault);
            let pause = FIRST * 2_u32.saturating_pow(self.failures.min(10));
            self.failures += 1;
            tokio::select! {
                () = sleep(pause.min(LONGEST)) => {}
                () = self.retry.notified() => {}
                () = stop.asked() => {}
            }
        }
    }

    /// Writes orders until something is wrong, or the end is asked for.
    async fn serve(&mut self, session: &Session) -> Option<Fault> {
        let stop = self.setup.stop.clone();
        // What fails an order is wrong until that order is written.
        if self.order.is_none() || self.told.is_none() {
            self.ready(session);
        }
        loop {
            while let Ok(order) = self.incoming.try_recv() {
                self.order = Some(order);
            }
            let Some(order) = self.order.take() else {
                if self.failures > 0 {
                    self.failures = 0;
                }
                tokio::select! {
                    order = self.incoming.recv() => match order {
                        Some(order) => self.order = Some(order),
                        None => return None,
                    },
                    () = sleep_until(Instant::now() + LOOK) => {
                        if session.client.is_closed() {
                            return Some(self.named(made("the connection was closed".to_owned())));
                        }
                    }
                    () = stop.asked() => return None,
                }
                continue;
            };
            let done = tokio::select! {
                done = Box::pin(apply(&self.setup, session, &order)) => done,
                () = async { stop.asked().await; sleep(GRACE).await } => return None,
            };
            let Done { rows, left, fault } = match done {
                Ok(done) => done,
                Err(fault) => {
                    self.order = Some(order);
                    return Some(fault);
                }
            };
            self.failures = 0;
            self.ready(session);
            self.tell(Event::Applied {
                member: self.setup.member,
                sequence: order.sequence,
                rows,
                left,
                fault: fault.map(|fault| self.named(fault)),
            });
        }
    }

    fn ready(&mut self, session: &Session) {
        self.told = None;
        if !std::mem::replace(&mut self.is_ready, true) {
            self.tell(Event::Ready {
                member: self.setup.member,
                fires_triggers: session.fires_triggers,
            });
        }
    }

    fn away(&mut self, fault: Fault) {
        self.is_ready = false;
        let is_new = self
            .told
            .as_ref()
            .is_none_or(|told| told.message != fault.message);
        if is_new {
            self.told = Some(fault.clone());
            let member = self.setup.member;
            self.tell(Event::Away { member, fault });
        }
    }

    fn named(&self, mut fault: Fault) -> Fault {
        fault.message = format!("source \"{}\": {}", self.setup.source, fault.message);
        fault
    }

    fn tell(&self, event: Event) {
        // Nobody listens any more: the end is near.
        let _ = self.setup.events.send(event);
    }
}

/// Writes an order, if it wasn't written before.
async fn apply(setup: &Setup, session: &Session, order: &Order) -> Result<Done, Fault> {
    let failure = match write_plainly(session, order).await {
        Ok(()) => {
            let rows = order.rows.len() as u64;
            return Ok(Done {
                rows,
                ..Done::default()
            });
        }
        Err(failure) => failure,
    };
    let mut class = failure.class();
    if class == Class::Other {
        return Err(failure.fault(&setup.source));
    }
    // Where the commit was not sent yet, the transaction is still open.
    session
        .run("ROLLBACK")
        .await
        .map_err(|failure| failure.fault(&setup.source))?;
    if class != Class::Marked {
        let failure = match write_carefully(session, order).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        class = failure.class();
        let fault = failure.fault(&setup.source);
        if failure.db().is_some() {
            // What it was matters more than why this should fail.
            let _ = session.run("ROLLBACK").await;
        }
        if class != Class::Marked {
            return Err(fault);
        }
    }
    session.was_applied(setup, order.sequence).await?;
    Ok(Done::default())
}
