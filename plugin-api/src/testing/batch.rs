//! Batches made by hand.

use std::sync::Arc;

use crate::{
    Batch, Change, Lsn, Op, Part, Position, Relation, Route, Segment, ValueKind, abi::ArenaBuilder,
};

/// One value of a row, as PostgreSQL prints it (`bytea` as `\x…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// SQL NULL.
    Null,
    /// Not sent by the source.
    Unchanged,
    /// Text.
    Text(&'a str),
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl<'a> From<&'a Option<String>> for Cell<'a> {
    fn from(text: &'a Option<String>) -> Self {
        text.as_deref().into()
    }
}

/// A [`Batch`] in the making: transactions one after another, from a position on.
///
/// Positions come by themselves: a transaction's commit record starts 256 bytes behind the
/// previous one's end and is 48 bytes long. A batch that starts inside a transaction goes on
/// with it.
#[derive(Debug)]
pub struct BatchBuilder {
    arena: ArenaBuilder,
    /// In the arena's own order.
    relations: Vec<Arc<Relation>>,
    previous: Position,
    commit_lsn: u64,
    ordinal: u64,
    is_open: bool,
}

impl BatchBuilder {
    /// A batch that begins at `previous`, which may lie inside a transaction.
    #[must_use]
    pub fn after(previous: &Position) -> Self {
        let mut builder = Self {
            arena: ArenaBuilder::default(),
            relations: Vec::new(),
            previous: previous.clone(),
            commit_lsn: previous.lsn.0,
            ordinal: previous.ordinal,
            is_open: previous.is_inside(),
        };
        if previous.is_inside() {
            builder
                .arena
                .begin(builder.commit_lsn, 0, 700, Some(previous.ordinal));
        }
        builder
    }

    /// Adds a row.
    #[must_use]
    pub fn insert<'a, C: Into<Cell<'a>>>(
        self,
        relation: &Arc<Relation>,
        row: impl IntoIterator<Item = C>,
    ) -> Self {
        self.change(Op::Insert, 0, relation, None, Some(cells(row)))
    }

    /// Updates the row whose key is that of `row`.
    #[must_use]
    pub fn update<'a, C: Into<Cell<'a>>>(
        self,
        relation: &Arc<Relation>,
        row: impl IntoIterator<Item = C>,
    ) -> Self {
        self.change(Op::Update, 0, relation, None, Some(cells(row)))
    }

    /// Updates the row whose key was `key`, in the order of [`Relation::key`].
    #[must_use]
    pub fn update_moved<'a, 'b, K: Into<Cell<'a>>, C: Into<Cell<'b>>>(
        self,
        relation: &Arc<Relation>,
        key: impl IntoIterator<Item = K>,
        row: impl IntoIterator<Item = C>,
    ) -> Self {
        let old = key_row(relation, cells(key));
        let flags = Change::KEY_ONLY;
        self.change(Op::Update, flags, relation, Some(old), Some(cells(row)))
    }

    /// Updates the row that was `old`, under `REPLICA IDENTITY FULL`.
    #[must_use]
    pub fn update_full<'a, 'b, O: Into<Cell<'a>>, C: Into<Cell<'b>>>(
        self,
        relation: &Arc<Relation>,
        old: impl IntoIterator<Item = O>,
        row: impl IntoIterator<Item = C>,
    ) -> Self {
        let (old, new) = (Some(cells(old)), Some(cells(row)));
        self.change(Op::Update, 0, relation, old, new)
    }

    /// Deletes the row whose key is `key`, in the order of [`Relation::key`].
    #[must_use]
    pub fn delete<'a, K: Into<Cell<'a>>>(
        self,
        relation: &Arc<Relation>,
        key: impl IntoIterator<Item = K>,
    ) -> Self {
        let old = key_row(relation, cells(key));
        self.change(Op::Delete, Change::KEY_ONLY, relation, Some(old), None)
    }

    /// Deletes the row that was `old`, under `REPLICA IDENTITY FULL`.
    #[must_use]
    pub fn delete_full<'a, O: Into<Cell<'a>>>(
        self,
        relation: &Arc<Relation>,
        old: impl IntoIterator<Item = O>,
    ) -> Self {
        self.change(Op::Delete, 0, relation, Some(cells(old)), None)
    }

    /// Empties the table.
    #[must_use]
    pub fn truncate(self, relation: &Arc<Relation>) -> Self {
        self.change(Op::Truncate, 0, relation, None, None)
    }

    /// Ends the transaction; what follows is the next one.
    #[must_use]
    pub fn commit(mut self) -> Self {
        self.end();
        self
    }

    /// The batch, of whole transactions. Without any change it is one of a transaction that holds
    /// nothing for this target.
    #[must_use]
    pub fn build(self) -> Batch {
        self.part(Part::Whole)
    }

