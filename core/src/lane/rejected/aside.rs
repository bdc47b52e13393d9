//! What a lane's thread does about rejected changes.

use std::{collections::BTreeMap, io};

use tahr_plugin_api::{Batch, ErrorKind, Lsn, Position, TableName, WriteError, failpoint};

use super::{
    book::{Book, rejected_path},
    entry::{Reason, id_of, position_of},
    sift::{Refused, sift},
};
use crate::{
    config::OnRejected,
    lane::{routed_changes, setup::Setup},
};

/// Bytes of rows that a lane sets aside at the most, beside the last one.
const SIZE_LIMIT: usize = 16 << 20;

/// The rejected rows of a lane that works.
#[derive(Debug, Default)]
pub(in crate::lane) struct Aside {
    pub(super) book: Option<Book>,
    /// Changes that the target has refused since the position that it holds.
    refused: Refused,
}

impl Aside {
    /// Takes up the lane's book, for a target that stands at `position` and holds copies of tables
    /// that stand for `copied_to`.
    pub(in crate::lane) fn begin(
        &mut self,
        setup: &Setup,
        position: &Position,
        copied_to: &BTreeMap<String, Lsn>,
    ) -> Result<(), WriteError> {
        if self.book.is_none() {
            setup.rejected.take();
            let path = rejected_path(&setup.state_dir, &setup.stream.sync, &setup.target);
            let mut book = Book::open(&path).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => WriteError::rejected(format!(
                    "the rows that were set aside can't be read: {error}"
                ))
                .hint(format!(
                    "to give them up: mv '{}' '{0}.damaged', then copy the tables again",
                    path.display()
                )),
                _ => on_disk(error),
            })?;
            let left = book.belong_to(&setup.stream).map_err(on_disk)?;
            if left > 0 {
                tracing::warn!(lane = %setup.name(), rows = left,
                    "rows that were set aside are of another source, and given up");
            }
            self.book = Some(book);
        }
        let Some(book) = &mut self.book else {
            return Ok(());
        };
        book.rewind(position).map_err(on_disk)?;
        let tables = book.entries().values().map(|entry| entry.table.clone());
        let tables: Vec<_> = tables.collect();
        for table in tables {
            if let Some(&lsn) = copied_to.get(&table.to_string()) {
                book.copied(&table, lsn);
            }
        }
        self.show(setup, position)
    }

    /// Gives the book back: the lane works no more. What the target may not have done stays in the
    /// file until the target has been asked.
    pub(in crate::lane) fn rest(&mut self, setup: &Setup) {
        self.book = None;
        setup.rejected.give_back();
    }

    /// A copy of `table` stands for `copied_to`.
    pub(in crate::lane) fn copied(&mut self, setup: &Setup, table: &TableName, copied_to: Lsn) {
        if let Some(book) = &mut self.book {
            book.copied(table, copied_to);
            show(setup, book);
        }
    }

    /// `batch` as the target is to get it, and how many changes less that are; what it does to the
    /// rows that were set aside is on disk.
    pub(in crate::lane) fn sift(&mut self, batch: Batch) -> Result<(Batch, u64), WriteError> {
        let Some(book) = &mut self.book else {
            return Ok((batch, 0));
        };
        let Some(sifted) = sift(book, &batch, &self.refused) else {
            return Ok((batch, 0));
        };
        failpoint::pass("rejected.sifted");
        book.sync().map_err(on_disk)?;
        failpoint::pass("rejected.noted");
        let less = routed_changes(&batch).saturating_sub(routed_changes(&sifted));
        Ok((sifted, less))
    }

    /// Notes that the target holds `position`.
    pub(in crate::lane) fn stored(
        &mut self,
        setup: &Setup,
        position: &Position,
    ) -> Result<(), WriteError> {
        if !self.refused.is_empty() {
            self.refused.retain(|id, _| position_of(*id) > *position);
        }
        match &self.book {
            Some(book) if book.is_shown() => Ok(()),
            _ => self.show(setup, position),
        }
    }

    /// Shows what holds, and keeps the file small.
    fn show(&mut self, setup: &Setup, position: &Position) -> Result<(), WriteError> {
        if let Some(book) = &mut self.book {
            book.sync().map_err(on_disk)?;
            let reach = setup.log.reach().lsn.min(setup.log.told());
            book.tidy(reach, position.lsn).map_err(on_disk)?;
            show(setup, book);
        }
        Ok(())
    }

    /// Decides about `error`, with which the target refused `batch`: `Ok` where the change to blame
    /// will be set aside as the lane begins again.
    pub(in crate::lane) fn refused(
        &mut self,
        setup: &Setup,
        error: WriteError,
        batch: &Batch,
    ) -> Result<(), WriteError> {
        let is_meant = setup.sync.on_rejected == OnRejected::SetAside;
        let Some(book) = self.book.as_ref().filter(|_| is_meant) else {
            return Err(error);
        };
        if error.kind != ErrorKind::Rejected {
            return Err(error);
        }
        let index = match error.change {
            Some(index) => index,
            // There is nothing else that it could be about.
            None if batch.changes().nth(1).is_none() => 0,
            None => return Err(unnamed(error)),
        };
        let Some(change) = batch.changes().nth(index) else {
            return Err(error);
        };
        let table = &change.relation().source;
        if change.op() == tahr_plugin_api::Op::Truncate {
            return Err(error);
        }
        // Those of this batch are in it by now.
        let rows = book.entries().len();
        if rows >= setup.sync.rejected_limit as usize || book.size() >= SIZE_LIMIT {
            return Err(too_many(error, setup, rows));
        }
        tracing::warn!(lane = %setup.name(), %table, xid = change.xid(), %error,
            hint = error.hint_text(), "a change is set aside");
        let id = id_of(&change);
        // The same one again would go on for ever.
        match self.refused.insert(id, Reason::from(&error)) {
            None => Ok(()),
            Some(_) => Err(error),
        }
    }
}

fn show(setup: &Setup, book: &mut Book) {
    book.shown();
    setup.rejected.show(book);
    let count = book.entries().len() as u64;
    setup.status.update(|status| status.rejected = count);
}

/// The error of a state folder that can't be read or written.
pub(super) fn on_disk(error: io::Error) -> WriteError {
    WriteError::transient(format!("state folder: {error}"))
}

fn unnamed(error: WriteError) -> WriteError {
    let hint = "the target doesn't say which change of the transaction it is, so none can be set \
                aside";
    match error.hint.is_empty() {
        true => error.hint(hint),
        false => {
            let both = format!("{}; {hint}", error.hint);
            error.hint(both)
        }
    }
}

fn too_many(error: WriteError, setup: &Setup, rows: usize) -> WriteError {
    let message = format!(
        "{}; as many rows as may be are set aside already, {rows}",
        error.message
    );
    let lane = setup.name();
    WriteError { message, ..error }.hint(format!(
        "see `tahr rejected {lane}`; mend the target or discard rows, or raise `rejected_limit` of the \
         sync; then `tahr resume {lane}`"
    ))
}
