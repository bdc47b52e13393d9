//! What the sources of a sync hold when they meet: their tables, compared in bounded memory.
//!
//! ```text
//! source A: snapshot ─▶ COPY (SELECT … ORDER BY key) ─┐
//! source B: snapshot ─▶ COPY (SELECT … ORDER BY key) ─┼─▶ merge by key ─▶ equal: counted
//! source C: snapshot ─▶ COPY (SELECT … ORDER BY key) ─┘                 └▶ else: a difference
//! ```
//!
//! Each source sorts its own rows, on its own disk if need be, in an order that doesn't depend on
//! its collation (see [`order`]); here one row of each is held at a time. Rows that are equal on
//! all sources are equal bytes of the same `COPY` format, so nothing of them is taken apart.
//!
//! # Guarantees
//!
//! - Every key that those who meet hold differently, as of their snapshots, is told exactly once;
//!   no other is.
//! - A table that was rewritten after the snapshot, which then reads as empty, is an error and not
//!   a table without rows. So is one that comes in another order than was asked for.
//! - Memory: a row of each source, and what [`Meeting::next`] returns.
//!
//! # Who calls it
//!
//! The circle, which [begins](crate::reconcile::Reconciler::begin_meeting) a meeting first, then
//! opens this, and feeds the reconciler as long as little is owed. After an error it begins anew.

mod equal;
mod merge;
pub mod order;
mod rows;

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tahr_plugin_api::{Lsn, TableName};
use tahr_postgres_connect::Url;

use self::{merge::Merge, order::Key, rows::Sorted};
use super::{SharedTable, Tables};
use crate::{
    reconcile::{Difference, TableId},
    source::{Blocker, Copied, Snapshot, SourceError, Worker, quote_identifier},
};

pub use equal::{Unequal, require_equal};

/// A source that meets others.
#[derive(Clone, Debug)]
pub struct MemberSource {
    /// Its place among the sync's sources.
    pub member: usize,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// The application name of the sessions.
    pub application: String,
    /// How long its open transactions are waited for.
    pub slot_timeout: Duration,
}

/// The sources of a sync, or some of them, whose rows are being compared.
#[derive(Debug)]
pub struct Meeting {
    members: Vec<Member>,
    tables: Arc<Tables>,
    /// The tables to come, the last one first.
    ahead: Vec<TableId>,
    merge: Option<Merge>,
    progress: Progress,
}

#[derive(Debug)]
struct Member {
    source: MemberSource,
    snapshot: Snapshot,
    worker: Worker,
    /// Whether it knows when a row was committed.
    tracks: bool,
    /// Whether its texts are UTF-8 on the server too.
    is_utf8: bool,
}

/// How far a meeting is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The table that is being compared.
    pub table: Option<TableName>,
    /// Tables that are done.
    pub tables_done: usize,
    /// All tables.
    pub tables: usize,
    /// Keys that were compared.
    pub rows: u64,
    /// How many there are: the planner's guess.
    pub expected_rows: u64,
    /// Keys that sources hold differently.
    pub differences: u64,
}

/// Told for whom a source waits, by its name.
pub type Waiting<'a> = &'a (dyn Fn(&str, &[Blocker]) + Send + Sync);

impl Meeting {
    /// Takes a snapshot of each source, side by side. Like any snapshot that waits for all open
    /// transactions; `waiting` is told for whom.
    ///
    /// # Errors
    ///
    /// A source can't be reached, or no snapshot be taken there.
    pub async fn open(
        sources: &[MemberSource],
        tables: Arc<Tables>,
        waiting: Waiting<'_>,
    ) -> Result<Self, SourceError> {
        let opened = sources.iter().map(|source| Member::open(source, waiting));
        let members: Vec<Member> = try_join_all(opened).await?;
        let estimates = members.iter().map(|member| {
            let here = tables
                .iter()
                .filter_map(|table| table.members.get(member.source.member));
            let oids: Vec<u32> = here.map(|table| table.oid).collect();
            async move { member.snapshot.estimate(&oids).await }
        });
        let estimates = try_join_all(estimates).await?;
        let mut ahead: Vec<&SharedTable> = tables.iter().collect();
        ahead.sort_by(|a, b| b.name.cmp(&a.name));
        let ahead: Vec<TableId> = ahead.into_iter().map(|table| table.id).collect();
        Ok(Self {
            progress: Progress {
                tables: ahead.len(),
                expected_rows: estimates.into_iter().max().unwrap_or(0),
                ..Progress::default()
            },
            members,
            tables,
            ahead,
            merge: None,
        })
    }

