//! The tables of a sync as all of its sources have them.
//!
//! The sources may spell a table differently: another order of columns, another owner, other OIDs.
//! One spelling counts, which needs no source to be known: columns in order of their names.
//! [`SharedTable::members`] says where each source keeps what. Rows and keys travel in the shared
//! spelling only, also between syncs and across restarts.

use std::collections::{BTreeMap, HashMap};

use tahr_plugin_api::{Column, Relation, TableName};

use crate::{
    Error,
    reconcile::{SourceId, TableId},
    source::Table,
};

/// A table as all sources of a sync have it.
#[derive(Clone, Debug)]
pub struct SharedTable {
    /// Its number, the same on all sources and after a restart.
    pub id: TableId,
    /// Its name, the same on all sources.
    pub name: TableName,
    /// The columns in order of their names, of types as the first source that is here has them.
    pub columns: Vec<Column>,
    /// Positions in `columns` of the key by which a row is named, in order; never empty.
    pub key: Vec<usize>,
    /// Positions in `columns` of each further unique key.
    pub unique_keys: Vec<Vec<usize>>,
    /// Whether it has a foreign key, or is the target of one, on some source.
    pub foreign_keys: bool,
    /// How each source has it, in the order of the sync's sources; empty for one that is away.
    pub members: Vec<MemberTable>,
}

/// A shared table on one source.
#[derive(Clone, Debug, Default)]
pub struct MemberTable {
    /// Its OID there.
    pub oid: u32,
    /// For each shared column its position in that source's row.
    pub positions: Vec<usize>,
    /// For each shared column its type there, as PostgreSQL spells it.
    pub types: Vec<String>,
}

/// The tables of a sync that all of its sources agree on.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    all: BTreeMap<TableId, SharedTable>,
    by_oid: Vec<HashMap<u32, TableId>>,
}

impl TableId {
    /// The number of the table `name`: a hash, so that it needs no list to stay the same.
    #[must_use]
    pub fn of(name: &TableName) -> Self {
        Self(hash(&[&name.schema, &name.table]))
    }
}

impl SourceId {
    /// The number of the source `name` of the config.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(hash(&[name]))
    }
}

fn hash(parts: &[&str]) -> u32 {
    parts.iter().fold(0, |sum, part| {
        crc32c::crc32c_append(crc32c::crc32c_append(sum, part.as_bytes()), &[0])
    })
}

impl Tables {
    /// What the sources, each with its name and the tables that the sync selects there, agree on.
    ///
    /// # Errors
    ///
    /// Every table that is missing on a source, or has other columns or another key there.
    pub fn agree(members: &[(String, Vec<Table>)]) -> Result<Self, Vec<Error>> {
        let here = members
            .iter()
            .map(|(name, tables)| (name.clone(), Some(tables.clone())));
        Self::agree_among(&here.collect::<Vec<_>>())
    }

