//! In which order and by which path the changes of a batch are applied.

use tahr_plugin_api::{Change, Op};

use crate::table::Table;

/// Changes of a table from which on bulk statements are faster than one statement each.
pub(crate) const BULK: usize = 100;

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
    /// Tables to truncate in one statement.
    Truncate(Vec<Item<'a>>),
}

/// How much liberty is taken with the source's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As much as the tables allow.
    Fast,
    /// None: the error tells the change.
    InOrder,
    /// None, and keys that change places, which a deferred constraint allowed in the source, are
    /// taken out of the table first.
    Swapping,
}

impl Item<'_> {
    /// Whether it is an update that changes the row's key.
    pub(crate) fn moves_key(&self) -> bool {
        self.change.moves_key(&self.table.key)
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
            match steps.last_mut() {
                Some(Step::Truncate(tables)) if is_one_statement(&tables[0], &item) => {
                    tables.push(item);
                }
                _ => steps.push(Step::Truncate(vec![item])),
            }
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

fn is_one_statement(first: &Item<'_>, next: &Item<'_>) -> bool {
    first.change.xid() == next.change.xid()
        && first.change.restarts_identity() == next.change.restarts_identity()
}

fn close<'a>(
    groups: &mut Vec<(Option<u32>, Vec<Item<'a>>)>,
    mode: Mode,
    steps: &mut Vec<Step<'a>>,
) {
    for (_, items) in groups.drain(..) {
        let is_bulk = mode == Mode::Fast
            && items.len() >= BULK
            && items[0].table.is_free
            && !items.iter().any(Item::moves_key);
        steps.push(if is_bulk {
            Step::Bulk(items)
        } else {
            Step::Rows(items)
        });
    }
}
