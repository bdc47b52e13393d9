//! The merge of one table's sorted rows.

use tahr_plugin_api::TableName;

use super::{Progress, order::Key, rows::Sorted};
use crate::{
    masters::{SharedTable, rows::Packer},
    reconcile::{self, Difference, TableId},
    source::SourceError,
};

/// Differences are handed on when they are as large as this, however few.
const BYTES: usize = 16 << 20;
/// Rows between two reports of progress.
const REPORT: u64 = 1 << 10;

/// A table under comparison.
#[derive(Debug)]
pub(super) struct Merge {
    id: TableId,
    name: TableName,
    key: Key,
    streams: Vec<Sorted>,
    packer: Packer,
    /// The last key that was looked at, to see that keys come in order.
    last: Vec<u8>,
    next: Vec<u8>,
}

impl Merge {
    pub(super) async fn begin(
        table: &SharedTable,
        key: Key,
        mut streams: Vec<Sorted>,
    ) -> Result<Self, SourceError> {
        for stream in &mut streams {
            stream.advance().await?;
        }
        Ok(Self {
            id: table.id,
            name: table.name.clone(),
            key,
            streams,
            packer: Packer::default(),
            last: Vec::new(),
            next: Vec::new(),
        })
    }

    /// Compares on until there are `most` differences in `found`; tells whether the table is done.
    pub(super) async fn take(
        &mut self,
        most: usize,
        found: &mut Vec<Difference>,
        progress: &mut Progress,
    ) -> Result<bool, SourceError> {
        let held = |difference: &Difference| -> usize {
            let rows = difference.rows.iter().flatten();
            rows.map(|held| held.row.payload.as_ref().len()).sum()
        };
        let mut bytes: usize = found.iter().map(held).sum();
        let mut rows = 0;
        while found.len() < most && bytes < BYTES {
            if rows == REPORT {
                progress.rows += std::mem::take(&mut rows);
                // Streams that are always ready would keep all others of this thread waiting.
                tokio::task::yield_now().await;
            }
            if self.is_equal() {
                rows += 1;
                for stream in &mut self.streams {
                    stream.advance().await?;
                }
                continue;
            }
            let Some(difference) = self.differ().await? else {
                progress.rows += rows;
                return Ok(true);
            };
            rows += 1;
            progress.differences += 1;
            bytes += held(&difference);
            found.push(difference);
        }
        progress.rows += rows;
        Ok(false)
    }

    /// Whether all sources have the same row next.
    fn is_equal(&self) -> bool {
        let mut values = self.streams.iter().map(Sorted::values);
        match values.next() {
            Some(Some(first)) => values.all(|values| values == Some(first)),
            _ => false,
        }
    }

    /// The lowest of the next keys, which not all have alike; none when there are no more.
    async fn differ(&mut self) -> Result<Option<Difference>, SourceError> {
        let mut lowest: Option<usize> = None;
        for place in 0..self.streams.len() {
            let Some(key) = self.streams[place].key(&self.key)? else {
                continue;
            };
            if key <= self.last.as_slice() && !self.last.is_empty() {
                let source = self.streams[place].source();
                return Err(SourceError::unusable(format!(
                    "source \"{source}\" does not sort table {} by its key's bytes",
                    self.name
                ))
                .hint("look for an index that is damaged: REINDEX TABLE …;"));
            }
            let lower = lowest
                .is_none_or(|at| self.streams[place].known_key() < self.streams[at].known_key());
            if lower {
                lowest = Some(place);
            }
        }
        let Some(lowest) = lowest else {
            return Ok(None);
        };
        self.next.clear();
        self.next
            .extend(self.streams[lowest].known_key().unwrap_or_default());
        let key = self.streams[lowest].packed_key(&self.key, &mut self.packer)?;
        let mut rows = Vec::with_capacity(self.streams.len());
        for stream in &mut self.streams {
            if stream.known_key() == Some(&self.next) {
                rows.push(Some(stream.held(&mut self.packer)?));
                stream.advance().await?;
            } else {
                rows.push(None);
            }
        }
        std::mem::swap(&mut self.last, &mut self.next);
        Ok(Some(Difference {
            key: reconcile::Key::new(self.id, key),
            rows,
        }))
    }
}
