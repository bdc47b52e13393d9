//! Whether targets hold what the source holds, judged without any of the code that copied it.
//!
//! The source's rows are read once, as PostgreSQL prints them; each target is read by a client of
//! its own, and each of its values is brought to the same form by the one table in [`rules`].

mod postgres;
mod redis;
mod rows;
mod rules;
mod sqlite;
mod table;
mod verdict;

use std::{path::PathBuf, sync::Arc};

use tahr_postgres_connect::Session;

pub(super) use table::{Table, tables};
pub(super) use verdict::Verdict;

use crate::Error;
use rows::Rows;

/// Where the targets are.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) sqlite: PathBuf,
    pub(super) sqlite_program: PathBuf,
    pub(super) redis_port: u16,
    pub(super) redis_password: String,
}

/// Compares all targets with the source, side by side.
pub(super) async fn compare(
    source: &Session,
    copy: Session,
    tables: Vec<Table>,
    places: Places,
) -> Result<Vec<Verdict>, Error> {
    let tables = Arc::new(tables);
    let rows = Arc::new(Rows::read(source, &tables).await?);
    let Places {
        sqlite: file,
        sqlite_program,
        redis_port,
        redis_password,
    } = places;
    let (with, all) = (Arc::clone(&tables), Arc::clone(&rows));
    let sqlite =
        tokio::task::spawn_blocking(move || sqlite::compare(&sqlite_program, &file, &with, &all));
    let (with, all) = (Arc::clone(&tables), Arc::clone(&rows));
    let redis =
        tokio::spawn(async move { redis::compare(redis_port, &redis_password, &with, &all).await });
    let postgres = tokio::spawn(async move { postgres::compare(&copy, &tables, &rows).await });
    let gone = |error| Error::failed("compare").caused_by(error);
    let redis = redis.await.map_err(gone)??;
    let sqlite = sqlite.await.map_err(gone)??;
    let postgres = postgres.await.map_err(gone)??;
    Ok(vec![redis, sqlite, postgres])
}
