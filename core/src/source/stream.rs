//! One connection's stream: its messages become arenas, and these go to the log.
//!
//! The [reader](super::Reader) receives, and has it go on; a new connection has a new one, which begins
//! where the log ends.

use std::{
    collections::{HashMap, hash_map::Entry},
    pin::pin,
};

use pgwire_replication::ReplicationEvent;
use tahr_plugin_api::{Lsn, failpoint};
use tahr_postgres_connect::Session;

use super::{Reader, SourceError, catalog, outlook::Watch, reader::FEEDBACK_EVERY};
use crate::{
    log::LogError,
    pgoutput::{Message, RelationMessage, decode},
    record::{Assembler, reconcile},
};

/// One connection's stream.
pub(super) struct Stream<'a> {
    pub(super) reader: &'a Reader,
    pub(super) assembler: Assembler,
    /// For questions about relations, and a sign of the server's life; absent after an error.
    pub(super) catalog: Option<Session>,
    pub(super) type_names: HashMap<(u32, i32), String>,
    /// The source holds nothing before it that the assembler has not seen.
    pub(super) passed: Lsn,
    /// When the last transaction was committed, in microseconds since 2000.
    pub(super) committed: Option<i64>,
    pub(super) watch: Watch,
}

impl Stream<'_> {
    pub(super) async fn event(&mut self, event: ReplicationEvent) -> Result<(), SourceError> {
        let message = match &event {
            ReplicationEvent::XLogData { data, .. } => {
                decode(data).map_err(SourceError::malformed)?
            }
            ReplicationEvent::Begin {
                final_lsn,
                xid,
                commit_time_micros,
            } => Message::Begin {
                commit_lsn: Lsn(final_lsn.0),
                commit_time_micros: *commit_time_micros,
                xid: *xid,
            },
            ReplicationEvent::Commit {
                lsn,
                end_lsn,
                commit_time_micros,
            } => Message::Commit {
                flags: 0,
                commit_lsn: Lsn(lsn.0),
                end_lsn: Lsn(end_lsn.0),
                commit_time_micros: *commit_time_micros,
            },
            ReplicationEvent::KeepAlive { wal_end, .. } => {
                if !self.assembler.is_inside() {
                    self.passed = self.passed.max(Lsn(wal_end.0));
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        let arena = match &message {
            Message::Relation(relation) => self.relation(relation).await?,
            message => self
                .assembler
                .message(message)
                .map_err(SourceError::malformed)?,
        };
        if let Message::Commit {
            end_lsn,
            commit_time_micros,
            ..
        } = message
        {
            self.passed = self.passed.max(end_lsn);
            self.committed = Some(commit_time_micros);
        }
        match arena {
            Some(arena) => self.append(arena).await,
            None => Ok(()),
        }
    }

    /// A server that shuts down in order waits for its walsenders, and they wait until all that
    /// they sent is confirmed, which the slot's position, behind on purpose, never says. Its other
    /// sessions are ended first: then the stream has to go too.
    pub(super) fn check_session(&self) -> Result<(), SourceError> {
        match self.catalog.as_ref().filter(|session| session.is_closed()) {
            Some(_) => Err(SourceError::transient("the source ends its sessions")),
            None => Ok(()),
        }
    }

    /// The stream has nothing more for now: what is complete goes to the log.
    pub(super) async fn pause(&mut self) -> Result<(), SourceError> {
        if let Some(arena) = self.assembler.pause() {
            self.append(arena).await?;
        }
        if !self.assembler.is_inside() && self.passed != Lsn::ZERO {
            self.reader.log.advance(self.passed);
        }
        Ok(())
    }

    async fn append(&self, arena: tahr_plugin_api::abi::Arena) -> Result<(), SourceError> {
        failpoint::pass("source.read");
        let mut appending = pin!(self.reader.log.append(arena));
        let appended = loop {
            match tokio::time::timeout(FEEDBACK_EVERY, &mut appending).await {
                Ok(appended) => break appended,
                // There may be no room for long. What was not appended is read again.
                Err(_) => self.check_session()?,
            }
        };
        failpoint::pass("source.appended");
        match appended {
            // It comes again.
            Ok(()) | Err(LogError::Rewound) => Ok(()),
            Err(error) => Err(SourceError::transient(error.to_string())
                .hint("free space on the disk of `state_dir`")),
        }
    }

    /// Takes a table's new schema, completed from the catalog.
    async fn relation(
        &mut self,
        message: &RelationMessage<'_>,
    ) -> Result<Option<tahr_plugin_api::abi::Arena>, SourceError> {
        let client = match self.catalog.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => {
                let reader = self.reader;
                reader.url.connect_source(&reader.application).await?
            }
        };
        let type_names = &mut self.type_names;
        let known = self.reader.answered(async {
            for column in &message.columns {
                let (oid, modifier) = (column.type_oid, column.type_modifier);
                if let Entry::Vacant(unknown) = type_names.entry((oid, modifier)) {
                    unknown.insert(catalog::type_name(&client, oid, modifier).await?);
                }
            }
            catalog::relation(&client, message.oid).await
        });
        let known = known.await?;
        self.catalog = Some(client);
        let relation = reconcile(message, known.as_ref(), &self.type_names);
        let relation = self.reader.relations.version_of(relation);
        Ok(self.assembler.relation(relation))
    }
}