    /// Where the snapshots were taken, in the order of the sources: what commits before is in them.
    #[must_use]
    pub fn cuts(&self) -> Vec<Lsn> {
        let cuts = self.members.iter();
        cuts.map(|member| member.snapshot.copied_to()).collect()
    }

    /// The next differences, at most `most` of them and not much more than 16 MiB; none when all
    /// tables were compared. Their rows are in the order of the sources.
    ///
    /// # Errors
    ///
    /// The meeting has to begin anew with new snapshots: a connection broke, or a table was
    /// rewritten.
    pub async fn next(&mut self, most: usize) -> Result<Option<Vec<Difference>>, SourceError> {
        let mut found = Vec::new();
        loop {
            let merge = match &mut self.merge {
                Some(merge) => merge,
                None => match self.ahead.pop() {
                    Some(table) => {
                        let merge = self.begin(table).await?;
                        self.merge.insert(merge)
                    }
                    None => return Ok((!found.is_empty()).then_some(found)),
                },
            };
            let ended = merge
                .take(most.max(1), &mut found, &mut self.progress)
                .await?;
            if !ended {
                return Ok(Some(found));
            }
            self.merge = None;
            self.progress.tables_done += 1;
            self.progress.table = None;
        }
    }

    /// How far it is.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Begins with a table.
    async fn begin(&mut self, table: TableId) -> Result<Merge, SourceError> {
        let gone = || SourceError::transient("the sync's tables have changed");
        let table = self.tables.get(table).ok_or_else(gone)?;
        self.progress.table = Some(table.name.clone());
        let places: Vec<usize> = self.members.iter().map(|one| one.source.member).collect();
        let key = Key::of(table, &places);
        let streams = self
            .members
            .iter_mut()
            .map(|member| member.read(table, &key));
        let streams = try_join_all(streams).await?;
        Merge::begin(table, key, streams).await
    }
}

impl Member {
    async fn open(source: &MemberSource, waiting: Waiting<'_>) -> Result<Self, SourceError> {
        let MemberSource {
            url,
            application,
            slot_timeout,
            name,
            ..
        } = source;
        let mut told = |blockers: &[Blocker]| waiting(name, blockers);
        let snapshot = Snapshot::open(url, application, *slot_timeout, &mut told).await?;
        let worker = Worker::open(url, application, &snapshot).await?;
        let tracks = worker.setting("track_commit_timestamp").await? == "on";
        let is_utf8 = worker.setting("server_encoding").await? == "UTF8";
        let source = source.clone();
        Ok(Self {
            source,
            snapshot,
            worker,
            tracks,
            is_utf8,
        })
    }

    /// The rows of a table in order of their keys, when they were committed before the rest.
    async fn read(&mut self, table: &SharedTable, key: &Key) -> Result<Sorted, SourceError> {
        let oid = table
            .members
            .get(self.source.member)
            .map_or(0, |member| member.oid);
        let columns = table.columns.iter();
        let mut columns: Vec<_> = columns
            .map(|column| quote_identifier(&column.name))
            .collect();
        columns.insert(0, if self.tracks { COMMITTED } else { "NULL" }.to_owned());
        let order = key.expressions(table, self.is_utf8);
        let name = &self.source.name;
        match self
            .worker
            .sorted(&table.name, oid, &columns.join(", "), &order)
            .await
        {
            Ok(Copied::Rows(rows)) => Ok(Sorted::new(rows, name)),
            Ok(Copied::Rewritten(why)) => {
                let why = format!("source \"{name}\": {why}");
                Err(SourceError::transient(why))
            }
            Err(mut error) => {
                error.message = format!("source \"{name}\": {}", error.message);
                Err(error)
            }
        }
    }
}

/// When a row was committed, in microseconds since 2000, as in the stream. Nothing where that was
/// too long ago.
const COMMITTED: &str = "(pg_catalog.date_part('epoch', pg_catalog.pg_xact_commit_timestamp(xmin) \
     - '2000-01-01 00:00:00+00'::pg_catalog.timestamptz) * 1000000)::pg_catalog.int8";