    /// The batch as a part of a large transaction.
    #[must_use]
    pub fn part(mut self, part: Part) -> Batch {
        self.begin();
        let position = if matches!(part, Part::First | Part::Middle) {
            self.arena.split(self.ordinal);
            Position::inside(Lsn(self.commit_lsn), self.ordinal)
        } else {
            self.end()
        };
        let arena = self.arena.finish();
        let end = u32::try_from(arena.changes().len()).unwrap_or(u32::MAX);
        let route = |relation| {
            Some(Route {
                relation,
                from: Lsn::ZERO,
            })
        };
        let segment = Segment {
            arena,
            first: 0,
            end,
            routes: self.relations.into_iter().map(route).collect(),
        };
        Batch::new(vec![segment], self.previous, position, part)
    }

    fn begin(&mut self) {
        if !self.is_open {
            self.is_open = true;
            self.ordinal = 0;
            self.commit_lsn += 0x100;
            self.arena.begin(self.commit_lsn, 0, 700, None);
        }
    }

    fn end(&mut self) -> Position {
        if self.is_open {
            let commit_lsn = self.commit_lsn;
            self.commit_lsn += 0x30;
            self.arena.commit(self.commit_lsn, self.ordinal);
            debug_assert!(commit_lsn < self.commit_lsn);
            self.is_open = false;
        }
        Position::at(Lsn(self.commit_lsn))
    }

    fn change(
        mut self,
        op: Op,
        flags: u8,
        relation: &Arc<Relation>,
        old: Option<Vec<Cell<'_>>>,
        new: Option<Vec<Cell<'_>>>,
    ) -> Self {
        self.begin();
        let index = self.arena.relation(relation.version);
        if index as usize == self.relations.len() {
            self.relations.push(Arc::clone(relation));
        }
        let old = old.map(|row| self.row(relation, &row));
        let new = new.map(|row| self.row(relation, &row));
        self.arena.change(op, flags, index, old, new, self.ordinal);
        self.ordinal += 1;
        self
    }

    fn row(&mut self, relation: &Relation, row: &[Cell<'_>]) -> u32 {
        assert_eq!(
            row.len(),
            relation.columns.len(),
            "values and columns of {}",
            relation.source
        );
        let start = self.arena.start_row();
        for (cell, column) in row.iter().zip(&relation.columns) {
            match (cell, column.kind) {
                (Cell::Null, _) => self.arena.push_null(),
                (Cell::Unchanged, _) => self.arena.push_unchanged(),
                (Cell::Text(text), ValueKind::Bytes) => {
                    let digits = text.strip_prefix("\\x");
                    let is_hex = digits.is_some_and(|hex| self.arena.push_hex(hex.as_bytes()));
                    assert!(is_hex, "bytea {text:?} is no \\x and digits");
                }
                (Cell::Text(text), _) => self.arena.push_text(text),
            }
        }
        start
    }
}

fn cells<'a, C: Into<Cell<'a>>>(row: impl IntoIterator<Item = C>) -> Vec<Cell<'a>> {
    row.into_iter().map(Into::into).collect()
}

/// A whole row of nulls around the values of `key`, as the source sends an old key.
fn key_row<'a>(relation: &Relation, key: Vec<Cell<'a>>) -> Vec<Cell<'a>> {
    let positions = relation.key();
    assert_eq!(
        key.len(),
        positions.len(),
        "values and key columns of {}",
        relation.source
    );
    let mut row = vec![Cell::Null; relation.columns.len()];
    for (position, cell) in positions.into_iter().zip(key) {
        row[position] = cell;
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Value, testing::relation};

    #[test]
    fn parts_of_a_transaction_follow_each_other() {
        let items = relation("public.items")
            .column("id", "integer")
            .key(["id"])
            .build();
        let start = Position::at(Lsn(0x1000));
        let first = BatchBuilder::after(&start)
            .insert(&items, ["1"])
            .insert(&items, ["2"])
            .part(Part::First);
        assert_eq!(*first.position(), Position::inside(Lsn(0x1100), 2));
        let last = BatchBuilder::after(first.position())
            .insert(&items, ["3"])
            .part(Part::Last);
        assert_eq!(*last.position(), Position::at(Lsn(0x1130)));
        let change = last.changes().next().unwrap();
        assert_eq!((change.ordinal(), change.commit_lsn()), (2, Lsn(0x1100)));
    }

    #[test]
    fn an_empty_batch_moves_the_position() {
        let start = Position::at(Lsn(0x1000));
        let batch = BatchBuilder::after(&start).build();
        assert!(batch.is_empty() && batch.position() > &start);
    }

    #[test]
    fn bytea_is_decoded_and_old_keys_are_marked() {
        let blobs = relation("public.blobs")
            .column("data", "bytea")
            .column("id", "integer")
            .key(["id"])
            .build();
        let batch = BatchBuilder::after(&Position::default())
            .insert(&blobs, ["\\x00ff", "1"])
            .delete(&blobs, ["1"])
            .build();
        let changes: Vec<_> = batch.changes().collect();
        let new = changes[0].new_row().unwrap();
        assert_eq!(new.value(0), Value::Bytes(&[0, 255]));
        let old = changes[1].old_row().unwrap();
        assert!(old.is_key_only());
        assert_eq!(old.value(1), Value::Text(ValueKind::Int, "1"));
    }
}
