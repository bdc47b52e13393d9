//! The source, as a verification reads it.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use futures_util::StreamExt as _;
use tahr_plugin_api::{Lsn, abi::Arena};
use tahr_postgres_connect::Session;
use tokio_postgres::CopyOutStream;

use super::{Key, Subject, table::Compared};
use crate::{
    record::{CopyDecoder, Limits},
    source::{SourceError, quote_literal},
};

/// A session on the source.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) client: Session,
    /// Whether commits may wait for standbys, unseen by others but not by the stream.
    has_standbys: bool,
}

/// A mark has to wait at least as long as other commits do.
const WAIT_TOO: &str = "
SELECT CASE WHEN pg_catalog.current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')
            THEN pg_catalog.set_config('synchronous_commit', 'on', false) END,
       pg_catalog.current_setting('synchronous_standby_names') <> ''";

/// Rows of the source that are being read.
pub(super) struct Reading {
    stream: Pin<Box<CopyOutStream>>,
    decoder: CopyDecoder,
    what: String,
    /// What was read further than was asked for.
    ahead: VecDeque<Arena>,
    is_done: bool,
}

impl Origin {
    pub(super) async fn open(subject: &Subject) -> Result<Self, SourceError> {
        let client = subject.url.connect_source(&subject.application).await?;
        let row = client.query_one(WAIT_TOO, &[]).await;
        let row = row.map_err(|error| SourceError::sql("look at the settings", &error))?;
        let has_standbys = row.get(1);
        Ok(Self {
            client,
            has_standbys,
        })
    }

    /// Whether a commit may be in the stream long before it is visible.
    pub(super) fn has_standbys(&self) -> bool {
        self.has_standbys
    }

    /// Writes a mark into the source's log: whoever has passed it has seen everything that was
    /// committed before the call.
    pub(super) async fn mark(&self) -> Result<Lsn, SourceError> {
        let sql = "SELECT pg_catalog.pg_logical_emit_message(true, 'tahr', 'present')::text";
        let row = self.client.query_one(sql, &[]).await;
        let row = row.map_err(|error| SourceError::sql("mark the present", &error))?;
        let text: String = row.get(0);
        text.parse()
            .map_err(|_| SourceError::unusable("the source returned no LSN"))
    }

    /// Begins to read what `statement` prints of the table.
    pub(super) async fn read(
        &self,
        table: &Compared,
        statement: &str,
    ) -> Result<Reading, SourceError> {
        let what = format!("read table {}", table.relation.source);
        let stream = self.client.copy_out(statement).await;
        let stream = stream.map_err(|error| SourceError::sql(&what, &error))?;
        let decoder = CopyDecoder::new(Arc::clone(&table.source), Lsn::ZERO, Limits::default());
        Ok(Reading {
            stream: Box::pin(stream),
            decoder,
            what,
            ahead: VecDeque::new(),
            is_done: false,
        })
    }

    /// Begins to read the rows under `keys`, all of one moment.
    pub(super) async fn look_up(
        &self,
        table: &Compared,
        keys: &[Key],
    ) -> Result<Reading, SourceError> {
        let statement = table.under(&Self::values(table, keys));
        self.read(table, &statement).await
    }

    /// `keys` as the source prints them; none for one that is no key there.
    pub(super) async fn canonical(
        &self,
        table: &Compared,
        keys: &[Key],
    ) -> Result<Vec<Option<Key>>, SourceError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        match self.printed(table, keys).await {
            Ok(printed) => Ok(printed),
            Err(error) if error.is_transient() => Err(error),
            // One of them is to blame.
            Err(_) if keys.len() == 1 => Ok(vec![None]),
            Err(_) => {
                let (one, two) = keys.split_at(keys.len() / 2);
                let mut all = Box::pin(self.canonical(table, one)).await?;
                all.extend(Box::pin(self.canonical(table, two)).await?);
                Ok(all)
            }
        }
    }

    async fn printed(
        &self,
        table: &Compared,
        keys: &[Key],
    ) -> Result<Vec<Option<Key>>, SourceError> {
        // What `COPY` prints, type by type.
        let columns =
            (table.key.iter().enumerate()).map(|(place, &index)| {
                let column = &table.relation.columns[index];
                let (plain, full) = (format!("v.k{place}"), &column.type_name);
                let equals = &table.equals[place];
                // A column that cuts or rounds it has no such value.
                format!(
                    "CASE WHEN {plain}::{full} {equals} {plain} THEN pg_catalog.format('%s', {plain}::{full}) \
                     ELSE pg_catalog.format('%s', {plain}) END"
                )
            });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {columns} FROM {}", Self::values(table, keys));
        let rows = self.client.query(&sql, &[]).await;
        let rows = rows.map_err(|error| SourceError::sql("read keys", &error))?;
        let key = |row: &tokio_postgres::Row| {
            let texts = (0..row.len()).map(|place| row.get::<_, String>(place).into());
            Some(Key::from_texts(texts))
        };
        Ok(rows.iter().map(key).collect())
    }

    /// `keys` as a table `v` of SQL, whole: a type's modifier would cut them.
    fn values(table: &Compared, keys: &[Key]) -> String {
        let types = &table.types;
        let row = |key: &Key| {
            let values = key.texts().iter().zip(types);
            let values = values.map(|(text, name)| format!("{}::{name}", quote_literal(text)));
            format!("({})", values.collect::<Vec<_>>().join(", "))
        };
        let rows: Vec<String> = keys.iter().map(row).collect();
        let names: Vec<String> = (0..types.len()).map(|place| format!("k{place}")).collect();
        format!("(VALUES {}) v({})", rows.join(", "), names.join(", "))
    }
}

impl Reading {
    /// The next rows.
    pub(super) async fn next(&mut self) -> Result<Option<Arena>, SourceError> {
        while self.ahead.is_empty() && !self.is_done {
            let Some(chunk) = self.stream.next().await else {
                self.is_done = true;
                self.ahead.extend(self.decoder.finish());
                break;
            };
            let chunk = chunk.map_err(|error| SourceError::sql(&self.what, &error))?;
            for line in chunk.split_inclusive(|&byte| byte == b'\n') {
                let arena = self.decoder.row(line);
                self.ahead
                    .extend(arena.map_err(|error| SourceError::unusable(error.to_string()))?);
            }
        }
        Ok(self.ahead.pop_front())
    }
}
