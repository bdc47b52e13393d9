//! PostgreSQL, which prints what it was given.

use futures_util::future::BoxFuture;
use tahr_tests::Database;

use super::judge::{Cells, Judge, Table};
use crate::scene::quote;

pub(crate) struct Postgres(pub(crate) Database);

impl Judge for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn config(&self) -> String {
        format!(
            "plugin = 'postgres'\noptions = {{ url = '{}', synchronous_commit = false }}",
            self.0.url()
        )
    }

    fn read<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, Result<Vec<Cells>, String>> {
        Box::pin(async move { self.0.try_query(&select(table)).await })
    }

    fn expected(&self, _: &str, text: Option<&str>) -> Option<String> {
        text.map(str::to_owned)
    }
}

/// All columns of a table, as PostgreSQL prints them: a cast to text would take blanks off.
pub(crate) fn select(table: &Table) -> String {
    let columns: Vec<String> = (table.columns.iter())
        .map(|column| quote(&column.name))
        .collect();
    format!("SELECT {} FROM {}", columns.join(", "), quote(&table.name))
}
