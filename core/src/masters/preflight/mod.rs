//! Whether the sources of one sync go together: every fault between them at once.
//!
//! What concerns one source alone, [its own preflight](crate::source::preflight()) has said. Here
//! are the tables that they don't have alike, databases that are named twice, clocks that differ,
//! and syncs that form a ring. `tahr check` calls [`look`] of all sources it can reach, and the
//! engine before the sources of a sync begin to replicate to each other. Nothing is written.

mod alike;
pub mod clocks;
mod rings;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tahr_plugin_api::TableName;
use tahr_postgres_connect::Session;

use super::Tables;
use crate::{
    Error,
    config::Config,
    source::{Identity, Table, application, parse},
};

pub use rings::rings;

/// A source of a sync, as it was looked at.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name in the config.
    pub name: String,
    /// Which database it is.
    pub identity: Identity,
    /// The tables that the sync selects there.
    pub tables: Vec<Table>,
}

/// What was found between the sources of a sync.
#[derive(Debug, Default)]
pub struct Findings {
    /// The sync can't be as it is.
    pub errors: Vec<Error>,
    /// It works, but perhaps not as meant.
    pub warnings: Vec<Error>,
}

/// Looks at the sync `sync`, of whose sources `members` are those that could be reached, in the
/// order of the config. Asks each of them for the time; one that does not answer has no clock, which
/// is no fault here.
pub async fn look(config: &Config, sync: &str, members: &[Member]) -> Findings {
    let mut found = Findings::default();
    match Tables::agree(&identified(members)) {
        Ok(tables) => found.warnings.extend(alike::types(&tables, members)),
        Err(errors) => found.errors.extend(errors),
    }
    found.warnings.extend(alike::unique_keys(members));
    let names = members.iter().flat_map(|member| &member.tables);
    let names = names.map(|table| table.relation.source.clone()).collect();
    found.errors.extend(rings(config, sync, &names));
    let sessions = members.iter().map(|member| connect(config, &member.name));
    let sessions = join_all(sessions).await;
    let same = alike::same_database(sync, members, &sessions).await;
    found.errors.extend(same);
    let measured = clocks::measure(&sessions).await;
    let named = members.iter().map(|member| member.name.as_str());
    let clocks: Vec<_> = named.zip(measured).collect();
    found.warnings.extend(clocks::differences(sync, &clocks));
    found
}

/// The tables of the sources, without those that one source's own preflight refuses for their key.
fn identified(members: &[Member]) -> Vec<(String, Vec<Table>)> {
    let tables = members.iter().flat_map(|member| &member.tables);
    let keyless = tables.filter(|table| table.relation.primary_key.is_empty());
    let keyless: BTreeSet<&TableName> = keyless.map(|table| &table.relation.source).collect();
    let of = |member: &Member| {
        let tables = member.tables.iter();
        let tables = tables.filter(|table| !keyless.contains(&table.relation.source));
        (member.name.clone(), tables.cloned().collect())
    };
    members.iter().map(of).collect()
}

async fn connect(config: &Config, source: &str) -> Option<Session> {
    let url = parse(config.sources.get(source)?).ok()?;
    let application = application(&config.engine.name);
    url.connect_source(&application).await.ok()
}
