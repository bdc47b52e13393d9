//! Rows are put in order at a lane's place in the stream, for a verification.

use std::sync::Arc;

use tahr_plugin_api::{
    Batch, ErrorKind, Lsn, Part, Relation, Route, Segment, WriteError, Written, abi::RemoteWriter,
};

use super::{
    attend::{Mended, Order},
    feed::Feed,
    worker::{Flow, Worker},
};

impl Worker {
    /// Notes the changes that the writer is about to be given.
    pub(super) fn attend(&self, batch: &Batch) {
        self.setup.attendant.note(batch);
    }

    /// Puts rows in order, if that is asked for and it is the time and place for it: between two
    /// transactions, with everything stored. How the attempt ends, where it does.
    pub(super) fn mend(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &mut Feed,
        is_accepted: &mut bool,
    ) -> Result<Option<Flow>, WriteError> {
        if feed.is_open() || feed.at().is_inside() || *is_accepted {
            return Ok(None);
        }
        let attendant = Arc::clone(&self.setup.attendant);
        let Some(order) = attendant.due(feed.at().lsn) else {
            return Ok(None);
        };
        if let Err(error) = self.is_as_ordered(&order.relation) {
            attendant.answer(Mended::Failed(error));
            return Ok(None);
        }
        let batch = order.batch(feed);
        self.touch_aside(&batch);
        if attendant.has_touched() {
            attendant.answer(Mended::Overtaken);
            return Ok(None);
        }
        let rows = order.arena.changes().len();
        match self.put(writer, feed, &batch) {
            Ok(Some(written)) => {
                *is_accepted = written == Written::Accepted;
                self.setup.status.update(|status| {
                    *status
                        .counters
                        .entry("rows_repaired".to_owned())
                        .or_default() += rows as u64;
                });
                attendant.answer(Mended::Done);
                Ok(None)
            }
            Ok(None) => {
                let again = WriteError::transient("the lane had to start over");
                attendant.answer(Mended::Failed(again));
                Ok(Some(Flow::Again))
            }
            // A writer that panicked is in no state to be called again.
            Err(error) if error.kind == ErrorKind::Fatal => {
                attendant.answer(Mended::Failed(error.clone()));
                Err(error)
            }
            // It was no change of the source, so it parks nothing.
            Err(error) => {
                tracing::warn!(lane = %self.setup.name(), %error, hint = error.hint_text(),
                    "rows could not be repaired");
                attendant.answer(Mended::Failed(error));
                Ok(Some(Flow::Again))
            }
        }
    }

    /// Refuses rows of a table that has other columns by now than when they were read.
    fn is_as_ordered(&mut self, ordered: &Relation) -> Result<(), WriteError> {
        let newest = self.setup.relations.newest();
        let newest = newest.iter().find(|known| known.oid == ordered.oid);
        let newest = match newest {
            Some(newest) => self.routes.relation(newest.version)?,
            None => None,
        };
        match newest {
            Some(newest) if same_rows(&newest, ordered) => Ok(()),
            _ => {
                let changed = format!("table {} has changed since", ordered.source);
                Err(WriteError::transient(changed).hint("verify it again"))
            }
        }
    }

    /// Takes rows that are set aside as reached by changes: what the target has still to do to them
    /// is known, and counts on the target having done nothing of it.
    fn touch_aside(&self, batch: &Batch) {
        for change in batch.changes() {
            if self.aside.has(&change) {
                self.setup.attendant.touch(&change);
            }
        }
    }

    /// Writes an order at the lane's position; none where it has to start over.
    fn put(
        &mut self,
        writer: &mut RemoteWriter,
        feed: &mut Feed,
        batch: &Batch,
    ) -> Result<Option<Written>, WriteError> {
        if self.prepare(writer, batch)? {
            return Ok(None);
        }
        let at = batch.position();
        self.reached = self.reached.take().max(Some(at.clone()));
        let written = writer.write(batch)?;
        if self.moved(&written, batch.previous())? {
            return Ok(None);
        }
        feed.advanced(at.clone());
        if let Written::Stored(position) = &written {
            self.stored_bare(position)?;
        }
        Ok(Some(written))
    }
}

impl Order {
    /// What is written at the lane's place.
    fn batch(&self, feed: &Feed) -> Batch {
        let route = Route {
            relation: Arc::clone(&self.relation),
            from: Lsn::ZERO,
        };
        let segment = Segment {
            first: 0,
            end: u32::try_from(self.arena.changes().len()).unwrap_or(u32::MAX),
            routes: vec![Some(route)].into(),
            arena: self.arena.clone(),
        };
        let (previous, at) = (feed.given().clone(), feed.at().clone());
        Batch::new(vec![segment], previous, at, Part::Whole)
    }
}

/// Whether rows of the one are rows of the other, under the same keys.
fn same_rows(one: &Relation, other: &Relation) -> bool {
    let columns = |relation: &Relation| {
        let columns = relation.columns.iter();
        let columns = columns.map(|column| {
            let column = column.clone();
            (column.name, column.type_oid, column.type_modifier)
        });
        columns.collect::<Vec<_>>()
    };
    columns(one) == columns(other) && one.key() == other.key() && one.target == other.target
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::{Position, testing::relation};

    use super::*;
    use crate::log::{LaneId, Log};

    #[test]
    fn what_follows_a_retry_never_leads_back_in_front_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let stored = Position::at(Lsn(7));
        let log = Log::new(folder.path(), 1 << 20, stored.clone()).expect("a log");
        let mut feed = Feed::new(Arc::new(log), LaneId(1), stored.clone());
        let retried = Position {
            opaque: "retry000000001".to_owned(),
            ..stored
        };
        feed.advanced(retried.clone());
        assert_eq!((feed.given(), feed.at()), (&retried, &retried));
    }

    #[test]
    fn rows_of_other_columns_or_keys_are_not_the_same() {
        let table = relation("public.t")
            .column("id", "integer")
            .column("v", "text");
        let table = table.key(["id"]).build();
        let other = |change: fn(&mut Relation)| {
            let mut other = table.as_ref().clone();
            change(&mut other);
            same_rows(&table, &other)
        };
        assert!(other(|table| table.version += 1));
        assert!(!other(|table| table.columns[1].type_modifier = 5));
        assert!(!other(|table| drop(table.columns.pop())));
        assert!(!other(|table| table.primary_key = vec![1]));
    }
}
