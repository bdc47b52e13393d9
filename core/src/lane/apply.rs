//! The stream into the writer: batches are written, stored, and answered for.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tahr_plugin_api::{
    Batch, Change, ErrorKind, Part, Position, WriteError, Written, abi::RemoteWriter, failpoint,
};

use super::{
    feed::{self, Fed, Feed},
    reach::Limits,
    worker::{Flow, Worker},
};

/// A lane that holds everything stores a bare advance of its position after this much of the
/// source's log, or this long, so that the source needs to keep less; at once where the log waits
/// for that.
const ADVANCE_BYTES: u64 = 16 << 20;
const ADVANCE_AFTER: Duration = Duration::from_secs(60);
/// Changes and transactions given to the writer and not stored yet.
#[derive(Default)]
struct Given {
    changes: u64,
    transactions: u64,
}

impl Worker {
    pub(super) fn stream(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &mut Feed,
    ) -> Result<Flow, WriteError> {
        let most = self
            .setup
            .plugin
            .description
            .capabilities
            .max_transaction_rows;
        let most = most.map_or(usize::MAX, |rows| {
            usize::try_from(rows).unwrap_or(usize::MAX)
        });
        let limits = Limits {
            rows: most.min(self.setup.sync.max_batch_rows as usize),
            bytes: usize::try_from(self.setup.sync.max_batch_bytes).unwrap_or(usize::MAX),
            delay: self.setup.sync.max_delay,
        };
        let mut given = Given::default();
        let mut is_accepted = false;
        let mut advanced = Instant::now();
        let mut is_awaited = false;
        loop {
            if self.setup.rejected.is_asked() && !feed.is_open() {
                let at = feed.given().clone();
                if is_accepted && self.flush(writer, feed, &at, &mut given)? {
                    return Ok(Flow::Again);
                }
                is_accepted = false;
                if let Some(flow) = self.grant(writer, feed)? {
                    return Ok(flow);
                }
            }
            if let Some(flow) = self.mend(writer, feed, &mut is_accepted)? {
                return Ok(flow);
            }
            let single = self
                .single_until
                .as_ref()
                .is_some_and(|until| feed.at() < until);
            let patience = if is_accepted && !feed.is_open() {
                Duration::ZERO
            } else {
                Duration::from_secs(1)
            };
            let waits = self.catches_up.is_some_and(|until| Instant::now() < until);
            if !waits && !feed.is_open() && self.setup.resyncs.is_pending() {
                // What was accepted is taken back, and comes again after the copy.
                return Ok(Flow::Again);
            }
            match feed.next(&mut self.routes, limits, single, patience)? {
                Fed::Stopped => {
                    self.finish(writer, feed, is_accepted)?;
                    return Ok(Flow::Stopped);
                }
                Fed::Later => {
                    let at = feed.given().clone();
                    if is_accepted && !feed.is_open() {
                        if self.flush(writer, feed, &at, &mut given)? {
                            return Ok(Flow::Again);
                        }
                        is_accepted = false;
                    }
                }
                Fed::Tail(at) => {
                    if feed.is_open() {
                        continue;
                    }
                    self.catches_up = None;
                    // A checkpoint inside a transaction that has nothing for the lane so far would
                    // be one inside a transaction that the target never saw begin.
                    let at = if at.is_inside() {
                        feed.given().clone()
                    } else {
                        at
                    };
                    let behind = at.lsn.bytes_since(feed.given().lsn);
                    let is_due = is_awaited
                        || behind >= ADVANCE_BYTES
                        || advanced.elapsed() >= ADVANCE_AFTER;
                    if is_accepted || (is_due && at > *feed.given()) {
                        if self.flush(writer, feed, &at, &mut given)? {
                            return Ok(Flow::Again);
                        }
                        advanced = Instant::now();
                        is_accepted = false;
                    }
                    is_awaited = self.setup.log.passed(self.setup.id, at.clone());
                    // Whatever failed before is behind it.
                    if self.reached.as_ref().is_none_or(|reached| at >= *reached) {
                        self.backoff.succeeded();
                    }
                    self.setup.status.update(|status| {
                        status.passed = at.lsn;
                        status.lag_seconds = Some(0.0);
                        status.lag_as_of = Some(SystemTime::now());
                    });
                }
                Fed::Batch {
                    batch,
                    changes,
                    transactions,
                } => {
                    // Tables are altered between transactions, where the target can't do it inside.
                    if is_accepted
                        && matches!(batch.part(), Part::Whole | Part::First)
                        && !self.setup.plugin.description.capabilities.transactional_ddl
                        && feed::relations(&batch).any(|new| !self.prepared.contains(&new.version))
                        && self.flush(writer, feed, batch.previous(), &mut given)?
                    {
                        return Ok(Flow::Again);
                    }
                    if self.prepare(writer, &batch)? {
                        return Ok(Flow::Again);
                    }
                    // Noted before rows are set aside, whose changes go by without being written.
                    self.attend(&batch);
                    let (batch, less) = match self.aside.sift(&self.setup, &batch) {
                        Ok(None) => (batch, 0),
                        Ok(Some((sifted, less))) => {
                            self.attend(&sifted);
                            (sifted, less)
                        }
                        Err(error) => return self.one_by_one(error, &batch, transactions),
                    };
                    self.reached = self.reached.take().max(Some(batch.position().clone()));
                    given.changes += changes - less;
                    given.transactions += transactions;
                    failpoint::pass("lane.write");
                    let written = match writer.write(&batch) {
                        Ok(written) => written,
                        Err(error) => return self.refused(error, &batch, transactions),
                    };
                    if self.moved(&written, batch.previous())? {
                        return Ok(Flow::Again);
                    }
                    is_accepted = written == Written::Accepted;
                    if is_accepted {
                        failpoint::pass("lane.accepted");
                    }
                    if let Written::Stored(position) = written {
                        advanced = Instant::now();
                        let lag = seconds_since_commit(&batch);
                        self.stored(&position, std::mem::take(&mut given), lag)?;
                    }
                }
            }
        }
    }

