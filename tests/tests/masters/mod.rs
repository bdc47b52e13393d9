//! Many masters: the sources of one sync replicate to each other, and whatever happens, at rest all of
//! them hold the same rows.

mod away;
mod cascades;
mod conflicts;
mod custom;
mod demonstration;
mod histories;
mod latency;
mod meeting;
mod pauses;
mod rights;
mod sequences;
mod strategies;
mod targets;
mod torture;
mod two_ways;
mod versions;

use serde_json::Value;
use tahr_tests::{Masters, Rows};

/// A table whose rows are easy to quarrel about.
const PLAIN: &str = "CREATE TABLE t (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 0);
    INSERT INTO t SELECT g, 'first' FROM generate_series(1, 10) g;";

/// Waits until the log of conflicts has so many, and gives them.
async fn conflicts(masters: &Masters, count: usize) -> Vec<Value> {
    let limit = std::time::Duration::from_secs(20);
    tahr_tests::eventually(limit, format!("{count} conflicts"), async || {
        let found = masters.conflicts();
        let is_all = found.len() == count;
        is_all
            .then(|| found.clone())
            .ok_or_else(|| format!("{} of them: {found:?}", found.len()))
    })
    .await
}

/// Rows as they are expected.
fn rows(rows: &[&[&str]]) -> Rows {
    let own = |row: &&[&str]| row.iter().map(|cell| Some((*cell).to_owned())).collect();
    Rows::new(rows.iter().map(own).collect())
}
