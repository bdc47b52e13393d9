//! The stream of a source into its log.
//!
//! One task per source: it connects, decodes, assembles arenas and appends them; after a broken
//! connection it goes on exactly where the log ends. It answers for two promises: nothing waits
//! for an arena to fill (whatever is complete goes to the log as soon as the stream pauses), and
//! the slot is told only what every lane has stored, `redo` later.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::FutureExt as _;
use pgwire_replication::ReplicationClient;
use tahr_plugin_api::{Lsn, failpoint};
use tahr_postgres_connect::{ConnectError, Replication, Url};

use super::{
    Identity, SourceCell, SourceError, SourceStatus, handover::Handover, outlook::Watch,
    same::still_there, snapshot::RAW_TEXT, stream::Stream,
};
use crate::{
    log::{Frontier, Log},
    masters::chronicle::Moment,
    record::{Assembler, Limits, Relations},
    shutdown::Stop,
};

/// Events between the connection and the decoder. They are counted, not weighed, so a few rows
/// of the largest size may wait there.
const BUFFERED_EVENTS: usize = 512;
/// The server sends row by row, and to be woken for each costs more than to decode it. Where a
/// transaction has brought so many events without a pause, more of it is let gather for as long.
const GULP_EVENTS: u32 = 64;
const GULP: Duration = Duration::from_micros(200);
/// How often the slot is told how far it may go.
pub(super) const FEEDBACK_EVERY: Duration = Duration::from_millis(200);
/// Events between two looks at the clock while the stream never pauses.
const EVENTS_PER_LOOK: u32 = 4096;

/// What a reader needs.
#[derive(Debug)]
pub struct Reader {
    /// Where the source is.
    pub url: Url,
    /// How tahr calls itself there.
    pub application: String,
    /// Which database it was when it was opened.
    pub identity: Identity,
    /// The slot to read.
    pub slot: String,
    /// The publication that says what to send.
    pub publication: String,
    /// The largest row, in bytes of the protocol.
    pub max_row_bytes: u64,
    /// How far behind the lanes the slot is kept.
    pub redo: Duration,
    /// Where arenas go.
    pub log: Arc<Log>,
    /// Where relation versions go.
    pub relations: Arc<Relations>,
    /// What it shows of itself.
    pub status: Arc<SourceCell>,
    /// The engine's wish to end.
    pub stop: Stop,
}

