//! Gathering: the changes of arenas into transactions, packed.

use std::{collections::HashMap, sync::Arc};

use tahr_plugin_api::{
    Change as StreamChange, Lsn, Op as StreamOp, TableName, Value, ValueKind,
    abi::{Arena, NO_ROW, RawChange, RawTransaction},
};

use super::{
    Setup,
    plan::{Mark, Place, Plan, Plans, Shape},
};
use crate::{
    masters::{
        checkpoint::Notes,
        rows::{self, Packer},
    },
    reconcile::{Change, Holder, Key, Left, Marker, Op, Origin, Row, Transaction},
};

/// Makes transactions of the changes of one source.
#[derive(Debug)]
pub(super) struct Gatherer {
    engine: String,
    sync: String,
    plans: Plans,
    packer: Packer,
    /// The transaction that the last arena left open.
    open: Option<Gathered>,
}

/// A transaction in the making.
#[derive(Debug)]
pub(super) struct Gathered {
    end: Lsn,
    time: i64,
    /// Its ID in the source.
    pub(super) xid: u32,
    is_open: bool,
    marker: Option<Marker>,
    /// Where the rows of another sync's apply came from.
    origins: HashMap<Key, Origin>,
    pub(super) changes: Vec<Change>,
}

/// What an arena held.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) transactions: Vec<Gathered>,
    /// Rows with values left out, in order.
    pub(super) incomplete: Vec<Incomplete>,
    /// Why nothing behind these transactions was taken.
    pub(super) end: Option<End>,
}

/// Why an intake can't go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Reshaped { table: TableName, message: String },
    Gap(String),
}

/// Where a row with values left out is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incomplete {
    /// In [`Taken::transactions`].
    pub(super) transaction: usize,
    /// In [`Gathered::changes`].
    pub(super) change: usize,
}

impl Gatherer {
    pub(super) fn new(setup: &Setup) -> Self {
        let (tables, relations) = (Arc::clone(&setup.tables), Arc::clone(&setup.relations));
        Self {
            engine: setup.engine.clone(),
            sync: setup.sync.clone(),
            plans: Plans::new(setup.member, tables, relations),
            packer: Packer::default(),
            open: None,
        }
    }

    /// What `arena` holds from change `change` of transaction `transaction` on. An open transaction
    /// is the last one, to be handed back by [`finish`](Self::finish).
    pub(super) fn take(&mut self, arena: &Arena, (first, change): (usize, u32)) -> Taken {
        let mut taken = Taken::default();
        let mut plans = Vec::with_capacity(arena.relations().len());
        for &version in arena.relations() {
            let Some(plan) = self.plans.get(version) else {
                taken.end = Some(End::Gap(format!("relation version {version} is not known")));
                return taken;
            };
            plans.push(plan);
        }
        let pieces = arena.transactions().iter().enumerate().skip(first);
        for (index, transaction) in pieces {
            let (from, to) = arena.changes_of(index);
            let from = if index == first { change } else { from };
            let changes = &arena.changes()[from as usize..to as usize];
            if let Err(end) = self.piece(arena, &plans, transaction, changes, &mut taken) {
                taken.end = Some(end);
                // What can't be known whole is not sent.
                taken.transactions.pop();
                let whole = taken.transactions.len();
                taken.incomplete.retain(|row| row.transaction < whole);
                break;
            }
        }
        taken
    }

