//! Statements that go to the server together, and what each of them must have done.
//!
//! All statements of a script are one text, so that a batch costs a few round trips however many
//! statements it takes. The server stops at the first one that fails. The text's buffer is used again
//! and again.

use mysql_async::{Error, prelude::Queryable as _};
use tahr_plugin_api::{Value, WriteError};

use crate::{
    failure::{Expect, Failure, What},
    session::Session,
    statements::{put_delete, put_key, put_row},
    table::Table,
    value::Counts,
};

/// Bytes from which on a script is sent: enough to make round trips cheap, little enough for the
/// server to parse while it is still in its caches.
const FULL: usize = 512 << 10;

/// Keys in one statement. Above 1,000 MariaDB makes a subquery of the list.
const KEYS: usize = 500;

/// Keys of several columns in one statement: beyond some hundreds optimizers give up on indexes.
const WIDE_KEYS: usize = 100;

/// What a multi-row statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert,
    Upsert,
    Delete,
}

/// A multi-row statement that more rows can be added to.
#[derive(Clone, Copy, Debug)]
struct Open<'a> {
    table: &'a Table,
    kind: Kind,
    rows: usize,
}

/// Statements in the making.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    text: Vec<u8>,
    entries: Vec<(What<'a>, Expect)>,
    open: Option<Open<'a>>,
    /// A row or statement that went beyond what the server takes at once.
    overflow: Vec<u8>,
    limit: usize,
    full: usize,
    pub(crate) counts: Counts,
    /// Deletes that found no row.
    pub(crate) missing: u64,
}

impl<'a> Script<'a> {
    /// An empty script in the buffer `text`, for a server that takes `limit` bytes at once.
    pub(crate) fn new(mut text: Vec<u8>, limit: usize) -> Self {
        text.clear();
        Self {
            text,
            entries: Vec::new(),
            open: None,
            overflow: Vec::new(),
            limit,
            full: FULL.min(limit / 2),
            counts: Counts::default(),
            missing: 0,
        }
    }

    /// The buffer, to be used again.
    pub(crate) fn into_buffer(mut self) -> Vec<u8> {
        // One that a huge row has made is not kept.
        self.text.truncate(0);
        self.text.shrink_to(FULL * 4);
        self.text
    }

    /// Whether it is to be sent before anything is added.
    pub(crate) fn is_full(&self) -> bool {
        self.text.len() >= self.full || !self.overflow.is_empty()
    }

    /// Whether everything in it may match what it will, so that a commit may follow in the same trip.
    pub(crate) fn expects_nothing(&self) -> bool {
        let is_checked = |(what, expect): &(What<'_>, Expect)| {
            matches!(what, What::Compare) || matches!(expect, Expect::Row | Expect::RowOrInsert)
        };
        !self.entries.iter().any(is_checked)
    }

    /// Adds a statement that needs no room to speak of.
    pub(crate) fn add(&mut self, what: What<'a>, expect: Expect, sql: &str) {
        self.close();
        self.begin();
        self.text.extend_from_slice(sql.as_bytes());
        self.entries.push((what, expect));
    }