    /// Stores what was accepted, and `at`; whether the lane has to start over from its checkpoint.
    fn flush(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &mut Feed,
        at: &Position,
        given: &mut Given,
    ) -> Result<bool, WriteError> {
        self.reached = self.reached.take().max(Some(at.clone()));
        failpoint::pass("lane.flush");
        let flushed = writer.flush(at)?;
        if self.moved(&flushed, feed.given())? {
            return Ok(true);
        }
        feed.advanced(at.clone());
        self.stored(at, std::mem::take(given), None)?;
        Ok(false)
    }

    /// Makes the target ready for relations that `batch` brings for the first time; whether the
    /// lane has to start over from its checkpoint.
    pub(super) fn prepare(
        &mut self,
        writer: &mut RemoteWriter,
        batch: &Batch,
    ) -> Result<bool, WriteError> {
        let mut starts_over = false;
        for relation in feed::relations(batch) {
            let is_its = |change: Change<'_>| change.relation().version == relation.version;
            // A version that only older changes have, which the copy holds, may be long gone.
            if self.prepared.contains(&relation.version) || !batch.changes().any(is_its) {
                continue;
            }
            if self.complete(writer, relation)? {
                return Ok(true);
            }
            let is_open = matches!(batch.part(), Part::Middle | Part::Last);
            let capabilities = &self.setup.plugin.description.capabilities;
            // The target's own DDL would commit half of the open transaction: take it back, make
            // the table ready, and play the transaction again from the log.
            if is_open
                && capabilities.transactions
                && !capabilities.transactional_ddl
                && !starts_over
            {
                self.take_back(writer)?;
                starts_over = true;
            }
            writer.prepare(relation)?;
            failpoint::pass("lane.prepared");
            self.ready(relation)?;
        }
        Ok(starts_over)
    }

    /// After a batch was refused: the change to blame is set aside, where the sync wants that;
    /// otherwise one of several transactions is to blame, and the good ones among them are to be
    /// stored first.
    fn refused(
        &mut self,
        error: WriteError,
        batch: &Batch,
        transactions: u64,
    ) -> Result<Flow, WriteError> {
        match self.aside.refused(&self.setup, error, batch) {
            Ok(()) => Ok(Flow::Again),
            Err(error) => self.one_by_one(error, batch, transactions),
        }
    }