    /// As [`agree`](Self::agree), where some sources may be away, and can't disagree.
    ///
    /// # Errors
    ///
    /// As [`agree`](Self::agree).
    pub fn agree_among(members: &[(String, Option<Vec<Table>>)]) -> Result<Self, Vec<Error>> {
        let mut tables = Self {
            by_oid: vec![HashMap::new(); members.len()],
            ..Self::default()
        };
        let mut errors = Vec::new();
        let mut names: Vec<&TableName> = members
            .iter()
            .flat_map(|(_, tables)| tables.iter().flatten())
            .map(|table| &table.relation.source)
            .collect();
        names.sort();
        names.dedup();
        for name in names {
            match agree(name, members) {
                Ok(shared) => {
                    for (by_oid, member) in tables.by_oid.iter_mut().zip(&shared.members) {
                        by_oid.insert(member.oid, shared.id);
                    }
                    if let Some(other) = tables.all.insert(shared.id, shared) {
                        errors.push(
                            Error::source(format!(
                                "tables {name} and {} have names of the same number",
                                other.name
                            ))
                            .hint("rename one of them on all sources, or put it into a sync of its own"),
                        );
                    }
                }
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() {
            Ok(tables)
        } else {
            Err(errors)
        }
    }

    /// The table with this number.
    #[must_use]
    pub fn get(&self, id: TableId) -> Option<&SharedTable> {
        self.all.get(&id)
    }

    /// The table that has this OID on member `member`.
    #[must_use]
    pub fn of_oid(&self, member: usize, oid: u32) -> Option<&SharedTable> {
        self.get(*self.by_oid[member].get(&oid)?)
    }

    /// All tables, in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &SharedTable> {
        self.all.values()
    }
}

/// The table `name` as the sources have it.
fn agree(
    name: &TableName,
    members: &[(String, Option<Vec<Table>>)],
) -> Result<SharedTable, Vec<Error>> {
    let mut errors = Vec::new();
    let found: Vec<Option<&Relation>> = members
        .iter()
        .map(|(_, tables)| {
            let mut relations = tables.iter().flatten().map(|table| &table.relation);
            relations.find(|relation| relation.source == *name)
        })
        .collect();
    let mut named = members.iter().map(|(source, _)| source).zip(&found);
    let Some((first, model)) = named.find_map(|(source, found)| Some((source, (*found)?))) else {
        return Err(errors);
    };
    if model.primary_key.is_empty() {
        errors.push(
            Error::source(format!(
                "table {name} has no primary key on source \"{first}\", so its rows can't be told \
                 apart on several sources"
            ))
            .hint(format!(
                "give it one on every source, or leave it out: tables = [\"!{name}\"]"
            )),
        );
    }
    let mut shared = Vec::new();
    let mut order: Vec<usize> = (0..model.columns.len()).collect();
    order.sort_by(|&a, &b| model.columns[a].name.cmp(&model.columns[b].name));
    for ((source, here), relation) in members.iter().zip(&found) {
        if here.is_none() {
            shared.push(MemberTable::default());
            continue;
        }
        let Some(relation) = relation else {
            errors.push(
                Error::source(format!(
                    "table {name} is missing on source \"{source}\", and source \"{first}\" has it"
                ))
                .hint(format!(
                    "create it there, or leave it out: tables = [\"!{name}\"]"
                )),
            );
            continue;
        };
        match member(name, &order, (first, model), (source, relation)) {
            Ok(member) => shared.push(member),
            Err(more) => errors.extend(more),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let place = |column: &usize| order.iter().position(|at| at == column);
    let shared_key = |columns: &[usize]| {
        let mut places: Vec<usize> = columns.iter().filter_map(place).collect();
        places.sort_unstable();
        places
    };
    let key = shared_key(&model.primary_key);
    let unique_keys = model.unique_keys.iter().map(|unique| shared_key(unique));
    let unique_keys = unique_keys.filter(|unique| *unique != key).collect();
    Ok(SharedTable {
        id: TableId::of(name),
        name: name.clone(),
        columns: order.iter().map(|&at| model.columns[at].clone()).collect(),
        key,
        unique_keys,
        foreign_keys: found.iter().flatten().any(|found| found.foreign_keys),
        members: shared,
    })
}

/// How `source` has a table that `first` has as `model`, whose columns are shared in this order.
fn member(
    name: &TableName,
    order: &[usize],
    (first, model): (&str, &Relation),
    (source, relation): (&str, &Relation),
) -> Result<MemberTable, Vec<Error>> {
    let names = |relation: &Relation, positions: &[usize]| -> Vec<String> {
        let names = positions.iter().map(|&i| relation.columns[i].name.clone());
        names.collect()
    };
    let all = |relation: &Relation| names(relation, &Vec::from_iter(0..relation.columns.len()));
    let (here, there) = (all(relation), all(model));
    let mut errors = Vec::new();
    for (has, all, lacks, others) in [
        (first, &there, source, &here),
        (source, &here, first, &there),
    ] {
        for column in all.iter().filter(|column| !others.contains(column)) {
            errors.push(
                Error::source(format!(
                    "table {name} has column \"{column}\" on source \"{has}\" and not on source \
                     \"{lacks}\""
                ))
                .hint("the columns of a table have to be the same on all sources of a sync"),
            );
        }
    }
    let keys = (
        names(model, &model.primary_key),
        names(relation, &relation.primary_key),
    );
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    if !keys.0.is_empty() && sorted(keys.0.clone()) != sorted(keys.1.clone()) {
        errors.push(
            Error::source(format!(
                "table {name} has the key ({}) on source \"{first}\" and ({}) on source \"{source}\"",
                keys.0.join(", "),
                keys.1.join(", ")
            ))
            .hint("the primary key of a table has to be the same on all sources of a sync"),
        );
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let positions: Vec<usize> = order
        .iter()
        .filter_map(|&at| relation.position_of(&there[at]))
        .collect();
    let types = positions
        .iter()
        .map(|&position| relation.columns[position].type_name.clone());
    Ok(MemberTable {
        oid: relation.oid,
        types: types.collect(),
        positions,
    })
}
