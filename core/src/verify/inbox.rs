//! A writer that reads, and where what it reads arrives.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tahr_plugin_api::{
    Relation, Role, WriteError,
    abi::{Arena, Canceller, HostCalls, RemoteWriter},
    read_back::{Digest, Filter, read_found},
};

use super::{Subject, buckets::Sums, second::Second};
use crate::shutdown::Stop;

/// What is done with rows that arrive.
#[derive(Debug, Default)]
enum Taking {
    #[default]
    Nothing,
    Sums(Sums),
    Second(Second),
    Rows(HashMap<u64, u64>),
}

#[derive(Debug)]
struct Inbox {
    lane: String,
    taking: Mutex<Taking>,
    stop: Stop,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Taking> {
        self.taking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Host(Arc<Inbox>);

impl HostCalls for Host {
    fn log(&self, level: u32, message: &str) {
        match level {
            1 => tracing::error!(lane = %self.0.lane, "verify: {message}"),
            2 => tracing::warn!(lane = %self.0.lane, "verify: {message}"),
            _ => tracing::debug!(lane = %self.0.lane, "verify: {message}"),
        }
    }

    fn count(&self, _name: &str, _by: u64) {}

    fn is_stopping(&self) -> bool {
        self.0.stop.is_stopping()
    }

    fn rows(&self, found: &[u8]) -> Result<(), WriteError> {
        if self.0.stop.is_stopping() {
            return Err(WriteError::transient("nobody waits for it any more"));
        }
        let mut taking = self.0.lock();
        let is_whole = match &mut *taking {
            Taking::Nothing => true,
            Taking::Sums(sums) => read_found(found, |row| sums.add(row.digest)),
            Taking::Second(second) => read_found(found, |row| second.found(&row)),
            Taking::Rows(rows) => read_found(found, |row| {
                rows.insert(row.digest.key, row.digest.row);
            }),
        };
        match is_whole {
            true => Ok(()),
            false => Err(WriteError::fatal("rows that were read back can't be read")),
        }
    }
}

/// A writer of role `check`.
#[derive(Debug)]
pub(super) struct Check {
    writer: RemoteWriter,
    inbox: Arc<Inbox>,
    pub(super) canceller: Canceller,
    /// Whether rows may be missing by themselves, as far as is known.
    pub(super) may_lack: bool,
}

impl Check {
    pub(super) fn open(subject: &Subject, stop: &Stop) -> Result<Self, WriteError> {
        let inbox = Arc::new(Inbox {
            lane: subject.lane.clone(),
            taking: Mutex::default(),
            stop: stop.clone(),
        });
        let module = &subject.plugin.module;
        let host = Host(Arc::clone(&inbox));
        let (mut writer, canceller) = module.open_writer(&subject.options, Role::Check, host)?;
        writer.checkpoint(&subject.stream)?;
        Ok(Self {
            writer,
            inbox,
            canceller,
            may_lack: false,
        })
    }

    /// What would be stored of `rows`, one by one.
    pub(super) fn digests(
        &mut self,
        relation: &Relation,
        rows: &Arena,
    ) -> Result<Vec<Digest>, WriteError> {
        self.writer.digests(relation, rows)
    }

    /// Adds up the whole table.
    pub(super) fn sum(&mut self, relation: &Relation, sums: Sums) -> Result<Sums, WriteError> {
        match self.read(relation, None, Filter::all(), Taking::Sums(sums))? {
            Taking::Sums(sums) => Ok(sums),
            _ => Err(mixed_up()),
        }
    }

    /// Compares the rows of some buckets.
    pub(super) fn compare(
        &mut self,
        relation: &Relation,
        filter: Filter,
        second: Second,
    ) -> Result<Second, WriteError> {
        match self.read(relation, None, filter, Taking::Second(second))? {
            Taking::Second(second) => Ok(second),
            _ => Err(mixed_up()),
        }
    }

    /// The digests of the rows under `keys`, by those of their keys.
    pub(super) fn rows(
        &mut self,
        relation: &Relation,
        keys: &Arena,
    ) -> Result<HashMap<u64, u64>, WriteError> {
        let rows = Taking::Rows(HashMap::new());
        match self.read(relation, Some(keys), Filter::all(), rows)? {
            Taking::Rows(rows) => Ok(rows),
            _ => Err(mixed_up()),
        }
    }

    fn read(
        &mut self,
        relation: &Relation,
        keys: Option<&Arena>,
        filter: Filter,
        taking: Taking,
    ) -> Result<Taking, WriteError> {
        let wants_names = matches!(taking, Taking::Second(_));
        *self.inbox.lock() = taking;
        let read = self.writer.read_back(relation, keys, filter, wants_names);
        let taken = std::mem::take(&mut *self.inbox.lock());
        self.may_lack = read?;
        Ok(taken)
    }
}

fn mixed_up() -> WriteError {
    WriteError::fatal("a verification mixed up what it was doing; this is a bug of tahr")
}