    /// What a batch that can't be written leads to.
    fn one_by_one(
        &mut self,
        error: WriteError,
        batch: &Batch,
        transactions: u64,
    ) -> Result<Flow, WriteError> {
        if error.kind != ErrorKind::Rejected || transactions < 2 {
            return Err(error);
        }
        tracing::debug!(lane = %self.setup.name(), transactions, %error, "giving them one by one");
        self.single_until = Some(batch.position().clone());
        Ok(Flow::Again)
    }

    /// Whether the checkpoint was not where it was left. Then it is a matter of looking and playing
    /// again, unless somebody else writes here.
    pub(super) fn moved(
        &mut self,
        written: &Written,
        previous: &Position,
    ) -> Result<bool, WriteError> {
        match written {
            Written::Moved(found) => {
                if let Some(found) = found.as_ref().filter(|found| self.is_foreign(found)) {
                    return Err(other_engine(found, previous));
                }
                let found = found
                    .as_ref()
                    .map_or_else(|| "nothing".to_owned(), Position::to_string);
                tracing::warn!(lane = %self.setup.name(), %found, expected = %previous,
                    "target's checkpoint has moved; looking at it again");
                Ok(true)
            }
            Written::Accepted | Written::Stored(_) => Ok(false),
        }
    }

    /// Notes that the target holds `position`, without changes of the stream.
    pub(super) fn stored_bare(&mut self, position: &Position) -> Result<(), WriteError> {
        self.stored(position, Given::default(), None)
    }

    fn stored(
        &mut self,
        position: &Position,
        given: Given,
        lag: Option<f64>,
    ) -> Result<(), WriteError> {
        failpoint::pass("lane.stored");
        self.setup.log.stored(self.setup.id, position.clone());
        failpoint::pass("lane.told");
        self.may_find_left_over = false;
        self.backoff.succeeded();
        if self
            .single_until
            .as_ref()
            .is_some_and(|until| position >= until)
        {
            self.single_until = None;
        }
        self.setup.status.update(|status| {
            status.stored = Some(position.clone());
            status.passed = position.lsn;
            status.changes += given.changes;
            status.transactions += given.transactions;
            if lag.is_some() {
                status.lag_seconds = lag;
                status.lag_as_of = Some(SystemTime::now());
            }
        });
        self.aside.stored(&self.setup, position)
    }

    /// At a clean stop: what was accepted is stored, and how far the source was read; an open part
    /// of a transaction is given up and comes again.
    fn finish(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &Feed,
        is_accepted: bool,
    ) -> Result<(), WriteError> {
        if feed.is_open() {
            return if is_accepted { writer.reset() } else { Ok(()) };
        }
        let at = feed.at();
        if is_accepted || (at > feed.given() && !at.is_inside()) {
            let target = if at.is_inside() { feed.given() } else { at };
            if let Written::Stored(position) = writer.flush(target)? {
                self.stored(&position, Given::default(), None)?;
            }
        }
        Ok(())
    }
}

/// The target is further than this engine can have brought it.
pub(super) fn other_engine(found: &Position, previous: &Position) -> WriteError {
    WriteError::rejected(format!(
        "target's checkpoint is at {found}, ahead of this engine's {previous}: \
         another engine writes to this target"
    ))
    .hint("stop the other engine, or give one of them another sync name")
}
/// Seconds since the source committed the last transaction of `batch`, by both clocks.
fn seconds_since_commit(batch: &Batch) -> Option<f64> {
    const EPOCH_2000: f64 = 946_684_800.0;
    let segment = batch.segments().last()?;
    let change = segment
        .arena
        .changes()
        .get((segment.end as usize).checked_sub(1)?)?;
    let commit = segment.arena.transactions()[change.transaction as usize].commit_time;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()?
        .as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "shown to a tenth of a second")]
    let commit = commit as f64 / 1e6 + EPOCH_2000;
    Some((now - commit).max(0.0))
}
