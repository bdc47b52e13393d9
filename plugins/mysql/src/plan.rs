//! In which order and by which path the changes of a batch are applied.

use tahr_plugin_api::{Change, Op};

use crate::table::Table;

/// A change with its index in the batch and its table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) index: usize,
    pub(crate) change: Change<'a>,
    pub(crate) table: &'a Table,
}

/// Some changes that are applied the same way.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Row by row in the source's order.
    Rows(Vec<Item<'a>>),
    /// Of one table, merged per key.
    Bulk(Vec<Item<'a>>),
    /// The end of a table's rows.
    Truncate(Item<'a>),
}

/// How much liberty is taken with the source's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As much as the tables allow.
    Fast,
    /// None, and one statement at a time: the error tells the change, and a row that is not there is
    /// inserted.
    InOrder,
    /// As in order, and keys that change places, which a deferred constraint allowed in the source, are
    /// taken out of the table first.
    Swapping,
}

impl Item<'_> {
    /// Whether it is an update that changes the row's key.
    pub(crate) fn moves_key(&self) -> bool {
        self.change.moves_key(&self.table.key)
    }

    /// Whether every value of the new row is known.
    pub(crate) fn is_whole(&self) -> bool {
        let mut columns = self.table.written.iter();
        columns.all(|&index| !self.change.value(index).is_unchanged())
    }
}

/// Orders the changes into steps.
pub(crate) fn plan<'a>(items: impl Iterator<Item = Item<'a>>, mode: Mode) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    // Changes since the last truncate: those of tied tables together, the others by table.
    let mut groups: Vec<(Option<u32>, Vec<Item<'a>>)> = Vec::new();
    for item in items {
        if item.change.op() == Op::Truncate {
            close(&mut groups, mode, &mut steps);
            steps.push(Step::Truncate(item));
            continue;
        }
        let is_alone = mode == Mode::Fast && !item.table.is_tied;
        let group = is_alone.then_some(item.table.relation.version);
        // Few tables per batch, and mostly the one of the change before.
        match groups.iter_mut().rev().find(|(known, _)| *known == group) {
            Some((_, items)) => items.push(item),
            None => groups.push((group, vec![item])),
        }
    }
    close(&mut groups, mode, &mut steps);
    steps
}

fn close<'a>(
    groups: &mut Vec<(Option<u32>, Vec<Item<'a>>)>,
    mode: Mode,
    steps: &mut Vec<Step<'a>>,
) {
    for (_, items) in groups.drain(..) {
        let is_bulk =
            mode == Mode::Fast && items[0].table.is_free && !items.iter().any(Item::moves_key);
        steps.push(if is_bulk {
            Step::Bulk(items)
        } else {
            Step::Rows(items)
        });
    }
}

/// Whether keys move anywhere.
pub(crate) fn has_moves(steps: &[Step<'_>]) -> bool {
    steps.iter().any(|step| match step {
        Step::Rows(items) => items.iter().any(Item::moves_key),
        _ => false,
    })
}