    /// Adds the statement that `write` appends, of one change, unless it appends none.
    pub(crate) fn change<'v>(
        &mut self,
        index: usize,
        table: &'a Table,
        expect: Expect,
        value: impl Fn(usize) -> Value<'v>,
        write: impl FnOnce(&mut Vec<u8>, &mut Counts) -> Result<bool, WriteError>,
    ) -> Result<(), WriteError> {
        self.close();
        let before = self.text.len();
        self.begin();
        let start = self.text.len();
        let is_there = write(&mut self.text, &mut self.counts);
        let is_there = is_there.map_err(|error| error.change(index))?;
        if !is_there {
            self.text.truncate(before);
            return Ok(());
        }
        self.check_length(start, 0, index, table, value)?;
        if self.text.len() > self.limit {
            self.overflow = self.text.split_off(start);
            self.text.truncate(before);
        }
        self.entries.push((What::Change(index, table), expect));
        Ok(())
    }

    /// Adds a row, or a key, to a statement for many.
    pub(crate) fn row<'v>(
        &mut self,
        index: usize,
        table: &'a Table,
        kind: Kind,
        value: impl Fn(usize) -> Value<'v> + Copy,
    ) -> Result<(), WriteError> {
        let most = match kind {
            Kind::Delete if table.key.len() == 1 => KEYS,
            Kind::Delete => WIDE_KEYS,
            Kind::Insert | Kind::Upsert => usize::MAX,
        };
        let goes_on = self.open.is_some_and(|open| {
            std::ptr::eq(open.table, table) && open.kind == kind && open.rows < most
        });
        if !goes_on {
            self.close();
        }
        let before = self.text.len();
        if goes_on {
            let or: &[u8] = if kind == Kind::Delete && table.key.len() > 1 {
                b" OR "
            } else {
                b","
            };
            self.text.extend_from_slice(or);
        } else {
            self.begin();
            self.head(table, kind);
        }
        let start = self.text.len();
        let written = if kind == Kind::Delete {
            put_key(&mut self.text, table, value, &mut self.counts)
        } else {
            put_row(&mut self.text, table, value, &mut self.counts)
        };
        written.map_err(|error| error.change(index))?;
        let frame = table.insert.len() + table.upsert.len() + 64;
        self.check_length(start, frame, index, table, value)?;
        if self.text.len() + frame > self.limit {
            self.overflow = self.text.split_off(start);
            // What led to the row goes with it.
            self.text.truncate(before);
        }
        match &mut self.open {
            Some(open) if goes_on => open.rows += 1,
            open => {
                *open = Some(Open {
                    table,
                    kind,
                    rows: 1,
                });
            }
        }
        Ok(())
    }

    /// The server would not take what begins at `start` even by itself.
    fn check_length<'v>(
        &self,
        start: usize,
        frame: usize,
        index: usize,
        table: &Table,
        value: impl Fn(usize) -> Value<'v>,
    ) -> Result<(), WriteError> {
        let length = self.text.len() - start + frame;
        if length <= self.limit {
            return Ok(());
        }
        Err(table.too_long(value, length, self.limit).change(index))
    }

    fn begin(&mut self) {
        if !self.text.is_empty() {
            self.text.push(b';');
        }
    }

    fn head(&mut self, table: &Table, kind: Kind) {
        if kind != Kind::Delete {
            self.text.extend_from_slice(table.insert.as_bytes());
            return;
        }
        put_delete(&mut self.text, table);
        self.text.extend_from_slice(b" WHERE ");
        if let [only] = *table.key {
            self.text
                .extend_from_slice(table.columns[only].quoted.as_bytes());
            self.text.extend_from_slice(b" IN (");
        }
    }

    fn close(&mut self) {
        let Some(Open { table, kind, rows }) = self.open.take() else {
            return;
        };
        let expect = match kind {
            Kind::Delete => Expect::Rows(rows as u64),
            Kind::Insert | Kind::Upsert => Expect::Any,
        };
        match kind {
            Kind::Upsert => self.text.extend_from_slice(table.upsert.as_bytes()),
            Kind::Delete if table.key.len() == 1 => self.text.push(b')'),
            Kind::Delete | Kind::Insert => {}
        }
        self.entries.push((What::Bulk(table), expect));
    }
}

impl<'a> Script<'a> {
    /// Sends all there is and waits for the answers.
    pub(crate) async fn flush(&mut self, session: &mut Session) -> Result<(), Failure<'a>> {
        if !self.overflow.is_empty() {
            self.flush_before_overflow(session).await?;
        }
        self.close();
        if self.text.is_empty() {
            return Ok(());
        }
        let sent = self.send(session).await;
        self.text.clear();
        self.entries.clear();
        sent
    }

    /// Sends what comes before the last row or statement, which didn't fit, and begins anew with it.
    async fn flush_before_overflow(&mut self, session: &mut Session) -> Result<(), Failure<'a>> {
        let overflow = std::mem::take(&mut self.overflow);
        let last = match &mut self.open {
            Some(open) => {
                let last = *open;
                open.rows -= 1;
                if open.rows == 0 {
                    self.open = None;
                }
                Some(last)
            }
            None => None,
        };
        let entry = if last.is_some() {
            None
        } else {
            self.entries.pop()
        };
        self.close();
        if !self.text.is_empty() {
            let sent = self.send(session).await;
            self.text.clear();
            self.entries.clear();
            sent?;
        }
        if let Some(Open { table, kind, .. }) = last {
            self.head(table, kind);
            self.open = Some(Open {
                table,
                kind,
                rows: 1,
            });
        }
        self.text.extend_from_slice(&overflow);
        self.entries.extend(entry);
        Ok(())
    }

    async fn send(&mut self, session: &mut Session) -> Result<(), Failure<'a>> {
        let entries = &self.entries;
        let failed = |place: usize, error: Error| {
            let what = entries
                .get(place)
                .map_or(What::Transaction, |entry| entry.0);
            Failure::Server { what, error }
        };
        let mut failure = None;
        let result = session.conn.query_iter(&self.text[..]).await;
        let mut result = result.map_err(|error| failed(0, error))?;
        for (place, (what, expect)) in entries.iter().enumerate() {
            if place > 0 && result.columns().is_none() {
                // Not a result: the error that ended the script.
                return match result.next().await {
                    // The first thing that went wrong is what counts.
                    Err(error) => Err(failure.unwrap_or_else(|| failed(place, error))),
                    Ok(_) => Err(Failure::Refused(WriteError::fatal(
                        "the server answers fewer statements than were sent",
                    ))),
                };
            }
            let matched = result.affected_rows();
            match (what, expect) {
                (What::Compare, _) if matched != 1 => {
                    failure.get_or_insert(Failure::Moved);
                }
                (_, Expect::RowOrInsert) if matched == 0 => {
                    failure.get_or_insert(Failure::Absent);
                }
                (What::Change(index, table), Expect::Row) if matched == 0 => {
                    let error = table.missing().change(*index);
                    failure.get_or_insert(Failure::Refused(error));
                }
                (_, Expect::Rows(rows)) => self.missing += rows.saturating_sub(matched),
                _ => {}
            }
            result.next().await.map_err(|error| failed(place, error))?;
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}
