//! The rows of the PostgreSQL target.

use tahr_postgres_connect::Session;

use super::{
    rows::{Rows, Tally, for_each},
    table::Table,
    verdict::Verdict,
};
use crate::Error;

/// Compares them.
pub(super) async fn compare(
    session: &Session,
    tables: &[Table],
    rows: &Rows,
) -> Result<Verdict, Error> {
    let mut tally = Tally::new("postgres", rows);
    for table in tables {
        for_each(session, table, |row| tally.see(&row)).await?;
    }
    Ok(tally.finish(|_| true))
}
