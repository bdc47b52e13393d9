//! Completing: values that the stream left out, since an update left them as they were, are read
//! from the source, with one statement for many rows.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use tahr_postgres_connect::{Session, Url};
use tokio_postgres::{SimpleQueryRow, error::SqlState};

use super::{
    Hindrance, Setup,
    gather::{End, Gathered, Incomplete, Taken},
    lookup::Located,
};
use crate::{
    lane::{Backoff, Fault},
    masters::{
        SharedTable, Tables,
        rows::{self, Field, Packer},
    },
    reconcile::{Key, Op, Row, TableId},
    shutdown::Stop,
    source::SourceError,
};

/// Rows that one statement asks for: their values may be large.
const KEYS: usize = 512;
/// How long a transaction that isn't visible yet is waited for before it is asked for again.
const SOON: Duration = Duration::from_millis(1);

/// Completes rows, on a session of its own.
#[derive(Debug)]
pub(super) struct Completer {
    sync: String,
    member: usize,
    tables: Arc<Tables>,
    url: Url,
    application: String,
    runtime: tokio::runtime::Handle,
    stop: Stop,
    session: Option<Session>,
    /// Tables that were found on `session`.
    located: HashMap<TableId, Located>,
    backoff: Backoff,
    hindrance: Hindrance,
}

/// Why rows were not completed.
enum Failure {
    Source(SourceError),
    /// The table has another shape now.
    Reshaped(String),
}

/// Rows of one table, by what they need.
#[derive(Default)]
struct Wanted {
    rows: Vec<Incomplete>,
    /// Positions of the shared columns that some row lacks.
    columns: BTreeSet<usize>,
}

/// What the source holds now.
struct Answer {
    /// For each shared column its place in `rows`.
    places: Vec<Option<usize>>,
    rows: HashMap<Key, SimpleQueryRow>,
}

impl Completer {
    pub(super) fn new(setup: &Setup, hindrance: Hindrance) -> Self {
        Self {
            sync: setup.sync.clone(),
            member: setup.member,
            tables: Arc::clone(&setup.tables),
            url: setup.url.clone(),
            application: setup.application.clone(),
            runtime: setup.runtime.clone(),
            stop: setup.stop.clone(),
            session: None,
            located: HashMap::new(),
            backoff: Backoff::default(),
            hindrance,
        }
    }

    /// Completes all rows of `taken` that have values left out; drops changes whose rows are not
    /// there any more. False where the intake was asked to end meanwhile.
    pub(super) fn complete(&mut self, taken: &mut Taken) -> Result<bool, End> {
        let mut wanted: BTreeMap<TableId, Wanted> = BTreeMap::new();
        for incomplete in std::mem::take(&mut taken.incomplete) {
            let change = &taken.transactions[incomplete.transaction].changes[incomplete.change];
            let wanted = wanted.entry(change.key.table).or_default();
            wanted.rows.push(incomplete);
            let fields = row_of(&change.op).map(|row| rows::fields(&row.payload));
            let left_out = fields.into_iter().flatten().enumerate();
            let left_out = left_out.filter(|(_, field)| *field == Field::Unchanged);
            wanted.columns.extend(left_out.map(|(column, _)| column));
        }
        let mut gone: Vec<Incomplete> = Vec::new();
        let tables = Arc::clone(&self.tables);
        for (id, wanted) in wanted {
            let Some(table) = tables.get(id) else {
                continue;
            };
            for rows in wanted.rows.chunks(KEYS) {
                let transactions = &mut taken.transactions;
                let Some(answer) = self.ask(table, transactions, rows, &wanted.columns)? else {
                    return Ok(false);
                };
                gone.extend(fill(transactions, rows, &answer));
            }
        }
        forget(&mut taken.transactions, gone);
        Ok(true)
    }

