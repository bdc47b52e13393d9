//! Rows that were set aside are given to the target again.
//!
//! An entry holds all that the target has still to do to its row, later changes included, so to do it
//! never overwrites anything newer. The write moves the checkpoint on, by a mark behind the LSN: so
//! what the [book](super::book) notes of it counts if, and only if, the target has done it.

use std::{collections::BTreeMap, sync::Arc};

use tahr_plugin_api::{
    Batch, ErrorKind, Part, Position, Relation, WriteError, Written,
    abi::{RawTransaction, RemoteWriter},
    failpoint,
};

use super::{
    aside::on_disk,
    book::End,
    deed::Deed,
    entry::{Entry, Reason, Settled},
    place::{Asked, Wish, chosen, discard},
    sift,
};
use crate::lane::{
    feed::Feed,
    worker::{Flow, Worker},
};

/// Bytes of rows that are given to the target at once, about.
const CHUNK: usize = 4 << 20;

/// An entry that is to be applied, as its table is today.
pub(super) type Due = (Arc<Entry>, Arc<Relation>, Deed);

/// Whether the target is ready for rows that are retried.
enum Ready {
    Yes,
    /// Tables were copied again, and the lane has to start over.
    CopiedAgain,
    /// Not for this version of a table.
    Refused {
        version: u32,
        error: WriteError,
    },
}

