//! What the sources have alike, and what they should not: tables, and the database itself.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use tahr_plugin_api::{Relation, TableName};
use tahr_postgres_connect::Session;

use super::Member;
use crate::{Error, masters::Tables};

/// A warning for each column that has another type on another source: not every value that the one
/// takes is taken by the other, or stored as it was given.
pub(super) fn types(tables: &Tables, members: &[Member]) -> Vec<Error> {
    let mut warnings = Vec::new();
    for table in tables.iter() {
        for (place, column) in table.columns.iter().enumerate() {
            let mut named = members.iter().zip(&table.members);
            let Some((first, model)) = named.next() else {
                continue;
            };
            for (member, has) in named {
                let (here, there) = (&has.types[place], &model.types[place]);
                if same_values(here, there) {
                    continue;
                }
                warnings.push(
                    Error::source(format!(
                        "table {}: column \"{}\" is {there} on source \"{}\" and {here} on source \
                         \"{}\": a value that one of them can't hold stops there",
                        table.name, column.name, first.name, member.name
                    ))
                    .hint("give it one type on all sources of the sync"),
                );
            }
        }
    }
    warnings
}

/// Whether two types hold the same values, written alike.
fn same_values(a: &str, b: &str) -> bool {
    let is_text = |name: &str| matches!(name, "text" | "character varying");
    a == b || is_text(a) && is_text(b)
}

/// A warning for each unique key that some source lacks: what that one takes is refused by the others.
pub(super) fn unique_keys(members: &[Member]) -> Vec<Error> {
    let names: BTreeSet<&TableName> = members
        .iter()
        .flat_map(|member| member.tables.iter().map(|table| &table.relation.source))
        .collect();
    let mut warnings = Vec::new();
    for name in names {
        let having = members.iter().filter_map(|member| {
            let mut relations = member.tables.iter().map(|table| &table.relation);
            let relation = relations.find(|relation| relation.source == *name)?;
            Some((member.name.as_str(), unique(relation)))
        });
        let having: Vec<_> = having.collect();
        let all: BTreeSet<_> = having.iter().flat_map(|(_, keys)| keys).collect();
        for key in all {
            let (has, lacks): (Vec<_>, Vec<_>) =
                having.iter().partition(|(_, keys)| keys.contains(key));
            if let ([(has, _), ..], [(lacks, _), ..]) = (has.as_slice(), lacks.as_slice()) {
                warnings.push(
                    Error::source(format!(
                        "table {name} has a unique key ({}) on source \"{has}\" and not on source \
                         \"{lacks}\", so the one refuses rows that the other takes",
                        key.join(", ")
                    ))
                    .hint("give it the same unique keys on all sources of the sync"),
                );
            }
        }
    }
    warnings
}

/// The names of the columns of each unique key.
fn unique(relation: &Relation) -> BTreeSet<Vec<String>> {
    let key = |columns: &Vec<usize>| {
        let names = columns
            .iter()
            .map(|&column| relation.columns[column].name.clone());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    relation.unique_keys.iter().map(key).collect()
}

/// An error for each pair of sources that are one database. A copy of the files has the identity of
/// its original, so it is tried: a lock that one session holds is seen only in the same database.
pub(super) async fn same_database(
    sync: &str,
    members: &[Member],
    sessions: &[Option<Session>],
) -> Vec<Error> {
    let mut errors = Vec::new();
    let connected = members.iter().zip(sessions);
    let connected = connected.filter_map(|(member, session)| Some((member, session.as_ref()?)));
    let connected: Vec<_> = connected.collect();
    for (place, (member, session)) in connected.iter().enumerate() {
        for (other, theirs) in &connected[..place] {
            let (a, b) = (&member.identity, &other.identity);
            let is_alike = a.system_id == b.system_id && a.database_oid == b.database_oid;
            if is_alike && share_locks(theirs, session).await {
                errors.push(
                    Error::usage(format!(
                        "sync \"{sync}\": sources \"{}\" and \"{}\" are the same database, {}",
                        other.name, member.name, a.database
                    ))
                    .hint(format!(
                        "mend the url in [sources.{}], or take it out of the sync",
                        member.name
                    )),
                );
            }
        }
    }
    errors
}

/// Whether both sessions are in one database of one server.
async fn share_locks(one: &Session, other: &Session) -> bool {
    let key = RandomState::new().build_hasher().finish().cast_signed();
    let lock = "SELECT pg_catalog.pg_try_advisory_lock($1)";
    let unlock = "SELECT pg_catalog.pg_advisory_unlock($1)";
    let has = async |session: &Session, sql| {
        let row = session.query_one(sql, &[&key]).await;
        row.is_ok_and(|row| row.get(0))
    };
    if !has(one, lock).await {
        return false;
    }
    let is_elsewhere = has(other, lock).await;
    if is_elsewhere {
        has(other, unlock).await;
    }
    has(one, unlock).await;
    !is_elsewhere
}