    /// Adds one transaction, or the piece of it that an arena holds.
    fn piece(
        &mut self,
        arena: &Arena,
        plans: &[Arc<Plan>],
        transaction: &RawTransaction,
        changes: &[RawChange],
        taken: &mut Taken,
    ) -> Result<(), End> {
        let mut gathered = self.open.take().unwrap_or_else(|| Gathered {
            end: Lsn::ZERO,
            time: transaction.commit_time,
            xid: transaction.xid,
            is_open: true,
            marker: None,
            origins: HashMap::new(),
            changes: Vec::with_capacity(changes.len()),
        });
        gathered.end = Lsn(transaction.end_lsn);
        gathered.is_open = transaction.flags & RawTransaction::OPEN != 0;
        let place = taken.transactions.len();
        taken.transactions.push(gathered);
        let gathered = &mut taken.transactions[place];
        for raw in changes {
            match &*plans[raw.relation as usize] {
                Plan::Other => {}
                Plan::Shared(shape) => {
                    let (change, is_incomplete) = self.change(arena, raw, shape)?;
                    if is_incomplete {
                        taken.incomplete.push(Incomplete {
                            transaction: place,
                            change: gathered.changes.len(),
                        });
                    }
                    gathered.changes.push(change);
                }
                Plan::Checkpoint(mark) => self.mark(arena, raw, mark, gathered),
                Plan::Reshaped { table, message } => {
                    return Err(End::Reshaped {
                        table: table.clone(),
                        message: message.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// One change, and whether values of its row were left out.
    fn change(
        &mut self,
        arena: &Arena,
        raw: &RawChange,
        shape: &Shape,
    ) -> Result<(Change, bool), End> {
        let packer = &mut self.packer;
        let op = StreamOp::from_number(raw.op).ok_or_else(missing)?;
        if op == StreamOp::Truncate {
            let key = Key::whole(shape.table);
            return Ok((change(key, Op::Truncate, None), false));
        }
        let old = (raw.old != NO_ROW).then_some(Old {
            at: raw.old as usize,
            is_whole: raw.flags & StreamChange::KEY_ONLY == 0,
        });
        let previous = old.filter(|old| old.is_whole).and_then(|old| {
            pack(packer, arena, &shape.columns, old.at, None);
            let is_complete = !packer.has_unchanged();
            let row = packer.take_row();
            is_complete.then_some(row)
        });
        if op == StreamOp::Delete {
            let old = old.ok_or_else(missing)?;
            let key = key(packer, arena, shape, old.at, None)?;
            return Ok((change(key, Op::Delete, previous), false));
        }
        if raw.new == NO_ROW {
            return Err(missing());
        }
        let new = raw.new as usize;
        let mut at = key(packer, arena, shape, new, old)?;
        let mut to = None;
        if let Some(old) = old {
            let from = key(packer, arena, shape, old.at, None)?;
            if from != at {
                to = Some(std::mem::replace(&mut at, from));
            }
        }
        pack(packer, arena, &shape.columns, new, old);
        let is_incomplete = packer.has_unchanged();
        let row = match is_incomplete {
            // Its fingerprint would mean nothing.
            true => Row {
                payload: packer.take(),
                fingerprint: 0,
            },
            false => packer.take_row(),
        };
        let op = match to {
            Some(to) => Op::Move { to, row },
            None => Op::Put(row),
        };
        Ok((change(at, op, previous), is_incomplete))
    }

    /// Notes what a change of `tahr.checkpoint` says of its transaction.
    fn mark(&self, arena: &Arena, raw: &RawChange, mark: &Mark, gathered: &mut Gathered) {
        if raw.new == NO_ROW {
            return;
        }
        let value = |at: usize| arena.value(raw.new as usize + at, ValueKind::Text);
        let text = |at: usize| match value(at) {
            Value::Text(_, text) => text,
            _ => "",
        };
        // The row of a sync that has applied nothing yet says nothing.
        let sequence = text(mark.sequence).parse().unwrap_or(0);
        if text(mark.engine) != self.engine || sequence == 0 {
            return;
        }
        let notes = match value(mark.notes) {
            Value::Bytes(bytes) => Notes::decode(bytes).unwrap_or_else(|| {
                tracing::warn!(
                    sync = text(mark.sync),
                    sequence,
                    "notes of an apply can't be read: they are of another version of tahr"
                );
                Notes::default()
            }),
            _ => Notes::default(),
        };
        if text(mark.sync) == self.sync {
            let left = notes.left.into_iter().map(|left| Left {
                key: left.key,
                holder: left.holder.map(|(key, row, time)| Holder {
                    key,
                    row: rows::row(row),
                    time,
                }),
            });
            let left = left.collect();
            gathered.marker = Some(Marker { sequence, left });
        } else {
            gathered.origins.extend(notes.origins);
        }
    }

    /// The whole ones of these transactions that have anything to tell; an open one is kept.
    pub(super) fn finish(&mut self, transactions: Vec<Gathered>) -> Vec<Transaction> {
        let mut whole = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            if transaction.is_open {
                self.open = Some(transaction);
            } else if transaction.marker.is_some() || !transaction.changes.is_empty() {
                whole.push(transaction.finish());
            }
        }
        whole
    }

    /// Whether a transaction is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

impl Gathered {
    fn finish(mut self) -> Transaction {
        if !self.origins.is_empty() {
            for change in &mut self.changes {
                let at = |key: &Key| self.origins.get(key);
                let to = match &change.op {
                    Op::Move { to, .. } => at(to),
                    _ => None,
                };
                change.origin = at(&change.key).or(to).cloned();
            }
        }
        Transaction {
            end: self.end,
            time: self.time,
            marker: self.marker,
            changes: self.changes,
        }
    }
}

/// The old row of a change.
#[derive(Clone, Copy)]
struct Old {
    at: usize,
    is_whole: bool,
}

/// The key of the row at `row`, of bytes of its own: it keeps no row in memory.
fn key(
    packer: &mut Packer,
    arena: &Arena,
    shape: &Shape,
    row: usize,
    old: Option<Old>,
) -> Result<Key, End> {
    pack(packer, arena, &shape.key, row, old);
    match packer.has_unchanged() {
        true => Err(missing()),
        false => Ok(Key::new(shape.table, packer.take())),
    }
}

fn change(key: Key, op: Op, previous: Option<Row>) -> Change {
    Change {
        key,
        op,
        previous,
        origin: None,
    }
}

fn missing() -> End {
    End::Gap("a change came without the row that it is about".to_owned())
}

/// Packs the values at `places` of the row at `row`; those that the stream left out are the old
/// row's, where that has them.
fn pack(packer: &mut Packer, arena: &Arena, places: &[Place], row: usize, old: Option<Old>) {
    for place in places {
        let value = arena.value(row + place.at, ValueKind::Text);
        match old {
            Some(old) if value.is_unchanged() && (old.is_whole || place.in_identity) => {
                packer.value(arena.value(old.at + place.at, ValueKind::Text));
            }
            _ => packer.value(value),
        }
    }
}