    /// Asks for `columns` of `rows` of one table until there is an answer; none where the intake is
    /// to end.
    fn ask(
        &mut self,
        table: &SharedTable,
        transactions: &[Gathered],
        rows: &[Incomplete],
        columns: &BTreeSet<usize>,
    ) -> Result<Option<Answer>, End> {
        let of = |row: &Incomplete| &transactions[row.transaction];
        let xids: BTreeSet<u32> = rows.iter().map(|row| of(row).xid).collect();
        let xids = Vec::from_iter(xids);
        let keys: BTreeSet<&Key> = rows
            .iter()
            .map(|row| place_of(&of(row).changes[row.change]))
            .collect();
        let keys = Vec::from_iter(keys);
        let names = columns
            .iter()
            .map(|&column| table.columns[column].name.as_str());
        let names: Vec<&str> = names.collect();
        loop {
            let (runtime, stop) = (self.runtime.clone(), self.stop.clone());
            let answer = runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = stop.asked() => None,
                    answer = self.attempt(table, &xids, &names, &keys) => Some(answer),
                }
            });
            let error = match answer {
                None => return Ok(None),
                Some(Ok(found)) => {
                    self.backoff.succeeded();
                    self.hindered(None);
                    let mut places = vec![None; table.columns.len()];
                    // Behind the number of the key.
                    for (place, &column) in (1..).zip(columns) {
                        places[column] = Some(place);
                    }
                    let found = keys.into_iter().zip(found);
                    let rows = found.filter_map(|(key, row)| Some((key.clone(), row?)));
                    let rows = rows.collect();
                    return Ok(Some(Answer { places, rows }));
                }
                Some(Err(Failure::Reshaped(message))) => {
                    let table = table.name.clone();
                    return Err(End::Reshaped { table, message });
                }
                Some(Err(Failure::Source(error))) => error,
            };
            self.session = None;
            let wait = self.backoff.next();
            tracing::warn!(sync = self.sync, member = self.member, %error, hint = error.hint_text(),
                retry_in = ?wait, "values that the stream of a source left out can't be read yet");
            self.hindered(Some(&error));
            if self.stop.wait(wait) {
                return Ok(None);
            }
        }
    }

    async fn attempt(
        &mut self,
        table: &SharedTable,
        xids: &[u32],
        columns: &[&str],
        keys: &[&Key],
    ) -> Result<Vec<Option<SimpleQueryRow>>, Failure> {
        let failed = |error: tokio_postgres::Error| match error.code() {
            Some(&SqlState::UNDEFINED_COLUMN) => {
                Failure::Reshaped("a column of it is gone".to_owned())
            }
            _ => Failure::Source(SourceError::sql(
                format!("read rows of {}", table.name),
                &error,
            )),
        };
        let session = match &mut self.session {
            Some(session) => session,
            none => {
                self.located.clear();
                let session = self.url.connect_source(&self.application).await;
                none.insert(session.map_err(|error| Failure::Source(error.into()))?)
            }
        };
        if !self.located.contains_key(&table.id) {
            let oid = table.members[self.member].oid;
            let located = Located::find(session, table, oid).await.map_err(failed)?;
            let gone = || Failure::Reshaped("it is gone, or has another primary key".to_owned());
            self.located.insert(table.id, located.ok_or_else(gone)?);
        }
        let located = &self.located[&table.id];
        loop {
            let found = located.rows(session, xids, columns, keys).await;
            match found.map_err(failed)? {
                Some(found) => return Ok(found),
                None => tokio::time::sleep(SOON).await,
            }
        }
    }

    fn hindered(&self, error: Option<&SourceError>) {
        let fault = error.map(|error| Fault {
            message: error.to_string(),
            hint: error.hint.clone(),
            table: None,
            column: None,
            since: SystemTime::now(),
        });
        *self
            .hindrance
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// The row that a change made.
fn row_of(op: &Op) -> Option<&Row> {
    match op {
        Op::Put(row) | Op::Move { row, .. } => Some(row),
        Op::Delete | Op::Truncate => None,
    }
}

/// The key at which a change left its row.
fn place_of(change: &crate::reconcile::Change) -> &Key {
    match &change.op {
        Op::Move { to, .. } => to,
        _ => &change.key,
    }
}

/// Puts values into `rows`; returns those that are not there any more.
fn fill(transactions: &mut [Gathered], rows: &[Incomplete], answer: &Answer) -> Vec<Incomplete> {
    let mut packer = Packer::default();
    let mut gone = Vec::new();
    for incomplete in rows {
        let change = &mut transactions[incomplete.transaction].changes[incomplete.change];
        let Some(found) = answer.rows.get(place_of(change)) else {
            gone.push(*incomplete);
            continue;
        };
        let (Op::Put(row) | Op::Move { row, .. }) = &mut change.op else {
            continue;
        };
        for (column, field) in rows::fields(&row.payload).enumerate() {
            let field = match (field, answer.places[column]) {
                (Field::Unchanged, Some(place)) => {
                    found.get(place).map_or(Field::Null, Field::Text)
                }
                _ => field,
            };
            packer.field(field);
        }
        *row = packer.take_row();
    }
    gone
}

/// Drops the changes `gone`; of a move the departure stays.
fn forget(transactions: &mut [Gathered], mut gone: Vec<Incomplete>) {
    gone.sort_by_key(|row| (row.transaction, row.change));
    // From behind, so that places stay right.
    for row in gone.iter().rev() {
        let changes = &mut transactions[row.transaction].changes;
        match &mut changes[row.change].op {
            op @ Op::Move { .. } => *op = Op::Delete,
            _ => {
                changes.remove(row.change);
            }
        }
    }
}