impl Reader {
    /// Reads until the engine stops, or until the source can't be read any more and trying again
    /// won't help: then its cell holds the failure.
    ///
    /// It has a thread of its own, where connection and decoder take turns: so a row that comes
    /// wakes one thread, not two.
    pub async fn run(self) {
        let status = Arc::clone(&self.status);
        let ended = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(|error| SourceError::transient(error.to_string()))?;
            runtime.block_on(self.read())
        });
        let ended = ended.await;
        let ended = ended.unwrap_or_else(|error| Err(SourceError::unusable(error.to_string())));
        if let Err(error) = ended {
            status.fail(error);
        }
    }

    async fn read(&self) -> Result<(), SourceError> {
        let mut wait = Duration::from_millis(100);
        let mut frontier = Frontier::new(self.redo);
        let mut handover = Handover::default();
        loop {
            let started = Instant::now();
            let error = match self.stream(&mut frontier).await {
                Ok(Flow::Stopped) => return Ok(()),
                Ok(Flow::Rewound) => continue,
                Err(_) if self.stop.is_stopping() => return Ok(()),
                Err(error) => error,
            };
            self.status.update(|status| status.note(&error));
            if !error.is_transient() {
                return Err(error);
            }
            if started.elapsed() > Duration::from_secs(30) {
                wait = Duration::from_millis(100);
            }
            let source = self.status.get().source;
            match handover.wait(&source, &error, wait) {
                Some(short) => wait = short,
                None => tracing::warn!(source, %error, hint = error.hint_text(), retry_in = ?wait,
                    "stream of the source broke"),
            }
            tokio::select! {
                () = self.stop.asked() => return Ok(()),
                () = self.stop.pause(wait) => {}
            }
            wait = (wait * 2).min(Duration::from_secs(10));
        }
    }

    async fn stream(&self, frontier: &mut Frontier) -> Result<Flow, SourceError> {
        let tail = self.log.begin();
        let config = self.url.replication(&Replication {
            slot: &self.slot,
            publication: &self.publication,
            start_lsn: tail.lsn.0,
            ack_lsn: self.status.get().released.0,
            application: &self.application,
            buffer_events: BUFFERED_EVENTS,
            max_message_size: usize::try_from(self.max_row_bytes).unwrap_or(usize::MAX),
        });
        let failed = |error| SourceError::replication(&self.url, &error);
        let read = tail.lsn;
        let connected = ReplicationClient::connect_gated(config).await;
        let mut client = connected.map_err(failed)?;
        let starting = async {
            client.simple_query(RAW_TEXT).await?;
            client.start().await?;
            client.wait_started().await
        };
        let started = tokio::time::timeout(self.url.connect_timeout(), starting).await;
        let timeout = |_| Err(ConnectError::timeout(&self.url).into());
        let started = started.map_or_else(timeout, |started| started.map_err(failed));
        let catalog = self.url.connect_source(&self.application).await?;
        // While it streams nobody can drop the slot; where it does not, this says why, or that it may
        // soon: a server that is about to be promoted refuses to stream.
        let slot = self.answered(still_there(&catalog, &self.identity, &self.slot, read));
        let slot = slot.await?;
        started.map_err(|error| Handover::explain(error, &slot, &self.application))?;
        let asked = SystemTime::now();
        // A standby doesn't say.
        let end = self
            .answered(Identity::flushed_lsn(&catalog).map(Ok))
            .await?;
        if let Ok(end) = end {
            self.status.update(|status| status.answered(end, asked));
        }
        self.status.update(SourceStatus::streams);
        let mut stream = Stream {
            reader: self,
            assembler: Assembler::new(Limits::default(), tail),
            catalog: Some(catalog),
            type_names: HashMap::new(),
            passed: Lsn::ZERO,
            committed: None,
            watch: Watch::default(),
        };
        let mut feedback = tokio::time::interval(FEEDBACK_EVERY);
        let mut events = 0;
        let mut since_pause = 0;
        let flow = loop {
            let ready = client.recv().now_or_never();
            let event = if let Some(event) = ready {
                since_pause += 1;
                event
            } else if since_pause >= GULP_EVENTS && stream.assembler.is_inside() {
                since_pause = 0;
                // The connection must not be read meanwhile, so the whole thread sleeps.
                std::thread::sleep(GULP);
                tokio::task::yield_now().await;
                continue;
            } else {
                since_pause = 0;
                stream.pause().await?;
                tokio::select! {
                    biased;
                    () = self.stop.asked() => break Flow::Stopped,
                    event = client.recv() => event,
                    _ = feedback.tick() => {
                        if let Some(flow) = self.look(&client, frontier, stream.committed) {
                            break flow;
                        }
                        stream.check_session()?;
                        if let Some(catalog) = &stream.catalog {
                            let look = stream.watch.show(catalog, &self.slot, &self.status);
                            match self.answered(look.map(Ok)).await {
                                // The stream ends in order.
                                Err(_) if self.stop.is_stopping() => {}
                                looked => looked?,
                            }
                        }
                        continue;
                    }
                }
            };
            let Some(event) = event.map_err(failed)? else {
                return Err(SourceError::transient("the source ended the stream"));
            };
            stream.event(event).await?;
            events += 1;
            if events >= EVENTS_PER_LOOK {
                events = 0;
                if let Some(flow) = self.look(&client, frontier, stream.committed) {
                    break flow;
                }
            }
        };
        // Lanes store their last positions while the engine ends; `redo` keeps the slot behind
        // them anyway.
        self.release(&client, frontier);
        let _ = tokio::time::timeout(Duration::from_secs(2), client.shutdown()).await;
        Ok(flow)
    }

    /// The server's answer. A network that swallows everything breaks no connection, and a stream may
    /// be silent for good reason; a server that leaves a question unanswered for so long is out of
    /// reach.
    pub(super) async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let silence = self.url.silence();
        tokio::select! {
            answer = answer => answer,
            () = tokio::time::sleep(silence) => Err(SourceError::silent(silence)),
            () = self.stop.asked() => Err(SourceError::transient("the engine is stopping")),
        }
    }

    /// Tells the slot what it may forget, and sees whether to go on.
    fn look(
        &self,
        client: &ReplicationClient,
        frontier: &mut Frontier,
        committed: Option<i64>,
    ) -> Option<Flow> {
        self.release(client, frontier);
        let committed = committed.map(|micros| Moment::committed(micros).into());
        self.status
            .update(|status| status.present.read(status.read, committed));
        if self.stop.is_stopping() {
            Some(Flow::Stopped)
        } else {
            self.log.is_rewound().then_some(Flow::Rewound)
        }
    }

    /// Tells the slot what it may forget.
    fn release(&self, client: &ReplicationClient, frontier: &mut Frontier) {
        let now = Instant::now();
        let released = self.log.release(|position| frontier.observe(now, position));
        if let Some(lsn) = released {
            failpoint::pass("frontier.decided");
            client.update_applied_lsn(pgwire_replication::Lsn(lsn.0));
            failpoint::pass("frontier.told");
        }
        let end = client.metrics().last_wal_end();
        self.status.update(|status| {
            status.released = released.unwrap_or(status.released);
            status.read = self.log.tail().lsn;
            status.end = status.end.max(Lsn(end.0));
        });
    }
}

/// How a connection ended without an error.
enum Flow {
    /// The engine is stopping.
    Stopped,
    /// The log begins anew further back.
    Rewound,
}
