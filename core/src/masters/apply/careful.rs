//! Writing an order in spite of rows that are locked or refused.
//!
//! All that can be written at once is, in one savepoint; what is known to be in the way is left out
//! beforehand: rows that others have locked are found by asking for their locks without waiting
//! ([`leave_locked`](Careful::leave_locked)), rows that a unique constraint refuses by asking who
//! holds what they want ([`refused`](super::refused)). Only what then still fails, such as a row
//! whose insert somebody else has not committed, is searched for by halving
//! ([`search`](super::search)).

use std::collections::{BTreeMap, HashSet};

use super::{
    Order,
    error::{Class, Failure, What, made},
    refused::{Clashes, Index, Way},
    session::Session,
    table::{Form, TableSql},
    work::Work,
    writer::{Manner, Writer, chunks, numbers},
};
use crate::{
    lane::Fault,
    masters::checkpoint::{Left, Notes},
    reconcile::{Blob, Key},
};

/// The row in the way of one that was left out.
pub(super) type Holder = (Key, Blob, Option<i64>);

/// What became of an order.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) rows: u64,
    pub(super) left: u64,
    /// Why keys were left out, where a person should know.
    pub(super) fault: Option<Fault>,
}

/// An order being written.
#[derive(Debug)]
pub(super) struct Careful<'a> {
    pub(super) session: &'a Session,
    pub(super) order: &'a Order,
    /// Places in the order of what is left out.
    pub(super) left: BTreeMap<usize, Option<Holder>>,
    /// Rows that are taken out of others' way before anything is written, and how.
    ways: BTreeMap<usize, Way>,
    pub(super) rows_first: bool,
    /// Why something was left out, where a person should know.
    pub(super) fault: Option<Fault>,
}

/// Writes an order in one transaction and commits it, except for what is locked or refused.
pub(super) async fn write_carefully<'a>(
    session: &'a Session,
    order: &'a Order,
) -> Result<Done, Failure<'a>> {
    let mut careful = Careful {
        session,
        order,
        left: BTreeMap::new(),
        ways: BTreeMap::new(),
        rows_first: false,
        fault: None,
    };
    session.run(&session.begin()).await?;
    let marked = session.mark(order.sequence).await;
    marked.map_err(Failure::marker)?;
    careful.write().await?;
    let left = careful.left.into_iter();
    let notes = Notes {
        left: left
            .map(|(at, holder)| Left {
                key: order.rows[at].0.clone(),
                holder,
            })
            .collect(),
        origins: order.origins.clone(),
    };
    let left = notes.left.len();
    if let Some(notes) = notes.encode() {
        session.note(notes).await.map_err(Failure::notes)?;
    }
    session.run("COMMIT").await?;
    Ok(Done {
        rows: (order.rows.len() - left) as u64,
        left: left as u64,
        fault: careful.fault,
    })
}

