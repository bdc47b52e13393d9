//! What a lane's thread does about rejected changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use tahr_plugin_api::{Batch, Change, ErrorKind, Lsn, Position, Relation, WriteError, failpoint};

use super::{
    book::{Book, rejected_path},
    deed::Deed,
    entry::{Reason, id_of, position_of},
    sift::{Refused, Room, Why, sift},
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
        let tables = book.entries().values();
        let tables = tables.map(|entry| (entry.oid, entry.table.clone()));
        // Under its name of today, too.
        let today = setup.tables.iter().map(|table| &table.relation);
        let today = today.map(|relation| (relation.oid, relation.source.clone()));
        let tables: BTreeSet<_> = tables.chain(today).collect();
        for (oid, table) in tables {
            if let Some(&lsn) = copied_to.get(&table.to_string()) {
                book.copied(oid, &table, lsn);
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

    /// A copy of the table of `relation` stands for `copied_to`.
    pub(in crate::lane) fn copied(&mut self, setup: &Setup, relation: &Relation, copied_to: Lsn) {
        if let Some(book) = &mut self.book {
            book.copied(relation.oid, &relation.source, copied_to);
            show(setup, book);
        }
    }

    /// Whether the row of `change` is set aside, or another one that the target still has under its
    /// key.
    pub(in crate::lane) fn has(&self, change: &Change<'_>) -> bool {
        let relation = change.relation();
        let (Some(book), Some(deed)) = (&self.book, Deed::of(change)) else {
            return false;
        };
        let key = relation.key();
        [deed.before(&key), deed.after(&key)].iter().any(|key| {
            let key = key.as_ref();
            book.of_row(relation, key).is_some() || book.at_place(relation, key).next().is_some()
        })
    }

    /// `batch` as the target is to get it, and how many changes less that are; none where that is as
    /// it is. What it does to the rows that were set aside is on disk.
    pub(in crate::lane) fn sift(
        &mut self,
        setup: &Setup,
        batch: &Batch,
    ) -> Result<Option<(Batch, u64)>, WriteError> {
        let Some(book) = &mut self.book else {
            return Ok(None);
        };
        let sifted = sift(book, batch, &self.refused, room(setup));
        let sifted = sifted.map_err(|unfit| {
            let error = unfit.reason.error(&unfit.table);
            match unfit.why {
                Why::NoRoom => too_many(error, setup, book.entries().len()),
                Why::Spelling => one_of_many_spellings(error, setup),
            }
        })?;
        let Some(sifted) = sifted else {
            return Ok(None);
        };
        failpoint::pass("rejected.sifted");
        book.sync().map_err(on_disk)?;
        failpoint::pass("rejected.noted");
        let less = routed_changes(batch).saturating_sub(routed_changes(&sifted));
        Ok(Some((sifted, less)))
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
        if error.kind != ErrorKind::Rejected {
            return Err(error);
        }
        // There may be nothing else that it could be about.
        let is_alone = batch.changes().nth(1).is_none();
        let index = error.change.or(is_alone.then_some(0));
        let Some(book) = self.book.as_ref().filter(|_| is_meant) else {
            return Err(match index {
                Some(_) if !is_meant => could_be_set_aside(error),
                _ => error,
            });
        };
        let Some(index) = index else {
            return Err(unnamed(error));
        };
        let Some(change) = batch.changes().nth(index) else {
            return Err(error);
        };
        let table = &change.relation().source;
        if change.op() == tahr_plugin_api::Op::Truncate {
            return Err(error);
        }
        // Those of this batch are in it by now.
        if !room(setup).has(book) {
            return Err(too_many(error, setup, book.entries().len()));
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

fn room(setup: &Setup) -> Room {
    Room {
        rows: setup.sync.rejected_limit as usize,
        size: SIZE_LIMIT,
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
    also(
        error,
        "the target doesn't say which change of the transaction it is, so none can be set aside",
        "",
    )
}

fn could_be_set_aside(error: WriteError) -> WriteError {
    also(
        error,
        "have such rows set aside while the rest goes on: `on_rejected = \"set_aside\"` in the sync, \
         then `tahr reload`",
        "or",
    )
}

/// Adds to the hint, behind `joint` where there is one.
fn also(error: WriteError, hint: &str, joint: &str) -> WriteError {
    let hint = match (error.hint.as_str(), joint) {
        ("", _) => hint.to_owned(),
        (first, "") => format!("{first}; {hint}"),
        (first, joint) => format!("{first}; {joint} {hint}"),
    };
    error.hint(hint)
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

fn one_of_many_spellings(error: WriteError, setup: &Setup) -> WriteError {
    let message = format!(
        "{}; a row that loses its key can't be set aside where one key has several spellings",
        error.message
    );
    let hint = match error.hint.as_str() {
        "" => "mend the target".to_owned(),
        hint => hint.to_owned(),
    };
    let lane = setup.name();
    WriteError { message, ..error }.hint(format!("{hint}; then `tahr resume {lane}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_to_a_hint_stands_alone_where_there_is_none() {
        let of = |hint: &str| could_be_set_aside(WriteError::rejected("no").hint(hint)).hint;
        assert!(of("").starts_with("have such rows set aside"));
        assert!(of("mend it").starts_with("mend it; or have such rows set aside"));
        let unnamed = |hint: &str| unnamed(WriteError::rejected("no").hint(hint)).hint;
        assert!(unnamed("").starts_with("the target doesn't say"));
        assert!(unnamed("mend it").starts_with("mend it; the target doesn't say"));
    }
}
