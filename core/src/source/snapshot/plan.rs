//! Dividing tables among workers.

use tahr_plugin_api::TableName;
use tokio_postgres::Client;

use crate::source::{SourceError, Table};

/// A part of a table that one worker copies in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRange {
    /// Which of the tables that were planned.
    pub table: usize,
    /// OID of the table that holds the rows: the table itself, or a partition of it.
    pub oid: u32,
    /// Its name.
    pub name: TableName,
    /// The first page.
    pub from_block: u32,
    /// The page to stop before; none for the last range, which also takes what was added since.
    pub to_block: Option<u32>,
    /// How many pages it had when it was planned.
    pub pages: u32,
}

/// Below this a range isn't worth its statement.
const MIN_PAGES: u32 = 8_192;
/// Above this the last worker is waited for too long, and a retry repeats too much.
const MAX_PAGES: u32 = 32_768;

/// The tables that hold the rows of `$1`, as the snapshot saw them, with their pages on disk.
pub(super) const LEAVES: &str = "
WITH RECURSIVE tree AS (
    SELECT c.oid, c.relkind, c.relname, c.relnamespace FROM pg_catalog.pg_class c WHERE c.oid = $1
    UNION ALL
    SELECT c.oid, c.relkind, c.relname, c.relnamespace
    FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid AND NOT i.inhdetachpending
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    WHERE t.relkind = 'p'
)
SELECT t.oid, n.nspname::text, t.relname::text,
       coalesce(pg_catalog.pg_relation_size(t.oid), 0)
           / pg_catalog.current_setting('block_size')::int
FROM tree t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE t.relkind = 'r' ORDER BY 2, 3";

pub(super) async fn plan(
    keeper: &Client,
    tables: &[Table],
    workers: usize,
) -> Result<Vec<CopyRange>, SourceError> {
    let failed = |error| SourceError::sql("plan the copy", &error);
    let leaves = keeper.prepare(LEAVES).await.map_err(failed)?;
    let mut ranges = Vec::new();
    for (table, relation) in tables.iter().map(|table| &table.relation).enumerate() {
        for row in keeper
            .query(&leaves, &[&relation.oid])
            .await
            .map_err(failed)?
        {
            let name = TableName::new(row.get::<_, &str>(1), row.get::<_, &str>(2));
            let pages = u32::try_from(row.get::<_, i64>(3)).unwrap_or(u32::MAX);
            ranges.extend(
                split(pages, workers)
                    .into_iter()
                    .map(|(from_block, to_block)| CopyRange {
                        table,
                        oid: row.get(0),
                        name: name.clone(),
                        from_block,
                        to_block,
                        pages: to_block.unwrap_or(pages.max(from_block)) - from_block,
                    }),
            );
        }
    }
    Ok(ranges)
}

/// Ranges of about equal size over `pages`, the last one open.
fn split(pages: u32, workers: usize) -> Vec<(u32, Option<u32>)> {
    let workers = u32::try_from(workers.max(1)).unwrap_or(u32::MAX);
    let size = pages
        .div_ceil(workers.saturating_mul(4))
        .clamp(MIN_PAGES, MAX_PAGES);
    let count = pages.div_ceil(size).max(1);
    let start = |index: u32| {
        u32::try_from(u64::from(pages) * u64::from(index) / u64::from(count)).unwrap_or(u32::MAX)
    };
    (0..count)
        .map(|index| (start(index), (index + 1 < count).then(|| start(index + 1))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{MAX_PAGES, MIN_PAGES, split};

    #[test]
    fn small_tables_are_one_open_range() {
        for pages in [0, 1, MIN_PAGES] {
            assert_eq!(split(pages, 4), [(0, None)]);
        }
    }

    #[test]
    fn ranges_cover_every_page_once() {
        for pages in [MIN_PAGES + 1, 100_000, 1_000_003, u32::MAX] {
            for workers in [0, 1, 2, 7, usize::MAX] {
                let ranges = split(pages, workers);
                assert_eq!(ranges[0].0, 0);
                assert_eq!(ranges.last().unwrap().1, None);
                for pair in ranges.windows(2) {
                    assert_eq!(pair[0].1, Some(pair[1].0));
                    let size = pair[1].0 - pair[0].0;
                    assert!(size > 0 && size <= MAX_PAGES, "{pages} {workers} {size}");
                }
            }
        }
    }

    #[test]
    fn every_worker_has_something_to_do_in_a_large_table() {
        assert!(split(64 * 1024, 2).len() >= 8);
    }
}