impl<'a> Careful<'a> {
    async fn write(&mut self) -> Result<(), Failure<'a>> {
        let session = self.session;
        let mut indexes: Vec<Index> = Vec::new();
        let mut looked = false;
        loop {
            if !indexes.is_empty() {
                self.part(&indexes).await?;
            }
            session.run("SAVEPOINT tahr_all").await?;
            let failure = match self.attempt(&self.rest(), &self.ways).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            self.back("tahr_all", &failure).await?;
            match failure.class() {
                Class::Locked if matches!(failure.what, What::Truncate) => self.leave_truncates(),
                Class::Locked if !looked => {
                    looked = true;
                    self.leave_locked().await?;
                }
                Class::ForeignKey if !self.rows_first => self.rows_first = true,
                Class::Unique => match Index::find(session, &failure).await? {
                    Some(index) if !indexes.contains(&index) => indexes.push(index),
                    _ => return self.search().await,
                },
                Class::Locked | Class::ForeignKey | Class::Singly => return self.search().await,
                Class::Marked | Class::Other => return Err(failure),
            }
        }
    }

    /// Places of what is not left out.
    pub(super) fn rest(&self) -> Vec<usize> {
        let all = 0..self.order.rows.len();
        all.filter(|at| !self.left.contains_key(at)).collect()
    }

    /// Writes what is at `places`, and checks what is checked late.
    pub(super) async fn attempt(
        &self,
        places: &[usize],
        ways: &BTreeMap<usize, Way>,
    ) -> Result<(), Failure<'a>> {
        let session = self.session;
        let deleted = ways.iter().filter(|(_, way)| matches!(way, Way::Delete));
        let moved = deleted.map(|(&at, _)| at);
        let work = Work::new(self.order, &session.tables, places.iter().copied(), moved);
        let manner = Manner {
            copies: false,
            rows_first: self.rows_first,
        };
        if session.defers {
            session.run("SET CONSTRAINTS ALL DEFERRED").await?;
        }
        for (&at, way) in ways {
            if let Way::Clear(text) = way {
                self.clear(at, text).await?;
            }
        }
        let mut writer = Writer::new(session, manner);
        let written = writer.write(&work).await;
        // Nothing may be on its way when the next statement's answer is waited for.
        let drained = writer.pipeline.drain().await;
        written.and(drained)?;
        session.run("SET CONSTRAINTS ALL IMMEDIATE").await
    }

    /// Takes back what was done since a savepoint, if there still is a connection.
    pub(super) async fn back(
        &self,
        savepoint: &str,
        failure: &Failure<'a>,
    ) -> Result<(), Failure<'a>> {
        if failure.db().is_none() {
            return Ok(());
        }
        let text = format!("ROLLBACK TO {savepoint}; RELEASE {savepoint}");
        self.session.run(&text).await
    }

    /// The places of rows, deletes among them, by table.
    pub(super) fn by_table(&self, places: &[usize]) -> Vec<(&'a TableSql, Vec<usize>)> {
        let mut by_table: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for &at in places {
            let key = &self.order.rows[at].0;
            if !key.is_whole() {
                by_table.entry(key.table).or_default().push(at);
            }
        }
        let tables = &self.session.tables;
        let found = by_table.into_iter();
        found
            .filter_map(|(id, places)| Some((tables.get(&id)?, places)))
            .collect()
    }

    /// Leaves out the tables that are to be emptied, with their rows: those belong behind it.
    pub(super) fn leave_truncates(&mut self) {
        let rows = &self.order.rows;
        let whole = rows.iter().filter(|(key, _)| key.is_whole());
        let tables: HashSet<_> = whole.map(|(key, _)| key.table).collect();
        for (at, (key, _)) in rows.iter().enumerate() {
            if tables.contains(&key.table) {
                self.left.entry(at).or_insert(None);
            }
        }
    }

    /// Leaves out the rows that somebody else has locked, and locks the others.
    async fn leave_locked(&mut self) -> Result<(), Failure<'a>> {
        let session = self.session;
        for (table, places) in self.by_table(&self.rest()) {
            session.run("SAVEPOINT tahr_look").await?;
            match self.locked(table, &places).await {
                Ok(locked) => {
                    session.run("RELEASE tahr_look").await?;
                    self.left.extend(locked.into_iter().map(|at| (at, None)));
                }
                // The table itself is.
                Err(failure) if failure.class() == Class::Locked => {
                    self.back("tahr_look", &failure).await?;
                    self.left.extend(places.into_iter().map(|at| (at, None)));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn locked(
        &self,
        table: &'a TableSql,
        places: &[usize],
    ) -> Result<Vec<usize>, Failure<'a>> {
        let order = self.order;
        let key = |at: &usize| order.rows[*at].0.row.as_ref();
        let mut locked = Vec::new();
        let size = |at: &usize| key(at).map_or(0, |key| key.as_ref().len());
        for chunk in chunks(table, places, size) {
            let free = numbers(
                self.session,
                table,
                Form::Lock,
                chunk.iter().filter_map(key),
            );
            let free = free.await?;
            let there = numbers(
                self.session,
                table,
                Form::Present,
                chunk.iter().filter_map(key),
            );
            let there = there.await?;
            locked.extend(there.difference(&free).map(|&place| chunk[place]));
        }
        Ok(locked)
    }

    /// Leaves out the rows that `indexes` would refuse, and finds those that change places.
    async fn part(&mut self, indexes: &[Index]) -> Result<(), Failure<'a>> {
        let mut clashes = Clashes::default();
        for index in indexes {
            let places = self.rest();
            clashes.look(self, index, &places).await?;
        }
        self.ways.clear();
        let fires = self.session.fires_triggers;
        let tables = &self.session.tables;
        let order = self.order;
        // A delete would reach the rows that reference the row.
        let way = |at: usize, index: usize| {
            let (key, version) = &order.rows[at];
            let table = tables.get(&key.table)?;
            if fires && table.is_referenced && version.is_row() {
                indexes[index].clear(table).map(Way::Clear)
            } else {
                Some(Way::Delete)
            }
        };
        let stuck = clashes.part(order, &mut self.left, &mut self.ways, way);
        if let Some(at) = stuck
            && let Some(table) = tables.get(&order.rows[at].0.table)
        {
            let name = &table.name;
            let mut fault = made(format!(
                "rows of table {name} exchange what is unique, and can't be written while \
                 triggers and foreign keys run"
            ));
            let role = &self.session.role;
            fault.hint = format!("GRANT SET ON PARAMETER session_replication_role TO {role};");
            fault.table = Some(name.to_string());
            self.fault = Some(fault);
        }
        Ok(())
    }

    /// Sets what others want of a row to null.
    async fn clear(&self, at: usize, text: &str) -> Result<(), Failure<'a>> {
        let key = &self.order.rows[at].0;
        let tables = &self.session.tables;
        let Some((table, packed)) = tables.get(&key.table).zip(key.row.as_ref()) else {
            return Ok(());
        };
        let values = super::values::texts(packed, table.key.len());
        let values = values.map_err(Failure::misfit(table))?;
        let failed = |error| Failure::sql(What::Rows(table), error);
        let client = &self.session.client;
        let statement = client.prepare(text).await.map_err(failed)?;
        let done = client.execute_raw(&statement, values).await;
        done.map(drop).map_err(failed)
    }
}
