//! The three databases.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use tahr_postgres_connect::Session;

use super::super::postgres::{Postgres, failed};
use crate::Error;

/// What they are called, as sources too.
pub(super) const NAMES: [&str; 3] = ["shake1", "shake2", "shake3"];

const FILLED: &str = include_str!("shakespeare.sql");
/// Whose speeches are counted.
const WHO: &str = "WHERE charname = 'Hamlet'";
/// How long a change may take to be everywhere, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session in each.
#[derive(Debug)]
pub(super) struct Shakes(Vec<Session>);

impl Shakes {
    /// Makes them, with the same rows in each.
    pub(super) async fn make(postgres: &Postgres) -> Result<Self, Error> {
        let server = postgres.connect("postgres").await?;
        let mut sessions = Vec::new();
        for name in NAMES {
            let sql = format!("CREATE DATABASE {name}");
            let created = server.batch_execute(&sql).await;
            created.map_err(|error| failed(&sql, &error))?;
            let session = postgres.connect(name).await?;
            let filled = session.batch_execute(FILLED).await;
            filled.map_err(|error| failed("fill its table", &error))?;
            sessions.push(session);
        }
        Ok(Self(sessions))
    }

    /// Sets the count in one of them, and returns the statement.
    pub(super) async fn set(&self, place: usize, count: u32) -> Result<String, Error> {
        let sql = format!("UPDATE character SET speechcount = {count} {WHO}");
        let updated = self.0[place].execute(sql.as_str(), &[]).await;
        match updated {
            Ok(1) => Ok(sql),
            Ok(count) => Err(Error::failed(format!("{sql}: {count} rows instead of one"))),
            Err(error) => Err(failed(&sql, &error)),
        }
    }

    /// The count in each.
    pub(super) async fn counts(&self) -> Result<Vec<i32>, Error> {
        let mut counts = Vec::new();
        for session in &self.0 {
            let sql = format!("SELECT speechcount FROM character {WHO}");
            let row = session.query_one(sql.as_str(), &[]).await;
            let row = row.map_err(|error| failed(&sql, &error))?;
            counts.push(row.get(0));
        }
        Ok(counts)
    }

    /// Waits until all have this count; how long that took, or what they have instead.
    pub(super) async fn agree_on(&self, count: u32) -> Result<Duration, Error> {
        let began = Instant::now();
        loop {
            let counts = self.counts().await?;
            if counts
                .iter()
                .all(|&found| u32::try_from(found) == Ok(count))
            {
                return Ok(began.elapsed());
            }
            if began.elapsed() > PATIENCE {
                let shown = shown(&counts);
                let error = format!("expected {count} everywhere, and there is:{shown}");
                return Err(Error::failed(error));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether all hold the same rows, every one of them.
    pub(super) async fn are_equal(&self) -> Result<bool, Error> {
        let sql = "SELECT string_agg(c::text, '|' ORDER BY charid) FROM character c";
        let mut all = Vec::new();
        for session in &self.0 {
            let row = session.query_one(sql, &[]).await;
            all.push(
                row.map_err(|error| failed(sql, &error))?
                    .get::<_, String>(0),
            );
        }
        Ok(all.windows(2).all(|pair| pair[0] == pair[1]))
    }
}

/// A count for each, on a line.
pub(super) fn shown(counts: &[i32]) -> String {
    let mut line = String::new();
    for (name, count) in NAMES.iter().zip(counts) {
        // Writing to a string can't fail.
        let _ = write!(line, "   {name}: {count}");
    }
    line
}