impl Worker {
    /// Does what persons wish; between batches, with everything stored that was given. How the attempt
    /// ends, where it does.
    pub(in crate::lane) fn grant(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &mut Feed,
    ) -> Result<Option<Flow>, WriteError> {
        for Asked {
            wish,
            choice,
            reply,
        } in self.setup.rejected.wishes()
        {
            let lane = self.setup.name();
            let Some(book) = &mut self.aside.book else {
                return Ok(None);
            };
            let done = match wish {
                Wish::Discard => {
                    let at = feed.given().clone().max(book.newest());
                    let settled = discard(book, &choice, &lane, &at);
                    Ok(Some(settled))
                }
                Wish::Retry => {
                    let settled = chosen(book.entries(), &choice, &lane);
                    self.retry(writer, feed, settled)
                }
            };
            let done = done.and_then(|settled| {
                let at = feed.given().clone();
                self.aside.stored(&self.setup, &at).map(|()| settled)
            });
            // Whoever asked may be gone.
            match done {
                Ok(None) => {
                    let why = format!(
                        "the lane had to start over; `tahr rejected {lane}` shows what is left"
                    );
                    let _ = reply.send(Settled::failed(&lane, why));
                    return Ok(Some(Flow::Again));
                }
                Ok(Some(settled)) => {
                    tracing::info!(%lane, ?wish, done = settled.done.len(),
                        refused = settled.refused.len(), "rows that were set aside");
                    let _ = reply.send(settled);
                }
                Err(error) => {
                    let why = format!("{error}; `tahr rejected {lane}` shows what is left");
                    let _ = reply.send(Settled::failed(&lane, why));
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Applies the entries that `settled` calls done; those that the target still refuses are told
    /// apart from them. None where the lane has to start over.
    fn retry(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &mut Feed,
        mut settled: Settled,
    ) -> Result<Option<Settled>, WriteError> {
        let mut left = std::mem::take(&mut settled.done);
        let mut refused = BTreeMap::new();
        // One may stand in the way of another, so those that were refused come again as long as that
        // changes something.
        loop {
            let before = left.len();
            refused.clear();
            let mut rest = left.clone();
            while !rest.is_empty() {
                let done = self.retry_some(writer, feed, &mut rest, &mut refused)?;
                let Some(done) = done else { return Ok(None) };
                left.retain(|number| !done.contains(number));
                settled.done.extend(done);
            }
            if left.is_empty() || left.len() == before {
                break;
            }
        }
        settled.done.sort_unstable();
        settled.refused = refused.into_iter().collect();
        Ok(Some(settled))
    }

    /// Applies a first part of the entries `rest` in one transaction and takes them from it; returns
    /// which were applied. None where the lane has to start over.
    fn retry_some(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &mut Feed,
        rest: &mut Vec<u64>,
        refused: &mut BTreeMap<u64, Reason>,
    ) -> Result<Option<Vec<u64>>, WriteError> {
        let mut due = self.due(rest, refused)?;
        while !due.is_empty() {
            let previous = feed.given().clone();
            match self.make_ready(writer, &due)? {
                Ready::Yes => {}
                Ready::CopiedAgain => return Ok(None),
                Ready::Refused { version, error } => {
                    self.go_back(writer, &previous)?;
                    let (of_it, others): (Vec<_>, Vec<_>) = due
                        .into_iter()
                        .partition(|(_, relation, _)| relation.version == version);
                    let reason = Reason::from(&error);
                    refused.extend(
                        of_it
                            .iter()
                            .map(|(entry, ..)| (entry.number, reason.clone())),
                    );
                    due = others;
                    continue;
                }
            }
            let position = beyond(&previous);
            if let Some(book) = &mut self.aside.book {
                for (entry, ..) in &due {
                    book.end(entry.number, position.clone(), End::Retried);
                }
                book.sync().map_err(on_disk)?;
            }
            failpoint::pass("rejected.retried");
            self.reached = self.reached.take().max(Some(position.clone()));
            let batch = batch_of(&due, previous.clone(), position.clone());
            self.attend(&batch);
            let written = writer.write(&batch).and_then(|written| match written {
                Written::Accepted => writer.flush(&position),
                other => Ok(other),
            });
            let error = match written {
                Ok(Written::Stored(_)) => {
                    feed.advanced(position.clone());
                    self.stored_bare(&position)?;
                    let done = due.into_iter().map(|(entry, ..)| entry.number);
                    return Ok(Some(done.collect()));
                }
                Ok(_) => WriteError::transient("the checkpoint has moved"),
                Err(error) => error,
            };
            if error.kind != ErrorKind::Rejected {
                return Err(error);
            }
            self.go_back(writer, &previous)?;
            match error.change.filter(|&index| index < due.len()) {
                None if due.len() > 1 => {
                    // Whichever it is: the first by itself, then the others.
                    let others = due.split_off(1).into_iter();
                    let others = others.map(|(entry, ..)| entry.number);
                    rest.splice(0..0, others);
                }
                index => {
                    let (entry, ..) = due.remove(index.unwrap_or(0));
                    refused.insert(entry.number, Reason::from(&error));
                }
            }
        }
        Ok(Some(Vec::new()))
    }

    /// Has the target look at the tables of `due` again: they may have been mended, of which its
    /// writer knows nothing; and the newest version of one may be further than the stream is.
    fn make_ready(&mut self, writer: &mut RemoteWriter, due: &[Due]) -> Result<Ready, WriteError> {
        let mut prepared = Vec::new();
        for (entry, relation, _) in due {
            let version = relation.version;
            if prepared.contains(&version) {
                continue;
            }
            if self.complete(writer, relation)? {
                return Ok(Ready::CopiedAgain);
            }
            match writer.prepare(relation) {
                Ok(()) => self.ready(relation)?,
                // The lane is well without it.
                Err(error) if error.kind == ErrorKind::Rejected => {
                    return Ok(Ready::Refused { version, error });
                }
                Err(error) => return Err(error),
            }
            prepared.push(version);
            tracing::debug!(table = %entry.table, "looked at again");
        }
        Ok(Ready::Yes)
    }

    /// Takes back what the target has refused, so that it stands at `previous` as before.
    fn go_back(
        &mut self,
        writer: &mut RemoteWriter,
        previous: &Position,
    ) -> Result<(), WriteError> {
        if let Some(book) = &mut self.aside.book {
            book.rewind(previous).map_err(on_disk)?;
        }
        writer.reset()?;
        let found = writer.checkpoint(&self.setup.stream)?;
        if found.and_then(|found| found.position).as_ref() != Some(previous) {
            return Err(WriteError::transient("the checkpoint has moved"));
        }
        if self.setup.plugin.description.capabilities.transactional_ddl {
            self.prepared.clear();
        }
        Ok(())
    }

    /// The first of the entries `rest` that go together, which are taken from it.
    fn due(
        &mut self,
        rest: &mut Vec<u64>,
        refused: &mut BTreeMap<u64, Reason>,
    ) -> Result<Vec<Due>, WriteError> {
        let most = self.setup.sync.max_batch_rows as usize;
        let (mut due, mut size) = (Vec::<Due>::new(), 0);
        let mut taken = 0;
        for &number in rest.iter() {
            if due.len() >= most || size >= CHUNK {
                break;
            }
            taken += 1;
            let entry = self
                .aside
                .book
                .as_ref()
                .and_then(|book| book.entries().get(&number));
            let Some(entry) = entry.map(Arc::clone) else {
                continue;
            };
            let mut refuse = |message: String, hint: &str| {
                let reason = Reason {
                    message,
                    hint: hint.to_owned(),
                    column: None,
                };
                refused.insert(number, reason);
            };
            let Some(relation) = self.newest(&entry)? else {
                refuse(
                    format!("table {} is not in the sync any more", entry.table),
                    "discard it",
                );
                continue;
            };
            let Some(deed) = entry.deed_in(&relation) else {
                refuse(
                    format!(
                        "rows of table {} are named by other columns now",
                        entry.table
                    ),
                    "discard it, and copy the table again",
                );
                continue;
            };
            let is_before = |other: u64| due.iter().any(|(entry, ..)| entry.number == other);
            let blocker = self
                .aside
                .book
                .as_ref()
                .and_then(|book| sift::blocker(book, &relation, &deed, Some(number)));
            if let Some(blocker) = blocker.filter(|&blocker| !is_before(blocker)) {
                refused.insert(number, sift::blocked_by(blocker));
                continue;
            }
            size += entry.size();
            due.push((entry, relation, deed));
        }
        rest.drain(..taken);
        Ok(due)
    }

    /// The table of `entry` as the lane sees it now; none where it isn't the lane's any more.
    fn newest(&mut self, entry: &Entry) -> Result<Option<Arc<Relation>>, WriteError> {
        let is_its = |oid: u32| oid == entry.oid;
        let newest = self.setup.relations.newest();
        let version = match newest.iter().find(|relation| is_its(relation.oid)) {
            Some(relation) => relation.version,
            None => {
                let mut tables = self.setup.tables.iter();
                match tables.find(|table| is_its(table.relation.oid)) {
                    Some(table) => {
                        let relation = table.relation.clone();
                        self.setup.relations.version_of(relation).version
                    }
                    None => return Ok(None),
                }
            }
        };
        self.routes.relation(version)
    }
}

/// A position behind `position` and in front of whatever follows in the source.
pub(super) fn beyond(position: &Position) -> Position {
    let count = position.opaque.strip_prefix("retry");
    let count: u32 = count.and_then(|count| count.parse().ok()).unwrap_or(0);
    Position {
        opaque: format!("retry{:09}", count + 1),
        ..position.clone()
    }
}

pub(super) fn batch_of(due: &[Due], previous: Position, position: Position) -> Batch {
    let deeds = due.iter().map(|(entry, relation, deed)| {
        let transaction = RawTransaction {
            commit_lsn: entry.at.lsn.0,
            end_lsn: previous.lsn.0,
            commit_time: entry.committed_at.0.0,
            xid: entry.xid,
            ..RawTransaction::default()
        };
        let ordinal = entry.at.ordinal.saturating_sub(1);
        (transaction, Arc::clone(relation), deed, ordinal)
    });
    let segment = sift::write(&Vec::from_iter(deeds));
    Batch::new(vec![segment], previous, position, Part::Whole)
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::Lsn;

    use super::*;

    #[test]
    fn a_retry_lies_between_what_is_stored_and_what_follows() {
        let stored = Position::at(Lsn(0x100));
        let first = beyond(&stored);
        let second = beyond(&first);
        let next = Position::inside(Lsn(0x100), 1);
        assert!(stored < first && first < second && second < next);
        assert_eq!(second.to_string().parse(), Ok(second));
    }
}
